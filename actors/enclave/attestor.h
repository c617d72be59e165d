// The attestor: makes the documents that answers were ordered with. Runs on a thread of its own,
// because the device takes milliseconds for each, and nothing that pays may wait for it.
#ifndef COFFER_ACTORS_ENCLAVE_ATTESTOR_H_
#define COFFER_ACTORS_ENCLAVE_ATTESTOR_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "actors/enclave/messages.h"
#include "enclave_core/attestation/attester.h"
#include "enclave_core/attestation/ephemeral_key.h"

namespace coffer::enclave {

boundary::v1::AttestationKind KindToProto(attestation::Kind kind);

// Accepts: an Answer with an order, from the sealer. Sends to the gateway: Release, with the
// document or with an error.
class Attestor : public runtime::Actor<AttestorMessage> {
 public:
  // Both outlive the actor.
  Attestor(attestation::Attester* attester, GatewayMailbox* gateway)
      : attester_(attester), gateway_(gateway) {}

  void Receive(AttestorMessage message) override;

 private:
  absl::StatusOr<std::string> Document(const AttestationOrder& order);
  // The public half; a pair is made when it is first asked for, and kept as long as the process.
  absl::StatusOr<std::string> PublicKey(boundary::v1::AttestedKey kind);

  attestation::Attester* const attester_;
  GatewayMailbox* const gateway_;
  std::map<boundary::v1::AttestedKey, attestation::EphemeralKey> keys_;
  uint64_t failures_ = 0;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_ATTESTOR_H_
