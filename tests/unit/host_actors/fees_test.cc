#include "actors/host/fees.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "runtime/os_random.h"

namespace coffer::host {
namespace {

constexpr uint64_t kGwei = 1'000'000'000;

TEST(Fees, ChoiceTable) {
  struct Row {
    const char* name;
    uint64_t base, tip, ceiling, tip_ceiling;
    uint32_t percent;
    uint64_t max_fee, max_tip;
  };
  const Row rows[] = {
      {"twice the base and the tip", 30 * kGwei, 2 * kGwei, 100 * kGwei, 5 * kGwei, 200, 62 * kGwei,
       2 * kGwei},
      {"the tip under its ceiling", 30 * kGwei, 9 * kGwei, 100 * kGwei, 5 * kGwei, 200, 65 * kGwei,
       5 * kGwei},
      {"the whole under its ceiling", 60 * kGwei, 2 * kGwei, 100 * kGwei, 5 * kGwei, 200,
       100 * kGwei, 2 * kGwei},
      {"the percentage is rounded up", 3, 0, 100, 5, 150, 5, 0},
      {"Arbitrum: no tip", 10'000'000, 0, kGwei, kGwei, 200, 20'000'000, 0},
      {"no base fee", 0, 7, 100, 50, 200, 7, 7},
      {"a tip above the whole is cut", 0, 70, 10, 50, 200, 10, 10},
      {"base fee at the ceiling", 100, 7, 100, 50, 200, 100, 7},
  };
  for (const Row& row : rows) {
    const auto fees =
        ChooseFees(row.base, row.tip, FeeLimits{row.ceiling, row.tip_ceiling, row.percent});
    ASSERT_TRUE(fees.ok()) << row.name << ": " << fees.status();
    EXPECT_EQ(fees->max_fee, row.max_fee) << row.name;
    EXPECT_EQ(fees->max_priority_fee, row.max_tip) << row.name;
  }
}

TEST(Fees, ChoiceRefuses) {
  EXPECT_EQ(ChooseFees(101, 0, {100, 10, 200}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ChooseFees(1, 0, {100, 10, 99}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ChooseFees(1, 0, {100, 10, 1001}).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::uint128 absurd = absl::uint128(1) << 112;
  EXPECT_EQ(ChooseFees(absurd, 0, {absl::Uint128Max(), 1, 200}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ChooseFees(0, absurd, {absl::Uint128Max(), absl::Uint128Max(), 200}).status().code(),
            absl::StatusCode::kInvalidArgument);
  // Just below, with the largest percentage: no overflow.
  const auto large = ChooseFees(absurd - 1, 0, {absl::Uint128Max(), 1, 1000});
  ASSERT_TRUE(large.ok());
  EXPECT_EQ(large->max_fee, (absurd - 1) * 10);
}

TEST(Fees, BumpTable) {
  struct Row {
    const char* name;
    uint64_t fee, tip, ceiling, tip_ceiling;
    bool bumps;
    uint64_t new_fee, new_tip;
  };
  const Row rows[] = {
      {"an eighth more", 800, 80, 10000, 10000, true, 900, 90},
      {"rounded up", 801, 81, 10000, 10000, true, 902, 92},
      {"a tip of nothing grows by one wei", 800, 0, 10000, 10000, true, 900, 1},
      {"one wei", 1, 1, 10000, 10000, true, 2, 2},
      {"the ceiling leaves exactly 12.5%", 1000, 100, 1125, 113, true, 1125, 113},
      {"the fee's ceiling leaves less", 1000, 100, 1124, 1000, false, 0, 0},
      {"the tip's ceiling leaves less", 1000, 100, 2000, 112, false, 0, 0},
      {"no tip is asked for and none is allowed", 1000, 0, 2000, 0, true, 1125, 0},
      {"already above the ceiling", 1000, 100, 900, 1000, false, 0, 0},
      {"the tip is held under the fee", 1000, 1000, 1130, 9999, true, 1125, 1125},
  };
  for (const Row& row : rows) {
    const auto next = Bump({row.fee, row.tip}, {row.ceiling, row.tip_ceiling, 200});
    ASSERT_EQ(next.has_value(), row.bumps) << row.name;
    if (!next) continue;
    EXPECT_EQ(next->max_fee, row.new_fee) << row.name;
    EXPECT_EQ(next->max_priority_fee, row.new_tip) << row.name;
  }
  EXPECT_FALSE(
      Bump({absl::Uint128Max(), 1}, {absl::Uint128Max(), absl::Uint128Max(), 200}).has_value());
}

TEST(Fees, BumpToMarketTakesTheLarger) {
  const FeeLimits limits{1000, 100, 200};
  EXPECT_EQ(BumpToMarket({80, 8}, 10, 1, limits), (Fees{90, 9}));
  EXPECT_EQ(BumpToMarket({80, 8}, 300, 20, limits), (Fees{620, 20}));
  EXPECT_EQ(BumpToMarket({80, 8}, 1001, 20, limits), std::nullopt) << "base fee above the ceiling";
  EXPECT_EQ(BumpToMarket({950, 8}, 10, 1, limits), std::nullopt) << "no room for a bump";
}

// From any start, bumping ends, each step satisfies the nodes' rule, and no ceiling is broken.
TEST(Fees, BumpsEndUnderTheCeiling) {
  const char* fixed = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed = fixed ? std::stoull(fixed) : runtime::OsRandom().NextUint64();
  std::cout << "COFFER_TEST_SEED=" << seed << "\n";
  runtime::SeededRandom random(seed);
  for (int round = 0; round < 200; ++round) {
    const FeeLimits limits{random.Below(kGwei * 500), random.Below(kGwei * 10), 200};
    const absl::uint128 fee = random.Below(kGwei * 100);
    Fees fees{fee, std::min(fee, absl::uint128(random.Below(kGwei)))};
    int steps = 0;
    for (; steps < 1000; ++steps) {
      const auto next = Bump(fees, limits);
      if (!next) break;
      ASSERT_GE(next->max_fee * 8, fees.max_fee * 9);
      ASSERT_GE(next->max_priority_fee * 8, fees.max_priority_fee * 9);
      ASSERT_GT(next->max_fee, fees.max_fee);
      ASSERT_TRUE(next->max_priority_fee > fees.max_priority_fee ||
                  limits.max_priority_fee_ceiling == 0);
      ASSERT_LE(next->max_fee, limits.max_fee_ceiling);
      ASSERT_LE(next->max_priority_fee, limits.max_priority_fee_ceiling);
      ASSERT_LE(next->max_priority_fee, next->max_fee);
      fees = *next;
    }
    ASSERT_LT(steps, 1000);
  }
}

}  // namespace
}  // namespace coffer::host
