// ReportReceipt, ReportReorg, VoidTickets: what the chain did, and what a lying host may say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

// alice 100 and bob 50, in payout 1.
Bank Signed() {
  Bank bank;
  bank.Credit("alice", 100);
  bank.Credit("bob", 50);
  COFFER_CHECK(bank.Pay({{"alice"}, {"bob"}}).ok(), "the payout is signed");
  return bank;
}

TEST(SettlementTest, PaidInFull) {
  Bank bank = Signed();
  const auto result = bank.Report(bank.ReceiptOf(1, 0, {{0, 100}, {1, 50}}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->known());
  ASSERT_EQ(result->payouts_size(), 1);
  EXPECT_EQ(result->payouts(0).state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_TRUE(result->payouts(0).attempts(0).raw_tx().empty());
  EXPECT_EQ(Line(bank.Of("alice")), "0 0 100");
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50");
  EXPECT_TRUE(bank.state.payouts().open().empty());
  EXPECT_EQ(bank.state.payouts().current().outstanding_tickets, 0u);
}

TEST(SettlementTest, I4ConfirmingTwiceChangesNothing) {
  Bank bank = Signed();
  const v1::ReportReceipt receipt = bank.ReceiptOf(1, 0, {{0, 100}, {1, 50}});
  ASSERT_TRUE(bank.Report(receipt).ok());
  const auto again = bank.Report(receipt);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->known());
  EXPECT_EQ(bank.batches.back().events_size(), 0);
  EXPECT_EQ(Line(bank.Of("alice")), "0 0 100");
}

TEST(SettlementTest, APartialPaymentGivesTheShortfallBack) {
  Bank bank = Signed();
  const auto result = bank.Report(bank.ReceiptOf(1, 0, {{0, 70}, {1, 0}}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->payouts(0).state(), v1::PAYOUT_STATE_PARTLY_SETTLED);
  EXPECT_EQ(Line(bank.Of("alice")), "30 0 70");
  EXPECT_EQ(Line(bank.Of("bob")), "50 0 0") << "burnt without a transfer: all of it comes back";
  EXPECT_EQ(bank.View(1).items(1).state(), v1::PayoutItem::STATE_PAID);
}

TEST(SettlementTest, EveryRefusalChangesNothing) {
  struct Row {
    const char* name;
    std::function<v1::ReportReceipt(const Bank&)> receipt;
    v1::ErrorCode code;
  };
  const auto changed = [](auto change) {
    return [change](const Bank& bank) {
      v1::ReportReceipt receipt = bank.ReceiptOf(1, 0, {{0, 100}, {1, 50}});
      change(receipt);
      return receipt;
    };
  };
  const Row rows[] = {
      {"tx_hash of 31 bytes", changed([](auto& r) { r.set_tx_hash(std::string(31, 'x')); }),
       v1::ERROR_MALFORMED},
      {"no tx_hash", changed([](auto& r) { r.clear_tx_hash(); }), v1::ERROR_MALFORMED},
      {"no block hash", changed([](auto& r) { r.clear_block_hash(); }), v1::ERROR_MALFORMED},
      {"a log's address", changed([](auto& r) { r.mutable_logs(0)->set_address("x"); }),
       v1::ERROR_MALFORMED},
      {"a log's topic", changed([](auto& r) { r.mutable_logs(0)->set_topics(0, "x"); }),
       v1::ERROR_MALFORMED},
      {"five topics", changed([](auto& r) {
         r.mutable_logs(0)->add_topics(Bytes32(1));
         r.mutable_logs(0)->add_topics(Bytes32(1));
       }),
       v1::ERROR_MALFORMED},
      {"failed, with logs", changed([](auto& r) { r.set_succeeded(false); }), v1::ERROR_EVIDENCE},
      {"a log cut short", changed([](auto& r) { r.mutable_logs(1)->mutable_data()->pop_back(); }),
       v1::ERROR_EVIDENCE},
      {"a transfer without its redemption",
       changed([](auto& r) { r.mutable_logs()->RemoveLast(); }), v1::ERROR_EVIDENCE},
      {"one ticket twice",
       [](const Bank& bank) {
         return bank.ReceiptOf(1, 0, {{0, 100}, {0, 100}});
       },
       v1::ERROR_EVIDENCE},
      {"more than the face value",
       [](const Bank& bank) {
         return bank.ReceiptOf(1, 0, {{0, 101}});
       },
       v1::ERROR_EVIDENCE},
      {"I4 nobody's transaction", [](const Bank&) { return MakeReceipt(Bytes32(9)); },
       v1::ERROR_UNKNOWN_TRANSACTION},
      {"I4 a failed one of nobody", [](const Bank&) { return MakeReceipt(Bytes32(9), false); },
       v1::ERROR_UNKNOWN_TRANSACTION},
  };
  Bank bank = Signed();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto refused = bank.Report(row.receipt(bank));
    EXPECT_EQ(CodeOf(refused), row.code) << refused.status();
    EXPECT_EQ(bank.batches.back().events_size(), 0);
    EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
    EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SIGNED);
  }
}

