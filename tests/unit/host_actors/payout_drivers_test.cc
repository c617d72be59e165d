// Two signing keys: what each one's driver decides, and how the old one comes to its end.
#include "actors/host/payout_drivers.h"

#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/host_actors/two_keys_world.h"

namespace coffer::host {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::STRATEGY_SWEEP;
using boundary::v1::STRATEGY_UNLOCK;
using boundary::v1::STRATEGY_WITHDRAW;
using Steps = std::vector<boundary::v1::Strategy>;

PayoutDriverOptions Options() {
  PayoutDriverOptions options;
  options.run_interval = absl::Seconds(10);
  options.idle_interval = absl::Seconds(1);
  options.priority_fee = 1;
  options.confirmations = 2;
  options.reorg_window = 5;
  options.stuck_after = absl::Seconds(20);
  options.retry_after = absl::Seconds(5);
  return options;
}

void ExpectAllMoved(TwoKeysWorld& world) {
  EXPECT_EQ(world.Old().deposit, 0);
  EXPECT_EQ(world.Old().reserve, 0);
  EXPECT_LE(world.BalanceOfOld(), 6u * 201 * 27'300);  // six times what a sweep may cost
  EXPECT_GE(world.BalanceOfNew(), 1'000'900'000'000);
  EXPECT_EQ(world.told_retired,
            std::vector<std::string>{std::string(world.enclave.first.address().view())});
}

TEST(PayoutDrivers, TwoSendersWithTheSameNoncesDoNotHinderEachOther) {
  TwoKeysWorld world;
  for (uint64_t i = 0; i < 3; ++i) world.Credit(i, 100);
  PayoutDriverOptions options = Options();
  options.max_tickets = 1;
  options.max_under_way = 3;
  world.Start(options);
  world.Run(absl::Seconds(2), false);
  ASSERT_EQ(world.enclave.Open(), 3u);
  world.chain.base_fee = 1000;  // what the old key has sent stays where it is
  world.enclave.Adopt();
  world.Run(absl::Seconds(3));
  world.chain.DropPool();  // and is forgotten by the node: its successor sends in its own order
  world.Credit(10, 100);
  world.Credit(11, 100);
  world.Run(absl::Seconds(15));
  EXPECT_EQ(world.Paid(10), 100);
  EXPECT_EQ(world.Paid(11), 100);
  EXPECT_EQ(world.Paid(0), 0);
  const std::vector<boundary::v1::Payout> payouts = world.enclave.Payouts();
  ASSERT_EQ(payouts.size(), 5u);
  EXPECT_EQ(payouts[0].attempts(0).nonce(), payouts[3].attempts(0).nonce());
  EXPECT_EQ(payouts[1].attempts(0).nonce(), payouts[4].attempts(0).nonce());
  EXPECT_EQ(world.drivers->Current().under_way, 0u);
  ASSERT_NE(world.drivers->Draining(), nullptr);
  EXPECT_EQ(world.drivers->Draining()->open_payouts, 3u);
  EXPECT_EQ(world.drivers->Draining()->chain_nonce, 0u);
  EXPECT_EQ(world.drivers->Draining()->next_nonce, 3u);
  EXPECT_EQ(world.drivers->Current().next_nonce, 2u);
  EXPECT_EQ(world.drivers->Current().outstanding, 0u);
  EXPECT_EQ(world.drivers->Draining()->outstanding, 300u);
  world.chain.base_fee = 100;
  world.Run(absl::Minutes(2));
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(world.Paid(i), 100);
  for (const std::string& refusal : world.chain.refusals) EXPECT_NE(refusal, "nonce too high");
}

TEST(PayoutDrivers, ADrainingPayoutIsRetriedByReadingsOfItsOwnAddress) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.chain.now().unregistered = {TestRecipient(1)};
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  world.enclave.readings.clear();
  world.Run(absl::Seconds(30));
  world.chain.now().unregistered.clear();
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.Paid(1), 100);
  ASSERT_FALSE(world.enclave.readings.empty());
  for (const auto& [sender, reading] : world.enclave.readings) {
    if (sender != world.enclave.first.address()) continue;
    EXPECT_LE(ledger::FromProto(reading.deposit()), 10'000u);
    EXPECT_GE(reading.account_nonce(), 1u);
  }
  EXPECT_GE(world.drivers->Counters().retried, 1u);
  EXPECT_EQ(world.drivers->Current().counters.retried, 0u);
}

TEST(PayoutDrivers, NothingNewComesFromTheDrainingKey) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  PayoutDriverOptions options = Options();
  options.drain_funds = false;
  options.fund_below = 200'000'000;  // both are below
  options.fund_target = 300'000'000;
  world.BalanceOfOld() = 200'000'000;  // enough for a payout, not yet for a funding
  world.chain.Mine();
  world.Start(options);
  world.Run(absl::Seconds(3), false);
  world.enclave.Adopt();
  world.BalanceOfOld() = 1'000'000'000;
  world.Run(absl::Seconds(5));
  const size_t before = world.enclave.Payouts().size();
  for (uint64_t i = 2; i < 9; ++i) world.Credit(i, 100);
  world.Run(absl::Minutes(2));
  const std::vector<boundary::v1::Payout> payouts = world.enclave.Payouts();
  EXPECT_GT(payouts.size(), before);
  for (size_t i = before; i < payouts.size(); ++i) {
    EXPECT_EQ(payouts[i].sender(), world.enclave.second.address().view());
  }
  EXPECT_EQ(world.Old().deposit, 10'000u - 100);
  EXPECT_EQ(world.Paid(8), 100);
  // Its funds are to stay, so it stays.
  EXPECT_FALSE(world.enclave.retired());
  ASSERT_NE(world.drivers->Draining(), nullptr);
  ASSERT_FALSE(world.drivers->Draining()->notes.empty());
  EXPECT_TRUE(absl::StrContains(world.drivers->Draining()->notes.back(), "is kept for the funds"));
}

TEST(PayoutDrivers, UnlocksWithdrawsSweepsAndRetires) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.Old().reserve = 7'000'000;
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK}));
  EXPECT_TRUE(absl::StrContains(world.drivers->Draining()->drain, "from round 103 on"));
  world.chain.now().round = 102;
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK}));
  world.chain.now().round = 103;
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(2)));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK, STRATEGY_WITHDRAW, STRATEGY_SWEEP}));
  world.Run(absl::Seconds(2));
  EXPECT_EQ(world.drivers->Draining(), nullptr);
  EXPECT_GE(world.BalanceOfNew(), 1'000'000'000'000 + 960'000'000 + 7'000'000);
  ExpectAllMoved(world);
  // Nothing is left to ask about it: one question about the state a tick, and those of one driver.
  const uint64_t before = world.chain.calls("eth_getBalance");
  world.Run(absl::Seconds(20));
  EXPECT_LE(world.chain.calls("eth_getBalance") - before, 21u);
}

