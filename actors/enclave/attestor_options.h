// Who makes this enclave's attestation documents, as options of coffer-enclave.
#ifndef COFFER_ACTORS_ENCLAVE_ATTESTOR_OPTIONS_H_
#define COFFER_ACTORS_ENCLAVE_ATTESTOR_OPTIONS_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/attestation/attester.h"
#include "runtime/config.h"

namespace coffer::enclave {

void AddAttestorOptions(runtime::ConfigSpec* spec);

// Null: there is none (--attestor none, or auto and no device). Opens the device or the development
// root, mixes the device's randomness into this process's, and logs what documents will say, loudly
// where they prove nothing. InvalidArgument names the option; other errors say what the device or
// the file would not do. `clock`: the wall clock, for development documents; called on the
// attestor's thread.
absl::StatusOr<std::unique_ptr<attestation::Attester>> AttesterFromOptions(
    const runtime::Config& config, std::function<absl::Time()> clock);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_ATTESTOR_OPTIONS_H_