TEST(SettlementTest, AReceiptThatContradictsTheAppliedOneIsRefused) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Bump(1, 200).ok());
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{0, 100}})).ok());
  v1::ReportReceipt other_block = bank.ReceiptOf(1, 0, {{0, 100}});
  other_block.set_block_hash(Bytes32(0x78));
  EXPECT_EQ(CodeOf(bank.Report(other_block)), v1::ERROR_EVIDENCE);
  EXPECT_EQ(CodeOf(bank.Report(MakeReceipt(bank.View(1).attempts(0).tx_hash(), false))),
            v1::ERROR_EVIDENCE);
  EXPECT_EQ(CodeOf(bank.Report(bank.ReceiptOf(1, 1, {{1, 50}}))), v1::ERROR_EVIDENCE)
      << "one nonce is mined once";
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 50 100");
}

TEST(SettlementTest, WhicheverAttemptOfANonceIsMinedSettles) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Bump(1, 200).ok());
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{0, 100}, {1, 50}})).ok());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_FALSE(bank.View(1).under_way());
}

TEST(StrangerTest, ARedemptionByAStrangerCountsAsPaid) {
  Bank bank = Signed();
  v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
  AddLogs(bank.RedemptionOf(1, 0, 100), &receipt);
  ASSERT_TRUE(bank.Report(receipt).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "0 0 100");
  EXPECT_EQ(bank.View(1).items(0).paid_by(), Bytes32(9));
  EXPECT_TRUE(bank.View(1).under_way());
  EXPECT_FALSE(bank.Report(receipt)->known());
  // Its own transaction then pays the other one only.
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{1, 50}})).ok());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SETTLED);
}

TEST(StrangerTest, SeveralAccountsAcrossPayoutsAndOneAccountTwice) {
  Bank bank = Signed();
  bank.Credit("alice", 30);
  ASSERT_TRUE(bank.Pay({{"alice"}}).ok());
  v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
  AddLogs(bank.RedemptionOf(2, 0, 25), &receipt);
  AddLogs(bank.RedemptionOf(1, 1, 50), &receipt);
  AddLogs(bank.RedemptionOf(1, 0, 100), &receipt);
  const auto result = bank.Report(receipt);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->payouts_size(), 2);
  EXPECT_EQ(Line(bank.Of("alice")), "5 0 125");
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50");
  // A redemption that is claimed for a second transaction is refused (I3).
  v1::ReportReceipt other = MakeReceipt(Bytes32(10));
  AddLogs(bank.RedemptionOf(2, 0, 25), &other);
  EXPECT_EQ(CodeOf(bank.Report(other)), v1::ERROR_EVIDENCE);
  // And the reorg of the stranger's transaction opens all of it again.
  ASSERT_TRUE(bank.Reorg(Bytes32(9)).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "0 130 0");
  EXPECT_EQ(Line(bank.Of("bob")), "0 50 0");
  EXPECT_EQ(CodeOf(bank.Reorg(Bytes32(9))), v1::ERROR_UNKNOWN_TRANSACTION);
}

// Only what agrees in everything that the ticket hash covers is ours; the rest is an alarm.
TEST(StrangerTest, ATicketThatDiffersInAnyFieldIsForeign) {
  struct Row {
    const char* name;
    std::function<void(Redeemed&)> change;
  };
  const Row rows[] = {
      {"recipient", [](Redeemed& r) { r.recipient = RecipientOf("mallory"); }},
      {"face value", [](Redeemed& r) { r.face_value += 1; }},
      {"senderNonce", [](Redeemed& r) { r.sender_nonce += 100; }},
      {"senderNonce of the neighbour", [](Redeemed& r) { r.sender_nonce += 1; }},
      {"recipientRand", [](Redeemed& r) { r.recipient_rand += 1; }},
      {"creation round", [](Redeemed& r) { r.aux_data.creation_round += 1; }},
      {"round's block hash",
       [](Redeemed& r) { r.aux_data.creation_round_block_hash.bytes[0] ^= 1; }},
      {"winProb", [](Redeemed& r) { r.win_prob -= 1; }},
  };
  Bank bank = Signed();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Redeemed redeemed = bank.RedemptionOf(1, 0, 100);
    row.change(redeemed);
    v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
    AddLogs(redeemed, &receipt);
    const auto result = bank.Report(receipt);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->foreign_redemptions(), 1u);
    EXPECT_FALSE(result->known());
    EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
  }
  Redeemed other = bank.RedemptionOf(1, 0, 100);
  other.sender = AddressOf(7);  // somebody else's ticket is nobody's business
  v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
  AddLogs(other, &receipt);
  EXPECT_EQ(CodeOf(bank.Report(receipt)), v1::ERROR_UNKNOWN_TRANSACTION);
}

