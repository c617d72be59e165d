// An account as bytes, in snapshots:
//
//   len(id) (1) || id || recipient (20) || available, reserved, credited, adjusted_up,
//   adjusted_down, paid, each as its length (1) and its bytes, big-endian without leading zeros
#ifndef COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_
#define COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "enclave_core/ledger/ledger.h"

namespace coffer::ledger {

inline constexpr size_t kMaxAccountLineBytes = 1 + Ledger::kMaxIdBytes + 20 + 6 * 17;

// With `balances` instead of the account's own, which may have changed since.
void AppendAccountLine(const Account& account, const Balances& balances, std::string* out);

// Opens the accounts of `lines`, which are lines and nothing else, in `ledger`. DataLoss when the
// last one is cut off or a length is none; that sums are right is the ledger's to check.
absl::Status RestoreAccountLines(std::string_view lines, Ledger* ledger);

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_
