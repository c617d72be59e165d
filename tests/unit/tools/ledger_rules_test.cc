// Forged leaves in a tree that is perfect and signed: the rules of the ledger catch them.
#include "tools/ledger_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/unit/tools/test_log.h"
#include "tools/event_ids.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

struct Forgery {
  const char* name;
  std::function<void(std::vector<Leaf>&)> forge;
  const char* check;
  std::vector<std::string> says;
};

// 0 genesis, 1 alice, 2 bob, 3 alice +100, 4 bob +100, 5 alice reserves 60 (payout 1 item 0),
// 6 signed, 7 ticket, 8 alice is paid 50 and 10 come back, 9 bob +7, 10 bob -7, 11 bob reserves 20
// (payout 2 item 0), 12 signed, 13 void, 14 alice reserves 30 (payout 3 item 0), 15 signed, 16 paid
// 30, 17 taken back, 18 paid 29 and 1 comes back.
std::vector<Leaf> Honest() {
  HonestLeaves log;
  log.Open("alice");
  log.Open("bob");
  log.Credit("alice", "e3", 100);
  log.Credit("bob", "e4", 100);
  log.Reserve("alice", 1, 0, 60);
  log.SignPayout(1);
  log.SignTicket("alice", 1, 0, 60);
  log.Pay("alice", 1, 0, 60, 50);
  log.Credit("bob", "e9", 7, LeafKind::kAdjustUp);
  log.Credit("bob", "e10", 7, LeafKind::kAdjustDown);
  log.Reserve("bob", 2, 0, 20);
  log.SignPayout(2);
  log.Void("bob", 2, 0, 20);
  log.Reserve("alice", 3, 0, 30);
  log.SignPayout(3);
  log.Pay("alice", 3, 0, 30, 30);
  log.Revert("alice", 3, 0, 30, 30);
  log.Pay("alice", 3, 0, 30, 29);
  return log.leaves;
}

void Append(std::vector<Leaf>& leaves, Leaf leaf) {
  leaf.sequence = leaves.size();
  leaves.push_back(std::move(leaf));
}
void Move(Leaf& leaf, int delta, int available, int reserved, int paid) {
  leaf.balances = audit::Balances{delta, static_cast<unsigned>(available),
                                  static_cast<unsigned>(reserved), static_cast<unsigned>(paid)};
}

