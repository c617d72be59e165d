// The authority's actor: takes requests in order, runs them on the pure state, and passes the
// events and the answers on to the sealer. It answers nothing itself, so that nothing is said
// before it is durable (I5).
#ifndef COFFER_ACTORS_ENCLAVE_AUTHORITY_ACTOR_H_
#define COFFER_ACTORS_ENCLAVE_AUTHORITY_ACTOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/enclave/messages.h"
#include "actors/enclave/provisioner.h"
#include "actors/enclave/signer_pool.h"
#include "actors/enclave/state_loader.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/sealing/vault.h"
#include "runtime/dispatcher.h"

namespace coffer::enclave {

struct AuthorityOptions {
  std::string version;
  boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY;
  policy::Policy policy;
  // No storage: the state is founded at once, lives in memory, and is taken out and in as a blob.
  bool without_storage = false;
  // The enclave's clock, in milliseconds since 1970. Only the velocity limits look at it; leaves
  // of the transparency log say it as a claim.
  std::function<uint64_t()> clock;
  bool accept_policy_change = false;
  bool allow_reprovision = false;
  // Where attestation documents come from; NONE: the answer to who asks for one has none.
  boundary::v1::AttestationKind attestation = boundary::v1::ATTESTATION_KIND_NONE;
  std::string fingerprint_key;  // 32 random bytes, used only when a new state is founded
  // A snapshot is taken when the records since the last one outweigh both this and that snapshot,
  // so that its cost, spread over the changes, does not grow with the state.
  size_t min_snapshot_interval_bytes = 16u << 20;
  // Heads of the transparency log that nobody asked for are signed no oftener than this.
  absl::Duration head_interval = absl::Milliseconds(200);
};

// The signing keys that the signers have.
struct HeldKeys {
  std::vector<ethereum::Address> addresses;  // oldest first, at least one
  uint32_t oldest_epoch = 0;                 // as the host says
};

// What the next keys are made with. Without a tag key there are none: the state key is derived from
// the signing key.
struct StateKeyring {
  ethereum::SecretBytes tag_key;  // of the newest signing key,
  provisioning::Voucher voucher;  // which is this one
  std::string key_id;             // KMS's, for state keys
  // What the newest signing key is encrypted with: KMS's key, and the context.
  std::string signing_key_id;
  kms::EncryptionContext signing_context;
};

// Whom the authority speaks to; all outlive it.
struct AuthorityPorts {
  runtime::Dispatcher* dispatcher = nullptr;
  SignerPool* signers = nullptr;
  SealerMailbox* sealer = nullptr;
  KmsMailbox* kms = nullptr;
  Provisioner* provisioner = nullptr;  // null: no KMS is configured
};

// Accepts: Request and SessionClosed from the gateway, SignDone from the signers, StateKeyMade,
// SigningKeyMade and, for another key, KeysOpened from KMS; SnapshotWanted and SnapshotOver from
// the sealer. Sends: SignRequest and SigningKeys to the signers; Work,
// SnapshotWork, SnapshotPartWork, StateLoaded, AttachRequest to the sealer; StateKeyOrder and
// SigningKeyOrder to KMS.
class AuthorityActor : public runtime::Actor<AuthorityMessage> {
 public:
  // `opener` opens stored records; it must outlive the actor.
  AuthorityActor(AuthorityOptions options, HeldKeys held, audit::LogKeys log_keys,
                 StateKeyring keyring, sealing::Vault* opener, const AuthorityPorts& ports);

  void Receive(AuthorityMessage message) override;
  void EndOfBatch() override;

  // For invariant checks of tests and simulations; null while nothing is loaded.
  const authority::Authority* state() const { return authority_.get(); }

 private:
  using ServerFrame = boundary::v1::ServerFrame;
  using Batch = sealed::v1::Batch;

  void Handle(Request request);
  void Handle(SignDone done);
  void Handle(const SessionClosed& closed);
  void Handle(KeysOpened opened);
  void Handle(StateKeyMade made);
  void Handle(SigningKeyMade made);
  void Handle(const SnapshotWanted& wanted);
  void Handle(const SnapshotOver& over);

