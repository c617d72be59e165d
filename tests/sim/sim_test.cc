#include <gtest/gtest.h>

#include "runtime/os_env.h"
#include "runtime/os_random.h"
#include "tests/sim/simulation.h"

namespace coffer::sim {
namespace {

constexpr uint64_t kRounds = 300;

TEST(SimulationTest, EqualSeedsGiveEqualRuns) {
  const Result a = Simulate(7, kRounds);
  const Result b = Simulate(7, kRounds);
  EXPECT_EQ(a.trace, b.trace);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_GT(a.payouts, 0u);
}

TEST(SimulationTest, RulesHoldForFixedSeeds) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Result result = Simulate(seed, kRounds);
    EXPECT_EQ(result.failure, "") << "seed " << seed << ": " << result.faults;
  }
}

TEST(SimulationTest, RulesHoldForFreshSeeds) {
  uint64_t first = runtime::OsRandom().NextUint64() % 1'000'000'000;
  if (const auto given = runtime::OsEnv("COFFER_TEST_SEED")) first = std::stoull(*given);
  std::printf("COFFER_TEST_SEED=%llu\n", static_cast<unsigned long long>(first));
  for (uint64_t seed = first; seed < first + 20; ++seed) {
    const Result result = Simulate(seed, kRounds);
    EXPECT_EQ(result.failure, "") << "seed " << seed << ": " << result.faults;
  }
}

}  // namespace
}  // namespace coffer::sim
