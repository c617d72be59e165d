// PreparePayout, PrepareFunding, BumpTransaction, RetryPayout: what is signed, and every refusal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

ethereum::Transaction TransactionOf(const v1::Attempt& attempt) {
  return ethereum::ParseSignedTransaction(attempt.raw_tx()).value().transaction;
}

v1::ReportReceipt Failed(const v1::Payout& payout, int attempt = 0) {
  return MakeReceipt(payout.attempts(attempt).tx_hash(), false);
}

TEST(PreparePayoutTest, EveryRefusalChangesNothing) {
  struct Row {
    const char* name;
    std::function<void(v1::PreparePayout&)> change;
    v1::ErrorCode code;
  };
  const auto huge = [](v1::Wei* wei) { ledger::ToProto(~Wei(0), wei); };
  const Row rows[] = {
      {"no strategy", [](auto& r) { r.clear_strategy(); }, v1::ERROR_MALFORMED},
      {"a funding's", [](auto& r) { r.set_strategy(v1::STRATEGY_FUND_DEPOSIT); },
       v1::ERROR_MALFORMED},
      {"unknown strategy", [](auto& r) { r.set_strategy(static_cast<v1::Strategy>(77)); },
       v1::ERROR_MALFORMED},
      {"no items", [](auto& r) { r.clear_items(); }, v1::ERROR_MALFORMED},
      {"two transfers", [](auto& r) { r.set_strategy(v1::STRATEGY_ETH_TRANSFER); },
       v1::ERROR_MALFORMED},
      {"stranger", [](auto& r) { r.mutable_items(1)->set_account("nobody"); },
       v1::ERROR_UNKNOWN_ACCOUNT},
      {"twice", [](auto& r) { r.mutable_items(1)->set_account("alice"); }, v1::ERROR_MALFORMED},
      {"empty account", [](auto& r) { r.mutable_items(1)->set_account("empty"); },
       v1::ERROR_NOTHING_TO_PAY},
      {"null recipient", [](auto& r) { r.mutable_items(1)->set_account("null"); },
       v1::ERROR_POLICY},
      {"too much", [](auto& r) { ledger::ToProto(501, r.mutable_items(1)->mutable_amount()); },
       v1::ERROR_INSUFFICIENT},
      {"2^128-1", [&](auto& r) { huge(r.mutable_items(1)->mutable_amount()); },
       v1::ERROR_INSUFFICIENT},
      {"above max_face_value",
       [](auto& r) {
         r.mutable_items(0)->set_account("rich");
         ledger::ToProto(1'000'001, r.mutable_items(0)->mutable_amount());
       },
       v1::ERROR_POLICY},
      {"deposit one short", [](auto& r) { *r.mutable_reading() = Reading(0, 599); },
       v1::ERROR_DEPOSIT},
      {"no reading", [](auto& r) { r.clear_reading(); }, v1::ERROR_DEPOSIT},
      {"round hash of 31 bytes",
       [](auto& r) { r.mutable_reading()->set_round_block_hash(std::string(31, 'x')); },
       v1::ERROR_MALFORMED},
      {"round without hash", [](auto& r) { r.mutable_reading()->set_round_block_hash(Bytes32(0)); },
       v1::ERROR_MALFORMED},
      {"impossible nonce", [](auto& r) { r.mutable_reading()->set_account_nonce(UINT64_MAX / 2); },
       v1::ERROR_MALFORMED},
      {"no gas", [](auto& r) { r.mutable_fees()->set_gas_limit(20'999); }, v1::ERROR_POLICY},
      {"too much gas", [](auto& r) { r.mutable_fees()->set_gas_limit(30'000'001); },
       v1::ERROR_POLICY},
      {"fee above policy", [](auto& r) { *r.mutable_fees() = MakeFees(1'000'001); },
       v1::ERROR_POLICY},
      {"fee of 2^128-1", [&](auto& r) { huge(r.mutable_fees()->mutable_max_fee_per_gas()); },
       v1::ERROR_POLICY},
      {"tip above fee",
       [](auto& r) { ledger::ToProto(101, r.mutable_fees()->mutable_max_priority_fee_per_gas()); },
       v1::ERROR_POLICY},
  };
  Bank bank;
  bank.Credit("alice", 100);
  bank.Credit("bob", 500);
  bank.Credit("rich", 2'000'000);
  v1::Event null = MakeEvent("n", "null", 5);
  null.set_recipient(std::string(20, '\0'));
  bank.Apply(
      {null, MakeEvent("x", "empty", 5), MakeEvent("y", "empty", 5, v1::Event::KIND_ADJUST_DOWN)});
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    v1::PreparePayout request = MakePayout({{"alice"}, {"bob"}});
    row.change(request);
    const auto refused = bank.Prepare(request);
    EXPECT_EQ(CodeOf(refused), row.code) << refused.status();
    EXPECT_EQ(bank.batches.back().events_size(), 0);
    EXPECT_EQ(bank.state.payouts().size(), 0u);
    EXPECT_EQ(bank.state.ledger().totals().reserved, 0u);
    EXPECT_EQ(bank.state.payouts().current().next_nonce, std::nullopt);
  }
  EXPECT_TRUE(bank.Pay({{"alice"}, {"bob"}}).ok()) << "the table changes a request that is good";
}

TEST(PreparePayoutTest, I10TheBatchHasBounds) {
  policy::Policy policy = WidePolicy();
  policy.max_tickets = 2;
  policy.max_batch_total = 150;
  Bank bank(policy);
  for (const char* who : {"a", "b", "c"}) bank.Credit(who, 100);
  EXPECT_EQ(CodeOf(bank.Pay({{"a", 1}, {"b", 1}, {"c", 1}})), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.Pay({{"a", 100}, {"b", 51}})), v1::ERROR_POLICY);
  EXPECT_TRUE(bank.Pay({{"a", 100}, {"b", 50}}).ok());
}

TEST(PreparePayoutTest, I10StrategiesThatAreNotAllowed) {
  policy::Policy policy = WidePolicy();
  policy.allow_tickets = policy.allow_eth_transfer = false;
  policy.max_fund_deposit = policy.max_fund_reserve = 0;
  Bank bank(policy);
  bank.Credit("a", 1);
  EXPECT_EQ(CodeOf(bank.Pay({{"a"}})), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.Prepare(MakePayout({{"a"}}, v1::STRATEGY_ETH_TRANSFER))), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 1)), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.Fund(v1::STRATEGY_FUND_RESERVE, 1)), v1::ERROR_POLICY);
}

