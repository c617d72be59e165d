// What the chain does to payouts: partial payment, swallowed failures, strangers, stuck
// transactions, reorgs, expiry; and all of it at random.
#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "tests/unit/host_actors/payout_world.h"

namespace coffer::host {
namespace {

PayoutDriverOptions ChainOptions() {
  PayoutDriverOptions options;
  options.priority_fee = 1;
  options.confirmations = 2;
  options.stuck_after = absl::Seconds(20);
  options.retry_after = absl::Seconds(5);
  options.logs_range = 3;
  return options;
}

uint64_t Open(const World& world) { return world.enclave.authority().payouts().open().size(); }

const ledger::Account& Account(const World& world, uint64_t index) {
  const ledger::Ledger& ledger = world.enclave.authority().ledger();
  return ledger.at(*ledger.Find(absl::StrCat("a", index)));
}

TEST(PayoutDriverChain, PartialPaymentReturnsTheShortfall) {
  World world;
  world.Credit(1, 1000);
  world.Start(ChainOptions());
  world.Run(absl::Seconds(1), false);
  ASSERT_EQ(Open(world), 1u);
  world.chain.now().deposit = 600;  // fell after the ticket was made
  // Not before it is as deep as the reorg window, at a block a second.
  ASSERT_FALSE(world.Settle(absl::Seconds(60)));
  EXPECT_EQ(Account(world, 1).balances.available, 0);
  ASSERT_TRUE(world.Settle(absl::Seconds(10)));
  EXPECT_EQ(world.Paid(1), 600);
  EXPECT_EQ(Account(world, 1).balances.available, 400);
  EXPECT_EQ(world.Payout(1).State(), boundary::v1::PAYOUT_STATE_PARTLY_SETTLED);
}

// Reported at once, the rest would have gone out in a second ticket before the first was paid in
// full (I3).
TEST(PayoutDriverChain, WhatPaidInPartMayPayInFullAfterAReorg) {
  World world;
  world.Credit(1, 1000);
  world.Start(ChainOptions());
  world.Run(absl::Seconds(1), false);
  world.chain.now().deposit = 600;
  world.Run(absl::Seconds(30));
  ASSERT_EQ(world.Paid(1), 600);
  world.chain.Reorg(40);
  world.chain.now().deposit = 5000;
  ASSERT_TRUE(world.Settle(absl::Minutes(3)));
  EXPECT_EQ(world.Paid(1), 1000);
  EXPECT_EQ(Account(world, 1).balances.available, 0);
  EXPECT_EQ(world.enclave.authority().payouts().size(), 1u);
}

TEST(PayoutDriverChain, AStrangersRedemptionInPartIsReportedWhenItIsDeep) {
  World world;
  world.Credit(1, 1000);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(1), false);
  world.chain.now().deposit = 600;
  world.chain.StrangerRedeems(world.Calldata(1), 0);
  ASSERT_FALSE(world.Settle(absl::Seconds(60)));
  EXPECT_EQ(world.Paid(1), 600);
  EXPECT_EQ(Account(world, 1).balances.available, 0);
  world.chain.now().deposit = 5000;
  ASSERT_TRUE(world.Settle(absl::Minutes(3)));
  EXPECT_EQ(driver.Status().counters.foreign, 1u);
  EXPECT_EQ(world.Payout(1).items[0].paid, 600);
}

TEST(PayoutDriverChain, AFailureThatABatchSwallowsIsRetriedWithTheSameTicket) {
  World world;
  for (uint64_t i = 0; i < 4; ++i) world.Credit(i, 100);
  world.chain.now().unregistered = {TestRecipient(2)};
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(6));
  EXPECT_EQ(world.Paid(3), 100);
  EXPECT_EQ(world.Paid(2), 0);
  const ethereum::Hash ticket = world.Payout(1).items[2].ticket->ticket_hash;
  world.chain.now().unregistered.clear();
  ASSERT_TRUE(world.Settle(absl::Minutes(5)));
  EXPECT_EQ(world.Paid(2), 100);
  EXPECT_EQ(world.Payout(1).items[2].ticket->ticket_hash, ticket);
  EXPECT_GE(driver.Status().counters.retried, 1u);
  EXPECT_EQ(driver.Status().counters.reverted, 0u);
  EXPECT_EQ(world.enclave.authority().payouts().size(), 1u);
}

