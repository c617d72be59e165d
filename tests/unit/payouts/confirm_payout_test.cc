// ConfirmPayout: a receipt with logs, or a transaction's status and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

Bank Signed() {
  Bank bank;
  bank.Credit("alice", 100);
  bank.Credit("bob", 50);
  COFFER_CHECK(bank.Pay({{"alice"}, {"bob"}}).ok(), "the payout is signed");
  return bank;
}

std::string TxOf(const Bank& bank, uint64_t payout, int attempt = 0) {
  return bank.View(payout).attempts(attempt).tx_hash();
}

v1::ConfirmPayout WithLogs(const v1::ReportReceipt& receipt) {
  v1::ConfirmPayout request;
  request.set_tx_hash(receipt.tx_hash());
  request.set_succeeded(receipt.succeeded());
  request.set_has_logs(true);
  *request.mutable_logs() = receipt.logs();
  request.set_block_number(receipt.block_number());
  request.set_block_hash(receipt.block_hash());
  return request;
}

const sealed::v1::ReceiptApplied& Sealed(const Bank& bank) {
  COFFER_CHECK(bank.batches.back().events_size() == 1, "one event");
  return bank.batches.back().events(0).receipt_applied();
}

TEST(ConfirmPayoutTest, Refusals) {
  Bank bank = Signed();
  v1::ConfirmPayout request;
  EXPECT_EQ(CodeOf(bank.Confirm(request)), v1::ERROR_MALFORMED);
  EXPECT_EQ(CodeOf(bank.Confirm(Bytes32(9), true)), v1::ERROR_UNKNOWN_TRANSACTION);
  EXPECT_EQ(CodeOf(bank.Confirm(Bytes32(9), false)), v1::ERROR_UNKNOWN_TRANSACTION);
  request.set_tx_hash(TxOf(bank, 1));
  request.set_block_hash("x");
  EXPECT_EQ(CodeOf(bank.Confirm(request)), v1::ERROR_MALFORMED);
  request.clear_block_hash();
  request.add_logs();
  EXPECT_EQ(CodeOf(bank.Confirm(request)), v1::ERROR_MALFORMED) << "logs that it says are none";
  v1::ConfirmPayout failed = WithLogs(bank.ReceiptOf(1, 0, {{0, 100}}));
  failed.set_succeeded(false);
  EXPECT_EQ(CodeOf(bank.Confirm(failed)), v1::ERROR_EVIDENCE);
  EXPECT_EQ(CodeOf(bank.Confirm(WithLogs(MakeReceipt(Bytes32(9))))), v1::ERROR_UNKNOWN_TRANSACTION);
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
}

TEST(ConfirmPayoutTest, StatusOneWithoutLogsPaysEveryOpenItemInFull) {
  Bank bank = Signed();
  const auto confirmed = bank.Confirm(TxOf(bank, 1), true);
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_TRUE(confirmed->known());
  EXPECT_EQ(confirmed->payout().state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_TRUE(confirmed->payout().attempts(0).raw_tx().empty());
  EXPECT_FALSE(confirmed->has_account()) << "a batch is of no single account";
  EXPECT_EQ(confirmed->ledger_root(), bank.state.LedgerRoot().view());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 0 150");
  EXPECT_TRUE(Sealed(bank).status_only());
  EXPECT_EQ(Sealed(bank).block_hash(), Bytes32(0));
}

TEST(ConfirmPayoutTest, TheAnswerHasTheOnlyItemsAccount) {
  Bank bank;
  bank.Credit("alice", 100);
  const v1::Payout payout = bank.Redeem("alice", 0, 70).value();
  const auto confirmed = bank.Confirm(payout.attempts(0).tx_hash(), true);
  ASSERT_TRUE(confirmed.ok());
  EXPECT_EQ(confirmed->account().id(), "alice");
  EXPECT_EQ(ledger::FromProto(confirmed->account().available()), 30u);
  EXPECT_EQ(ledger::FromProto(confirmed->account().paid()), 70u);
}

TEST(ConfirmPayoutTest, WithLogsOnlyWhatTheySayIsPaid) {
  Bank bank = Signed();
  const auto confirmed = bank.Confirm(WithLogs(bank.ReceiptOf(1, 0, {{0, 70}})));
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_TRUE(confirmed->known());
  EXPECT_FALSE(Sealed(bank).status_only());
  EXPECT_EQ(Line(bank.Of("alice")), "30 0 70");
  EXPECT_EQ(Line(bank.Of("bob")), "0 50 0") << "status 1, and its ticket was not paid";
  EXPECT_EQ(confirmed->payout().state(), v1::PAYOUT_STATE_RESERVED);
}

// The old servers cleared the payout here, and paid a second time.
TEST(ConfirmPayoutTest, I3StatusZeroClearsNothing) {
  Bank bank = Signed();
  const v1::Payout before = bank.View(1);
  const auto confirmed = bank.Confirm(TxOf(bank, 1), false);
  ASSERT_TRUE(confirmed.ok());
  EXPECT_TRUE(confirmed->known());
  EXPECT_EQ(confirmed->payout().state(), v1::PAYOUT_STATE_RESERVED);
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
  const v1::Payout again = bank.Retry(1, 1).value();
  EXPECT_EQ(again.items(0).ticket_hash(), before.items(0).ticket_hash());
}

TEST(ConfirmPayoutTest, I4RepeatedChangesNothing) {
  for (const bool succeeded : {true, false}) {
    Bank bank = Signed();
    const std::string tx = TxOf(bank, 1);
    ASSERT_TRUE(bank.Confirm(tx, succeeded).ok());
    v1::ConfirmPayout named;  // the same, by a client that knows the block by now
    named.set_tx_hash(tx);
    named.set_succeeded(succeeded);
    named.set_block_hash(Bytes32(0x77));
    for (int i = 0; i < 2; ++i) {
      const auto again = i == 0 ? bank.Confirm(tx, succeeded) : bank.Confirm(named);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_FALSE(again->known());
      EXPECT_EQ(again->payout().id(), 1u);
      EXPECT_EQ(again->ledger_root(), bank.state.LedgerRoot().view());
      EXPECT_EQ(bank.batches.back().events_size(), 0);
    }
    EXPECT_EQ(CodeOf(bank.Confirm(tx, !succeeded)), v1::ERROR_EVIDENCE);
    EXPECT_EQ(Line(bank.state.ledger().totals()), succeeded ? "0 0 150" : "0 150 0");
  }
}

TEST(ConfirmPayoutTest, AStatusAfterAReceiptIsARepetition) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{0, 70}, {1, 50}})).ok());
  const auto again = bank.Confirm(TxOf(bank, 1), true);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->known());
  EXPECT_EQ(Line(bank.Of("alice")), "30 0 70")
      << "logs said so, and a bare status does not undo it";
}