TEST(PreparePayoutTest, AnAmountOfZeroTakesWhatThereIsUpToTheLimit) {
  Bank bank;
  bank.Credit("a", 30);
  bank.Credit("rich", 1'500'000);
  const v1::Payout payout = bank.Pay({{"a"}, {"rich"}}).value();
  EXPECT_EQ(ledger::FromProto(payout.items(0).amount()), 30u);
  EXPECT_EQ(ledger::FromProto(payout.items(1).amount()), 1'000'000u);
  EXPECT_EQ(Line(bank.Of("rich")), "500000 1000000 0");
  EXPECT_EQ(payout.state(), v1::PAYOUT_STATE_SIGNED);
}

TEST(PreparePayoutTest, I10WhatIsSignedGoesToTheBrokerWithTheRecipientOfTheAccount) {
  Bank bank;
  bank.Credit("a", 30);
  const v1::Payout payout = bank.Pay({{"a", 20}}).value();
  const ethereum::SignedTransaction tx =
      ethereum::ParseSignedTransaction(payout.attempts(0).raw_tx()).value();
  EXPECT_EQ(tx.Sender().value(), bank.key().address());
  EXPECT_EQ(tx.transaction.to, WidePolicy().broker);
  EXPECT_EQ(tx.transaction.value, 0);
  EXPECT_EQ(tx.transaction.chain_id, 31337u);
  EXPECT_THAT(tx.transaction.data, HasSubstr(RecipientOf("a")));
  EXPECT_EQ(tx.TransactionHash().view(), payout.attempts(0).tx_hash());
}

TEST(PreparePayoutTest, ATransferGoesToTheRecipientAndTakesNoDeposit) {
  Bank bank;
  bank.Credit("a", 30);
  v1::PreparePayout request = MakePayout({{"a", 20}}, v1::STRATEGY_ETH_TRANSFER);
  *request.mutable_reading() = Reading(0, 0);
  const v1::Payout payout = bank.Prepare(request).value();
  const ethereum::Transaction tx = TransactionOf(payout.attempts(0));
  EXPECT_EQ(tx.to->view(), RecipientOf("a"));
  EXPECT_EQ(tx.value, 20);
  EXPECT_TRUE(tx.data.empty());
  EXPECT_EQ(Line(bank.Of("a")), "10 20 0");
}

