// The enclave, assembled: its actors, their mailboxes, and the door. The same under the real loops
// and under the simulator.
#ifndef COFFER_ACTORS_ENCLAVE_ENCLAVE_H_
#define COFFER_ACTORS_ENCLAVE_ENCLAVE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "actors/enclave/attestor.h"
#include "actors/enclave/authority_actor.h"
#include "actors/enclave/gateway.h"
#include "actors/enclave/sealer.h"
#include "actors/enclave/signer.h"
#include "runtime/dispatcher.h"
#include "runtime/random.h"
#include "runtime/stream.h"

namespace coffer::enclave {

struct EnclaveOptions {
  std::string version;
  boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY;
  policy::Policy policy;
  bool without_storage = false;  // AuthorityOptions has the meaning
  bool accept_policy_change = false;
  bool allow_reprovision = false;
  size_t min_snapshot_interval_bytes = 16u << 20;
  size_t max_sessions = kMaxSessions;
};

// Where attestation documents come from. Without an attester there are none.
struct AttestationPorts {
  attestation::Attester* attester = nullptr;
  runtime::Dispatcher* dispatcher = nullptr;  // its calls block, so it has this one to itself
};

class Enclave {
 public:
  // `main` runs gateway, authority and sealer; `signing` the signer (it may be the same). They and
  // what `attesting` names outlive this object. The state key is derived from the signing key: the
  // development key source, until a state key comes from outside.
  Enclave(const EnclaveOptions& options, ethereum::PrivateKey key, runtime::Random* random,
          runtime::Dispatcher* main, runtime::Dispatcher* signing,
          const AttestationPorts& attesting = {});
  Enclave(const Enclave&) = delete;
  Enclave& operator=(const Enclave&) = delete;

  absl::Status Listen(runtime::Network* network, const runtime::Endpoint& endpoint);
  const runtime::Endpoint& endpoint() const { return listener_->endpoint(); }
  const ethereum::Address& address() const { return address_; }
  // Stops listening, sends what was let go already, closes.
  void Shutdown();
  Gateway& gateway() { return *gateway_; }
  const authority::Authority* state() const { return authority_->state(); }

 private:
  const ethereum::Address address_;
  std::unique_ptr<sealing::Vault> opener_;
  GatewayMailbox gateway_mailbox_;
  AuthorityMailbox authority_mailbox_;
  SignerMailbox signer_mailbox_;
  SealerMailbox sealer_mailbox_;
  AttestorMailbox attestor_mailbox_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<AuthorityActor> authority_;
  std::unique_ptr<Signer> signer_;
  std::unique_ptr<Sealer> sealer_;
  std::unique_ptr<Attestor> attestor_;  // null: no attester
  std::unique_ptr<runtime::Listener> listener_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_ENCLAVE_H_
