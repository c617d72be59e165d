// Whether a transparency log's key lives in an enclave: the check "attestation" of the commands
// that verify a log or a receipt.
#ifndef COFFER_TOOLS_ATTEST_ATTESTED_LOG_H_
#define COFFER_TOOLS_ATTEST_ATTESTED_LOG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/audit/note.h"
#include "tools/attest/expectations.h"
#include "tools/attest/report_text.h"

namespace coffer::tools {

struct AttestedLogArguments {
  std::string document;  // a file; empty: not asked for
  ExpectationArguments expectations;
};
// --attestation, and the options of AddExpectationOptions for it.
void AddAttestedLogOptions(CLI::App* command, AttestedLogArguments& arguments);

// A document and what it is held against.
class AttestedLog {
 public:
  // Not asked for: always skipped.
  AttestedLog() = default;
  // InvalidArgument with the option's name, or what keeps a file from being read.
  static absl::StatusOr<AttestedLog> Read(const AttestedLogArguments& arguments, absl::Time now);

  // The check, for the verifier key that signed the log's head; empty: none did.
  Check Judge(const std::string& log_key) const;

 private:
  std::string document_;
  OwnedExpectations expectations_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_ATTESTED_LOG_H_
