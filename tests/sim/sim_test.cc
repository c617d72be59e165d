#include <gtest/gtest.h>

#include "runtime/log.h"
#include "runtime/os_env.h"
#include "runtime/os_random.h"
#include "tests/sim/minimise.h"
#include "tests/sim/simulation.h"

namespace coffer::sim {
namespace {

class SimulationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    runtime::LogOptions log;
    log.level = runtime::Level::kOff;
    runtime::InitLog(log);
  }
  static std::string Seed(uint64_t seed) {
    return "repeat with: coffer_sim --runs 1 --seed " + std::to_string(seed) + "; " +
           Describe(DrawSwarm(seed));
  }
};

TEST_F(SimulationTest, EqualSeedsGiveEqualRuns) {
  std::string lines[2];
  Result results[2];
  for (int i = 0; i < 2; ++i) {
    results[i] =
        Simulate(7, kDefaultActions, [&](const std::string& line) { lines[i] += line + "\n"; });
  }
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_EQ(results[0].trace, results[1].trace);
  EXPECT_EQ(results[0].steps, results[1].steps);
}

TEST_F(SimulationTest, RulesHoldForFixedSeeds) {
  uint64_t payouts = 0, retired_keys = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    const Result result = Simulate(seed);
    EXPECT_EQ(result.failure, "") << Seed(seed);
    payouts += result.payouts;
    retired_keys += result.retired_keys;
  }
  // A simulation in which nothing happens finds nothing.
  EXPECT_GT(payouts, 100u);
  EXPECT_GT(retired_keys, 5u);
}

TEST_F(SimulationTest, RulesHoldForFreshSeeds) {
  uint64_t first = runtime::OsRandom().NextUint64() % 1'000'000'000;
  if (const auto given = runtime::OsEnv("COFFER_TEST_SEED")) first = std::stoull(*given);
  std::printf("COFFER_TEST_SEED=%llu\n", static_cast<unsigned long long>(first));
  for (uint64_t seed = first; seed < first + 25; ++seed) {
    const Result result = Simulate(seed);
    EXPECT_EQ(result.failure, "") << Seed(seed);
  }
}

TEST(MinimiseTest, OnlyWhatIsNeededIsLeft) {
  std::vector<int> plan;
  for (int i = 0; i < 100; ++i) plan.push_back(i);
  size_t runs = 0;
  const auto fails = [&](const std::vector<int>& some) {
    ++runs;
    const auto has = [&](int x) { return std::find(some.begin(), some.end(), x) != some.end(); };
    return has(3) && has(50) && has(97);
  };
  EXPECT_EQ(Minimise<int>(plan, fails), (std::vector<int>{3, 50, 97}));
  EXPECT_LT(runs, 200u);
  // Bounded: what it has by then still fails.
  const std::vector<int> early = Minimise<int>(plan, fails, 5);
  EXPECT_TRUE(fails(early));
  EXPECT_LT(early.size(), plan.size());
}

}  // namespace
}  // namespace coffer::sim