  // ---- keys.cc: another signing key, and the next state key
  void HandleProvision(Request request);
  absl::Status RefuseKey() const;
  void RotateStateKey(Request request);
  absl::Status CheckRotation(const boundary::v1::RotateStateKey& request) const;
  absl::Status Adopt(uint32_t epoch);
  // ---- signing_keys.cc: the next signing key, while the one before drains
  const ethereum::Address& address() const;
  void RotateSigningKey(Request request);
  absl::Status CheckSigningRotation(const boundary::v1::RotateSigningKey& request) const;
  absl::Status CheckKeysFromKms() const;
  absl::Status HandleSigningKey(const boundary::v1::ClientFrame& frame, ServerFrame* answer,
                                Batch* batch);
  absl::Status AdoptSigningKey(std::string_view bytes, Batch* batch);
  absl::Status RetireSigningKey(std::string_view bytes, Batch* batch);
  absl::Status TakePendingSigningKey();
  // Once a state is loaded: which of the keys it signs with, and the log's own keys.
  absl::Status SortKeys(const authority::Authority& state);
  void FillWaitingKey(boundary::v1::Status* status) const;
  // ---- attestation.cc: documents, ordered from the attestor
  void HandleAttestation(const Request& request);
  absl::Status CheckAttestation(const boundary::v1::GetAttestation& request) const;
  attestation::UserData Claims() const;
  // Each fills the answer or returns the refusal.
  absl::Status HandleSigning(const Request& request, Batch* batch, bool* answered_later);
  absl::Status ExportState(boundary::v1::StateBlob* answer);
  absl::Status ImportState(const boundary::v1::ImportState& request, boundary::v1::Status* answer);
  absl::Status HandleState(const Request& request, ServerFrame* answer);
  absl::Status HandleSealing(const boundary::v1::ClientFrame& frame, ServerFrame* answer);
  absl::Status HandleReady(const Request& request, ServerFrame* answer, Batch* batch,
                           bool* answered_later);
  absl::Status ConfirmPayout(const boundary::v1::ConfirmPayout& request,
                             boundary::v1::PayoutConfirmed* answer, Batch* batch);
  absl::Status ChangePolicy(const boundary::v1::ChangePolicy& request,
                            boundary::v1::PolicyState* answer, Batch* batch);
  absl::Status LoadBegin(const Request& request, ServerFrame* answer);
  absl::Status LoadRecord(const Request& request, ServerFrame* answer);
  absl::Status LoadEnd(const Request& request);  // answers itself when it succeeds
  void FillStatus(boundary::v1::Status* status) const;
  void SetTime(authority::Authority* state) const;
  // ---- audit.cc: heads and entries of the transparency log, signed
  void SignHeadWhenDue();
  void SignHead(boundary::v1::AuditCheckpoint* answer) const;
  void SignStatement(uint64_t chain_id, std::string_view registry,
                     boundary::v1::AuditCheckpoint* answer) const;
  absl::Status GetCheckpoint(const boundary::v1::GetCheckpoint& request,
                             boundary::v1::AuditCheckpoint* answer) const;
  void SignEntries(google::protobuf::RepeatedPtrField<boundary::v1::AuditEntry>* entries) const;
  void Pass(const Batch& batch, ReplyTo reply, std::unique_ptr<ServerFrame> answer);
  void AnswerNow(ReplyTo reply, std::unique_ptr<ServerFrame> answer);
  std::unique_ptr<authority::Authority> NewState(Batch* batch) const;
  SnapshotWork BeginSnapshot();

  // A state key that the host was given and has not said to have stored.
  struct PendingKey {
    provisioning::MadeStateKey made;
    std::string asked_key_id;
  };

  const AuthorityOptions options_;
  HeldKeys held_;
  std::optional<ethereum::Address> waiting_;  // held, and the state does not know it
  audit::LogKeys log_keys_;
  StateKeyring keyring_;
  sealing::Vault* const opener_;
  runtime::Dispatcher* const dispatcher_;
  SignerPool* const signers_;
  SealerMailbox* const sealer_;
  KmsMailbox* const kms_;
  Provisioner* const provisioner_;

  std::unique_ptr<authority::Authority> authority_;
  std::unique_ptr<StateLoader> loader_;
  SessionId loading_session_ = 0;
  uint64_t signatures_ = 0;
  size_t bytes_since_snapshot_ = 0;
  size_t last_snapshot_bytes_ = 0;
  size_t snapshot_bytes_ = 0;     // of the one under way, so far
  uint64_t snapshot_number_ = 0;  // of the last one that was begun
  bool snapshot_under_way_ = false;
  bool snapshot_due_ = false;  // whatever the records weigh: they are under an older state key
  bool newer_key_ = false;     // a state key came into use in this run, with the load or after it
  bool rotating_ = false;      // KMS is asked for one
  std::string asked_key_id_;   // with which
  std::optional<PendingKey> pending_key_;
  // A signing key that the host was given and has not said to have stored.
  std::optional<provisioning::MadeSigningKey> pending_signing_key_;
  // Sealed under from the next snapshot on, which is due.
  std::optional<sealing::StateKey> adopt_with_snapshot_;
  size_t tree_bytes_ = 0;   // of the newest tree that this run of the mailbox passed on
  uint64_t head_size_ = 0;  // leaves under the last head that was signed unasked
  absl::Time head_time_ = absl::InfinitePast();
  std::unique_ptr<runtime::Timer> head_timer_;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_AUTHORITY_ACTOR_H_
