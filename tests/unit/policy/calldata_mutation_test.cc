// Calldata that was tampered with in one byte: what is still allowed must still be inside the
// policy, as a second reader judges it that shares no code with the first.
#include <set>
#include <utility>

#include "enclave_core/policy/transaction_rules.h"
#include "tests/unit/policy/samples.h"

namespace coffer::policy {
namespace {

// Reads calldata as the contract does: it follows the offsets, wherever they lead.
class Judge {
 public:
  explicit Judge(std::string_view data) : data_(data.substr(4)) {}

  // Whether it is a batch that FullPolicy allows and that pays nobody more than once.
  bool Inside() const {
    const uint64_t tickets = Small(0);
    const uint64_t signatures = Small(32);
    const uint64_t rands = Small(64);
    const uint64_t count = Small(tickets);
    if (count < 1 || count > 7 || Small(signatures) != count || Small(rands) != count) return false;
    uint64_t total = 0;
    std::set<std::string> seen;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t ticket = tickets + 32 + Small(tickets + 32 + 32 * i);
      const uint64_t signature = signatures + 32 + Small(signatures + 32 + 32 * i);
      const uint64_t aux = ticket + Small(ticket + 6 * 32);
      const std::string recipient = Word(ticket);
      const std::string none(12, '\0');
      if (recipient != none + std::string(20, '\x21') &&
          recipient != none + std::string(20, '\x22')) {
        return false;
      }
      if (Word(ticket + 32) != none + std::string(20, '\x77')) return false;
      const uint64_t face_value = Small(ticket + 64);
      if (face_value > 1000 || Small(ticket + 96) != 12345) return false;
      if (Small(aux) != 64 || Small(aux + 32) == kHuge) return false;  // a round of 64 bits
      if (Small(signature) != 65 || Word(signature + 96).substr(1) != std::string(31, '\0')) {
        return false;
      }
      total += face_value;
      std::string identity;
      for (uint64_t word = 0; word < 6; ++word) identity += Word(ticket + 32 * word);
      identity += Word(aux + 32) + Word(aux + 64);
      if (!seen.insert(identity).second) return false;
    }
    return total <= 5000;
  }

 private:
  static constexpr uint64_t kHuge = UINT64_MAX;

  // Beyond the end there are zeros, as for the contract's reader.
  std::string Word(uint64_t at) const {
    std::string out(32, '\0');
    for (uint64_t i = 0; i < 32 && at < data_.size() && at + i < data_.size(); ++i) {
      out[i] = data_[at + i];
    }
    return out;
  }
  // kHuge when it needs more than 64 bits.
  uint64_t Small(uint64_t at) const {
    const std::string word = Word(at);
    if (word.find_first_not_of('\0') < 24) return kHuge;
    uint64_t out = 0;
    for (size_t i = 24; i < 32; ++i) out = out << 8 | static_cast<uint8_t>(word[i]);
    return out;
  }

  std::string_view data_;
};

std::string AllowedBatch() {
  return Batch({Redemption(1, 1000, kPayee), Redemption(2, 999, kOther), Redemption(3, 1, kPayee),
                Redemption(300, 512, kOther)});
}

TEST(CalldataMutationTest, TheJudgeAllowsAndRefuses) {
  EXPECT_TRUE(Judge(AllowedBatch()).Inside());
  EXPECT_FALSE(Judge(Batch({Redemption(1, 1001)})).Inside());
  EXPECT_FALSE(Judge(Batch({Redemption(1, 1, kStranger)})).Inside());
  EXPECT_FALSE(Judge(Batch({Redemption(1), Redemption(1)})).Inside());
  EXPECT_FALSE(Judge(Batch({})).Inside());
}

TEST(CalldataMutationTest, TwentyThousandFlippedBytes) {
  const Policy policy = FullPolicy();
  const std::string allowed = AllowedBatch();
  ASSERT_TRUE(CheckTransaction(policy, kSigner, Call(allowed)).ok());
  std::mt19937_64 random(TestSeed());
  int passed = 0;
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string data = allowed;
    const size_t at = random() % data.size();
    data[at] = static_cast<char>(data[at] ^ static_cast<char>(1 + random() % 255));
    const absl::StatusOr<std::vector<Spend>> spends = CheckTransaction(policy, kSigner, Call(data));
    if (!spends.ok()) {
      EXPECT_EQ(CodeOf(spends.status()), boundary::v1::ERROR_POLICY);
      EXPECT_FALSE(RuleOf(spends.status()).empty()) << spends.status();
      ++refused;
      continue;
    }
    ++passed;
    ASSERT_TRUE(data.substr(0, 4) == allowed.substr(0, 4) && Judge(data).Inside())
        << "byte " << at << " became " << static_cast<int>(static_cast<uint8_t>(data[at]));
  }
  // Signatures, nonces, hashes and preimages are free; offsets, addresses and padding are not.
  EXPECT_GT(passed, 2'000);
  EXPECT_GT(refused, 8'000);
}

}  // namespace
}  // namespace coffer::policy
