#include "actors/host/payout_driver.h"

#include <gtest/gtest.h>

#include "tests/unit/host_actors/payout_world.h"

namespace coffer::host {
namespace {

PayoutDriverOptions DriverOptions() {
  PayoutDriverOptions options;
  options.run_interval = absl::Hours(1);
  options.priority_fee = 1;
  options.confirmations = 2;
  options.stuck_after = absl::Seconds(20);
  options.retry_after = absl::Seconds(5);
  return options;
}

TEST(PayoutDriver, PaysEverybodyInBatches) {
  World world;
  for (uint64_t i = 0; i < 25; ++i) world.Credit(i, 1000 + i);
  PayoutDriver& driver = world.Start(DriverOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(2)));
  for (uint64_t i = 0; i < 25; ++i) EXPECT_EQ(world.Paid(i), 1000 + i);
  EXPECT_EQ(world.enclave.authority().payouts().size(), 3u);  // 10 + 10 + 5 tickets
  EXPECT_EQ(driver.Status().counters.sent, 3u);
  EXPECT_EQ(driver.Status().counters.send_refused, 0u);
  EXPECT_EQ(driver.Status().counters.mined, 3u);
  EXPECT_TRUE(driver.Status().halts.empty());
  world.Run(absl::Seconds(3));
  EXPECT_EQ(driver.Status().open_payouts, 0u);
  EXPECT_EQ(driver.Status().next_nonce, driver.Status().chain_nonce);
}

TEST(PayoutDriver, AsksAgainAtTheIntervalAndOnRunNow) {
  World world;
  PayoutDriver& driver = world.Start(DriverOptions());
  world.Run(absl::Seconds(5));
  world.Credit(1, 500);
  world.Run(absl::Minutes(5));
  EXPECT_EQ(world.Paid(1), 0);
  driver.RunNow();
  world.Run(absl::Seconds(10));
  EXPECT_EQ(world.Paid(1), 500);
  world.Credit(2, 700);
  world.Run(absl::Minutes(61));
  EXPECT_EQ(world.Paid(2), 700);
}

TEST(PayoutDriver, WithoutAnIntervalItPaysOnlyWhenAsked) {
  World world;
  world.Credit(1, 500);
  PayoutDriverOptions options = DriverOptions();
  options.run_interval = absl::InfiniteDuration();
  PayoutDriver& driver = world.Start(options);
  world.Run(absl::Minutes(90));
  EXPECT_EQ(world.Paid(1), 0);
  driver.RunNow();
  world.Run(absl::Seconds(10));
  EXPECT_EQ(world.Paid(1), 500);
}

TEST(PayoutDriver, LeavesWhatIsBelowTheThreshold) {
  World world;
  world.Credit(1, 99);
  world.Credit(2, 100);
  PayoutDriverOptions options = DriverOptions();
  options.threshold = 100;
  world.Start(options);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.Paid(1), 0);
  EXPECT_EQ(world.Paid(2), 100);
}

TEST(PayoutDriver, BoundsWhatIsUnderWayAndGoesOnWhenThereIsRoom) {
  World world;
  for (uint64_t i = 0; i < 12; ++i) world.Credit(i, 10);
  PayoutDriverOptions options = DriverOptions();
  options.max_under_way = 2;
  options.max_tickets = 2;
  world.Start(options);
  uint64_t most = 0;
  for (int i = 0; i < 120; ++i) {
    world.Run(absl::Seconds(1));
    most = std::max<uint64_t>(most, world.enclave.authority().payouts().open().size());
  }
  EXPECT_EQ(most, 2u);
  EXPECT_EQ(world.enclave.authority().payouts().size(), 6u);
  EXPECT_TRUE(world.enclave.authority().payouts().open().empty());
}

TEST(PayoutDriver, SendsInNonceOrderAlthoughAnswersGetLost) {
  World world;
  for (uint64_t i = 0; i < 40; ++i) world.Credit(i, 10);
  PayoutDriverOptions options = DriverOptions();
  options.max_tickets = 5;
  world.chain.lost_percent = 20;
  world.enclave.lost_percent = 20;
  world.Start(options);
  // Few turns get through at this rate.
  const auto available = [&] { return world.enclave.authority().ledger().totals().available; };
  for (int i = 0; i < 40 && available() != 0; ++i) world.Run(absl::Minutes(1));
  EXPECT_TRUE(world.Settle(absl::Minutes(20)));
  for (const std::string& refusal : world.chain.refusals) EXPECT_NE(refusal, "nonce too high");
  for (uint64_t i = 0; i < 40; ++i) EXPECT_EQ(world.Paid(i), 10);
}

