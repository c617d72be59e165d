// What goes to a registry and to a host for it, and what comes back.
#include "tools/registry_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "enclave_core/ethereum/abi.h"
#include "tests/unit/audit/support.h"
#include "tools/checkpoint_source.h"

namespace coffer::tools {
namespace {

namespace abi = ethereum::abi;
using ::testing::HasSubstr;

const ethereum::Address kAudit = *ethereum::Address::FromHex(std::string(40, 'a'));
const ethereum::Address kRegistry = *ethereum::Address::FromHex(std::string(40, 'b'));

std::string Words(std::initializer_list<ethereum::U256> values) {
  std::string out;
  for (const ethereum::U256& value : values) abi::AppendUint(value, out);
  return out;
}

TEST(RegistryClientTest, CallsAreWhatSolidityReads) {
  EXPECT_EQ(ethereum::ToHex(LatestCall(kAudit)),
            ethereum::ToHex(abi::Selector("latest(address)") + std::string(12, '\0') +
                            std::string(20, '\xaa')));
  EXPECT_EQ(RootAtCall(kAudit, 258).size(), 4u + 64);
  EXPECT_EQ(RootAtCall(kAudit, 258).substr(4 + 62), "\x01\x02");
  audit::ChainStatement statement{kAudit, 7, audit::LeafHash("root"), 1, kRegistry};
  ethereum::Signature signature;
  const audit::Proof proof = {audit::LeafHash("a"), audit::LeafHash("b")};
  const std::string call = SubmitCall(statement, signature, proof);
  // Selector, five words of head, the signature behind its length, the proof behind its.
  ASSERT_EQ(call.size(), 4u + 32 * (5 + 1 + 3 + 1 + 2));
  EXPECT_EQ(call.substr(4 + 32 * 3, 64), Words({160, 160 + 32 + 96}));
  EXPECT_EQ(call.substr(4 + 32 * 9, 32), Words({2}));
  EXPECT_EQ(call.substr(call.size() - 32), audit::LeafHash("b").view());
}

TEST(RegistryClientTest, LatestIsReadStrictly) {
  const std::string good = Words({9, 5, 17, 1'700'000'000, 1});
  const auto head = ParseLatest(good);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->size, 9u);
  EXPECT_EQ(head->root.view(), Words({5}));
  EXPECT_EQ(head->accepted_block, 17u);
  EXPECT_EQ(head->accepted_time, 1'700'000'000u);
  EXPECT_TRUE(head->equivocated);
  const ethereum::U256 large = ethereum::U256(1) << 64;
  for (const std::string& bad :
       {std::string(), good.substr(1), good + Words({0}), Words({large, 5, 1, 1, 0}),
        Words({9, 5, large, 1, 0}), Words({9, 5, 1, large, 0}), Words({9, 5, 1, 1, 2})}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(ParseLatest(bad).status())) << ethereum::ToHex(bad);
  }
}

TEST(RegistryClientTest, RevertsBecomeSentences) {
  EXPECT_THAT(RegistryErrorText(abi::Selector("InvalidSignature()")), HasSubstr("invalid"));
  EXPECT_THAT(RegistryErrorText(abi::Selector("NotLarger(uint64,uint64)") + Words({3, 8})),
              HasSubstr("has size 8 already, and 3 is not larger"));
  EXPECT_THAT(RegistryErrorText(abi::Selector("NotConsistent(uint64,uint64)") + Words({3, 8})),
              HasSubstr("size 8 grew out of its size 3"));
  EXPECT_THAT(RegistryErrorText(abi::Selector("NotLarger(uint64,uint64)")), HasSubstr("size ?"));
  for (const char* other : {"", "abc", "\x08\xc3\x79\xa0"}) EXPECT_EQ(RegistryErrorText(other), "");
}

TEST(RegistryClientTest, WithoutANodeThereIsASentenceAndNoSecret) {
  EXPECT_TRUE(absl::IsInvalidArgument(ReadRegistry("nowhere", kRegistry, kAudit).status()));
}

std::string Statement(const audit::ChainStatement& statement, const ethereum::PrivateKey& key) {
  return absl::StrCat(
      R"({"audit_address":")", statement.audit_address.ToHex(), R"(","chain_id":)",
      statement.chain_id, R"(,"contract_address":")", statement.registry.ToHex(), R"(","seq":)",
      statement.size, R"(,"merkle_root":")", statement.root.ToHex(), R"(","signature":")",
      ethereum::ToHex(audit::SignChainStatement(statement, key).ToBytes65()), R"("})");
}

TEST(StatementTest, IsReadAndItsSignatureChecked) {
  const auto key = ethereum::PrivateKey::FromBytes(std::string(32, 'k'));
  ASSERT_TRUE(key.ok());
  const audit::ChainStatement statement{key->address(), 70, audit::LeafHash("root"), 42161,
                                        kRegistry};
  const std::string good = Statement(statement, *key);
  const auto read = ParseStatementAnswer(good, 42161, kRegistry);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->statement.size, 70u);
  EXPECT_EQ(read->statement.root, statement.root);
  EXPECT_EQ(read->statement.audit_address, key->address());
  EXPECT_FALSE(ParseStatementAnswer(good, 1, kRegistry).ok());
  EXPECT_FALSE(ParseStatementAnswer(good, 42161, kAudit).ok());
  const std::map<std::string, std::string> changes = {
      {R"("seq":70)", R"("seq":71)"},
      {R"("seq":70)", R"("seq":"seventy")"},
      {R"("seq":70,)", ""},
      {R"("merkle_root":"0x)", R"("merkle_root":"0xff)"},
      {R"("signature":"0x)", R"("signature":"0x00)"},
      {key->address().ToHex(), kAudit.ToHex()},
      {R"(42161)", R"(42161.5)"},
      {"}", "}}"},
  };
  for (const auto& [from, to] : changes) {
    const std::string bad = absl::StrReplaceAll(good, {{from, to}});
    ASSERT_NE(bad, good);
    EXPECT_FALSE(ParseStatementAnswer(bad, 42161, kRegistry).ok()) << bad;
  }
}

