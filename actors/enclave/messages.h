// What the enclave's actors say to each other. Work flows one way:
//
//   gateway -> authority -> sealer -> gateway, with authority -> signer -> authority where
//   something is to be signed, authority -> kms -> authority where a key is to be had, and sealer
//   -> attestor -> gateway for an attestation document.
//
// The reply address travels with the work, so that nobody asks back.
#ifndef COFFER_ACTORS_ENCLAVE_MESSAGES_H_
#define COFFER_ACTORS_ENCLAVE_MESSAGES_H_

#include <google/protobuf/arena.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "enclave_core/attestation/user_data.h"
#include "enclave_core/authority/leaf_log.h"
#include "enclave_core/credentials.h"
#include "enclave_core/payouts/signing.h"
#include "enclave_core/provisioning/provisioning.h"
#include "enclave_core/sealing/record.h"
#include "enclave_core/sealing/state_key.h"
#include "enclave_core/signing/request.h"
#include "proto/boundary.pb.h"
#include "runtime/mailbox.h"

namespace coffer::enclave {

using SessionId = uint64_t;  // a connection of this run; from 1, never reused

// Where an answer goes. request_id 0: nobody waits for it. Every request that was admitted is
// answered once, even when its connection has gone: `bytes` is what it then gives back of the
// gateway's bounds. `json`: the id was given by the gateway to a request of the JSON protocol,
// which has none.
struct ReplyTo {
  SessionId session = 0;
  uint64_t request_id = 0;
  bool json = false;
  size_t bytes = 0;
};

// What is to be attested. The authority says what it knows; the sealer adds the sequence number.
struct AttestationOrder {
  attestation::UserData user_data;
  std::string nonce;  // at most 32 bytes
  boundary::v1::AttestedKey public_key = boundary::v1::ATTESTED_KEY_NONE;
};

struct Answer {
  ReplyTo to;
  std::unique_ptr<boundary::v1::ServerFrame> frame;
  // Not null: once this answer may go, it goes by way of the attestor, which puts the document in.
  std::unique_ptr<AttestationOrder> order = nullptr;
};

// Ends a request's arena. Credentials in the frame are wiped first, wherever that is (I8).
struct WipeAndDelete {
  boundary::v1::ClientFrame* frame = nullptr;
  void operator()(google::protobuf::Arena* arena) const {
    WipeCredentials(frame);
    delete arena;
  }
};

// A decoded request. The frame lives in the arena.
struct Request {
  static Request New() {
    auto* const arena = new google::protobuf::Arena;
    auto* const frame = google::protobuf::Arena::CreateMessage<boundary::v1::ClientFrame>(arena);
    return {{}, {arena, WipeAndDelete{frame}}, frame};
  }

