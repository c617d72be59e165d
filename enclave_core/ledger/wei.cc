#include "enclave_core/ledger/wei.h"

#include <cstdint>

#include "absl/status/status.h"

namespace coffer::ledger {

void ToProto(Wei amount, boundary::v1::Wei* out) {
  out->set_high(absl::Uint128High64(amount));
  out->set_low(absl::Uint128Low64(amount));
}

ethereum::U256 ToU256(Wei amount) {
  return (ethereum::U256(absl::Uint128High64(amount)) << 64) | absl::Uint128Low64(amount);
}

absl::StatusOr<Wei> WeiFromU256(const ethereum::U256& amount) {
  if (amount > ToU256(kMaxWei)) {
    return absl::OutOfRangeError("an amount of 2^127 wei or more is beyond what Coffer keeps");
  }
  return absl::MakeUint128(static_cast<uint64_t>(amount >> 64),
                           static_cast<uint64_t>(amount & UINT64_MAX));
}

std::string ToDecimal(Wei amount) { return ethereum::ToDecimal(ToU256(amount)); }

}  // namespace coffer::ledger
