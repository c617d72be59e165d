// Who is paid next, in which transactions, with how much gas. Pure.
#ifndef COFFER_ACTORS_HOST_PAYOUT_PLANNER_H_
#define COFFER_ACTORS_HOST_PAYOUT_PLANNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "actors/host/payout_options.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

// What one redemption of `tickets` tickets may use; the rule is at gas_margin_percent.
uint64_t TicketGasLimit(uint64_t tickets, const PayoutDriverOptions& options);
// The most tickets whose gas fits under `cap`; 0 when not even one does.
uint64_t TicketsWithin(uint64_t cap, const PayoutDriverOptions& options);
// A node's estimate with the margin, at least 21,000; nothing when it is above `cap`.
std::optional<uint64_t> EstimatedGasLimit(uint64_t estimate, uint64_t cap,
                                          const PayoutDriverOptions& options);

struct PlanLimits {
  absl::uint128 max_face_value = 0;   // wei, of the policy
  absl::uint128 max_batch_total = 0;  // wei, of the policy
  uint64_t max_items = 1;             // in one transaction; 1 for transfers
  uint64_t max_batches = 0;           // transactions that may be started now
  // Wei that may still be promised: the deposit less the open tickets, or, for transfers, the
  // balance less what is out and the gas.
  absl::uint128 room = 0;
  // Keeps one transaction's wei out of the room: gas, for transfers, which pay it from the same
  // balance.
  absl::uint128 cost_per_batch = 0;
};

struct PlannedItem {
  std::string account;
  std::string recipient;     // 20 bytes
  absl::uint128 amount = 0;  // wei
};
struct PlannedBatch {
  std::vector<PlannedItem> items;
  absl::uint128 total = 0;  // wei
};
struct Plan {
  std::vector<PlannedBatch> batches;
  absl::uint128 total = 0;
  uint64_t skipped = 0;  // accounts that the room is too small for
  absl::uint128 skipped_wei = 0;
  bool more = false;  // accounts are left that only max_batches kept out
};

// Takes the accounts in their order, each with what it has available, up to the limits of one
// item; one that does not fit the room is passed over, so that a large one holds up nobody.
// Accounts with the null address are left out: no policy pays them.
Plan MakePlan(const std::vector<boundary::v1::Account>& accounts, const PlanLimits& limits);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PAYOUT_PLANNER_H_