TEST(PayoutDriverChain, RetriesComeLaterAndLater) {
  World world;
  world.Credit(1, 100);
  world.chain.now().unregistered = {TestRecipient(1)};
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Minutes(10));
  EXPECT_GE(driver.Status().counters.retried, 4u);
  EXPECT_LE(driver.Status().counters.retried, 7u);  // 5, 10, 20, 40 ... seconds
  EXPECT_EQ(driver.Status().counters.reverted, driver.Status().counters.mined);
  EXPECT_EQ(driver.Status().retry_waiting, 1u);
}

TEST(PayoutDriverChain, AStrangersRedemptionCountsAndIsNotPaidAgain) {
  for (const uint64_t accounts : {1u, 3u}) {  // a single one reverts, a batch swallows
    World world;
    for (uint64_t i = 0; i < accounts; ++i) world.Credit(i, 100);
    PayoutDriver& driver = world.Start(ChainOptions());
    world.Run(absl::Seconds(2), false);
    ASSERT_EQ(world.chain.pool().size(), 1u);
    world.chain.StrangerRedeems(world.Calldata(1), 0);
    ASSERT_TRUE(world.Settle(absl::Minutes(2)));
    EXPECT_EQ(world.Paid(0), 100);
    EXPECT_EQ(driver.Status().counters.foreign, 1u);
    EXPECT_EQ(driver.Status().counters.retried, 0u);
    EXPECT_EQ(world.Payout(1).attempts.size(), 1u);
  }
}

TEST(PayoutDriverChain, AStrangersRedemptionBeforeTheRestartIsFound) {
  World world;
  world.Credit(1, 100);
  world.Start(ChainOptions());
  world.Run(absl::Seconds(2), false);
  world.chain.StrangerRedeems(world.Calldata(1), 0);
  world.chain.Mine();
  world.driver.reset();
  for (int i = 0; i < 20; ++i) world.chain.Mine();
  PayoutDriver& driver = world.Start(ChainOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  EXPECT_EQ(driver.Status().counters.foreign, 1u);
}

// Found by the simulation (seed 12001155): what had been the newest block was replaced after it was
// searched, and was deep enough to be believed when the next search began.
TEST(PayoutDriverChain, AStrangersRedemptionThatAReorgBringsIsFoundHoweverLate) {
  World world;
  world.Credit(1, 100);
  world.chain.now().unregistered = {TestRecipient(1)};
  PayoutDriverOptions options = ChainOptions();
  options.retry_after = absl::Seconds(100);  // and so the next search
  options.logs_range = 1000;
  PayoutDriver& driver = world.Start(options);
  uint64_t searched = 0;
  for (int i = 0; i < 200 && world.chain.calls("eth_getLogs") == 0; ++i) {
    searched = world.chain.height();
    world.Run(absl::Seconds(1));
  }
  world.chain.now().unregistered.clear();
  world.chain.StrangerRedeems(world.Calldata(1), 0);
  world.chain.Reorg(world.chain.height() + 1 - searched);
  ASSERT_EQ(world.Paid(1), 100);
  ASSERT_TRUE(world.Settle(absl::Minutes(15)));
  EXPECT_EQ(driver.Status().counters.foreign, 1u);
  EXPECT_EQ(driver.Status().counters.reorged, 0u) << "our own attempt stayed where it was";
}

TEST(PayoutDriverChain, StuckGoesOutAgainThenWithHigherFees) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(2), false);
  world.chain.base_fee = 230;  // the fee is 2 * 100 + 1
  world.Run(absl::Seconds(35));
  EXPECT_EQ(driver.Status().counters.resent, 1u);
  EXPECT_EQ(driver.Status().counters.bumped, 0u);
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  EXPECT_EQ(driver.Status().counters.bumped, 1u);
  EXPECT_EQ(world.Payout(1).attempts.size(), 2u);
  EXPECT_EQ(world.Payout(1).attempts[0].nonce, world.Payout(1).attempts[1].nonce);
}