// A log in memory that has published `size` leaves.
class MemoryLog final : public LogSource {
 public:
  MemoryLog(const std::vector<std::string>& entries, uint64_t size) {
    audit::TileWriter writer;
    for (uint64_t i = 0; i < size; ++i) EXPECT_TRUE(writer.Append(entries[i]).ok());
    files_.Put(writer.Take());
    files_.by_path["checkpoint"] = audit::SignCheckpoint(
        {"log", size, writer.Root(), {}}, audit::SignerOf("log", audit::KeyType::kEd25519, 'L'));
  }
  absl::StatusOr<std::string> Read(const std::string& path, size_t) override {
    const auto found = files_.by_path.find(path);
    if (found == files_.by_path.end()) return absl::NotFoundError(path);
    return found->second;
  }
  std::string name() const override { return "memory"; }
  audit::Files files_;
};

TEST(ConsistencyFromTilesTest, AnySizesUpToWhatIsPublished) {
  std::vector<std::string> entries;
  audit::Hashes leaves;
  for (int i = 0; i < 700; ++i) {
    entries.push_back(absl::StrCat("entry ", i));
    leaves.push_back(audit::LeafHash(entries.back()));
  }
  const auto root = [&](uint64_t size) { return audit::NaiveRoot(leaves, 0, size); };
  const auto never = [](absl::Duration) { return false; };
  for (const uint64_t published : {257, 512, 700}) {
    MemoryLog log(entries, published);
    for (const uint64_t first : {0, 1, 100, 255, 256, 257}) {
      for (const uint64_t second : {257ul, published - 1, published}) {
        if (second <= first) continue;
        const audit::ChainStatement next{kAudit, second, root(second), 1, kRegistry};
        const auto proof =
            FetchConsistency(log, first, root(first), next, absl::ZeroDuration(), never);
        ASSERT_TRUE(proof.ok()) << first << " " << second << ": " << proof.status();
        EXPECT_EQ(*proof, first == 0 ? audit::Proof()
                                     : audit::NaiveConsistency(first, leaves, 0, second, true));
      }
    }
  }
  MemoryLog log(entries, 300);
  const audit::ChainStatement next{kAudit, 299, root(299), 1, kRegistry};
  EXPECT_TRUE(absl::IsDataLoss(
      FetchConsistency(log, 20, root(21), next, absl::ZeroDuration(), never).status()));
  const audit::ChainStatement later{kAudit, 301, root(301), 1, kRegistry};
  EXPECT_TRUE(absl::IsNotFound(
      FetchConsistency(log, 20, root(20), later, absl::ZeroDuration(), never).status()));
  EXPECT_TRUE(absl::IsCancelled(
      FetchConsistency(log, 20, root(20), later, absl::Seconds(1), never).status()));
  for (auto& [path, content] : log.files_.by_path) {
    if (path.starts_with("tile/0/")) content[40] ^= 1;
  }
  EXPECT_TRUE(absl::IsDataLoss(
      FetchConsistency(log, 20, root(20), next, absl::ZeroDuration(), never).status()));
}

}  // namespace
}  // namespace coffer::tools
