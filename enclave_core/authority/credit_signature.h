// Credits and corrections that a reporter has signed, so that the host cannot make one up.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_

#include "absl/status/status.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "proto/boundary.pb.h"

namespace coffer::authority {

// What the reporter signs with EIP-191: the packed keccak-256 that proto/boundary.proto states at
// Event.signature. The event's shape has been checked: its kind is one of the three, its recipient
// has 20 bytes.
ethereum::Hash CreditDigest(const boundary::v1::Event& event);

// A signature is needed with require_credit_signature, and checked wherever one is given and the
// policy names a reporter. Refused with ERROR_SIGNATURE.
absl::Status CheckCreditSignature(const policy::Policy& policy, const boundary::v1::Event& event);

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_