TEST(PayoutDrivers, EachStepWaitsUntilTheOneBeforeIsDeep) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.chain.unlock_period = 0;
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  size_t payouts = world.enclave.Payouts().size();
  uint64_t mined_at = 0;
  for (int second = 0; second < 120 && !world.enclave.retired(); ++second) {
    const bool more = world.enclave.Payouts().size() > payouts;
    if (more) {
      EXPECT_GE(world.chain.height(), mined_at + 5);
    }
    payouts = world.enclave.Payouts().size();
    const boundary::v1::Payout newest = world.enclave.Payout(payouts);
    for (const boundary::v1::Attempt& attempt : newest.attempts()) {
      if (attempt.mined()) mined_at = attempt.block_number();
    }
    EXPECT_LE(world.enclave.OpenOfOld(), 1u);
    world.Run(absl::Seconds(1));
  }
  EXPECT_GE(world.chain.height(), mined_at + 5);
  EXPECT_TRUE(world.enclave.retired());
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK, STRATEGY_WITHDRAW, STRATEGY_SWEEP}));
}

// The host begins anew whenever anything has changed: no step is left out, none is taken twice.
TEST(PayoutDrivers, ARestartBetweenAnyTwoStepsChangesNothing) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  std::string before;
  size_t restarts = 0;
  for (int second = 0; second < 300 && !world.enclave.retired(); ++second) {
    const std::string now = absl::StrCat(world.enclave.Payouts().size(), " ", world.enclave.Open(),
                                         " ", world.Old().nonce, " ", world.Old().withdraw_round,
                                         " ", world.chain.pool().size());
    if (now != before) {
      world.Restart();
      ++restarts;
    }
    before = now;
    if (second == 100) world.chain.now().round = 103;
    world.Run(absl::Seconds(1));
  }
  EXPECT_GE(restarts, 8u);
  ASSERT_TRUE(world.enclave.retired());
  world.Run(absl::Seconds(2));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK, STRATEGY_WITHDRAW, STRATEGY_SWEEP}));
  ExpectAllMoved(world);
}

