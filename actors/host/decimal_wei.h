// Exact conversion of decimal ETH amounts to wei, without floating point.
#ifndef COFFER_ACTORS_HOST_DECIMAL_WEI_H_
#define COFFER_ACTORS_HOST_DECIMAL_WEI_H_

#include <string_view>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"

namespace coffer::host {

// One ETH is 10^18 wei.
struct SignedWei {
  bool negative = false;        // never with a magnitude of 0
  absl::uint128 magnitude = 0;  // wei, below 2^127: what the boundary's Wei carries

  bool operator==(const SignedWei&) const = default;
};

// `text` is [-]digits[.digits][(e|E)[+|-]digits] of at most 256 bytes: what a JSON number may be
// and what Python's Decimal prints ("0.5", "1E-7", "0E-18", "-2"), leading zeros allowed.
// InvalidArgument: not such a number (NaN, Infinity, spaces, "1." or ".5" among them).
// FailedPrecondition: more than 18 decimals that are not zero; it is an error and never rounded.
// OutOfRange: 2^127 wei or more.
absl::StatusOr<SignedWei> ParseEthToWei(std::string_view text);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_DECIMAL_WEI_H_