TEST(StrangerTest, AReceiptThatTouchesManyPayoutsHasAnAnswerThatFitsAFrame) {
  policy::Policy policy = WidePolicy();
  policy.max_tickets = 100;
  Bank bank(policy);
  std::vector<Ask> items;
  for (int i = 0; i < 100; ++i) {
    bank.Credit(absl::StrCat(std::string(120, 'a'), i), 1000);
    items.push_back({absl::StrCat(std::string(120, 'a'), i), 1});
  }
  v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
  for (uint64_t id = 1; id <= 250; ++id) {
    ASSERT_TRUE(bank.Pay(items).ok());
    AddLogs(bank.RedemptionOf(id, 0, 1), &receipt);
  }
  const auto result = bank.Report(receipt);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->ByteSizeLong(), 8u << 20);
  EXPECT_EQ(bank.state.ledger().totals().paid, 250u) << "applied whole, whatever the answer shows";
  const auto reorg = bank.Reorg(Bytes32(9));
  ASSERT_TRUE(reorg.ok());
  EXPECT_LT(reorg->ByteSizeLong(), 8u << 20);
  EXPECT_EQ(bank.state.ledger().totals().paid, 0u);
}

TEST(ReorgTest, OwnTransactionOpensAgainWithTheSameTickets) {
  Bank bank = Signed();
  const v1::Payout before = bank.View(1);
  const v1::ReportReceipt receipt = bank.ReceiptOf(1, 0, {{0, 60}, {1, 50}});
  ASSERT_TRUE(bank.Report(receipt).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "40 0 60");
  const std::string tx = bank.View(1).attempts(0).tx_hash();
  const auto result = bank.Reorg(tx);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->known());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
  EXPECT_EQ(bank.View(1).SerializeAsString(), before.SerializeAsString());
  EXPECT_FALSE(bank.Reorg(tx)->known()) << "twice is once";
  v1::ReportReceipt elsewhere = bank.ReceiptOf(1, 0, {{0, 100}, {1, 50}});
  elsewhere.set_block_hash(Bytes32(0x99));
  ASSERT_TRUE(bank.Report(elsewhere).ok());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 0 150");
}

TEST(ReorgTest, AShortfallThatWasPaidOutAgainCannotBeHeldASecondTime) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{0, 60}, {1, 50}})).ok());
  ASSERT_TRUE(bank.Pay({{"alice", 1}}).ok());  // of the 40 that came back
  const std::string tx = bank.View(1).attempts(0).tx_hash();
  EXPECT_EQ(CodeOf(bank.Reorg(tx)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(Line(bank.Of("alice")), "39 1 60");
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50") << "all or nothing";
  bank.Credit("alice", 1);
  EXPECT_TRUE(bank.Reorg(tx).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "0 101 0");
}

// The same funds can be burnt again and again under one stranger's hash; their sum must not wrap.
TEST(ReorgTest, ShortfallsBeyondTheRangeOfAnAmountAreRefused) {
  policy::Policy policy = WidePolicy();
  policy.max_face_value = policy.max_batch_total = ledger::kMaxWei;
  Bank bank(policy);
  bank.Credit("a", Wei(1) << 125);
  for (uint64_t id = 1; id <= 8; ++id) {
    v1::PreparePayout request = MakePayout({{"a"}});
    *request.mutable_reading() = Reading(0, ledger::kMaxWei);
    ASSERT_TRUE(bank.Prepare(request).ok());
    v1::ReportReceipt receipt = MakeReceipt(Bytes32(9));
    AddLogs(bank.RedemptionOf(id, 0, 0), &receipt);
    ASSERT_TRUE(bank.Report(receipt).ok());
  }
  EXPECT_EQ(CodeOf(bank.Reorg(Bytes32(9))), v1::ERROR_WRONG_STATE);
}

TEST(ReorgTest, Refusals) {
  Bank bank = Signed();
  EXPECT_EQ(CodeOf(bank.Reorg("short")), v1::ERROR_MALFORMED);
  EXPECT_EQ(CodeOf(bank.Reorg(Bytes32(9))), v1::ERROR_UNKNOWN_TRANSACTION);
  EXPECT_FALSE(bank.Reorg(bank.View(1).attempts(0).tx_hash())->known()) << "never reported";
}

TEST(TransferTest, SettledByItsOwnReceiptOnly) {
  Bank bank;
  bank.Credit("a", 30);
  const v1::Payout payout = bank.Prepare(MakePayout({{"a"}}, v1::STRATEGY_ETH_TRANSFER)).value();
  const std::string tx = payout.attempts(0).tx_hash();
  ASSERT_TRUE(bank.Report(MakeReceipt(tx, false)).ok());
  EXPECT_EQ(Line(bank.Of("a")), "0 30 0") << "what failed stays held";
  const v1::Payout again = bank.Retry(1, 1).value();
  ASSERT_TRUE(bank.Report(MakeReceipt(again.attempts(1).tx_hash())).ok());
  EXPECT_EQ(Line(bank.Of("a")), "0 0 30");
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SETTLED);
  // The first one turns out to have succeeded: an alarm, and not a second payment in the books.
  ASSERT_TRUE(bank.Reorg(tx).ok());
  EXPECT_EQ(CodeOf(bank.Report(MakeReceipt(tx, true))), v1::ERROR_EVIDENCE);
  EXPECT_EQ(Line(bank.Of("a")), "0 0 30");
}

