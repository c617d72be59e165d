// PrepareRedeem: a client that asks again and again, with the nonce that it read on the chain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

Bank Credited() {
  Bank bank;
  bank.Credit("alice", 100);
  bank.Credit("bob", 50);
  return bank;
}

const v1::Attempt& Last(const v1::Payout& payout) {
  return payout.attempts(payout.attempts_size() - 1);
}

TEST(PrepareRedeemTest, EveryRefusalChangesNothing) {
  struct Row {
    const char* name;
    std::function<void(v1::PrepareRedeem&)> change;
    v1::ErrorCode code;
    const char* rule = "";
  };
  const Row rows[] = {
      {"no broker", [](auto& r) { r.clear_broker(); }, v1::ERROR_MALFORMED},
      {"broker of 19 bytes", [](auto& r) { r.set_broker(std::string(19, 'x')); },
       v1::ERROR_MALFORMED},
      {"another broker", [](auto& r) { r.set_broker(std::string(20, 'x')); }, v1::ERROR_POLICY,
       "broker"},
      {"another chain", [](auto& r) { r.set_chain_id(1); }, v1::ERROR_POLICY, "chain_id"},
      {"an account that is not there", [](auto& r) { r.set_account("nobody"); },
       v1::ERROR_UNKNOWN_ACCOUNT},
      {"an account that holds nothing", [](auto& r) { r.set_account("empty"); },
       v1::ERROR_NOTHING_TO_PAY},
      {"the same, with a maximum",
       [](auto& r) {
         r.set_account("empty");
         ledger::ToProto(5, r.mutable_max_amount());
       },
       v1::ERROR_NOTHING_TO_PAY},
      {"no round", [](auto& r) { r.mutable_reading()->clear_round_block_hash(); },
       v1::ERROR_MALFORMED},
      {"deposit", [](auto& r) { *r.mutable_reading() = Reading(0, 99); }, v1::ERROR_DEPOSIT},
      {"no gas", [](auto& r) { r.mutable_fees()->set_gas_limit(0); }, v1::ERROR_POLICY,
       "max_gas_limit"},
      {"impossible nonce", [](auto& r) { r.mutable_reading()->set_account_nonce(UINT64_MAX); },
       v1::ERROR_MALFORMED},
  };
  Bank bank = Credited();
  bank.Apply({MakeEvent("x", "empty", 5), MakeEvent("y", "empty", 5, v1::Event::KIND_ADJUST_DOWN)});
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    v1::PrepareRedeem request = MakeRedeem("alice", 0);
    row.change(request);
    const auto refused = bank.Redeem(request);
    EXPECT_EQ(CodeOf(refused), row.code) << refused.status();
    EXPECT_EQ(RuleOf(refused.status()), row.rule);
    EXPECT_EQ(bank.batches.back().events_size(), 0);
  }
  EXPECT_TRUE(bank.Redeem("alice", 0).ok()) << "the table changes a request that is good";
}

TEST(PrepareRedeemTest, TheFirstNonceIsTheChainsAndChainZeroNamesNone) {
  Bank bank = Credited();
  v1::PrepareRedeem request = MakeRedeem("alice", 41);
  request.set_chain_id(0);
  const v1::Payout payout = bank.Redeem(request).value();
  EXPECT_EQ(Last(payout).nonce(), 41u);
  EXPECT_EQ(ledger::FromProto(payout.items(0).amount()), 100u);
  EXPECT_EQ(bank.state.payouts().current().next_nonce, 42u);
}

TEST(PrepareRedeemTest, TheAmountIsTheLeastOfWhatIsThereAskedForAndAllowed) {
  struct Row {
    Wei asked;
    Wei credited;
    Wei amount;
  };
  const Row rows[] = {{0, 100, 100},
                      {40, 100, 40},
                      {101, 100, 100},
                      {~Wei(0), 100, 100},
                      {0, 1'500'000, 1'000'000},
                      {1'200'000, 1'500'000, 1'000'000}};
  for (const Row& row : rows) {
    Bank bank;
    bank.Credit("alice", row.credited);
    const v1::Payout payout = bank.Redeem("alice", 0, row.asked).value();
    EXPECT_EQ(ledger::FromProto(payout.items(0).amount()), row.amount)
        << ledger::ToDecimal(row.asked);
  }
}