TEST(PayoutDrivers, AWithdrawThatRevertedIsTriedAgainAndNothingGoesPastIt) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.chain.unlock_period = 0;
  world.chain.failing_withdrawals = 2;
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(5)));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK, STRATEGY_WITHDRAW, STRATEGY_WITHDRAW,
                                       STRATEGY_WITHDRAW, STRATEGY_SWEEP}));
  world.Run(absl::Seconds(2));
  ExpectAllMoved(world);
}

TEST(PayoutDrivers, FundsThatAreNotWorthASweepStayBehind) {
  TwoKeysWorld world;
  world.Old().deposit = 0;
  world.BalanceOfOld() = 3 * 201 * 21'000;
  world.chain.Mine();
  world.Start(Options());
  world.enclave.Adopt();
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(1)));
  EXPECT_TRUE(world.DrainSteps().empty());
}

TEST(PayoutDrivers, ANodeThatLacksTransactionsOfTheKeyDoesNotEndIt) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.Old().deposit = 100;
  world.Start(Options());
  world.Run(absl::Seconds(5));
  ASSERT_EQ(world.Old().nonce, 1u);
  world.BalanceOfOld() = 0;
  world.Old().nonce = 0;
  world.enclave.Adopt();
  world.Run(absl::Minutes(2));
  EXPECT_FALSE(world.enclave.retired());
  world.Old().nonce = 1;
  EXPECT_TRUE(world.RunUntilRetired(absl::Minutes(1)));
}

TEST(PayoutDrivers, ADrainingKeyWithoutGasSaysWhatItNeeds) {
  TwoKeysWorld world;
  world.BalanceOfOld() = 1000;
  world.chain.Mine();
  world.Start(Options());
  world.enclave.Adopt();
  world.Run(absl::Seconds(30));
  EXPECT_TRUE(world.DrainSteps().empty());
  EXPECT_FALSE(world.enclave.retired());
  ASSERT_FALSE(world.drivers->Draining()->notes.empty());
  world.BalanceOfOld() = 1'000'000'000;
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK}));
}

TEST(PayoutDrivers, PausedNothingOfADrainingKeyMoves) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.drivers->Pause();
  world.enclave.Adopt();
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.Paid(1), 100);  // what was signed comes to its end
  EXPECT_TRUE(world.DrainSteps().empty());
  world.drivers->Resume();
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK}));
}

TEST(PayoutDrivers, ASweepThatIsStuckIsBumped) {
  TwoKeysWorld world;
  world.Old().deposit = 0;
  world.chain.Mine();
  world.Start(Options());
  world.enclave.Adopt();
  while (world.DrainSteps().empty()) world.Run(absl::Seconds(1), false);
  world.chain.base_fee = 215;  // the sweep pays 201
  world.Run(absl::Minutes(2));
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(2)));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_SWEEP}));
  EXPECT_GE(world.enclave.Drained()[0].attempts_size(), 2);
  EXPECT_GE(world.BalanceOfNew(), 1'000'900'000'000);
}

