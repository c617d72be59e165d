#include "actors/host/payout_planner.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {
namespace {

std::vector<boundary::v1::Account> Accounts(const std::vector<uint64_t>& available) {
  std::vector<boundary::v1::Account> accounts;
  for (const uint64_t wei : available) {
    boundary::v1::Account& account = accounts.emplace_back();
    account.set_id(absl::StrCat("a", accounts.size() - 1));
    account.set_recipient(std::string(20, '\x01'));
    ledger::ToProto(wei, account.mutable_available());
  }
  return accounts;
}

// "a0=5 a1=6 | a2=7"
std::string Text(const Plan& plan) {
  std::vector<std::string> batches;
  for (const PlannedBatch& batch : plan.batches) {
    std::vector<std::string> items;
    for (const PlannedItem& item : batch.items) {
      items.push_back(absl::StrCat(item.account, "=", ledger::ToDecimal(item.amount)));
    }
    batches.push_back(absl::StrJoin(items, " "));
  }
  return absl::StrJoin(batches, " | ");
}

struct PlanCase {
  const char* name;
  std::vector<uint64_t> available;
  PlanLimits limits;
  const char* plan;
  uint64_t skipped;
  bool more;
};

class MakePlanTest : public testing::TestWithParam<PlanCase> {};

TEST_P(MakePlanTest, Plans) {
  const Plan plan = MakePlan(Accounts(GetParam().available), GetParam().limits);
  EXPECT_EQ(Text(plan), GetParam().plan);
  EXPECT_EQ(plan.skipped, GetParam().skipped);
  EXPECT_EQ(plan.more, GetParam().more);
  absl::uint128 total = 0;
  for (const PlannedBatch& batch : plan.batches) {
    EXPECT_LE(batch.total, GetParam().limits.max_batch_total);
    total += batch.total;
  }
  EXPECT_EQ(total, plan.total);
}

// face, batch, items, batches, room, cost per batch
INSTANTIATE_TEST_SUITE_P(
    All, MakePlanTest,
    testing::Values(
        PlanCase{"nobody", {}, {100, 300, 3, 8, 1000, 0}, "", 0, false},
        PlanCase{"one", {5}, {100, 300, 3, 8, 1000, 0}, "a0=5", 0, false},
        PlanCase{"face", {500}, {100, 300, 3, 8, 1000, 0}, "a0=100", 0, false},
        PlanCase{
            "items", {1, 2, 3, 4}, {100, 300, 3, 8, 1000, 0}, "a0=1 a1=2 a2=3 | a3=4", 0, false},
        PlanCase{"total", {90, 90, 90}, {100, 180, 3, 8, 1000, 0}, "a0=90 a1=90 | a2=90", 0, false},
        PlanCase{"face_above_total", {90}, {100, 50, 3, 8, 1000, 0}, "a0=50", 0, false},
        PlanCase{"batches", {1, 2, 3}, {100, 300, 1, 2, 1000, 0}, "a0=1 | a1=2", 0, true},
        PlanCase{"no_slot", {1}, {100, 300, 1, 0, 1000, 0}, "", 0, true},
        PlanCase{"exact_room", {60, 40}, {100, 300, 3, 8, 100, 0}, "a0=60 a1=40", 0, false},
        PlanCase{"room", {60, 41, 40}, {100, 300, 3, 8, 100, 0}, "a0=60 a2=40", 1, false},
        PlanCase{"no_room", {60}, {100, 300, 3, 8, 0, 0}, "", 1, false},
        PlanCase{"cost", {60, 30}, {100, 300, 1, 8, 109, 10}, "a0=60", 1, false},
        PlanCase{
            "cost_once_a_batch", {60, 30}, {100, 300, 2, 8, 100, 10}, "a0=60 a1=30", 0, false}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(MakePlan, LeavesTheNullAddressOut) {
  std::vector<boundary::v1::Account> accounts = Accounts({5, 6});
  accounts[0].set_recipient(std::string(20, '\0'));
  EXPECT_EQ(Text(MakePlan(accounts, {100, 300, 3, 8, 1000, 0})), "a1=6");
}

TEST(GasLimits, FollowTheRuleThatCoversEveryMeasuredBatch) {
  PayoutDriverOptions options;
  EXPECT_EQ(TicketGasLimit(1, options), 375'000u);
  EXPECT_EQ(TicketGasLimit(10, options), 2'850'000u);
  EXPECT_EQ(TicketGasLimit(100, options), 27'600'000u);
  // The least limits at which everybody was paid, as measured with the deployed contracts.
  EXPECT_GE(TicketGasLimit(1, options), 342'681u);
  EXPECT_GE(TicketGasLimit(2, options), 584'908u);
  EXPECT_GE(TicketGasLimit(10, options), 2'529'872u);
  options.gas_margin_percent = 120;
  options.gas_extra = 50'000;
  EXPECT_EQ(TicketGasLimit(1, options), 500'000u);
  EXPECT_EQ(TicketsWithin(499'999, options), 0u);
  EXPECT_EQ(TicketsWithin(500'000, options), 1u);
  EXPECT_EQ(TicketsWithin(UINT64_MAX, options), 100u);
  options.max_tickets = 7;
  EXPECT_EQ(TicketsWithin(UINT64_MAX, options), 7u);
}

TEST(GasLimits, OfEstimatesHaveAMarginAndACeiling) {
  PayoutDriverOptions options;
  EXPECT_EQ(EstimatedGasLimit(100'000, 1'000'000, options), 130'000u);
  EXPECT_EQ(EstimatedGasLimit(1, 1'000'000, options), 27'300u);  // never below a transfer's
  EXPECT_EQ(EstimatedGasLimit(100'000, 129'999, options), std::nullopt);
  EXPECT_EQ(EstimatedGasLimit(UINT64_MAX, 1'000'000, options), std::nullopt);
}

}  // namespace
}  // namespace coffer::host
