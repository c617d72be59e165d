// A verification as an EAT Attestation Result (EAR), for programs: the claims of draft-fv-rats-ear,
// now draft-ietf-rats-ear, in JSON, unsigned (whoever runs the verifier trusts its output already),
// with the trustworthiness vector of draft-ietf-rats-ar4si. docs/verify.md explains each claim.
#ifndef COFFER_TOOLS_ATTEST_EAR_H_
#define COFFER_TOOLS_ATTEST_EAR_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "enclave_core/attestation/verify.h"

namespace coffer::tools {

// Names of AR4SI's values that are used: the least of a tier, or one with a meaning of its own.
enum class Trust : int {
  kNone = 0,       // no claim
  kAffirming = 2,  // known and approved
  kWarning = 32,   // known, with weaknesses
  kContraindicated = 96,
  kUnrecognized = 97,  // hardware, instance-identity: not known
  kCryptoFailed = 99,  // the evidence's cryptography does not hold
};

// {"verified", "eat_profile", "iat", "ear.verifier-id", "submods": {"nitro-enclave": {...}}}
nlohmann::ordered_json EarJson(const attestation::Verification& found,
                               const attestation::Expectations& expected, absl::Time now);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_EAR_H_