TEST(PayoutDriverChain, TheFirstAttemptMayStillBeTheOneThatIsMined) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(50), false);
  ASSERT_EQ(driver.Status().counters.bumped, 1u);
  const std::string first = world.Payout(1).attempts[0].raw_tx;
  world.chain.DropPool();
  Json::Value params(Json::arrayValue);
  params.append(ethereum::ToHex(first));
  world.chain.Call("eth_sendRawTransaction", params, [](absl::StatusOr<RpcAnswer> answer) {
    ASSERT_TRUE(answer.ok() && !answer->refused);
  });
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  EXPECT_TRUE(world.Payout(1).attempts[0].mined.has_value());
}

TEST(PayoutDriverChain, SaysWhenTheFeeCeilingIsReached) {
  World world;
  world.Credit(1, 100);
  PayoutDriverOptions options = ChainOptions();
  options.fees.max_fee_ceiling = 240;
  PayoutDriver& driver = world.Start(options);
  world.Run(absl::Seconds(2), false);
  world.chain.base_fee = 500;
  world.Run(absl::Minutes(5));
  EXPECT_EQ(driver.Status().at_fee_ceiling, 1u);
  EXPECT_TRUE(world.Noted("fee ceiling"));
  EXPECT_LE(world.Payout(1).attempts.size(), 2u);
  world.chain.base_fee = 50;
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.Run(absl::Seconds(3));
  EXPECT_EQ(driver.Status().at_fee_ceiling, 0u);
}

TEST(PayoutDriverChain, WaitsForGasMoney) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Milliseconds(1), false);
  absl::uint128& balance = world.chain.now().balances[world.enclave.address()];
  balance = 1;
  world.chain.DropPool();
  world.Run(absl::Seconds(40));
  world.Credit(2, 100);
  driver.RunNow();
  world.Run(absl::Seconds(20));
  EXPECT_TRUE(world.Halted("insufficient_funds"));
  EXPECT_EQ(world.Paid(1), 0);
  balance = 1'000'000'000'000;
  world.Run(absl::Minutes(3));
  EXPECT_EQ(world.Paid(1), 100);
  EXPECT_EQ(world.Paid(2), 100);
  EXPECT_FALSE(world.Halted("insufficient_funds"));
}

TEST(PayoutDriverChain, AReorgOpensAgainAndTheSameBytesGoOut) {
  World world;
  for (uint64_t i = 0; i < 25; ++i) world.Credit(i, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  const std::vector<std::string> sent = world.chain.sent;
  world.chain.Reorg(100);
  EXPECT_EQ(world.Paid(1), 0);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(driver.Status().counters.reorged, 3u);
  EXPECT_EQ(world.Paid(1), 100);
  ASSERT_EQ(world.chain.sent.size(), 2 * sent.size());
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), world.chain.sent.begin() + 3));
  EXPECT_EQ(Open(world), 0u);
}

// A receipt of a hundred tickets has some hundred KB. The blocks that they are in tell as much.
TEST(PayoutDriverChain, ReportedReceiptsAreNotReadAgainWhileTheirBlocksStay) {
  World world;
  for (uint64_t i = 0; i < 25; ++i) world.Credit(i, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.Run(absl::Seconds(2));
  ASSERT_EQ(driver.Status().watched_receipts, 3u);
  const uint64_t receipts = world.chain.calls("eth_getTransactionReceipt");
  const uint64_t blocks = world.chain.calls("eth_getBlockByNumber");
  world.Run(absl::Seconds(10));
  EXPECT_EQ(world.chain.calls("eth_getTransactionReceipt"), receipts);
  EXPECT_GE(world.chain.calls("eth_getBlockByNumber"), blocks + 10);
  EXPECT_EQ(driver.Status().counters.reorged, 0u);
  world.chain.Reorg(100);
  world.Run(absl::Seconds(10));
  EXPECT_GT(world.chain.calls("eth_getTransactionReceipt"), receipts);
  EXPECT_EQ(driver.Status().counters.reorged, 3u);
}

TEST(PayoutDriverChain, AReorgIsNoticedAfterARestart) {
  World world;
  world.Credit(1, 100);
  world.Start(ChainOptions());
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.Start(ChainOptions());
  world.Run(absl::Seconds(3));
  world.chain.Reorg(10);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.driver->Status().counters.reorged, 1u);
  EXPECT_EQ(world.Paid(1), 100);
}