TEST(PayoutDriver, ARestartedDriverGoesOnFromTheEnclaveAlone) {
  World world;
  for (uint64_t i = 0; i < 30; ++i) world.Credit(i, 10);
  world.Start(DriverOptions());
  world.Run(absl::Seconds(2), false);
  ASSERT_FALSE(world.enclave.authority().payouts().open().empty());
  const std::vector<std::string> sent = world.chain.sent;
  world.chain.DropPool();
  world.Start(DriverOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(2)));
  // The same bytes again, and nothing new signed.
  EXPECT_EQ(world.chain.sent.size(), 2 * sent.size());
  EXPECT_EQ(world.enclave.authority().payouts().size(), 3u);
}

TEST(PayoutDriver, AnEnclaveThatGoesAwayAndComesBack) {
  World world;
  for (uint64_t i = 0; i < 5; ++i) world.Credit(i, 10);
  world.enclave.SetReady(false);
  PayoutDriver& driver = world.Start(DriverOptions());
  world.Run(absl::Seconds(5));
  EXPECT_TRUE(world.Halted("enclave_not_ready"));
  EXPECT_FALSE(driver.Status().enclave_ready);
  world.enclave.SetReady(true);
  world.Run(absl::Seconds(1), false);
  world.enclave.SetReady(false);
  world.Run(absl::Seconds(5));
  world.enclave.SetReady(true);
  world.Run(absl::Seconds(10));
  EXPECT_EQ(world.Paid(4), 10);
}

TEST(PayoutDriver, PauseStopsNewOnesButEndsWhatIsUnderWay) {
  World world;
  world.Credit(1, 10);
  PayoutDriver& driver = world.Start(DriverOptions());
  world.Run(absl::Seconds(2), false);
  driver.Pause();
  world.Credit(2, 20);
  driver.RunNow();
  world.Run(absl::Seconds(30));
  EXPECT_TRUE(world.Halted("operator_paused"));
  EXPECT_EQ(world.Paid(1), 10);
  EXPECT_EQ(world.Paid(2), 0);
  driver.Resume();
  world.Run(absl::Seconds(30));
  EXPECT_EQ(world.Paid(2), 20);
  EXPECT_FALSE(world.Halted("operator_paused"));
}

TEST(PayoutDriver, DryRunSignsNothing) {
  World world;
  world.Credit(1, 10);
  PayoutDriverOptions options = DriverOptions();
  options.dry_run = true;
  PayoutDriver& driver = world.Start(options);
  world.Run(absl::Seconds(30));
  EXPECT_EQ(driver.Status().last_plan, "would pay 10 wei to 1 accounts in 1 transactions");
  EXPECT_EQ(world.enclave.authority().payouts().size(), 0u);
}

struct HaltCase {
  const char* name;
  const char* code;
  std::function<void(World&)> begin;
  std::function<void(World&)> end;
};

class PayoutDriverHalts : public testing::TestWithParam<HaltCase> {};

TEST_P(PayoutDriverHalts, SaysWhyAndGoesOnAfterwards) {
  World world;
  world.Credit(1, 1000);
  GetParam().begin(world);
  world.chain.Mine();
  world.Start(DriverOptions());
  world.Run(absl::Seconds(20));
  EXPECT_TRUE(world.Halted(GetParam().code));
  EXPECT_EQ(world.enclave.authority().payouts().size(), 0u);
  GetParam().end(world);
  world.Run(absl::Minutes(3));
  EXPECT_FALSE(world.Halted(GetParam().code));
  EXPECT_EQ(world.Paid(1), 1000);
}

absl::uint128& Balance(World& w) { return w.chain.now().balances[w.enclave.address()]; }

