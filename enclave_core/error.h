// Refusals: an absl::Status that carries the boundary's stable error code.
#ifndef COFFER_ENCLAVE_CORE_ERROR_H_
#define COFFER_ENCLAVE_CORE_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/boundary.pb.h"

namespace coffer {

// A request that is refused and has changed nothing. `sentence` says what was wrong, where, and
// what to do; it goes to the client as it is, so it never holds a secret (I8).
absl::Status Refuse(boundary::v1::ErrorCode code, absl::string_view sentence);

// The same for ERROR_POLICY: `rule` is the name of the Policy field that refuses (Error.rule).
absl::Status RefuseByRule(absl::string_view rule, absl::string_view sentence);
// The rule that RefuseByRule gave; empty for any other error.
std::string RuleOf(const absl::Status& status);

// The code that Refuse gave, ERROR_INTERNAL for any other error. `status` must not be OK.
boundary::v1::ErrorCode CodeOf(const absl::Status& status);

// The answer's form of a refusal.
void ToProto(const absl::Status& status, boundary::v1::Error* out);

}  // namespace coffer

#endif  // COFFER_ENCLAVE_CORE_ERROR_H_