TEST(PreparePayoutTest, TheDepositIsPromisedOnce) {
  Bank bank;
  bank.Credit("a", 100);
  v1::PreparePayout request = MakePayout({{"a", 60}});
  *request.mutable_reading() = Reading(0, 100);
  const v1::Payout first = bank.Prepare(request).value();
  ledger::ToProto(40, request.mutable_items(0)->mutable_amount());
  *request.mutable_reading() = Reading(0, 99);
  EXPECT_EQ(CodeOf(bank.Prepare(request)), v1::ERROR_DEPOSIT);
  *request.mutable_reading() = Reading(0, 59);  // below what is out already
  EXPECT_EQ(CodeOf(bank.Prepare(request)), v1::ERROR_DEPOSIT);
  // A revert frees no promise: the ticket can still be redeemed.
  ASSERT_TRUE(bank.Report(Failed(first)).ok());
  *request.mutable_reading() = Reading(1, 99);
  EXPECT_EQ(CodeOf(bank.Prepare(request)), v1::ERROR_DEPOSIT);
  *request.mutable_reading() = Reading(1, 100);
  EXPECT_TRUE(bank.Prepare(request).ok());
}

TEST(NonceTest, AssignedInSequenceFromTheFirstReading) {
  Bank bank;
  bank.Credit("a", 100);
  v1::PreparePayout request = MakePayout({{"a", 1}});
  *request.mutable_reading() = Reading(41);
  EXPECT_EQ(bank.Prepare(request)->attempts(0).nonce(), 41u);
  EXPECT_EQ(bank.Prepare(request)->attempts(0).nonce(), 42u);
  *request.mutable_reading() = Reading(0);  // the chain's nonce is behind: not mined yet
  EXPECT_EQ(bank.Prepare(request)->attempts(0).nonce(), 43u);
  *request.mutable_reading() = Reading(44);
  EXPECT_EQ(bank.Prepare(request)->attempts(0).nonce(), 44u);
  *request.mutable_reading() = Reading(46);
  EXPECT_EQ(CodeOf(bank.Prepare(request)), v1::ERROR_NONCE_ALARM);
  v1::PrepareFunding funding;
  funding.set_strategy(v1::STRATEGY_FUND_DEPOSIT);
  ledger::ToProto(1, funding.mutable_amount());
  *funding.mutable_reading() = Reading(46);
  *funding.mutable_fees() = MakeFees(100);
  EXPECT_EQ(CodeOf(bank.Signed(bank.state.PrepareFunding(funding, bank.Next()))),
            v1::ERROR_NONCE_ALARM);
  ASSERT_TRUE(bank.Report(Failed(bank.View(1))).ok());
  EXPECT_EQ(CodeOf(bank.Retry(1, 46)), v1::ERROR_NONCE_ALARM);
  EXPECT_EQ(bank.Retry(1, 45)->attempts(1).nonce(), 45u);
}

