// The gateway: the enclave's only door. Accepts connections, turns hostile bytes into requests,
// bounds what is in flight, and sends the answers that the sealer has let go.
#ifndef COFFER_ACTORS_ENCLAVE_GATEWAY_H_
#define COFFER_ACTORS_ENCLAVE_GATEWAY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "actors/enclave/messages.h"
#include "runtime/stream.h"

namespace coffer::enclave {

// Accepts: Release, StoreOut, StorageIs from the sealer; frames from the network.
// Sends: Request, SessionClosed to the authority; StoredReport, SessionClosed to the sealer.
class Gateway : public runtime::Actor<GatewayMessage>, public runtime::StreamHandler {
 public:
  Gateway(AuthorityMailbox* authority, SealerMailbox* sealer)
      : authority_(authority), sealer_(sealer) {}

  // A new connection. Beyond kMaxSessions it is closed at once.
  void Accept(std::unique_ptr<runtime::FramedStream> stream);
  // Takes no more, sends the answers that were let go already, and closes all connections. What is
  // in flight stays unanswered: the host asks again, as after a crash.
  void Shutdown();
  size_t sessions() const { return sessions_.size(); }
  size_t requests_in_flight() const { return in_flight_; }

  void Receive(GatewayMessage message) override;

  void OnFrame(runtime::FramedStream& stream, std::string payload) override;
  void OnWritable(runtime::FramedStream& stream) override;
  void OnClosed(runtime::FramedStream& stream, const absl::Status& why) override;

 private:
  struct Session {
    SessionId id = 0;
    std::unique_ptr<runtime::FramedStream> stream;
    absl::flat_hash_set<uint64_t> in_flight;  // request ids
    size_t bytes_in_flight = 0;
    bool paused = false;
  };

  void Handle(Release release);
  void Handle(StoreOut store);
  void Handle(const StorageIs& storage);

  void Admit(Session& session, Request request);
  void HandleStored(Session& session, const boundary::v1::Stored& stored);
  absl::Status Check(const Session& session, const boundary::v1::ClientFrame& frame) const;
  void Refused(Session& session, uint64_t request_id, const absl::Status& why);
  void Send(Session& session, const boundary::v1::ServerFrame& frame);
  void PauseOrResume(Session& session);
  bool Full(size_t times = 1) const;

  AuthorityMailbox* const authority_;
  SealerMailbox* const sealer_;

  absl::flat_hash_map<SessionId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<runtime::FramedStream*, Session*> by_stream_;
  SessionId last_session_ = 0;
  SessionId storage_ = 0;
  size_t in_flight_ = 0;
  size_t bytes_in_flight_ = 0;
  absl::flat_hash_map<uint32_t, uint64_t> errors_;  // answers by ErrorCode
  bool closing_ = false;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_GATEWAY_H_
