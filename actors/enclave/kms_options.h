// How this enclave reaches KMS, as options of coffer-enclave.
#ifndef COFFER_ACTORS_ENCLAVE_KMS_OPTIONS_H_
#define COFFER_ACTORS_ENCLAVE_KMS_OPTIONS_H_

#include "absl/status/statusor.h"
#include "actors/enclave/kms_actor.h"
#include "enclave_core/attestation/attester.h"
#include "runtime/config.h"

namespace coffer::enclave {

void AddKmsOptions(runtime::ConfigSpec* spec);

// KMS of the region that a request names: through the parent's vsock proxy where `attester` is a
// Nitro module, else directly. Warns loudly of what is insecure. InvalidArgument names the option.
// `attester` outlives what is made.
absl::StatusOr<KeySource> KeySourceFromOptions(const runtime::Config& config,
                                               attestation::Attester* attester);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_KMS_OPTIONS_H_
