// The KMS client's way out: vsock to the parent's vsock-proxy, or tcp or unix where there is none.
// TLS ends in the client (enclave_core/kms/tls.h), so whoever listens there is not trusted.
#ifndef COFFER_ACTORS_ENCLAVE_KMS_CHANNEL_H_
#define COFFER_ACTORS_ENCLAVE_KMS_CHANNEL_H_

#include "absl/time/time.h"
#include "enclave_core/attestation/attester.h"
#include "enclave_core/kms/remote_client.h"
#include "runtime/endpoint.h"

namespace coffer::enclave {

// A call of KMS takes well below a second; this is for a host under load.
inline constexpr absl::Duration kKmsBudget = absl::Seconds(20);

// The machine's clock and randomness, and connections to `endpoint` of `budget` each
// (runtime/os_channel.h). They block: for a thread that may.
kms::RemotePorts KmsPorts(const runtime::Endpoint& endpoint, attestation::Attester* attester,
                          absl::Duration budget = kKmsBudget);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_KMS_CHANNEL_H_