TEST(FundingTest, Refusals) {
  struct Row {
    v1::Strategy strategy;
    Wei amount;
    v1::ErrorCode code;
  };
  const Row rows[] = {
      {v1::STRATEGY_FUND_DEPOSIT, 9'000, v1::ERROR_UNSPECIFIED},
      {v1::STRATEGY_FUND_DEPOSIT, 9'001, v1::ERROR_POLICY},
      {v1::STRATEGY_FUND_RESERVE, 8'000, v1::ERROR_UNSPECIFIED},
      {v1::STRATEGY_FUND_RESERVE, 8'001, v1::ERROR_POLICY},
      {v1::STRATEGY_FUND_DEPOSIT, 0, v1::ERROR_OUT_OF_RANGE},
      {v1::STRATEGY_FUND_DEPOSIT, ~Wei(0), v1::ERROR_POLICY},
      {v1::STRATEGY_LIVEPEER_TICKET, 1, v1::ERROR_MALFORMED},
      {v1::STRATEGY_ETH_TRANSFER, 1, v1::ERROR_MALFORMED},
      {v1::STRATEGY_UNSPECIFIED, 1, v1::ERROR_MALFORMED},
  };
  Bank bank;
  for (const Row& row : rows) {
    EXPECT_EQ(CodeOf(bank.Fund(row.strategy, row.amount)), row.code)
        << row.strategy << " " << ledger::ToDecimal(row.amount);
  }
}

TEST(FundingTest, GoesToTheBrokerAndIsSettledByItsReceipt) {
  Bank bank;
  const v1::Payout payout = bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 500).value();
  const ethereum::Transaction tx = TransactionOf(payout.attempts(0));
  EXPECT_EQ(tx.to, WidePolicy().broker);
  EXPECT_EQ(tx.value, 500);
  EXPECT_EQ(tx.data, ethereum::EncodeFundDeposit());
  EXPECT_EQ(payout.state(), v1::PAYOUT_STATE_SIGNED);
  ASSERT_TRUE(bank.Report(MakeReceipt(payout.attempts(0).tx_hash())).ok());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SETTLED);
  EXPECT_TRUE(bank.state.payouts().open().empty());
  // A funding touches no account, and a failed one is over: nothing is retried.
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 0 0");
  const v1::Payout second = bank.Fund(v1::STRATEGY_FUND_RESERVE, 5).value();
  EXPECT_EQ(TransactionOf(second.attempts(0)).data, ethereum::EncodeFundReserve());
  ASSERT_TRUE(bank.Report(Failed(second)).ok());
  EXPECT_EQ(bank.View(2).state(), v1::PAYOUT_STATE_VOIDED);
  EXPECT_EQ(CodeOf(bank.Retry(2)), v1::ERROR_WRONG_STATE);
}

TEST(BumpTest, SameNonceSameTicketsHigherFees) {
  Bank bank;
  bank.Credit("a", 30);
  const v1::Payout before = bank.Pay({{"a"}}).value();
  struct Row {
    uint64_t fee;
    v1::ErrorCode code;
    int attempts;
  };
  const Row rows[] = {
      {100, v1::ERROR_UNSPECIFIED, 1},  // asked twice: the same bytes
      {112, v1::ERROR_WRONG_STATE, 1},  {99, v1::ERROR_WRONG_STATE, 1},
      {1'000'001, v1::ERROR_POLICY, 1}, {114, v1::ERROR_UNSPECIFIED, 2},
      {114, v1::ERROR_UNSPECIFIED, 2},  {100, v1::ERROR_UNSPECIFIED, 2},  // an old one again
      {128, v1::ERROR_WRONG_STATE, 2},  {130, v1::ERROR_UNSPECIFIED, 3},
  };
  for (const Row& row : rows) {
    const auto bumped = bank.Bump(1, row.fee);
    EXPECT_EQ(CodeOf(bumped), row.code) << row.fee;
    EXPECT_EQ(bank.View(1).attempts_size(), row.attempts) << row.fee;
  }
  const v1::Payout after = bank.View(1);
  EXPECT_EQ(after.attempts(0).raw_tx(), before.attempts(0).raw_tx());
  for (const v1::Attempt& attempt : after.attempts()) {
    EXPECT_EQ(attempt.nonce(), 0u);
    EXPECT_EQ(TransactionOf(attempt).data, TransactionOf(before.attempts(0)).data)
        << "I3: a bump signs the same tickets, byte for byte";
  }
  EXPECT_EQ(bank.state.payouts().current().next_nonce, 1u);
  EXPECT_EQ(CodeOf(bank.Bump(2, 200)), v1::ERROR_UNKNOWN_PAYOUT);
  EXPECT_EQ(CodeOf(bank.Bump(0, 200)), v1::ERROR_UNKNOWN_PAYOUT);
  EXPECT_EQ(CodeOf(bank.Bump(UINT64_MAX, 200)), v1::ERROR_UNKNOWN_PAYOUT);
}

TEST(BumpTest, NotWhileASignatureIsPendingAndNotWhenMined) {
  Bank bank;
  bank.Credit("a", 30);
  auto job = bank.state.PreparePayout(MakePayout({{"a"}}), bank.Next());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_RESERVED);
  EXPECT_EQ(CodeOf(bank.Bump(1, 200)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(CodeOf(bank.Retry(1)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(CodeOf(bank.Void(1, 1000)), v1::ERROR_WRONG_STATE);
  ASSERT_TRUE(bank.Signed(job).ok());
  ASSERT_TRUE(bank.Report(Failed(bank.View(1))).ok());
  EXPECT_EQ(CodeOf(bank.Bump(1, 200)), v1::ERROR_WRONG_STATE);
}

TEST(BumpTest, ATransactionUnderWayIsSignedWhateverIsPending) {
  Bank bank;
  bank.Credit("a", 30);
  ASSERT_TRUE(bank.Pay({{"a"}}).ok());
  v1::BumpTransaction bump;
  bump.set_payout_id(1);
  *bump.mutable_fees() = MakeFees(200);
  ASSERT_TRUE(bank.state.BumpTransaction(bump, bank.Next()).ok());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_SIGNED)
      << "its first transaction is out, whatever becomes of the second";
}

TEST(RetryTest, ANewNonceWithTheSameTicketsByteForByte) {
  Bank bank;
  bank.Credit("a", 30);
  bank.Credit("b", 40);
  const v1::Payout first = bank.Pay({{"a"}, {"b"}}).value();
  EXPECT_EQ(CodeOf(bank.Retry(1)), v1::ERROR_WRONG_STATE) << "under way";
  ASSERT_TRUE(bank.Report(Failed(first)).ok());
  EXPECT_EQ(bank.View(1).state(), v1::PAYOUT_STATE_RESERVED);
  const v1::Payout again = bank.Retry(1, 1).value();
  EXPECT_EQ(again.attempts(1).nonce(), 1u);
  EXPECT_EQ(TransactionOf(again.attempts(1)).data, TransactionOf(first.attempts(0)).data);
  EXPECT_EQ(again.items(0).ticket_hash(), first.items(0).ticket_hash());
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 70 0");
  EXPECT_EQ(CodeOf(bank.Retry(9)), v1::ERROR_UNKNOWN_PAYOUT);
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 1, {{0, 30}, {1, 40}})).ok());
  EXPECT_EQ(CodeOf(bank.Retry(1)), v1::ERROR_WRONG_STATE) << "nothing left to pay";
}

TEST(RetryTest, ABatchThatSwallowedAFailureRetriesOnlyWhatIsOpen) {
  Bank bank;
  bank.Credit("a", 30);
  bank.Credit("b", 40);
  ASSERT_TRUE(bank.Pay({{"a"}, {"b"}}).ok());
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(1, 0, {{1, 40}})).ok());
  EXPECT_EQ(Line(bank.Of("a")), "0 30 0");
  EXPECT_EQ(Line(bank.Of("b")), "0 0 40");
  const v1::Payout again = bank.Retry(1, 1).value();
  const std::string data = TransactionOf(again.attempts(1)).data;
  EXPECT_THAT(data, HasSubstr(RecipientOf("a")));
  EXPECT_THAT(data, testing::Not(HasSubstr(RecipientOf("b"))));
}