TEST(PayoutDrivers, AReorgOfTheWithdrawBeforeTheRetirementIsMadeUpFor) {
  TwoKeysWorld world;
  world.Credit(1, 100);
  world.chain.unlock_period = 0;
  world.Start(Options());
  world.Run(absl::Seconds(2));
  world.enclave.Adopt();
  const auto withdrawn = [&] {
    return world.enclave.Drained().size() == 2 && world.enclave.OpenOfOld() == 0;
  };
  for (int i = 0; i < 100 && !withdrawn(); ++i) world.Run(absl::Seconds(1));
  ASSERT_TRUE(withdrawn());
  ASSERT_EQ(world.Old().deposit, 0);
  world.chain.Reorg(3);
  ASSERT_NE(world.Old().deposit, 0);
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(2)));
  EXPECT_EQ(world.DrainSteps(), Steps({STRATEGY_UNLOCK, STRATEGY_WITHDRAW, STRATEGY_SWEEP}));
  EXPECT_EQ(world.enclave.Drained()[1].attempts_size(), 1);  // the same bytes
  EXPECT_GE(world.drivers->Counters().reorged, 1u);
  world.Run(absl::Seconds(2));
  ExpectAllMoved(world);
}

TEST(PayoutDrivers, TheAnswerToTheRetirementMayBeLost) {
  TwoKeysWorld world;
  world.Old().deposit = 0;
  world.chain.Mine();
  world.enclave.lost_retire_answers = 1;
  world.Start(Options());
  world.enclave.Adopt();
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(2)));
  world.Run(absl::Seconds(5));
  ExpectAllMoved(world);
}

// The old key paid, has nothing left and is retired; then a reorg deeper than anybody reckoned with
// takes the payment back while the host is down.
void ReorgAfterRetirement(TwoKeysWorld& world) {
  world.Credit(1, 100);
  world.Old().deposit = 100;
  PayoutDriverOptions options = Options();
  options.drain_funds = false;
  world.Start(options);
  world.Run(absl::Seconds(5));
  world.enclave.Adopt();
  world.BalanceOfOld() = 0;
  ASSERT_TRUE(world.RunUntilRetired(absl::Minutes(2)));
  world.Run(absl::Seconds(5));
  ASSERT_EQ(world.Paid(1), 100);
  world.chain.Reorg(1000);
  ASSERT_EQ(world.Paid(1), 0);
  world.Restart();
}

TEST(PayoutDrivers, ARetiredKeysPayoutIsSentAgainAfterAReorg) {
  TwoKeysWorld world;
  ReorgAfterRetirement(world);
  world.Run(absl::Minutes(5), false);
  ASSERT_EQ(world.drivers->Reopened().size(), 1u);
  EXPECT_EQ(world.drivers->Reopened()[0]->open_payouts, 1u);
  EXPECT_EQ(world.enclave.OpenOfOld(), 1u);
  EXPECT_GE(world.drivers->Counters().resent, 2u);
  EXPECT_EQ(world.drivers->Counters().refused, 0u);  // neither bumped nor anything else
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.Paid(1), 100);
  EXPECT_EQ(world.enclave.OpenOfOld(), 0u);
  EXPECT_EQ(world.enclave.Payout(1).attempts_size(), 1);
  EXPECT_TRUE(world.drivers->Reopened().empty());
}

TEST(PayoutDrivers, ARetiredKeysPayoutThatFailsAfterAReorgIsNotRetried) {
  TwoKeysWorld world;
  ReorgAfterRetirement(world);
  world.chain.now().unregistered = {TestRecipient(1)};
  world.Run(absl::Minutes(5));
  ASSERT_EQ(world.drivers->Reopened().size(), 1u);
  ASSERT_FALSE(world.drivers->Reopened()[0]->notes.empty());
  EXPECT_TRUE(absl::StrContains(world.drivers->Reopened()[0]->notes[0], "retired"));
  EXPECT_EQ(world.enclave.Payout(1).attempts_size(), 1);
  EXPECT_EQ(world.drivers->Counters().retried, 0u);
  EXPECT_EQ(world.drivers->Counters().refused, 0u);
  // A stranger's redemption still counts.
  world.chain.now().unregistered.clear();
  const std::string raw = world.enclave.Payout(1).attempts(0).raw_tx();
  world.chain.StrangerRedeems(ethereum::ParseSignedTransaction(raw)->transaction.data, 0);
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.Paid(1), 100);
  EXPECT_EQ(world.enclave.OpenOfOld(), 0u);
}

