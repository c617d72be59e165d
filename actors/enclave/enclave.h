// The enclave, assembled: its actors, their mailboxes, and the door. The same under the real loops
// and under the simulator.
#ifndef COFFER_ACTORS_ENCLAVE_ENCLAVE_H_
#define COFFER_ACTORS_ENCLAVE_ENCLAVE_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/enclave/attestor.h"
#include "actors/enclave/authority_actor.h"
#include "actors/enclave/gateway.h"
#include "actors/enclave/kms_actor.h"
#include "actors/enclave/provisioner.h"
#include "actors/enclave/sealer.h"
#include "actors/enclave/signer_pool.h"
#include "actors/enclave/unprovisioned.h"
#include "runtime/dispatcher.h"
#include "runtime/random.h"
#include "runtime/stream.h"

namespace coffer::enclave {

struct EnclaveOptions {
  std::string version;
  boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY;
  policy::Policy policy;         // unrestricted: none was given, so that it may come with the key
  bool without_storage = false;  // AuthorityOptions has the meaning
  bool accept_policy_change = false;
  bool allow_reprovision = false;
  size_t min_snapshot_interval_bytes = 16u << 20;
  // Sent to the storage and not acknowledged: what a record may have to wait for.
  uint32_t snapshot_chunks_in_flight = 2;
  size_t max_sessions = kMaxSessions;
};

// Where attestation documents come from. Without an attester there are none.
struct AttestationPorts {
  attestation::Attester* attester = nullptr;
  runtime::Dispatcher* dispatcher = nullptr;  // its calls block, so it has this one to itself
};

class Enclave {
 public:
  // `main` runs gateway, authority and sealer; `signing` a signer each, at least one (it may be the
  // same). They and what `attesting` names outlive this object.
  //
  // With a key from the start: the development key source. The state key is derived from it.
  Enclave(const EnclaveOptions& options, ethereum::PrivateKey key, runtime::Random* random,
          runtime::Dispatcher* main, const std::vector<runtime::Dispatcher*>& signing,
          const AttestationPorts& attesting = {});
  // Without one: it waits for provision or generate. `attesting` has an attester, and KMS is asked
  // on its dispatcher.
  Enclave(const EnclaveOptions& options, runtime::Random* random, runtime::Dispatcher* main,
          const std::vector<runtime::Dispatcher*>& signing, const AttestationPorts& attesting,
          KeySource source);
  Enclave(const Enclave&) = delete;
  Enclave& operator=(const Enclave&) = delete;

  absl::Status Listen(runtime::Network* network, const runtime::Endpoint& endpoint);
  const runtime::Endpoint& endpoint() const { return listener_->endpoint(); }
  // Of the key that was given; none while there is none.
  const std::optional<ethereum::Address>& address() const { return address_; }
  // Stops listening, sends what was let go already, closes.
  void Shutdown();
  Gateway& gateway() { return gateway_; }
  // Null while nothing is loaded.
  const authority::Authority* state() const {
    return authority_.actor == nullptr ? nullptr : authority_.actor->state();
  }

 private:
  // An authority's actor and what it opens records with.
  struct Authority {
    std::unique_ptr<sealing::Vault> opener;
    std::unique_ptr<AuthorityActor> actor;
  };

  Enclave(const EnclaveOptions& options, runtime::Random* random, runtime::Dispatcher* main,
          const std::vector<runtime::Dispatcher*>& signing, const AttestationPorts& attesting);
  void Install(provisioning::Keys keys, const policy::Policy& policy);

  const EnclaveOptions options_;
  runtime::Random* const random_;
  runtime::Dispatcher* const main_;
  attestation::Attester* const attester_;
  std::optional<ethereum::Address> address_;
  GatewayMailbox gateway_mailbox_;
  AuthorityMailbox authority_mailbox_;
  SealerMailbox sealer_mailbox_;
  AttestorMailbox attestor_mailbox_;
  KmsMailbox kms_mailbox_;
  Gateway gateway_;
  SignerPool signers_;
  Sealer sealer_;
  std::unique_ptr<Attestor> attestor_;            // null: no attester
  std::unique_ptr<KmsActor> kms_;                 // null: no KMS
  std::unique_ptr<Provisioner> provisioner_;      // likewise
  std::unique_ptr<Unprovisioned> unprovisioned_;  // null: there was a key from the start
  Authority authority_;                           // empty: there is no key
  Authority before_;  // of another key; it may be at work while its successor is installed
  std::unique_ptr<runtime::Listener> listener_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_ENCLAVE_H_
