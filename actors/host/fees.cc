#include "actors/host/fees.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"

namespace coffer::host {
namespace {

using absl::uint128;

// 2^112 wei a gas is 5 * 10^15 ether: nonsense. Times 1000, or bumped, it still fits 128 bits.
constexpr uint128 kAbsurd = uint128(1) << 112;
constexpr uint32_t kMaxBaseFeePercent = 1000;

// One field's next value under its ceiling; nothing when the ceiling leaves less than 10%.
std::optional<uint128> BumpField(uint128 value, uint128 ceiling) {
  if (value >= kAbsurd) return std::nullopt;
  // A chain that takes no tip (Arbitrum), and an operator who allows none: there is nothing to
  // raise.
  if (value == 0 && ceiling == 0) return value;
  const uint128 wanted = value + std::max<uint128>((value + 7) / 8, 1);  // 12.5%, rounded up
  if (wanted > ceiling) return std::nullopt;
  return wanted;
}

}  // namespace

absl::StatusOr<Fees> ChooseFees(uint128 base_fee, uint128 tip, const FeeLimits& limits) {
  if (limits.base_fee_percent < 100 || limits.base_fee_percent > kMaxBaseFeePercent) {
    return absl::InvalidArgumentError("the percentage of the base fee must be 100 to 1000");
  }
  if (base_fee >= kAbsurd || tip >= kAbsurd) {
    return absl::InvalidArgumentError("the node names a fee of 2^112 wei per gas or more");
  }
  if (base_fee > limits.max_fee_ceiling) {
    return absl::FailedPreconditionError(
        "the base fee is above the ceiling of the fee; wait, or raise the ceiling");
  }
  Fees fees;
  fees.max_priority_fee = std::min(tip, limits.max_priority_fee_ceiling);
  const uint128 headroom = (base_fee * limits.base_fee_percent + 99) / 100;
  fees.max_fee = std::min(headroom + fees.max_priority_fee, limits.max_fee_ceiling);
  // EIP-1559: a tip above the whole fee makes the transaction invalid.
  fees.max_priority_fee = std::min(fees.max_priority_fee, fees.max_fee);
  return fees;
}

std::optional<Fees> Bump(const Fees& fees, const FeeLimits& limits) {
  const std::optional<uint128> max_fee = BumpField(fees.max_fee, limits.max_fee_ceiling);
  if (!max_fee) return std::nullopt;
  const std::optional<uint128> tip =
      BumpField(fees.max_priority_fee, std::min(limits.max_priority_fee_ceiling, *max_fee));
  if (!tip) return std::nullopt;
  return Fees{*max_fee, *tip};
}

std::optional<Fees> BumpToMarket(const Fees& fees, uint128 base_fee, uint128 tip,
                                 const FeeLimits& limits) {
  const std::optional<Fees> bumped = Bump(fees, limits);
  const absl::StatusOr<Fees> market = ChooseFees(base_fee, tip, limits);
  if (!bumped || !market.ok()) return std::nullopt;
  return Fees{std::max(bumped->max_fee, market->max_fee),
              std::max(bumped->max_priority_fee, market->max_priority_fee)};
}

}  // namespace coffer::host