// The recipient of a transfer may be a contract that redeems a ticket when it is paid.
TEST(TransferTest, ATicketThatATransferRedeemedOnItsWayCounts) {
  Bank bank = Signed();
  bank.Credit("c", 30);
  ASSERT_TRUE(bank.Prepare(MakePayout({{"c"}}, v1::STRATEGY_ETH_TRANSFER)).ok());
  v1::ReportReceipt receipt = MakeReceipt(bank.View(2).attempts(0).tx_hash());
  AddLogs(bank.RedemptionOf(1, 0, 100), &receipt);
  ASSERT_TRUE(bank.Report(receipt).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "0 0 100");
  EXPECT_EQ(Line(bank.Of("c")), "0 0 30");
  ASSERT_TRUE(bank.Reorg(receipt.tx_hash()).ok());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 180 0");
}

TEST(VoidTest, OnlyExpiredTicketsOnlyOnceOnlyWithThePolicy) {
  Bank bank = Signed();  // round 100, validity 2
  struct Row {
    uint64_t id, round;
    std::vector<uint32_t> items;
    v1::ErrorCode code;
    const char* totals;
  };
  const Row rows[] = {
      {1, 101, {}, v1::ERROR_WRONG_STATE, "0 150 0"},
      {1, 0, {}, v1::ERROR_WRONG_STATE, "0 150 0"},
      {9, 102, {}, v1::ERROR_UNKNOWN_PAYOUT, "0 150 0"},
      {1, 102, {2}, v1::ERROR_WRONG_STATE, "0 150 0"},
      {1, 102, {UINT32_MAX}, v1::ERROR_WRONG_STATE, "0 150 0"},
      {1, 102, {0, 0}, v1::ERROR_WRONG_STATE, "0 150 0"},
      {1, 102, {0}, v1::ERROR_UNSPECIFIED, "100 50 0"},
      {1, 102, {0}, v1::ERROR_WRONG_STATE, "100 50 0"},
      {1, UINT64_MAX, {}, v1::ERROR_UNSPECIFIED, "150 0 0"},
      {1, UINT64_MAX, {}, v1::ERROR_WRONG_STATE, "150 0 0"},
  };
  int line = 0;
  for (const Row& row : rows) {
    EXPECT_EQ(CodeOf(bank.Void(row.id, row.round, row.items)), row.code) << "line " << ++line;
    EXPECT_EQ(Line(bank.state.ledger().totals()), row.totals) << "line " << line;
  }
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_VOIDED);
  EXPECT_TRUE(bank.View(1).under_way()) << "its nonce is still to be used up";
  EXPECT_TRUE(bank.Bump(1, 200).ok());
  // A void ticket that is redeemed after all is a lie of the host's, told as such.
  EXPECT_EQ(CodeOf(bank.Report(bank.ReceiptOf(1, 0, {{0, 100}}))), v1::ERROR_EVIDENCE);
  ASSERT_TRUE(bank.Report(MakeReceipt(bank.View(1).attempts(0).tx_hash())).ok());
  EXPECT_TRUE(bank.state.payouts().open().empty());
}

TEST(VoidTest, NothingIsVoidedWithoutThePolicyOrWithoutTickets) {
  policy::Policy policy = WidePolicy();
  policy.void_on_host_word = false;
  Bank strict(policy);
  strict.Credit("a", 1);
  ASSERT_TRUE(strict.Pay({{"a"}}).ok());
  EXPECT_EQ(CodeOf(strict.Void(1, UINT64_MAX)), v1::ERROR_POLICY);
  Bank bank;
  bank.Credit("a", 1);
  ASSERT_TRUE(bank.Prepare(MakePayout({{"a"}}, v1::STRATEGY_ETH_TRANSFER)).ok());
  EXPECT_EQ(CodeOf(bank.Void(1, UINT64_MAX)), v1::ERROR_UNKNOWN_PAYOUT);
}

}  // namespace
}  // namespace coffer::test
