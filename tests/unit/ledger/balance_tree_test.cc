// The ledger root against the definition of RFC 6962, computed from scratch.
#include "enclave_core/ledger/balance_tree.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/random.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using ethereum::Hash;

std::string Sha256(const std::string& bytes) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

std::string Number(Wei value, size_t bytes) {
  std::string out;
  for (size_t i = bytes; i > 0; --i) {
    out.push_back(static_cast<char>(absl::Uint128Low64(value >> static_cast<int>(8 * (i - 1)))));
  }
  return out;
}

// As the header of the tree says it.
std::string LeafOf(const ledger::Ledger& ledger, uint64_t index) {
  const ledger::Account& a = ledger.at(index);
  const ledger::Balances& b = a.balances;
  std::string leaf = absl::StrCat("coffer account v1", Number(index, 8), Number(a.id().size(), 2),
                                  std::string(a.id()), std::string(a.recipient.view()));
  for (const Wei amount :
       {b.available, b.reserved, b.credited, b.adjusted_up, b.adjusted_down, b.paid}) {
    leaf += Number(amount, 16);
  }
  return leaf;
}

// MTH of RFC 6962, section 2.1, as it is written there.
std::string TreeHash(const std::vector<std::string>& leaves, size_t from, size_t to) {
  if (to == from) return Sha256("");
  if (to - from == 1) return Sha256(std::string(1, '\0') + leaves[from]);
  size_t k = 1;
  while (2 * k < to - from) k *= 2;
  return Sha256("\x01" + TreeHash(leaves, from, from + k) + TreeHash(leaves, from + k, to));
}

std::string Naive(const ledger::Ledger& ledger) {
  std::vector<std::string> leaves;
  for (uint64_t i = 0; i < ledger.size(); ++i) leaves.push_back(LeafOf(ledger, i));
  return TreeHash(leaves, 0, leaves.size());
}

TEST(BalanceTreeTest, TheEmptyTreeAndOneLeaf) {
  ledger::Ledger ledger;
  ledger::BalanceTree tree;
  EXPECT_EQ(tree.Root(ledger).ToHex(),
            "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  tree.Touch(ledger.Open("alice", AddressOf(1)));
  EXPECT_EQ(tree.Root(ledger).view(), Naive(ledger));
  EXPECT_EQ(tree.Root(ledger).view(), Naive(ledger)) << "asked twice";
}

TEST(BalanceTreeTest, EverySizeOneAtATime) {
  ledger::Ledger ledger;
  ledger::BalanceTree tree;
  for (int i = 0; i < 70; ++i) {
    tree.Touch(ledger.Open(absl::StrCat("a", i), AddressOf(static_cast<uint8_t>(i))));
    ASSERT_EQ(tree.Root(ledger).view(), Naive(ledger)) << i + 1 << " accounts";
  }
}

TEST(BalanceTreeTest, RandomChangesAgreeWithTheDefinition) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 20;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("COFFER_TEST_SEED=", seed));
    runtime::SeededRandom random(seed);
    ledger::Ledger ledger;
    ledger::BalanceTree tree;
    std::set<std::string> roots;
    for (int step = 0; step < 40; ++step) {
      for (uint64_t i = random.Below(20); i > 0; --i) {
        tree.Touch(ledger.Open(absl::StrCat("a", ledger.size()), AddressOf(7)));
      }
      for (uint64_t i = random.Below(10); i > 0 && ledger.size() > 0; --i) {
        const uint64_t index = random.Below(ledger.size());
        ledger.Apply(index, ledger::Change::kCredit, 1 + random.Below(1000));
        tree.Touch(index);
        if (random.Below(3) == 0) tree.Touch(random.Below(ledger.size()));  // for nothing
      }
      const Hash root = tree.Root(ledger);
      ASSERT_EQ(root.view(), Naive(ledger)) << "step " << step;
      roots.insert(root.ToHex());
    }
    EXPECT_GT(roots.size(), 10u);
  }
}

TEST(BalanceTreeTest, EveryFieldOfAnAccountIsUnderTheRoot) {
  const auto root_of = [](std::string id, uint8_t recipient, ledger::Balances balances) {
    ledger::Ledger ledger;
    ledger.Restore(id, AddressOf(recipient), balances);
    ledger::BalanceTree tree;
    tree.Touch(0);
    return tree.Root(ledger).ToHex();
  };
  const ledger::Balances base{10, 5, 20, 0, 0, 5};
  const std::set<std::string> roots = {
      root_of("a", 1, base),
      root_of("b", 1, base),
      root_of("a", 2, base),
      root_of("a", 1, {11, 4, 20, 0, 0, 5}),
      root_of("a", 1, {10, 5, 19, 1, 0, 5}),
      root_of("a", 1, {10, 4, 20, 0, 0, 6}),
      root_of("a", 1, {10, 5, 21, 0, 1, 5}),
      root_of("a", 1, {Wei(1) << 100, 0, Wei(1) << 100, 0, 0, 0}),
  };
  EXPECT_EQ(roots.size(), 8u);
}

// The state's own root: after every command, after a replay, and after a restore.
TEST(BalanceTreeTest, TheStatesRootIsTheDefinitions) {
  Bank bank;
  const auto agree = [&](const char* when) {
    EXPECT_EQ(bank.state.LedgerRoot().view(), Naive(bank.state.ledger())) << when;
  };
  agree("empty");
  for (int i = 0; i < 9; ++i) bank.Credit(absl::StrCat("a", i), 100);
  agree("credited");
  bank.Apply({MakeEvent("x", "a3", 5, v1::Event::KIND_ADJUST_DOWN)});
  agree("adjusted");
  ASSERT_TRUE(bank.Pay({{"a0"}, {"a1"}, {"a2"}}).ok());
  agree("reserved");
  const v1::ReportReceipt receipt = bank.ReceiptOf(1, 0, {{0, 100}, {1, 40}});
  ASSERT_TRUE(bank.Report(receipt).ok());
  agree("paid");
  ASSERT_TRUE(bank.Reorg(receipt.tx_hash()).ok());
  agree("reverted");
  ASSERT_TRUE(bank.Void(1, 1000).ok());
  agree("void");

  authority::Authority replayed, restored;
  for (const Bank::Batch& batch : bank.batches) {
    for (const auto& event : batch.events()) ASSERT_TRUE(replayed.Apply(event).ok());
  }
  bank.state.WriteSnapshot(
      [&](const sealed::v1::SnapshotPart& part) { ASSERT_TRUE(restored.RestorePart(part).ok()); });
  ASSERT_TRUE(restored.FinishRestore().ok());
  EXPECT_EQ(replayed.LedgerRoot(), bank.state.LedgerRoot());
  EXPECT_EQ(restored.LedgerRoot(), bank.state.LedgerRoot());
}

TEST(BalanceTreeTest, EventsAppliedCarriesItWhenAsked) {
  Bank bank;
  v1::ApplyEvents request;
  *request.add_events() = MakeEvent("e", "alice", 5);
  v1::EventsApplied answer;
  bank.state.ApplyEvents(request, &answer, bank.Next());
  EXPECT_TRUE(answer.ledger_root().empty());
  request.set_want_ledger_root(true);
  bank.state.ApplyEvents(request, &answer, bank.Next());
  EXPECT_EQ(answer.ledger_root(), Naive(bank.state.ledger()));
}

}  // namespace
}  // namespace coffer::test