// Alice has 21 available, 0 reserved and 79 paid at the end; Bob 100, 0, 0.
// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Forgery> Forgeries() {
  return {
      {"an event applied twice",
       [](auto& leaves) {
         Append(leaves, leaves[3]);
         Move(leaves.back(), 100, 121, 0, 79);
       },
       "events",
       {"leaf 3 and leaf 19 are the same event, e3"}},
      {"another recipient",
       [](auto& leaves) { leaves[9].recipient->bytes[0] ^= 1; },
       "recipients",
       {"leaf 9 (adjust_up) changes the recipient of the account bob", "leaf 2 fixed for ever"}},
      {"a recipient opened again",
       [](auto& leaves) { Append(leaves, leaves[1]); },
       "recipients",
       {"leaf 19 (account_opened) opens the account alice again: leaf 1 had opened it"}},
      {"an account that nobody opened",
       [](auto& leaves) {
         Append(leaves, leaves[3]);
         leaves.back().account = "carol";
         leaves.back().event_id = "e19";
         Move(leaves.back(), 100, 100, 0, 0);
       },
       "recipients",
       {"leaf 19 (credit) moves the account carol, which no leaf before it opened"}},
      {"a credit out of nothing",
       [](auto& leaves) { leaves[4].balances->available += 1; },
       "balances",
       {"leaf 4 (credit) does not add up", "+100 and 101 available"}},
      {"a delta that is not what was added",
       [](auto& leaves) { leaves[4].balances->delta -= 1; },
       "balances",
       {"leaf 4 (credit) does not add up"}},
      {"more than there is",
       [](auto& leaves) {
         Append(leaves, leaves[10]);
         leaves.back().event_id = "e19";
         Move(leaves.back(), -101, 0, 0, 0);
       },
       "balances",
       {"leaf 19 (adjust_down) takes more than there is: the account bob had 100 available"}},
      {"funds that vanish with a payout",
       [](auto& leaves) { leaves[8].balances->available -= 10; },
       "balances",
       {"leaf 8 (item_paid) does not add up"}},
      {"paid twice",
       [](auto& leaves) {
         Append(leaves, leaves[8]);
         Move(leaves.back(), 10, 31, 0, 129);
       },
       "payouts",
       {"leaf 19 (item_paid) pays item 0 of payout 1 although leaf 8 paid it already"}},
      {"paid and void",
       [](auto& leaves) {
         Append(leaves, leaves[13]);
         leaves.back().account = "alice";
         leaves.back().recipient = leaves[1].recipient;
         leaves.back().payout = 1;
         Move(leaves.back(), 60, 81, 0, 79);
       },
       "payouts",
       {"leaf 19 (item_voided) voids item 0 of payout 1 although leaf 8 paid it already"}},
      {"paid after it was void",
       [](auto& leaves) {
         Append(leaves, leaves[8]);
         leaves.back().account = "bob";
         leaves.back().recipient = leaves[2].recipient;
         leaves.back().payout = 2;
         leaves.back().amount = 20;
         Move(leaves.back(), 0, 80, 0, 20);
       },
       "payouts",
       {"pays item 0 of payout 2 although leaf 13 voided it already"}},
      {"paid without a reservation",
       [](auto& leaves) {
         Append(leaves, leaves[8]);
         leaves.back().payout = 9;
         Move(leaves.back(), 0, 21, 0, 129);
       },
       "payouts",
       {"leaf 19 (item_paid) pays item 0 of payout 9, which no leaf reserved"}},
      {"paid to another account",
       [](auto& leaves) {
         Leaf& leaf = leaves[8];
         leaf.account = "bob";
         leaf.recipient = leaves[2].recipient;
       },
       "payouts",
       {"leaf 8 (item_paid) pays item 0 of payout 1 for the account bob, but it was reserved for "
        "alice"}},
      {"paid more than was reserved",
       [](auto& leaves) { leaves[8].amount = 61; },
       "payouts",
       {"pays 61 wei for item 0 of payout 1, for which 60 were reserved"}},
      {"reserved twice",
       [](auto& leaves) {
         Append(leaves, leaves[5]);
         Move(leaves.back(), -5, 16, 5, 79);
       },
       "payouts",
       {"leaf 19 (payout_reserved) reserves item 0 of payout 1 again: it is in leaf 8 already"}},
      {"signed before it was reserved",
       [](auto& leaves) {
         Append(leaves, leaves[6]);
         leaves.back().payout = 8;
         Append(leaves, leaves[5]);
         leaves.back().payout = 8;
         Move(leaves.back(), -5, 16, 5, 79);
       },
       "payouts",
       {"reserves item 0 of payout 8 after leaf 19 had signed that payout"}},
      {"a second ticket for one item",
       [](auto& leaves) {
         Append(leaves, leaves[7]);
         leaves.back().ticket_hash = audit::Sha256("another");
       },
       "payouts",
       {"leaf 19 (ticket_signed) is a second ticket for item 0 of payout 1: both can be redeemed"}},
      {"a ticket for somebody else",
       [](auto& leaves) { leaves[7].recipient->bytes[0] ^= 1; },
       "payouts",
       {"leaf 7 (ticket_signed) is a ticket for somebody else than the account alice"}},
      {"a ticket of more than was reserved",
       [](auto& leaves) { leaves[7].amount = 61; },
       "payouts",
       {"a ticket of 61 wei, more than the 60 reserved"}},
      {"a ticket for nothing",
       [](auto& leaves) { leaves[7].payout = 77; },
       "payouts",
       {"leaf 7 (ticket_signed) is for item 0 of payout 77, which no leaf reserved"}},
      {"a payment taken back that never was",
       [](auto& leaves) {
         Append(leaves, leaves[17]);
         leaves.back().payout = 9;
         Move(leaves.back(), 0, 21, 30, 49);
       },
       "payouts",
       {"leaf 19 (payout_reverted) takes back item 0 of payout 9, which no leaf reserved and "
        "paid"}},
      {"a payment taken back twice",
       [](auto& leaves) {
         Append(leaves, leaves[17]);
         Append(leaves, leaves[17]);
         leaves[19].amount = 29;
         Move(leaves[19], -1, 20, 30, 50);
         leaves[20].amount = 29;
         Move(leaves[20], -1, 19, 60, 21);
       },
       "payouts",
       {"leaf 20 (payout_reverted) takes back 29 wei"}},
      {"a past that comes late",
       [](auto& leaves) {
         Append(leaves, leaves[3]);
         leaves.back().kind = LeafKind::kCarriedOver;
         leaves.back().event_id.clear();
         Move(leaves.back(), 500, 521, 0, 79);
       },
       "balances",
       {"leaf 19 (carried_over) gives the account alice balances out of nothing"}},
      {"no genesis",
       [](auto& leaves) {
         leaves[0] = leaves[1];
         leaves[0].sequence = 0;
       },
       "leaves",
       {"leaf 0 is a account_opened and not the genesis"}},
      {"a second genesis",
       [](auto& leaves) { Append(leaves, leaves[0]); },
       "leaves",
       {"leaf 19 is a second genesis"}},
      {"a number left out",
       [](auto& leaves) {
         for (size_t i = 12; i < leaves.size(); ++i) ++leaves[i].sequence;
       },
       "leaves",
       {"leaf 12 says that it is number 13"}},
  };
}

