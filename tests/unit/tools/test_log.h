// Logs made in memory, honest ones and others.
#ifndef COFFER_TESTS_UNIT_TOOLS_TEST_LOG_H_
#define COFFER_TESTS_UNIT_TOOLS_TEST_LOG_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tiles.h"
#include "tests/unit/audit/support.h"
#include "tools/log_source.h"
#include "tools/verify_log.h"

namespace coffer::tools {

using audit::Leaf;
using audit::LeafKind;

inline constexpr const char* kOrigin = "coffer/0x1111111111111111111111111111111111111111";
inline constexpr const char* kSigner = "0x1111111111111111111111111111111111111111";

inline audit::NoteSigner LogSigner(char seed = 'k') {
  return audit::SignerOf(kOrigin, audit::KeyType::kEd25519, seed);
}

// Writes the leaves that an honest enclave would, and keeps its own books to do so.
class HonestLeaves {
 public:
  HonestLeaves() {
    Leaf& leaf = Begin(LeafKind::kGenesis);
    leaf.recipient = ethereum::Address::FromHex(kSigner).value();
    leaf.content_hash = audit::Sha256("policy");
  }

  void Open(const std::string& id) {
    accounts_[id].recipient =
        ethereum::Address::FromBytes(audit::Sha256(id).view().substr(0, 20)).value();
    Leaf& leaf = Begin(LeafKind::kAccountOpened);
    leaf.account = id;
    leaf.recipient = accounts_[id].recipient;
  }
  void Credit(const std::string& id, const std::string& event, int wei,
              LeafKind kind = LeafKind::kCredit) {
    Change(kind, id, kind == LeafKind::kAdjustDown ? -wei : wei, 0, 0).event_id = event;
  }
  void Reserve(const std::string& id, uint64_t payout, uint32_t item, int wei) {
    Items(Change(LeafKind::kPayoutReserved, id, -wei, wei, 0), payout, item);
  }
  void SignPayout(uint64_t payout) {
    Leaf& leaf = Begin(LeafKind::kPayoutSigned);
    leaf.payout = payout;
    leaf.tx_hash = audit::Sha256(absl::StrCat("tx", payout));
  }
  void SignTicket(const std::string& id, uint64_t payout, uint32_t item, int wei) {
    Leaf& leaf = Begin(LeafKind::kTicketSigned);
    Items(leaf, payout, item);
    leaf.account = id;
    leaf.recipient = accounts_[id].recipient;
    leaf.amount = static_cast<unsigned>(wei);
    leaf.ticket_hash = audit::Sha256(absl::StrCat("ticket", payout, "-", item));
  }
  void Pay(const std::string& id, uint64_t payout, uint32_t item, int reserved, int paid) {
    Leaf& leaf = Change(LeafKind::kItemPaid, id, reserved - paid, -reserved, paid);
    Items(leaf, payout, item);
    leaf.amount = static_cast<unsigned>(paid);
    leaf.tx_hash = audit::Sha256(absl::StrCat("tx", payout));
  }
  void Void(const std::string& id, uint64_t payout, uint32_t item, int wei) {
    Items(Change(LeafKind::kItemVoided, id, wei, -wei, 0), payout, item);
  }
  void Revert(const std::string& id, uint64_t payout, uint32_t item, int reserved, int paid) {
    Leaf& leaf = Change(LeafKind::kPayoutReverted, id, paid - reserved, reserved, -paid);
    Items(leaf, payout, item);
    leaf.amount = static_cast<unsigned>(paid);
    leaf.tx_hash = audit::Sha256(absl::StrCat("tx", payout));
  }
  // A bit of everything for `count` leaves or a few more.
  static std::vector<Leaf> Story(size_t count);

  std::vector<Leaf> leaves;

