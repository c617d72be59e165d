// The checks of a full read: tiles, leaves, the ledger's rules, claimed balances.
#ifndef COFFER_TOOLS_VERIFY_LEDGER_H_
#define COFFER_TOOLS_VERIFY_LEDGER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "tools/ledger_rules.h"
#include "tools/log_source.h"
#include "tools/verify_log.h"
#include "tools/verify_report.h"

namespace coffer::tools {

// Adds the checks tiles, leaves, recipients, balances, payouts, events and claims. Gives the ledger
// as the leaves have it, as far as they could be read. `claims`: what options.claims said.
std::unique_ptr<LedgerRules> CheckLedger(LogSource& source, const audit::Checkpoint& head,
                                         const VerifyLogOptions& options,
                                         const absl::StatusOr<std::vector<Claim>>& claims,
                                         Report& report);
// The same names, each with this outcome.
void AddLedgerChecks(Outcome outcome, const std::string& sentence, Report& report);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFY_LEDGER_H_