TEST(PayoutDriverChain, AReceiptDeeperThanTheWindowIsForgotten) {
  World world;
  world.Credit(1, 100);
  PayoutDriverOptions options = ChainOptions();
  options.reorg_window = 10;
  world.Start(options);
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.Run(absl::Seconds(3));
  EXPECT_EQ(world.driver->Status().watched_receipts, 1u);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(world.driver->Status().watched_receipts, 0u);
}

TEST(PayoutDriverChain, AStrangersRedemptionThatARegorgTookBackIsRedeemedByUs) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(2), false);
  world.chain.StrangerRedeems(world.Calldata(1), 0);
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.chain.Reorg(100);
  EXPECT_EQ(world.Paid(1), 0);
  world.Run(absl::Minutes(2));
  EXPECT_EQ(world.Paid(1), 100);
  EXPECT_EQ(driver.Status().counters.reorged, 2u);  // our reverted one, and the stranger's
  EXPECT_EQ(Open(world), 0u);
}

TEST(PayoutDriverChain, AReceiptWhoseAnswerWasLostIsWatchedToo) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(2));
  ASSERT_EQ(Open(world), 1u);
  world.enclave.lost_report_answers = 1;
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  world.chain.Reorg(100);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(driver.Status().counters.reorged, 1u);
  EXPECT_EQ(world.Paid(1), 100);
}

TEST(PayoutDriverChain, AStrangersRedemptionIsWatchedAfterARestart) {
  World world;
  world.Credit(1, 100);
  world.Start(ChainOptions());
  world.Run(absl::Seconds(2), false);
  world.chain.StrangerRedeems(world.Calldata(1), 0);
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  PayoutDriver& driver = world.Start(ChainOptions());
  world.Run(absl::Seconds(5));
  world.chain.Reorg(100);
  world.Run(absl::Minutes(1));
  EXPECT_EQ(driver.Status().counters.reorged, 2u);
  EXPECT_EQ(world.Paid(1), 100);
}

TEST(PayoutDriverChain, WaitsForTheFinalityThatIsAskedFor) {
  for (const auto finality :
       {PayoutDriverOptions::Finality::kSafe, PayoutDriverOptions::Finality::kFinalized}) {
    World world;
    world.Credit(1, 100);
    PayoutDriverOptions options = ChainOptions();
    options.finality = finality;
    world.Start(options);
    world.Run(absl::Seconds(1), false);
    world.Run(absl::Seconds(4));
    EXPECT_EQ(world.Paid(1), 100);
    EXPECT_EQ(Open(world), 1u);  // mined, and 4 or 8 blocks are wanted on top
    ASSERT_TRUE(world.Settle(absl::Seconds(8)));
    world.Run(absl::Seconds(3));
    const bool finalized = finality == PayoutDriverOptions::Finality::kFinalized;
    EXPECT_EQ(world.driver->Status().watched_receipts, finalized ? 0u : 1u);
  }
}

policy::Policy Voiding(bool allowed) {
  policy::Policy policy = TestPolicy();
  policy.void_on_host_word = allowed;
  return policy;
}

// Signed in round 100, failed, and then the rounds go by.
void LetExpire(World& world, bool void_expired) {
  world.Credit(1, 100);
  world.chain.now().unregistered = {TestRecipient(1)};
  PayoutDriverOptions options = ChainOptions();
  options.void_expired = void_expired;
  options.retry_max = absl::Seconds(40);
  world.Start(options);
  world.Run(absl::Seconds(6));
  world.chain.now().round = 102;
  world.chain.now().unregistered.clear();
  world.Run(absl::Minutes(5));
}

TEST(PayoutDriverChain, ExpiredTicketsAreShownAndNotRetried) {
  World world(Voiding(true));
  LetExpire(world, false);
  EXPECT_EQ(world.driver->Status().expired, 1u);
  EXPECT_TRUE(world.Noted("expired"));
  EXPECT_EQ(Account(world, 1).balances.reserved, 100);
  EXPECT_LE(world.Payout(1).attempts.size(), 2u);
}