 private:
  struct Account {
    ethereum::Address recipient;
    int available = 0, reserved = 0, paid = 0;
  };
  Leaf& Begin(LeafKind kind) {
    Leaf& leaf = leaves.emplace_back();
    leaf.kind = kind;
    leaf.sequence = leaves.size() - 1;
    leaf.claimed_time = 1'700'000'000'000 + leaf.sequence;
    return leaf;
  }
  Leaf& Change(LeafKind kind, const std::string& id, int available, int reserved, int paid) {
    Account& account = accounts_[id];
    account.available += available;
    account.reserved += reserved;
    account.paid += paid;
    Leaf& leaf = Begin(kind);
    leaf.account = id;
    leaf.recipient = account.recipient;
    leaf.balances = audit::Balances{available, static_cast<unsigned>(account.available),
                                    static_cast<unsigned>(account.reserved),
                                    static_cast<unsigned>(account.paid)};
    return leaf;
  }
  static void Items(Leaf& leaf, uint64_t payout, uint32_t item) {
    leaf.payout = payout;
    leaf.item = item;
  }
  std::map<std::string, Account> accounts_;
};

inline std::vector<Leaf> HonestLeaves::Story(size_t count) {
  HonestLeaves log;
  log.Open("alice");
  log.Open("bob");
  uint64_t payout = 0;
  while (log.leaves.size() < count) {
    const size_t n = log.leaves.size();
    const std::string who = n % 2 == 0 ? "alice" : "bob";
    log.Credit(who, absl::StrCat("ledger:", n), 100);
    if (n % 5 != 0) continue;
    ++payout;
    log.Reserve(who, payout, 0, 60);
    log.SignPayout(payout);
    log.SignTicket(who, payout, 0, 60);
    if (n % 3 == 0) {
      log.Void(who, payout, 0, 60);
      continue;
    }
    log.Pay(who, payout, 0, 60, 50);
    if (n % 4 != 0) continue;
    log.Revert(who, payout, 0, 60, 50);
    log.Pay(who, payout, 0, 60, 60);
  }
  return std::move(log.leaves);
}

inline std::vector<std::string> Encode(const std::vector<Leaf>& leaves) {
  std::vector<std::string> out;
  for (const Leaf& leaf : leaves) {
    std::string& entry = out.emplace_back();
    const absl::Status status = audit::AppendLeaf(leaf, &entry);
    EXPECT_TRUE(status.ok()) << status;
  }
  return out;
}

// What a web server or a folder would have.
class MemorySource final : public LogSource {
 public:
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++reads;
    if (const auto found = broken.find(path); found != broken.end()) return found->second;
    const auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(path + " is missing");
    if (found->second.size() > max_bytes) return absl::ResourceExhaustedError("too large");
    return found->second;
  }
  std::string name() const override { return "memory"; }

  // Publishes a log of these entries: the files of this size alone, and its signed head.
  void Publish(const std::vector<std::string>& entries, const audit::NoteSigner& signer,
               const std::vector<const audit::NoteSigner*>& witnesses = {}) {
    audit::TileWriter writer;
    for (const std::string& entry : entries) {
      EXPECT_TRUE(writer.Append(entry).ok());
    }
    files.clear();
    for (audit::TileFile& file : writer.Take()) {
      files[audit::TilePath(file.tile)] = std::move(file.content);
    }
    Sign({signer.key().name(), writer.size(), writer.Root(), {}}, signer, witnesses);
  }
  void Sign(const audit::Checkpoint& head, const audit::NoteSigner& signer,
            const std::vector<const audit::NoteSigner*>& witnesses = {}) {
    std::string note = audit::SignCheckpoint(head, signer);
    for (const audit::NoteSigner* witness : witnesses) {
      note += audit::FormatSignatureLine(
          audit::Cosign(audit::CheckpointText(head), 1'700'000'000, *witness));
    }
    files["checkpoint"] = note;
  }

  std::map<std::string, std::string> files;
  std::map<std::string, absl::Status> broken;
  int reads = 0;

 private:
  std::mutex mutex_;
};

// A folder that is gone when the test is over.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "coffer-verify-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline VerifyLogOptions FullOptions(const TestFolder& folder) {
  VerifyLogOptions options;
  options.trust.key = LogSigner().key();
  options.trust.state_file = folder / "seen";
  options.full = true;
  return options;
}

inline std::string Show(const Report& report) {
  std::string out;
  for (const Check& check : report.checks) {
    absl::StrAppend(&out, std::string(OutcomeName(check.outcome)), " ", check.name, ": ",
                    check.sentence, "\n");
  }
  return out;
}

}  // namespace coffer::tools

#endif  // COFFER_TESTS_UNIT_TOOLS_TEST_LOG_H_
