// The fees of an EIP-1559 transaction: chosen from what the chain asks, held under ceilings, bumped
// for a replacement. Pure.
#ifndef COFFER_ACTORS_HOST_FEES_H_
#define COFFER_ACTORS_HOST_FEES_H_

#include <cstdint>
#include <optional>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"

namespace coffer::host {

// All in wei per gas.
struct Fees {
  absl::uint128 max_fee = 0;
  absl::uint128 max_priority_fee = 0;  // never above max_fee
  bool operator==(const Fees&) const = default;
};

// What the operator allows, in wei per gas. The enclave's policy has ceilings of its own; these
// only keep the host from asking for what would be refused.
struct FeeLimits {
  absl::uint128 max_fee_ceiling = 0;
  absl::uint128 max_priority_fee_ceiling = 0;
  // max_fee = base fee * this / 100 + tip. 200 survives about six full blocks in a row, each of
  // which raises the base fee by at most 12.5% (EIP-1559). At least 100.
  uint32_t base_fee_percent = 200;
};

// base_fee: of the latest block; tip: the node's suggestion, 0 on Arbitrum; both wei per gas. The
// result is at most the ceilings. FailedPrecondition when the base fee alone is above the ceiling:
// such a transaction would not be mined, so it is better not signed. InvalidArgument for limits or
// fees that make no sense (2^112 and more).
absl::StatusOr<Fees> ChooseFees(absl::uint128 base_fee, absl::uint128 tip, const FeeLimits& limits);

// A replacement's fees: at least 12.5% more on both fields, rounded up, at least 1 wei more, as the
// enclave demands (proto/boundary.proto, BumpTransaction; nodes want 10%). Nothing when that is
// above a ceiling: the ceiling is reached. A tip of 0 stays 0 when its ceiling is 0 (Arbitrum), and
// grows by 1 wei otherwise.
std::optional<Fees> Bump(const Fees& fees, const FeeLimits& limits);

// Bump, and at least what the chain asks now (ChooseFees): for a transaction that is stuck because
// the base fee rose past it. Nothing either when ChooseFees gives an error.
std::optional<Fees> BumpToMarket(const Fees& fees, absl::uint128 base_fee, absl::uint128 tip,
                                 const FeeLimits& limits);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_FEES_H_