TEST(PrepareRedeemTest, I3AskedTwiceTheSameBytes) {
  Bank bank = Credited();
  const v1::Payout first = bank.Redeem("alice", 0).value();
  v1::PrepareRedeem again = MakeRedeem("alice", 0, 7);
  *again.mutable_fees() = MakeFees(5000);
  const v1::Payout second = bank.Redeem(again).value();
  EXPECT_EQ(bank.batches.back().events_size(), 0);
  EXPECT_EQ(second.DebugString(), first.DebugString());
  bank.Credit("alice", 60);  // what was credited since is for the next one
  EXPECT_EQ(bank.Redeem("alice", 0)->attempts(0).raw_tx(), first.attempts(0).raw_tx());
  EXPECT_EQ(Line(bank.Of("alice")), "60 100 0");
}

TEST(PrepareRedeemTest, ASignatureThatIsPendingIsNotAskedForTwice) {
  Bank bank = Credited();
  auto redemption = bank.state.PrepareRedeem(MakeRedeem("alice", 0), bank.Next());
  ASSERT_TRUE(redemption.ok() && redemption->job.has_value());
  const auto refused = bank.Redeem("alice", 0);
  EXPECT_EQ(CodeOf(refused), v1::ERROR_WRONG_STATE);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("ask again"));
  ASSERT_TRUE(bank.Signed(*redemption->job).ok());
  EXPECT_TRUE(bank.Redeem("alice", 0).ok());
}

TEST(PrepareRedeemTest, AfterAFailureTheSameTicketUnderTheNextNonce) {
  Bank bank = Credited();
  const v1::Payout first = bank.Redeem("alice", 0).value();
  ASSERT_TRUE(bank.Confirm(first.attempts(0).tx_hash(), false).ok());
  // A client that is late still gets the old bytes, and nothing new is signed.
  EXPECT_EQ(bank.Redeem("alice", 0)->attempts_size(), 1);
  const v1::Payout again = bank.Redeem("alice", 1).value();
  EXPECT_EQ(again.id(), first.id());
  ASSERT_EQ(again.attempts_size(), 2);
  EXPECT_EQ(again.attempts(1).nonce(), 1u);
  EXPECT_EQ(again.items(0).ticket_hash(), first.items(0).ticket_hash());
  const auto data = [](const v1::Attempt& attempt) {
    return ethereum::ParseSignedTransaction(attempt.raw_tx())->transaction.data;
  };
  EXPECT_EQ(data(again.attempts(0)), data(again.attempts(1)));
  EXPECT_EQ(bank.Redeem("alice", 1)->attempts_size(), 2) << "and asked twice, the same bytes";
  EXPECT_EQ(Line(bank.Of("alice")), "0 100 0");
}

TEST(PrepareRedeemTest, AStaleNonceIsRefusedWithTheNextOneAndWhy) {
  Bank bank = Credited();
  ASSERT_TRUE(bank.Redeem("alice", 7).ok());
  const auto taken = bank.Redeem("bob", 7);
  EXPECT_EQ(CodeOf(taken), v1::ERROR_WRONG_STATE);
  EXPECT_THAT(std::string(taken.status().message()), HasSubstr("payout 1 was signed with it"));
  EXPECT_THAT(std::string(taken.status().message()), HasSubstr("next nonce is 8"));
  const auto old = bank.Redeem("bob", 3);
  EXPECT_EQ(CodeOf(old), v1::ERROR_WRONG_STATE);
  EXPECT_THAT(std::string(old.status().message()), HasSubstr("next nonce is 8"));
  EXPECT_EQ(CodeOf(bank.Redeem("bob", 9)), v1::ERROR_NONCE_ALARM);
  EXPECT_TRUE(bank.Redeem("bob", 8).ok());
}

TEST(PrepareRedeemTest, WhatIsUnderWayIsNamedWhenNothingElseIsThere) {
  Bank bank = Credited();
  ASSERT_TRUE(bank.Redeem("alice", 0).ok());
  const auto refused = bank.Redeem("alice", 1);
  EXPECT_EQ(CodeOf(refused), v1::ERROR_NOTHING_TO_PAY);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("payout 1"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("with nonce 0"));
  EXPECT_EQ(bank.batches.back().events_size(), 0);
}

