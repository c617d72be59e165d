// The actor that asks KMS, on the attestor's thread: its calls block, and each of them takes an
// attestation document. It keeps nothing; credentials end with the order that brought them (I8).
#ifndef COFFER_ACTORS_ENCLAVE_KMS_ACTOR_H_
#define COFFER_ACTORS_ENCLAVE_KMS_ACTOR_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "actors/enclave/messages.h"
#include "enclave_core/attestation/attester.h"
#include "enclave_core/kms/client.h"

namespace coffer::enclave {

// A client with these credentials; `proxy_port` is that of the parent's vsock proxy. Called on the
// thread whose calls block.
using NewKmsClient = std::function<absl::StatusOr<std::unique_ptr<kms::Client>>(
    kms::Credentials credentials, uint32_t proxy_port)>;

// Where keys come from.
struct KeySource {
  NewKmsClient new_client;   // empty: there is no KMS
  bool allow_debug = false;  // keys for an enclave whose host can look into it
};

// Accepts: OpenKeysOrder, StateKeyOrder, SigningKeyOrder. Sends to the authority: KeysOpened,
// StateKeyMade, SigningKeyMade.
class KmsActor : public runtime::Actor<KmsMessage> {
 public:
  // The attester and the mailbox outlive the actor.
  KmsActor(KeySource source, attestation::Attester* attester, AuthorityMailbox* authority)
      : source_(std::move(source)), attester_(attester), authority_(authority) {}

  void Receive(KmsMessage message) override;

 private:
  absl::StatusOr<provisioning::Provisioned> Open(OpenKeysOrder* order);
  absl::StatusOr<provisioning::MadeStateKey> Make(StateKeyOrder* order);
  absl::StatusOr<provisioning::MadeSigningKey> Make(SigningKeyOrder* order);
  absl::StatusOr<std::unique_ptr<kms::Client>> NewClient(const boundary::v1::AwsCredentials& aws);
  absl::Status RefuseDebug();

  const KeySource source_;
  attestation::Attester* const attester_;
  AuthorityMailbox* const authority_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_KMS_ACTOR_H_