// Whenever in a turn the new key is adopted: what was read of the old one's nonce is not told of
// it.
TEST(PayoutDrivers, ATurnOfTheOldKeyDoesNotReachTheNewOne) {
  for (int offset = 0; offset < 40; ++offset) {
    SCOPED_TRACE(absl::StrCat("offset ", offset));
    TwoKeysWorld world(TestSeed() + static_cast<uint64_t>(offset));
    for (uint64_t i = 0; i < 3; ++i) world.Credit(i, 100);
    PayoutDriverOptions options = Options();
    options.max_tickets = 1;
    options.run_interval = absl::InfiniteDuration();
    world.Start(options);
    world.drivers->RunNow();
    world.Run(absl::Seconds(10));
    ASSERT_EQ(world.Old().nonce, 3u);
    world.enclave.second.Credit("a7", TestRecipient(7), 100);
    world.Credit(8, 100);  // for the old key, so that it plans
    world.drivers->RunNow();
    world.scheduler.Advance(absl::Microseconds(400 * offset));
    ClientFrame adopt;
    adopt.mutable_adopt_signing_key()->set_address(
        std::string(world.enclave.second.address().view()));
    world.enclave.Call(std::move(adopt), [](absl::StatusOr<boundary::v1::ServerFrame>) {});
    world.accounts.insert(7);
    world.drivers->RunNow();
    world.Run(absl::Seconds(20));
    EXPECT_EQ(world.Paid(7), 100);
    EXPECT_EQ(world.New().nonce, 1u);
  }
}

// Lost answers, reorgs, restarts and stuck transactions while one key follows another: everybody is
// paid once, and the old key's money arrives.
TEST(PayoutDrivers, AnyMixOfTroublesEndsWithTheOldKeyRetired) {
  const uint64_t first = TestSeed();
  std::cout << "COFFER_TEST_SEED=" << first << " (8 runs from it)\n";
  for (uint64_t seed = first; seed < first + 8; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    TwoKeysWorld world(seed);
    PayoutDriverOptions options = Options();
    options.retry_max = absl::Seconds(20);
    options.reorg_window = 8;
    world.chain.unlock_period = 1;
    world.chain.lost_percent = world.enclave.lost_percent = 4;
    world.Start(options);
    runtime::Random& random = world.scheduler.random();
    for (int second = 0; second < 400; ++second) {
      if (second == 60) {
        // Whatever the old key owes is reserved by then; the new one's ledger is its own.
        world.chain.lost_percent = 0;
        world.Run(absl::Seconds(15));
        world.chain.lost_percent = 4;
        world.enclave.Adopt();
      }
      switch (random.Below(16)) {
        case 0:
        case 1:
          if (second < 30 || second > 80) world.Credit(random.Below(20), 1 + random.Below(300));
          break;
        case 2:
          world.chain.Reorg(1 + random.Below(5));
          break;
        case 3:
          world.chain.DropPool();
          break;
        case 4:
          world.chain.base_fee = 50 + random.Below(300);
          break;
        case 5:
          if (random.Below(4) == 0) world.Restart();
          break;
        case 6:
          if (second > 150) world.chain.now().round = 101;  // no ticket expires
          break;
        default:
          break;
      }
      world.Run(absl::Seconds(1), random.Below(4) != 0);
    }
    world.chain.lost_percent = world.enclave.lost_percent = 0;
    world.chain.base_fee = 50;
    world.Run(absl::Minutes(2));    // every ticket is paid
    world.chain.now().round = 105;  // a reorg may have put the unlock into a later round
    EXPECT_TRUE(world.RunUntilRetired(absl::Minutes(10)));
    world.Run(absl::Minutes(2));
    EXPECT_EQ(world.enclave.Open(), 0u);
    EXPECT_EQ(world.Old().deposit, 0);
    for (const FakeEnclave* part : {&world.enclave.first, &world.enclave.second}) {
      const ledger::Balances& totals = part->authority().ledger().totals();
      EXPECT_EQ(totals.credited, totals.paid);
    }
  }
}

}  // namespace
}  // namespace coffer::host
