// An account as bytes, in the ledger root's leaves and in snapshots:
//
//   len(id) (2) || id || recipient (20) || available, reserved, credited, adjusted_up,
//   adjusted_down, paid (16 each), integers big-endian
#ifndef COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_
#define COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "enclave_core/ledger/ledger.h"

namespace coffer::ledger {

inline constexpr size_t kMaxAccountLineBytes = 2 + Ledger::kMaxIdBytes + 20 + 6 * 16;

// With `balances` instead of the account's own, which may have changed since.
void AppendAccountLine(const Account& account, const Balances& balances, std::string* out);

// Opens the accounts of `lines`, which are lines and nothing else, in `ledger`. DataLoss when the
// last one is cut off or an id is empty or too long; that sums are right is the ledger's to check.
absl::Status RestoreAccountLines(std::string_view lines, Ledger* ledger);

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_ACCOUNT_LINE_H_
