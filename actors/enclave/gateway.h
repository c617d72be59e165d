// The gateway: the enclave's only door. Accepts connections, turns hostile bytes into requests,
// bounds what is in flight, and sends the answers that the sealer has let go.
#ifndef COFFER_ACTORS_ENCLAVE_GATEWAY_H_
#define COFFER_ACTORS_ENCLAVE_GATEWAY_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "actors/enclave/json_queue.h"
#include "actors/enclave/messages.h"
#include "runtime/stream.h"

namespace coffer::enclave {

struct GatewayOptions {
  bool without_storage = false;  // nobody waits for a storage
  size_t max_sessions = kMaxSessions;
};

// Accepts: Release, StoreOut, StorageIs from the sealer; frames from the network.
// Sends: Request, SessionClosed to the authority; StoredReport, SessionClosed to the sealer.
class Gateway : public runtime::Actor<GatewayMessage>, public runtime::StreamHandler {
 public:
  Gateway(AuthorityMailbox* authority, SealerMailbox* sealer, const GatewayOptions& options)
      : authority_(authority), sealer_(sealer), options_(options) {}

  // A new connection. Beyond max_sessions the one that has been silent for the longest is closed
  // for it; when all are busy, the new one.
  void Accept(std::unique_ptr<runtime::FramedStream> stream);
  // Takes no more, sends the answers that were let go already, and closes all connections. What is
  // in flight stays unanswered: the host asks again, as after a crash.
  void Shutdown();
  // There are keys now: what needs a storage is refused at the door while there is none.
  void SetProvisioned() { provisioned_ = true; }
  size_t sessions() const { return sessions_.size(); }
  size_t requests_in_flight() const { return in_flight_; }

  void Receive(GatewayMessage message) override;

  void OnFrame(runtime::FramedStream& stream, std::string payload) override;
  void OnWritable(runtime::FramedStream& stream) override;
  bool OnInputEnded(runtime::FramedStream& stream) override;
  void OnClosed(runtime::FramedStream& stream, const absl::Status& why) override;

 private:
  struct Session {
    SessionId id = 0;
    std::unique_ptr<runtime::FramedStream> stream;
    size_t requests = 0;                // in flight
    absl::flat_hash_set<uint64_t> ids;  // of those that came with an id
    JsonQueue json;                     // those of the JSON protocol
    size_t bytes_in_flight = 0;
    bool paused = false;
    bool input_ended = false;             // closed once everything is answered
    std::list<SessionId>::iterator turn;  // in by_silence_
  };

  void Handle(Release release);
  void Handle(StoreOut store);
  void Handle(const StorageIs& storage);

  void OnProtobuf(Session& session, std::string payload);
  void OnJson(Session& session, std::string payload);
  void Admit(Session& session, Request request);
  void HandleStored(Session& session, const boundary::v1::Stored& stored);
  absl::Status CheckId(const Session& session, uint64_t request_id) const;
  absl::Status CheckBody(const Session& session, const boundary::v1::ClientFrame& frame) const;
  bool MakeRoom();
  void Refused(Session& session, uint64_t request_id, const absl::Status& why);
  void RefusedJson(Session& session, const absl::Status& why);
  void Answered(Session& session, const Answer& answer);
  void Count(SessionId session, const boundary::v1::Error& error);
  void Send(Session& session, const boundary::v1::ServerFrame& frame);
  void SendJson(Session& session);
  void PauseOrResume(Session& session);
  bool Full(size_t times = 1) const;

  AuthorityMailbox* const authority_;
  SealerMailbox* const sealer_;
  const GatewayOptions options_;

  absl::flat_hash_map<SessionId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<runtime::FramedStream*, Session*> by_stream_;
  SessionId last_session_ = 0;
  SessionId storage_ = 0;
  uint64_t handed_out_ = 0;  // the last record that was sent to it
  size_t in_flight_ = 0;
  size_t bytes_in_flight_ = 0;
  std::list<SessionId> by_silence_;  // the one that spoke last is at the end
  absl::flat_hash_set<SessionId> paused_;
  absl::flat_hash_map<uint32_t, uint64_t> errors_;    // answers by ErrorCode
  absl::flat_hash_map<std::string, uint64_t> rules_;  // refusals by the policy's rule
  bool provisioned_ = false;
  bool closing_ = false;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_GATEWAY_H_
