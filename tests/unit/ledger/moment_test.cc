#include "enclave_core/ledger/moment.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace coffer::ledger {
namespace {

class MomentTest : public testing::Test {
 protected:
  // All that changes is noted first.
  void Change(uint64_t index) {
    moment_.Note(index, now_[index]);
    now_[index] = random_();
  }

  const uint64_t seed_ = std::random_device()();
  std::mt19937_64 random_{seed_};
  std::vector<uint64_t> now_;
  Moment<uint64_t> moment_;
};

TEST_F(MomentTest, IsWhatWasWhateverChangesAndGrows) {
  SCOPED_TRACE(seed_);
  now_.resize(20'000 + random_() % 5'000);  // several tables
  for (int round = 0; round < 3; ++round) {
    for (uint64_t& value : now_) value = random_();
    const std::vector<uint64_t> then = now_;
    moment_.Begin(then.size());
    for (uint64_t i = 0; i < then.size(); ++i) {
      for (int changes = 0; changes < 3; ++changes) Change(random_() % now_.size());
      now_.push_back(random_());
      ASSERT_EQ(moment_.At(i, now_[i]), then[i]) << i;
      const uint64_t ahead = i + random_() % (then.size() - i);
      ASSERT_EQ(moment_.At(ahead, now_[ahead]), then[ahead]) << ahead;
      if (random_() % 8 == 0 || i % 4096 > 4094) moment_.Forget(i + 1);
    }
  }
}

TEST_F(MomentTest, WithoutOneNothingIsKept) {
  now_.resize(10);
  Change(3);
  moment_.Begin(10);
  const uint64_t then = now_[3];
  Change(3);
  EXPECT_EQ(moment_.At(3, now_[3]), then);
  moment_.End();
  Change(3);
  moment_.Begin(10);
  EXPECT_EQ(moment_.At(3, now_[3]), now_[3]) << "of this moment, not of the one before";
}

using MomentDeathTest = MomentTest;

TEST_F(MomentDeathTest, WhatWasForgottenOrNeverThere) {
  moment_.Begin(10);
  moment_.Forget(4);
  EXPECT_DEATH(moment_.At(3, 0), "another moment");
  EXPECT_DEATH(moment_.At(10, 0), "another moment");
}

}  // namespace
}  // namespace coffer::ledger
