// Has the authority's mailbox while the enclave has no key. Says what the enclave is, attests that,
// and takes the requests that bring a key; everything else is refused.
#ifndef COFFER_ACTORS_ENCLAVE_UNPROVISIONED_H_
#define COFFER_ACTORS_ENCLAVE_UNPROVISIONED_H_

#include <string>

#include "actors/enclave/messages.h"
#include "actors/enclave/provisioner.h"

namespace coffer::enclave {

// What an enclave says of itself without a key.
struct Introduction {
  std::string version;
  boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY;
  bool without_storage = false;
  boundary::v1::AttestationKind attestation = boundary::v1::ATTESTATION_KIND_NONE;
};

// Accepts: Request, SessionClosed from the gateway; KeysOpened from KMS. Sends: Answer to the
// sealer.
class Unprovisioned : public runtime::Actor<AuthorityMessage> {
 public:
  // Both outlive the actor.
  Unprovisioned(Introduction introduction, Provisioner* provisioner, SealerMailbox* sealer)
      : introduction_(std::move(introduction)), provisioner_(provisioner), sealer_(sealer) {}

  void Receive(AuthorityMessage message) override;

 private:
  void Handle(Request request);
  void Attest(const Request& request);
  void FillStatus(boundary::v1::Status* status) const;
  void AnswerNow(ReplyTo reply, std::unique_ptr<boundary::v1::ServerFrame> answer);

  const Introduction introduction_;
  Provisioner* const provisioner_;
  SealerMailbox* const sealer_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_UNPROVISIONED_H_