INSTANTIATE_TEST_SUITE_P(
    All, PayoutDriverHalts,
    testing::Values(
        HaltCase{"paused", "broker_paused", [](World& w) { w.chain.now().paused = true; },
                 [](World& w) { w.chain.now().paused = false; }},
        HaltCase{"round", "round_not_initialized",
                 [](World& w) { w.chain.now().initialized = false; },
                 [](World& w) { w.chain.now().initialized = true; }},
        HaltCase{"deposit", "deposit_too_low", [](World& w) { w.chain.now().deposit = 999; },
                 [](World& w) { w.chain.now().deposit = 1000; }},
        HaltCase{"unreachable", "chain_unreachable", [](World& w) { w.chain.reachable = false; },
                 [](World& w) { w.chain.reachable = true; }},
        HaltCase{"chain", "wrong_chain", [](World& w) { w.chain.chain_id = 1; },
                 [](World& w) { w.chain.chain_id = 31337; }},
        HaltCase{"fee", "fee_ceiling", [](World& w) { w.chain.base_fee = 2001; },
                 [](World& w) { w.chain.base_fee = 100; }},
        HaltCase{"gas", "gas_limit", [](World& w) { w.chain.block_gas_limit = 374'999; },
                 [](World& w) { w.chain.block_gas_limit = 375'000; }},
        HaltCase{"funds", "insufficient_funds", [](World& w) { Balance(w) = 1; },
                 [](World& w) { Balance(w) = 1'000'000'000; }}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(PayoutDriver, ANonceAboveTheEnclavesIsAnAlarm) {
  World world;
  world.Credit(1, 10);
  PayoutDriver& driver = world.Start(DriverOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.chain.now().nonce += 3;
  world.chain.Mine();
  world.Credit(1, 10);
  driver.RunNow();
  world.Run(absl::Seconds(30));
  EXPECT_TRUE(world.Halted("nonce_alarm"));
  EXPECT_EQ(world.enclave.authority().payouts().size(), 1u);
}

TEST(PayoutDriver, ANonceSpentByAStrangerIsAnAlarm) {
  World world;
  world.Credit(1, 10);
  PayoutDriverOptions options = DriverOptions();
  options.lost_nonce_after = absl::Seconds(30);
  world.Start(options);
  world.Run(absl::Seconds(2), false);
  world.chain.DropPool();
  world.chain.now().nonce += 1;
  world.Run(absl::Seconds(20));
  EXPECT_FALSE(world.Halted("lost_nonce"));
  world.Run(absl::Seconds(30));
  EXPECT_TRUE(world.Halted("lost_nonce"));
}

TEST(PayoutDriver, TheBlockGasLimitShrinksBatches) {
  World world;
  for (uint64_t i = 0; i < 9; ++i) world.Credit(i, 10);
  world.chain.block_gas_limit = 100'000 + 3 * 275'000;
  world.Start(DriverOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(2)));
  EXPECT_EQ(world.enclave.authority().payouts().size(), 3u);
}

TEST(PayoutDriver, ALargeAccountIsPaidInPieces) {
  World world;
  world.Credit(1, 2'500'000'000);  // max_face_value is 1,000,000,000
  PayoutDriverOptions options = DriverOptions();
  options.run_interval = absl::Seconds(30);
  world.Start(options);
  world.Run(absl::Minutes(3));
  EXPECT_EQ(world.Paid(1), 2'500'000'000);
  EXPECT_EQ(world.enclave.authority().payouts().size(), 3u);
}

// Account 2's recipient refuses money at first.
void Transfers(World& world) {
  world.Credit(1, 1000);
  world.Credit(2, 2000);
  PayoutDriverOptions options = DriverOptions();
  options.strategy = boundary::v1::STRATEGY_ETH_TRANSFER;
  world.chain.now().unregistered = {TestRecipient(2)};
  world.Start(options);
  world.Run(absl::Seconds(6));
  world.chain.now().unregistered.clear();
}

TEST(PayoutDriver, AFailedTransferIsSentAgainOnlyWhenThePolicyTakesTheHostsWord) {
  policy::Policy policy = TestPolicy();
  policy.void_on_host_word = true;
  World world(policy);
  Transfers(world);
  ASSERT_TRUE(world.Settle(absl::Minutes(2)));
  EXPECT_EQ(world.Paid(1), 1000);
  EXPECT_EQ(world.Paid(2), 2000);
  EXPECT_EQ(world.driver->Status().counters.reverted, 1u);
  EXPECT_EQ(world.driver->Status().counters.retried, 1u);
}

TEST(PayoutDriver, AFailedTransferKeepsItsFunds) {
  World world;
  Transfers(world);
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.Paid(1), 1000);
  EXPECT_EQ(world.Paid(2), 0);
  EXPECT_TRUE(world.Noted("its transfer failed"));
  EXPECT_EQ(world.driver->Status().counters.refused, 0u);
}

TEST(PayoutDriver, FillsTheDepositOneFundingAtATime) {
  World world;
  world.chain.now().deposit = 100;
  world.Credit(1, 1000);
  PayoutDriverOptions options = DriverOptions();
  options.fund_below = 1'000'000;
  options.fund_target = 7'000'000'000;  // more than max_fund_deposit
  world.chain.Mine();
  PayoutDriver& driver = world.Start(options);
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.Paid(1), 1000);
  EXPECT_EQ(driver.Status().counters.funded, 1u);
  EXPECT_EQ(world.chain.now().deposit, 100u + 5'000'000'000u - 1000u);
}

TEST(PayoutDriver, LostAnswersDoNotFundTwice) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    World world(TestPolicy(), seed);
    world.chain.now().deposit = 0;
    world.enclave.lost_percent = 40;
    world.chain.lost_percent = 10;
    PayoutDriverOptions options = DriverOptions();
    options.fund_below = 1000;
    options.fund_target = 50'000;
    world.chain.Mine();
    world.Start(options);
    world.Run(absl::Minutes(5));
    EXPECT_EQ(world.chain.now().deposit, 50'000u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace coffer::host
