// coffer-make-log FOLDER LEAVES: a log of any size whose ledger adds up, for measuring verifiers.
// Prints the log's verifier key. The log's secret key is 32 letters k: nobody should trust it.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tiles.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

using audit::Leaf;
using audit::LeafKind;

constexpr size_t kAccounts = 10'000;
constexpr const char* kAddress = "0x1111111111111111111111111111111111111111";

struct Account {
  std::string id;
  ethereum::Address recipient;
  absl::uint128 available = 0, reserved = 0, paid = 0;
};

// Credits, with a payout of one item (four leaves) after every 32 of them.
class Story {
 public:
  const Leaf& Next(uint64_t sequence) {
    leaf_ = Leaf();
    leaf_.sequence = sequence;
    leaf_.claimed_time = 1'700'000'000'000 + sequence / 100;
    if (sequence == 0) {
      leaf_.kind = LeafKind::kGenesis;
      leaf_.recipient = *ethereum::Address::FromHex(kAddress);
      leaf_.content_hash = audit::Sha256("policy");
    } else if (sequence <= kAccounts) {
      Open(sequence);
    } else if (const uint64_t step = (sequence - kAccounts - 1) % 36; step < 32) {
      Credit(sequence);
    } else {
      Payout(step - 32);
    }
    return leaf_;
  }

 private:
  void Open(uint64_t sequence) {
    Account& account = accounts_.emplace_back();
    const audit::Hash hash = audit::Sha256(absl::StrCat("account ", sequence));
    account.id = "0x" + ethereum::ToHex(hash.view()).substr(2, 40);
    account.recipient = *ethereum::Address::FromBytes(hash.view().substr(0, 20));
    leaf_.kind = LeafKind::kAccountOpened;
    leaf_.account = account.id;
    leaf_.recipient = account.recipient;
  }
  void Change(LeafKind kind, int64_t available, int64_t reserved, int64_t paid) {
    Account& account = accounts_[turn_];
    account.available += static_cast<absl::uint128>(available);
    account.reserved += static_cast<absl::uint128>(reserved);
    account.paid += static_cast<absl::uint128>(paid);
    leaf_.kind = kind;
    leaf_.account = account.id;
    leaf_.recipient = account.recipient;
    leaf_.balances = audit::Balances{available, account.available, account.reserved, account.paid};
  }
  void Credit(uint64_t sequence) {
    turn_ = sequence * 7919 % kAccounts;
    Change(LeafKind::kCredit, 1'000'000'000'000, 0, 0);
    const audit::Hash hash = audit::Sha256(absl::StrCat("event ", sequence));
    leaf_.event_id = "ledger:" + ethereum::ToHex(hash.view()).substr(2);
    leaf_.content_hash = hash;
  }
  void Payout(uint64_t step) {
    if (step == 0) ++payout_;
    leaf_.payout = payout_;
    if (step == 0) {
      Change(LeafKind::kPayoutReserved, -500'000'000'000, 500'000'000'000, 0);
    } else if (step == 1) {
      leaf_.kind = LeafKind::kPayoutSigned;
    } else if (step == 2) {
      leaf_.kind = LeafKind::kTicketSigned;
      leaf_.ticket_hash = audit::Sha256(absl::StrCat("ticket ", payout_));
    } else {
      Change(LeafKind::kItemPaid, 0, -500'000'000'000, 500'000'000'000);
      leaf_.amount = 500'000'000'000;
    }
    if (step != 1) leaf_.item = 0;
    if (step % 2 == 1) leaf_.tx_hash = audit::Sha256(absl::StrCat("transaction ", payout_));
  }

  std::vector<Account> accounts_;
  size_t turn_ = 0;
  uint64_t payout_ = 0;
  Leaf leaf_;
};

class Folder {
 public:
  explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}
  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path file = path_ / name;
    if (made_.insert(file.parent_path()).second) {
      std::filesystem::create_directories(file.parent_path());
    }
    std::ofstream out(file, std::ios::binary);
    out << content;
    COFFER_CHECK(out.good(), "a file of the log can be written");
  }

 private:
  std::filesystem::path path_;
  std::set<std::filesystem::path> made_;
};

int Main(const std::string& path, uint64_t leaves) {
  const auto signer = audit::NoteSigner::Create(
      absl::StrCat("coffer/", kAddress), audit::KeyType::kEd25519,
      ethereum::SecretBytes::CopyOf(std::string(audit::kSeedBytes, 'k')).value());
  Folder folder(path);
  Story story;
  audit::TileWriter writer;
  std::string entry;
  const auto take = [&] {
    for (const audit::TileFile& file : writer.Take()) {
      folder.Write(audit::TilePath(file.tile), file.content);
    }
  };
  for (uint64_t i = 0; i < leaves; ++i) {
    entry.clear();
    COFFER_CHECK(audit::AppendLeaf(story.Next(i), &entry).ok(), "a leaf of the story");
    COFFER_CHECK(writer.Append(entry).ok(), "a leaf fits a bundle");
    if ((i + 1) % 65'536 == 0) take();
  }
  take();
  folder.Write("checkpoint",
               audit::SignCheckpoint({signer->key().name(), leaves, writer.Root(), {}}, *signer));
  std::cout << signer->key().ToString() << "\n";
  return 0;
}

}  // namespace
}  // namespace coffer::bench

int main(int argc, char** argv) {
  const uint64_t leaves = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (leaves == 0) {
    std::cerr << "usage: coffer-make-log FOLDER LEAVES\n";
    return 2;
  }
  return coffer::bench::Main(argv[1], leaves);
}
