// Amounts of money: exact integers in wei.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_WEI_H_
#define COFFER_ENCLAVE_CORE_LEDGER_WEI_H_

#include <string>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"

namespace coffer::ledger {

// 1 ether is 10^18 wei. 128 bits hold 3.4 * 10^20 ether, a trillion times the supply.
using Wei = absl::uint128;

// No amount and no sum of amounts that Coffer keeps reaches 2^127, so the sum of two never wraps.
inline constexpr Wei kMaxWei = (Wei(1) << 127) - 1;

void ToProto(Wei amount, boundary::v1::Wei* out);
inline Wei FromProto(const boundary::v1::Wei& wei) {
  return absl::MakeUint128(wei.high(), wei.low());
}

ethereum::U256 ToU256(Wei amount);
// Error (OutOfRange) when above kMaxWei.
absl::StatusOr<Wei> WeiFromU256(const ethereum::U256& amount);

std::string ToDecimal(Wei amount);

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_WEI_H_