TEST(PrepareRedeemTest, TwoAccountsInterleaved) {
  Bank bank = Credited();
  const v1::Payout alice = bank.Redeem("alice", 0).value();
  const v1::Payout bob = bank.Redeem("bob", 1).value();
  EXPECT_EQ(bank.Redeem("alice", 0)->id(), alice.id());
  EXPECT_EQ(bank.Redeem("bob", 1)->id(), bob.id());
  EXPECT_EQ(CodeOf(bank.Redeem("alice", 1)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(CodeOf(bank.Redeem("bob", 0)), v1::ERROR_WRONG_STATE);
  ASSERT_TRUE(bank.Confirm(alice.attempts(0).tx_hash(), true).ok());
  EXPECT_EQ(bank.Redeem("bob", 1)->attempts(0).raw_tx(), bob.attempts(0).raw_tx());
  ASSERT_TRUE(bank.Confirm(bob.attempts(0).tx_hash(), false).ok());
  EXPECT_EQ(Last(bank.Redeem("bob", 2).value()).nonce(), 2u);
  EXPECT_EQ(Line(bank.state.ledger().totals()), "0 50 100");
  // Settled is over: the next redemption is a new payout.
  bank.Credit("alice", 5);
  const v1::Payout next = bank.Redeem("alice", 3).value();
  EXPECT_EQ(next.id(), 3u);
  EXPECT_EQ(CodeOf(bank.Redeem("alice", 0)), v1::ERROR_WRONG_STATE) << "of a payout that is over";
}

TEST(PrepareRedeemTest, SeveralOpenPayoutsOfOneAccountAreToldByTheirNonces) {
  Bank bank = Credited();
  const v1::Payout one = bank.Redeem("alice", 0, 10).value();
  const v1::Payout two = bank.Redeem("alice", 1, 20).value();
  const v1::Payout three = bank.Redeem("alice", 2).value();
  EXPECT_EQ(ledger::FromProto(three.items(0).amount()), 70u);
  EXPECT_EQ(bank.Redeem("alice", 1)->id(), two.id());
  EXPECT_EQ(bank.Redeem("alice", 0)->id(), one.id());
  ASSERT_TRUE(bank.Confirm(two.attempts(0).tx_hash(), false).ok());
  EXPECT_EQ(bank.Redeem("alice", 2)->id(), three.id());
  const v1::Payout again = bank.Redeem("alice", 3).value();
  EXPECT_EQ(again.id(), two.id()) << "the one that nothing is under way for";
  EXPECT_EQ(bank.Redeem("alice", 3)->id(), two.id());
}

TEST(PrepareRedeemTest, BatchesAndTransfersAreNotItsBusiness) {
  Bank bank = Credited();
  ASSERT_TRUE(bank.Pay({{"alice", 60}, {"bob"}}).ok());
  ASSERT_TRUE(bank.Prepare(MakePayout({{"alice", 10}}, v1::STRATEGY_ETH_TRANSFER)).ok());
  EXPECT_EQ(CodeOf(bank.Redeem("alice", 0)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(bank.Redeem("alice", 2)->id(), 3u);
}

TEST(PrepareRedeemTest, ADepositThatWasNotReadIsNotHeldAgainst) {
  Bank bank = Credited();
  v1::PrepareRedeem request = MakeRedeem("alice", 0);
  *request.mutable_reading() = Reading(0, 0);
  EXPECT_EQ(CodeOf(bank.Redeem(request)), v1::ERROR_DEPOSIT);
  request.mutable_reading()->set_deposit_unknown(true);
  EXPECT_TRUE(bank.Redeem(request).ok());
}

TEST(PrepareRedeemTest, AReplayAndASnapshotAnswerTheSame) {
  Bank bank = Credited();
  const v1::Payout first = bank.Redeem("alice", 0).value();
  ASSERT_TRUE(bank.Confirm(first.attempts(0).tx_hash(), false).ok());
  const v1::Payout second = bank.Redeem("alice", 1).value();
  authority::Authority replayed = Replayed(bank.Batches());
  authority::Authority restored = Restored(bank.state);
  for (authority::Authority* state : {&replayed, &restored}) {
    Bank::Batch batch;
    const auto redemption = state->PrepareRedeem(MakeRedeem("alice", 1), &batch);
    ASSERT_TRUE(redemption.ok());
    EXPECT_FALSE(redemption->job.has_value());
    v1::Payout view;
    ASSERT_TRUE(state->GetPayout(redemption->payout_id, true, &view).ok());
    EXPECT_EQ(view.DebugString(), second.DebugString());
  }
}

}  // namespace
}  // namespace coffer::test