  ReplyTo reply;
  std::unique_ptr<google::protobuf::Arena, WipeAndDelete> arena;
  boundary::v1::ClientFrame* frame = nullptr;
};

struct SessionClosed {
  SessionId session = 0;
};

// ---- authority -> signer -> authority
// ------------------------------------------------------------------------------
// What a client of the signer profile asked for and the policy allowed.
struct ClientSigning {
  ethereum::Address signer;
  signing::Request request;
};
// A job of a payout, or a client's.
struct SignRequest {
  ReplyTo reply;
  std::variant<payouts::SigningJob, ClientSigning> job;
};
// What was signed: facts for the payout's state, or the answer itself.
struct SignDone {
  ReplyTo reply;
  std::variant<payouts::SigningResult, std::unique_ptr<boundary::v1::ServerFrame>> result;
};

// The keys of all signers, in place of those before; nothing is to be signed before they came. The
// last of them to forget a key wipes it.
struct SigningKeys {
  std::vector<std::shared_ptr<const ethereum::PrivateKey>> keys;
};

// ---- authority -> kms -> authority
// ------------------------------------------------------------------------------------------
// The requests were checked (provisioning::Check).
struct OpenKeysOrder {
  Request request;  // provision or generate
  provisioning::StateKeys state_keys = provisioning::StateKeys::kFromKms;
};
struct KeysOpened {
  ReplyTo reply;
  absl::StatusOr<provisioning::Provisioned> result;
};
struct StateKeyOrder {
  Request request;  // rotate_state_key
  provisioning::Voucher voucher;
  uint32_t epoch = 0;
  std::string key_id;
};
struct StateKeyMade {
  ReplyTo reply;
  absl::StatusOr<provisioning::MadeStateKey> result;
};

struct SigningKeyOrder {
  Request request;  // rotate_signing_key
  provisioning::SigningKeyWish wish;
};
struct SigningKeyMade {
  ReplyTo reply;
  absl::StatusOr<provisioning::MadeSigningKey> result;
};

// ---- authority -> sealer
// -------------------------------------------------------------------------------------------
// Events to make durable (a serialized sealed.v1.Batch, perhaps empty) with the leaves that tell of
// them, and what may be said once they and all before them are (I5). One Work is never split over
// two records. An answer to session 0 is for the storage.
struct Work {
  std::string events;
  authority::NewLeaves leaves;
  std::vector<Answer> answers;
};
// A consistent cut: the state after all Work sent before this message. The parts behind the first
// are asked for one by one, with the state going on.
struct SnapshotWork {
  uint64_t number = 0;     // of this snapshot, from 1
  uint32_t parts = 0;      // how many there are
  std::string first_part;  // serialized sealed.v1.SnapshotPart
  // Sealed under from here on, the snapshot first.
  std::optional<sealing::StateKey> adopt = {};
};
struct SnapshotPartWork {
  uint64_t number = 0;
  std::string part;
};
// From the sealer: the next part of the snapshot may come, or no part of it is wanted any more: it
// is stored, or there is nobody to store it.
struct SnapshotWanted {
  uint64_t number = 0;
};
struct SnapshotOver {
  uint64_t number = 0;
};
// The state that was loaded ends at this record; `storage` is the connection that loaded it.
struct StateLoaded {
  SessionId storage = 0;
  uint64_t sequence = 0;
  sealing::Hash head;
  uint64_t snapshot_sequence = 0;
  uint64_t tree_size = 0;  // of the transparency log there
};
// attach_storage, once a state is loaded; the sealer judges whether this host has what it must
// have.
struct AttachRequest {
  Answer answer;  // the status to answer with when it is accepted
  uint64_t last_sequence = 0;
  std::string last_hash;
};

// ---- gateway -> sealer
// ---------------------------------------------------------------------------------------------
struct StoredReport {
  SessionId session = 0;
  boundary::v1::Stored stored;
};

// ---- sealer -> gateway
// ---------------------------------------------------------------------------------------------
struct Release {
  std::vector<Answer> answers;
};
// Bytes for the storage to keep.
struct StoreOut {
  SessionId session = 0;
  std::shared_ptr<const boundary::v1::ServerFrame> frame;
};
// Which connection is the storage now; 0 = none.
struct StorageIs {
  SessionId session = 0;
};

using AuthorityMessage = std::variant<Request, SignDone, SessionClosed, KeysOpened, StateKeyMade,
                                      SigningKeyMade, SnapshotWanted, SnapshotOver>;
using SignerMessage = std::variant<SignRequest, SigningKeys>;
using KmsMessage = std::variant<OpenKeysOrder, StateKeyOrder, SigningKeyOrder>;
// An Answer on its own waits for nothing, because it acknowledges nothing: status, and those of
// loading. A host needs them before it can be the storage that all other answers wait for.
using SealerMessage = std::variant<Work, Answer, SnapshotWork, SnapshotPartWork, StateLoaded,
                                   AttachRequest, StoredReport, SessionClosed>;
using GatewayMessage = std::variant<Release, StoreOut, StorageIs>;

using AttestorMessage = Answer;  // with an order

using AuthorityMailbox = runtime::Mailbox<AuthorityMessage>;
using SignerMailbox = runtime::Mailbox<SignerMessage>;
using SealerMailbox = runtime::Mailbox<SealerMessage>;
using GatewayMailbox = runtime::Mailbox<GatewayMessage>;
using AttestorMailbox = runtime::Mailbox<AttestorMessage>;
using KmsMailbox = runtime::Mailbox<KmsMessage>;

// The admission door (runtime/mailbox.h): what the gateway lets in at once. Behind it every mailbox
// holds all of that, with the few messages a request can become, so it cannot overflow.
inline constexpr size_t kMaxRequestsInFlight = 4096;
inline constexpr size_t kMaxRequestBytesInFlight = 64u << 20;
inline constexpr size_t kMaxRequestsOfSession = 1024;
// Connections. When they are all taken, the one that has been silent for the longest makes room.
inline constexpr size_t kMaxSessions = 16'384;
// What a request whose answer is the whole state counts for: few of them are in flight at a time.
inline constexpr size_t kWholeStateBytes = 16u << 20;
// Attestations that wait for the device. It takes milliseconds for each, and what waits there holds
// a part of what the gateway lets in: more are refused, so that payments have the rest.
inline constexpr size_t kMaxAttestations = 64;
// One request for keys, and one for a state key: more are refused before.
inline constexpr size_t kMaxKmsOrders = 2;
// Unread bytes beyond which even the storage's connection is not read: more than all records and
// chunks that are handed out at once.
inline constexpr size_t kMaxStorageBacklog = 128u << 20;
// A request is one message to each actor; the rest is for closed sessions, signatures of a
// recovery, and the storage.
inline constexpr size_t kInternalMailbox = 8 * kMaxRequestsInFlight + 65536;

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_MESSAGES_H_
