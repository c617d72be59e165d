#include "actors/host/key_drain.h"

#include <gtest/gtest.h>

namespace coffer::host {
namespace {

using Step = KeyDrain::Step;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(1000);
constexpr uint64_t kGas = 21'000;

// A sweep costs 2,100,000 wei at most.
class KeyDrainTest : public testing::Test {
 protected:
  KeyDrainTest() {
    options_.reorg_readings = 3;
    options_.retry_after = absl::Seconds(10);
    chain_.has_broker = true;
    chain_.round = 100;
    chain_.balance = 1'000'000'000;
  }
  Step Next(absl::Time now = kNow) { return drain_.Next(chain_, fees_, kGas, now); }

  PayoutDriverOptions options_;
  ChainState chain_;
  Fees fees_{100, 0};
  KeyDrain drain_{options_};
};

TEST_F(KeyDrainTest, UnlocksWaitsWithdrawsSweepsAndRetires) {
  chain_.deposit = 5;
  EXPECT_EQ(Next(), Step::kUnlock);
  chain_.withdraw_round = 103;
  EXPECT_EQ(Next(), Step::kAwaitRound);
  chain_.round = 102;
  EXPECT_EQ(Next(), Step::kAwaitRound);
  EXPECT_TRUE(drain_.Waits()) << "for a round, which takes hours";
  chain_.round = 103;
  EXPECT_EQ(Next(), Step::kWithdraw);
  chain_.deposit = chain_.withdraw_round = 0;
  EXPECT_EQ(Next(), Step::kSweep);
  EXPECT_FALSE(drain_.Waits());
  chain_.balance = 0;
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kRetire);
}

TEST_F(KeyDrainTest, AReserveAloneIsWithdrawnToo) {
  chain_.reserve = 1;
  EXPECT_EQ(Next(), Step::kUnlock);
}

TEST_F(KeyDrainTest, ASweepLeavesRoomForHigherFeesAndIsWorthMoreThanItCosts) {
  chain_.balance = 6 * 2'100'000;
  EXPECT_EQ(KeyDrain::SweepAmount(chain_, fees_, kGas), 0);
  EXPECT_EQ(Next(), Step::kMakeSure);
  chain_.balance += 1;
  EXPECT_EQ(KeyDrain::SweepAmount(chain_, fees_, kGas), 3 * 2'100'000 + 1);
  EXPECT_EQ(Next(), Step::kSweep);
}

TEST_F(KeyDrainTest, RetiresOnlyWhenReadingsInARowFindNothing) {
  chain_.balance = 0;
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kMakeSure);
  chain_.deposit = 5;  // the two before came from a node that is late
  EXPECT_EQ(Next(), Step::kUnlock);
  chain_.deposit = 0;
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kMakeSure);
  drain_.Disturbed();
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kRetire);
}

TEST_F(KeyDrainTest, WithoutDrainingFundsAreKeptAndAnEmptyKeyIsRetired) {
  options_.drain_funds = false;
  chain_.deposit = 5;
  EXPECT_EQ(Next(), Step::kKeep);
  chain_.deposit = 0;
  EXPECT_EQ(Next(), Step::kKeep);
  chain_.balance = 0;
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kMakeSure);
  EXPECT_EQ(Next(), Step::kRetire);
}

TEST_F(KeyDrainTest, WhatWasInVainIsTriedLaterAndLater) {
  chain_.deposit = 5;
  chain_.withdraw_round = 100;
  absl::Time now = kNow;
  for (const int64_t seconds : {10, 20, 40}) {
    ASSERT_EQ(Next(now), Step::kWithdraw);
    drain_.Asked(Step::kWithdraw, now);
    now += absl::Seconds(seconds);
    EXPECT_EQ(Next(now - absl::Seconds(1)), Step::kBackOff);
  }
  // Another step does not wait for it.
  chain_.deposit = chain_.withdraw_round = 0;
  EXPECT_EQ(Next(now - absl::Seconds(1)), Step::kSweep);
}

}  // namespace
}  // namespace coffer::host
