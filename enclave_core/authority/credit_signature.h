// Credits and corrections that a reporter has signed, so that the host cannot make one up.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "proto/boundary.pb.h"

namespace coffer::authority {

// What the reporter signs with EIP-191: the packed keccak-256 that proto/ledger.proto states at
// Event.signature. The event's shape has been checked: its kind is one of the three, its recipient
// has 20 bytes.
ethereum::Hash CreditDigest(const boundary::v1::Event& event);

// What the reporter signs with EIP-191 for a whole batch, as proto/ledger.proto states it at
// ApplyEvents.batch_signature: a keccak-256 with a domain of its own over the number of events and
// the SHA-256 of their encodings, one after the other. Injective for whatever a request can hold,
// well-formed or not: every integer has all its bits and every text its length before it. An
// event's own signature is no part of it.
ethereum::Hash CreditBatchDigest(const boundary::v1::ApplyEvents& request);

// Whether the policy's reporter has signed the batch as a whole; false without a batch_signature,
// and while the policy names no reporter whose it could be. Refused with ERROR_SIGNATURE when there
// is one that is not the reporter's over exactly these events in this order.
absl::StatusOr<bool> CheckBatchSignature(const policy::Policy& policy,
                                         const boundary::v1::ApplyEvents& request);

// With require_credit_signature an event needs a signature of its own unless it came in a batch
// that the reporter signed; one that is given is checked wherever the policy names a reporter.
// Refused with ERROR_SIGNATURE.
absl::Status CheckCreditSignature(const policy::Policy& policy, const boundary::v1::Event& event,
                                  bool batch_signed);

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_CREDIT_SIGNATURE_H_
