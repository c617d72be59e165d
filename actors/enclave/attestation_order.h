// An answer to get_attestation, ordered from the attestor.
#ifndef COFFER_ACTORS_ENCLAVE_ATTESTATION_ORDER_H_
#define COFFER_ACTORS_ENCLAVE_ATTESTATION_ORDER_H_

#include "actors/enclave/messages.h"

namespace coffer::enclave {

attestation::Profile ProfileOf(boundary::v1::Profile profile);

// With an order for a document that claims this; without one, and without a document, where `kind`
// says that there are none; or a refusal (ERROR_MALFORMED).
Answer OrderAttestation(const Request& request, boundary::v1::AttestationKind kind,
                        const attestation::UserData& claims);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_ATTESTATION_ORDER_H_