// I3: a transfer has no ticket that the chain would refuse the second time, so a new nonce on the
// host's word that the first one failed would pay twice.
TEST(RetryTest, I3ATransferIsRetriedOnlyWhereThePolicyBelievesTheHost) {
  for (const bool believed : {false, true}) {
    policy::Policy policy = WidePolicy();
    policy.void_on_host_word = believed;
    Bank bank(policy);
    bank.Credit("a", 30);
    const v1::Payout payout = bank.Prepare(MakePayout({{"a"}}, v1::STRATEGY_ETH_TRANSFER)).value();
    ASSERT_TRUE(bank.Report(Failed(payout)).ok());
    EXPECT_EQ(CodeOf(bank.Retry(1, 1)), believed ? v1::ERROR_UNSPECIFIED : v1::ERROR_POLICY);
    EXPECT_EQ(Line(bank.Of("a")), "0 30 0");
  }
}

TEST(AttemptsTest, TheyAreBoundedSoThatAPayoutFitsAFrameAndASnapshot) {
  policy::Policy policy = WidePolicy();
  policy.max_tickets = 100;
  Bank bank(policy);
  std::vector<Ask> items;
  for (int i = 0; i < 100; ++i) {
    bank.Credit(absl::StrCat("a", i), 1);
    items.push_back({absl::StrCat("a", i)});
  }
  ASSERT_TRUE(bank.Pay(items).ok());
  absl::StatusOr<v1::Payout> last;
  int attempts = 1;
  do {  // the host says each time that it failed
    const auto& payout = *bank.state.payouts().Find(1);
    ASSERT_TRUE(bank.Report(MakeReceipt(payout.attempts.back().tx_hash.view(), false)).ok());
    last = bank.Retry(1, static_cast<uint64_t>(attempts));
  } while (last.ok() && ++attempts < 1000);
  EXPECT_EQ(CodeOf(last), v1::ERROR_WRONG_STATE) << last.status();
  EXPECT_LT(bank.View(1).ByteSizeLong(), 12u << 20);
  EXPECT_GT(attempts, 50);
}

TEST(SigningTest, TheSameJobGivesTheSameBytes) {
  Bank bank;
  bank.Credit("a", 30);
  const auto job = bank.state.PreparePayout(MakePayout({{"a"}}), bank.Next());
  const payouts::SigningResult one = payouts::Sign(bank.key(), *job);
  const payouts::SigningResult two = payouts::Sign(bank.key(), *job);
  EXPECT_EQ(one.attempt.raw_tx, two.attempt.raw_tx);
  // After a restart the reserved signature is made again from what was sealed.
  const std::vector<payouts::SigningJob> pending = bank.state.PendingJobs();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(payouts::Sign(bank.key(), pending[0]).attempt.raw_tx, one.attempt.raw_tx);
}

}  // namespace
}  // namespace coffer::test