TEST(LedgerRulesTest, ForgedLeavesInAPerfectTreeAreCaught) {
  for (const Forgery& forgery : Forgeries()) {
    SCOPED_TRACE(forgery.name);
    const TestFolder folder;
    const VerifyLogOptions options = FullOptions(folder);
    MemorySource source;
    std::vector<Leaf> leaves = Honest();
    source.Publish(Encode(leaves), LogSigner());
    ASSERT_EQ(VerifyLog(source, options).report.ExitCode(), kVerified)
        << Show(VerifyLog(source, options).report);
    // The liar shows another log to somebody who looks for the first time.
    std::filesystem::remove(options.trust.state_file);
    forgery.forge(leaves);
    source.Publish(Encode(leaves), LogSigner());
    const LogVerdict verdict = VerifyLog(source, options);
    EXPECT_EQ(verdict.report.ExitCode(), kNotVerified);
    const Check* check = verdict.report.Find(forgery.check);
    EXPECT_EQ(check->outcome, Outcome::kFailed) << Show(verdict.report);
    for (const std::string& part : forgery.says) EXPECT_THAT(check->sentence, HasSubstr(part));
    EXPECT_EQ(verdict.report.Find("tiles")->outcome, Outcome::kPassed);
  }
}

TEST(LedgerRulesTest, EntriesThatAreNoLeavesAreCaught) {
  const TestFolder folder;
  MemorySource source;
  std::vector<std::string> entries = Encode(Honest());
  entries[7] += "x";
  source.Publish(entries, LogSigner());
  const LogVerdict verdict = VerifyLog(source, FullOptions(folder));
  EXPECT_EQ(verdict.report.ExitCode(), kNotVerified);
  EXPECT_THAT(verdict.report.Find("leaves")->sentence, HasSubstr("leaf 7 is no leaf"));
  EXPECT_THAT(verdict.report.Find("balances")->sentence, HasSubstr("not checked beyond leaf"));
}

// What an enclave brings from before there was a log.
TEST(LedgerRulesTest, ACarriedOverStateGoesOn) {
  const TestFolder folder;
  MemorySource source;
  std::vector<Leaf> leaves = Honest();
  leaves.resize(3);
  const auto add = [&](const Leaf& like, LeafKind kind, int delta, int available, int reserved,
                       int paid) -> Leaf& {
    Append(leaves, like);
    Leaf& leaf = leaves.back();
    leaf.kind = kind;
    leaf.event_id.clear();
    Move(leaf, delta, available, reserved, paid);
    return leaf;
  };
  const std::vector<Leaf> honest = Honest();
  add(honest[3], LeafKind::kCarriedOver, 10, 10, 60, 500);
  add(honest[4], LeafKind::kCarriedOver, 0, 0, 0, 0);
  Append(leaves, honest[6]);
  Append(leaves, honest[7]);
  add(honest[8], LeafKind::kItemPaid, 10, 20, 0, 550);  // of what was reserved before
  Leaf& back = add(honest[17], LeafKind::kPayoutReverted, 0, 20, 40, 510);  // paid before the log
  back.amount = 40;
  add(honest[13], LeafKind::kItemVoided, 40, 60, 0, 510).payout = 3;
  leaves.back().account = "alice";
  leaves.back().recipient = honest[1].recipient;
  source.Publish(Encode(leaves), LogSigner());
  LogVerdict verdict = VerifyLog(source, FullOptions(folder));
  EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  // Nothing is left of it to be paid.
  Append(leaves, leaves[7]);
  leaves.back().payout = 5;
  Move(leaves.back(), 0, 60, 0, 560);
  source.Publish(Encode(leaves), LogSigner());
  verdict = VerifyLog(source, FullOptions(folder));
  EXPECT_THAT(verdict.report.Find("payouts")->sentence,
              HasSubstr("pays item 0 of payout 5, which no leaf reserved"));
}

TEST(EventIdsTest, FindsExactlyWhatIsThereTwice) {
  std::mt19937_64 random(audit::TestSeed());
  EventIds ids;
  absl::flat_hash_set<uint64_t> want;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t hash = random();
    ids.Add(hash);
    if (i % 1000 != 0) continue;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) ids.Add(hash);
    want.insert(hash);
  }
  EXPECT_EQ(ids.Suspects(3), want);
}

}  // namespace
}  // namespace coffer::tools
