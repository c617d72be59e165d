// Verifies a transparency log as somebody does who believes nobody: every check is made that can be
// made, and each is reported by its name (docs/transparency.md, "Verifying it").
#ifndef COFFER_TOOLS_VERIFY_LOG_H_
#define COFFER_TOOLS_VERIFY_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/ethereum/types.h"
#include "tools/attest/attested_log.h"
#include "tools/ledger_rules.h"
#include "tools/log_source.h"
#include "tools/log_trust.h"
#include "tools/verify_report.h"

namespace coffer::tools {

// What somebody says that an account has, in wei; what is absent was not said.
struct Claim {
  std::string account;
  std::optional<absl::uint128> available = {}, reserved = {}, paid = {};
  std::optional<absl::uint128> owed = {};  // available and reserved
};

// A head that a contract on a chain has accepted.
struct AnchoredHead {
  uint64_t size = 0;  // 0: none yet
  audit::Hash root;
  bool equivocated = false;  // it was shown two signed roots for one size
};

struct VerifyLogOptions {
  TrustOptions trust;
  std::optional<ethereum::Address> address;  // of the signing key
  bool full = false;                         // read every leaf
  // The source is somebody's copy, which may be older than what was seen, and not the log itself.
  bool copy = false;
  unsigned threads = 2;
  std::optional<Claim> account;  // to be shown, and compared if it claims something
  // Claims for all accounts there are. May be empty. Asked before the checkpoint is read.
  std::function<absl::StatusOr<std::vector<Claim>>()> claims;
  // May be empty. Asked before the checkpoint is read.
  std::function<absl::StatusOr<AnchoredHead>()> registry;
  AttestedLog attested;
  std::function<void(uint64_t done, uint64_t total)> on_progress;  // of --full
};

struct LogVerdict {
  Report report;
  std::optional<audit::Checkpoint> head;
  std::string key;  // the verifier key that signed it; empty when none did
  // After a full read.
  std::unique_ptr<LedgerRules> ledger;
};

// The names of its checks, in this order: checkpoint, signature, address, witnesses, root,
// consistency, tiles, leaves, recipients, balances, payouts, events, claims, registry, attestation,
// state. Remembers the head in the state file if, and only if, no check failed or is unknown.
LogVerdict VerifyLog(LogSource& source, const VerifyLogOptions& options);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFY_LOG_H_