TEST(PayoutDriverChain, ExpiredTicketsAreVoidOnlyWhenThePolicySaysSo) {
  World world(Voiding(false));
  LetExpire(world, true);
  EXPECT_EQ(world.driver->Status().expired, 1u);
  EXPECT_EQ(world.driver->Status().counters.voided, 0u);
}

TEST(PayoutDriverChain, VoidTicketsFreeTheirFunds) {
  World world(Voiding(true));
  LetExpire(world, true);
  EXPECT_EQ(world.driver->Status().counters.voided, 1u);
  EXPECT_EQ(world.Payout(1).State(), boundary::v1::PAYOUT_STATE_VOIDED);
  world.driver->RunNow();
  world.Run(absl::Seconds(30));
  EXPECT_EQ(world.Paid(1), 100);
}

TEST(PayoutDriverChain, ARedemptionIsHeldWhileTheBrokerIsPaused) {
  World world;
  world.Credit(1, 100);
  PayoutDriver& driver = world.Start(ChainOptions());
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return Open(world) == 1; }, absl::Seconds(1)));
  world.chain.now().paused = true;
  world.chain.Mine(false);
  world.chain.DropPool();
  driver.RunNow();
  world.Run(absl::Seconds(20));
  EXPECT_EQ(driver.Status().counters.reverted, 0u);
  world.chain.now().paused = false;
  ASSERT_TRUE(world.Settle(absl::Minutes(1)));
  EXPECT_EQ(driver.Status().counters.reverted, 0u);
}

// Everything at once. What must hold whatever happens is checked by the world's end: nobody is paid
// twice, and the books agree with the chain as soon as it has been quiet for a while.
TEST(PayoutDriverChain, AnyMixOfTroublesEndsWithTrueBooks) {
  const uint64_t first = TestSeed();
  std::cout << "COFFER_TEST_SEED=" << first << " (12 runs from it)\n";
  for (uint64_t seed = first; seed < first + 12; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(Voiding(false), seed);
    PayoutDriverOptions options = ChainOptions();
    options.run_interval = absl::Seconds(30);
    options.retry_max = absl::Seconds(20);
    options.fund_below = 1'000'000;
    options.fund_target = 2'000'000;
    world.chain.now().deposit = 20'000;
    world.chain.lost_percent = 5;
    world.enclave.lost_percent = 5;
    world.Start(options);
    runtime::Random& random = world.scheduler.random();
    uint64_t credited = 0;
    for (int second = 0; second < 300; ++second) {
      switch (random.Below(14)) {
        case 0:
        case 1:
        case 2: {
          const uint64_t wei = 1 + random.Below(5000);
          credited += wei;
          world.Credit(random.Below(30), wei);
          break;
        }
        case 3:
          if (!world.chain.sent.empty()) {
            const std::string& raw = world.chain.sent[random.Below(world.chain.sent.size())];
            const std::string data = ethereum::ParseSignedTransaction(raw)->transaction.data;
            if (data.size() > 4) world.chain.StrangerRedeems(data, 0);
          }
          break;
        case 4:
          world.chain.Reorg(1 + random.Below(5));
          break;
        case 5:
          world.chain.DropPool();
          break;
        case 6:
          world.chain.base_fee = 50 + random.Below(400);
          break;
        case 7:
          world.chain.now().unregistered = {TestRecipient(random.Below(30))};
          break;
        case 8:
          world.chain.now().paused = random.Below(3) == 0;
          break;
        case 9:
          if (random.Below(4) == 0) world.Start(options);
          break;
        case 10:
          world.enclave.SetReady(random.Below(3) != 0);
          break;
        default:
          break;
      }
      world.Run(absl::Seconds(1), random.Below(4) != 0);
    }
    world.chain.lost_percent = world.enclave.lost_percent = 0;
    world.chain.base_fee = 50;
    world.chain.now().unregistered.clear();
    world.chain.now().paused = false;
    world.enclave.SetReady(true);
    world.Run(absl::Minutes(10));
    EXPECT_EQ(Open(world), 0u);
    absl::uint128 paid = 0;
    for (const uint64_t index : world.accounts) paid += world.Paid(index);
    EXPECT_EQ(paid, credited);
  }
}

}  // namespace
}  // namespace coffer::host