// What was believed on a status alone gives way to logs, by way of a reorg, and never silently.
TEST(ConfirmPayoutTest, AReceiptAfterAStatusIsRefusedUntilTheStatusIsTakenBack) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Confirm(TxOf(bank, 1), true).ok());
  const v1::ReportReceipt receipt = bank.ReceiptOf(1, 0, {{0, 70}, {1, 50}});
  EXPECT_EQ(CodeOf(bank.Report(receipt)), v1::ERROR_EVIDENCE);
  EXPECT_EQ(CodeOf(bank.Confirm(WithLogs(receipt))), v1::ERROR_EVIDENCE);
  ASSERT_TRUE(bank.Reorg(receipt.tx_hash()).ok());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 150 0");
  ASSERT_TRUE(bank.Confirm(WithLogs(receipt)).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "30 0 70");
}

TEST(ConfirmPayoutTest, OneNonceIsMinedOnce) {
  Bank bank = Signed();
  ASSERT_TRUE(bank.Bump(1, 200).ok());
  ASSERT_TRUE(bank.Confirm(TxOf(bank, 1, 1), true).ok());
  EXPECT_EQ(CodeOf(bank.Confirm(TxOf(bank, 1, 0), true)), v1::ERROR_EVIDENCE);
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 0 150");
}

// A transaction that was signed again redeems fewer tickets; its status says nothing of the others.
TEST(ConfirmPayoutTest, OnlyWhatIsInTheTransactionIsPaid) {
  Bank bank = Signed();
  const v1::ReportReceipt first = bank.ReceiptOf(1, 0, {{0, 100}});
  ASSERT_TRUE(bank.Report(first).ok());
  ASSERT_TRUE(bank.Retry(1, 1).ok());  // bob's ticket alone
  ASSERT_TRUE(bank.Reorg(first.tx_hash()).ok());
  const auto confirmed = bank.Confirm(TxOf(bank, 1, 1), true);
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50");
  EXPECT_EQ(Line(bank.Of("alice")), "0 100 0");
}

TEST(ConfirmPayoutTest, WhatIsResolvedIsLeftAsItIs) {
  Bank bank = Signed();
  v1::ReportReceipt stranger = MakeReceipt(Bytes32(9));
  AddLogs(bank.RedemptionOf(1, 0, 60), &stranger);
  ASSERT_TRUE(bank.Report(stranger).ok());
  ASSERT_TRUE(bank.Confirm(TxOf(bank, 1), true).ok());
  EXPECT_EQ(Line(bank.Of("alice")), "40 0 60");
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50");
}

TEST(ConfirmPayoutTest, AStrangersTransactionWithLogs) {
  Bank bank = Signed();
  v1::ReportReceipt stranger = MakeReceipt(Bytes32(9));
  AddLogs(bank.RedemptionOf(1, 1, 50), &stranger);
  for (const bool known : {true, false}) {
    const auto confirmed = bank.Confirm(WithLogs(stranger));
    ASSERT_TRUE(confirmed.ok()) << confirmed.status();
    EXPECT_EQ(confirmed->known(), known);
    EXPECT_EQ(confirmed->payout().id(), 1u);
  }
  EXPECT_EQ(Line(bank.Of("bob")), "0 0 50");
}

TEST(ConfirmPayoutTest, TransfersAndFundings) {
  Bank bank;
  bank.Credit("alice", 100);
  ASSERT_TRUE(bank.Prepare(MakePayout({{"alice", 60}}, v1::STRATEGY_ETH_TRANSFER)).ok());
  ASSERT_TRUE(bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 500).ok());
  ASSERT_TRUE(bank.Fund(v1::STRATEGY_FUND_RESERVE, 400).ok());
  const auto transfer = bank.Confirm(TxOf(bank, 1), true);
  ASSERT_TRUE(transfer.ok()) << transfer.status();
  EXPECT_EQ(transfer->payout().state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_EQ(Line(bank.Of("alice")), "40 0 60");
  const auto funded = bank.Confirm(TxOf(bank, 2), true);
  ASSERT_TRUE(funded.ok());
  EXPECT_EQ(funded->payout().state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_FALSE(funded->has_account());
  EXPECT_EQ(bank.Confirm(TxOf(bank, 3), false)->payout().state(), v1::PAYOUT_STATE_VOIDED);
  EXPECT_TRUE(bank.state.payouts().open().empty());
}

}  // namespace
}  // namespace coffer::test
