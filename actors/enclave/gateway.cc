#include "actors/enclave/gateway.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"
#include "runtime/log.h"

namespace coffer::enclave {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_MALFORMED;
using runtime::Level;
using runtime::Log;

// Everything but status and what makes a connection the storage is answered only once it is
// durable, so it needs a storage.
bool NeedsStorage(ClientFrame::BodyCase body) {
  switch (body) {
    case ClientFrame::kStatus:
    case ClientFrame::kLoadBegin:
    case ClientFrame::kLoadRecord:
    case ClientFrame::kLoadEnd:
    case ClientFrame::kAttachStorage:
      return false;
    default:
      return true;
  }
}

}  // namespace

void Gateway::Accept(std::unique_ptr<runtime::FramedStream> stream) {
  if (closing_ || sessions_.size() >= kMaxSessions) {
    Log(Level::kWarn, "gateway", "connection refused",
        {{"peer", stream->peer()}, {"sessions", sessions_.size()}});
    // Set a handler, as every owner must, and let go.
    stream->SetHandler(this);
    return;
  }
  auto session = std::make_unique<Session>();
  session->id = ++last_session_;
  session->stream = std::move(stream);
  Session& s = *session;
  by_stream_[s.stream.get()] = &s;
  sessions_[s.id] = std::move(session);
  Log(Level::kDebug, "gateway", "connection opened",
      {{"session", s.id}, {"peer", s.stream->peer()}});
  s.stream->SetHandler(this);
}

void Gateway::Shutdown() {
  closing_ = true;
  std::vector<runtime::FramedStream*> streams;
  for (const auto& [stream, session] : by_stream_) streams.push_back(stream);
  for (runtime::FramedStream* stream : streams) stream->CloseAfterFlush();
}

void Gateway::Receive(GatewayMessage message) {
  std::visit([this](auto& m) { Handle(std::move(m)); }, message);
}

void Gateway::OnFrame(runtime::FramedStream& stream, std::string payload) {
  const auto found = by_stream_.find(&stream);
  if (found == by_stream_.end()) return;
  Session& session = *found->second;
  if (payload.front() == '{') {
    // A client of the JSON protocol; it gets its answer in the form it reads.
    errors_[boundary::v1::ERROR_UNKNOWN_METHOD]++;
    stream.Send(
        R"({"error":{"message":"this port speaks coffer.boundary.v1 (protobuf); the JSON protocol is not served here"}})");
    PauseOrResume(session);
    return;
  }
  Request request;
  request.arena = std::make_unique<google::protobuf::Arena>();
  request.frame = google::protobuf::Arena::CreateMessage<ClientFrame>(request.arena.get());
  if (!request.frame->ParseFromString(payload)) {
    Refused(
        session, 0,
        Refuse(ERROR_MALFORMED, absl::StrCat("a frame of ", payload.size(),
                                             " bytes is not a coffer.boundary.v1.ClientFrame")));
    return;
  }
  // What it takes in memory, which a frame of many empty fields makes far more than its bytes.
  const size_t bytes = std::max<size_t>(payload.size(), request.arena->SpaceAllocated());
  request.reply = {session.id, request.frame->request_id(), bytes};
  Admit(session, std::move(request));
}

absl::Status Gateway::Check(const Session& session, const ClientFrame& frame) const {
  if (frame.request_id() == 0) return Refuse(ERROR_MALFORMED, "request_id must not be 0");
  if (session.in_flight.contains(frame.request_id())) {
    return Refuse(ERROR_MALFORMED,
                  absl::StrCat("request_id ", frame.request_id(), " is in flight already"));
  }
  if (frame.body_case() == ClientFrame::BODY_NOT_SET) {
    return Refuse(boundary::v1::ERROR_UNKNOWN_METHOD,
                  "this version does not know the body of this frame");
  }
  if (frame.has_apply_events()) {
    const int n = frame.apply_events().events_size();
    if (n == 0 || n > authority::kMaxEventsPerRequest) {
      return Refuse(ERROR_MALFORMED,
                    absl::StrCat("apply_events takes 1..", authority::kMaxEventsPerRequest,
                                 " events, not ", n));
    }
  }
  if (storage_ == 0 && NeedsStorage(frame.body_case())) {
    return Refuse(
        boundary::v1::ERROR_NOT_READY,
        "no storage is attached, so nothing can be acknowledged; the host loads or attaches first");
  }
  // The storage's connection is never paused (its acknowledgements are what frees the others), so
  // it is told.
  // Requests that wait for a storage to come back hold what they were admitted for; the host that
  // brings it has to get in all the same.
  const bool attaches = frame.has_attach_storage() || frame.has_status();
  if (Full(attaches ? 2 : 1) || session.in_flight.size() >= kMaxRequestsOfSession) {
    return Refuse(boundary::v1::ERROR_OVERLOADED,
                  "too many requests are in flight; wait for answers first");
  }
  return absl::OkStatus();
}

void Gateway::HandleStored(Session& session, const boundary::v1::Stored& stored) {
  if (session.id != storage_) return;  // it has no say
  // Reports are no requests, so nothing else bounds them. One to a record is what there is to say.
  if (sealer_->size() > sealer_->capacity() / 2) {
    Log(Level::kWarn, "gateway", "the storage floods with reports; its connection is closed",
        {{"session", session.id}, {"peer", session.stream->peer()}});
    session.stream->CloseAfterFlush();
    return;
  }
  sealer_->Send(StoredReport{session.id, stored});
}

void Gateway::Admit(Session& session, Request request) {
  const ClientFrame& frame = *request.frame;
  if (frame.has_stored()) return HandleStored(session, frame.stored());
  if (const absl::Status checked = Check(session, frame); !checked.ok()) {
    Refused(session, frame.request_id(), checked);
    return;
  }
  session.in_flight.insert(frame.request_id());
  session.bytes_in_flight += request.reply.bytes;
  ++in_flight_;
  bytes_in_flight_ += request.reply.bytes;
  authority_->Send(std::move(request));
  PauseOrResume(session);
}

bool Gateway::Full(size_t times) const {
  return in_flight_ >= times * kMaxRequestsInFlight ||
         bytes_in_flight_ >= times * kMaxRequestBytesInFlight;
}

// Back-pressure: a connection that is not the storage stops being read at half of every bound, or
// when it does not read its answers, and so never sees ERROR_OVERLOADED unless many of them press
// at once. While there is no storage, only what a connection itself has in flight counts: the next
// one to speak may be the storage.
void Gateway::PauseOrResume(Session& session) {
  const size_t pending = session.stream->PendingOutput();
  const bool pressed = storage_ != 0 && (in_flight_ >= kMaxRequestsInFlight / 2 ||
                                         bytes_in_flight_ >= kMaxRequestBytesInFlight / 2);
  const bool want = session.id == storage_
                        ? pending > kMaxStorageBacklog
                        : pressed || session.in_flight.size() >= kMaxRequestsOfSession / 2 ||
                              session.bytes_in_flight >= kMaxRequestBytesInFlight / 2 ||
                              pending > session.stream->OutputLimit();
  if (want == session.paused) return;
  session.paused = want;
  if (want) {
    session.stream->PauseReading();
  } else {
    session.stream->ResumeReading();
  }
}

void Gateway::OnWritable(runtime::FramedStream& stream) {
  const auto found = by_stream_.find(&stream);
  if (found != by_stream_.end()) PauseOrResume(*found->second);
}

void Gateway::OnClosed(runtime::FramedStream& stream, const absl::Status& why) {
  const auto found = by_stream_.find(&stream);
  if (found == by_stream_.end()) return;
  const SessionId id = found->second->id;
  Log(Level::kDebug, "gateway", "connection closed",
      {{"session", id}, {"peer", stream.peer()}, {"why", why}});
  by_stream_.erase(found);
  // What it has in flight stays counted until its answers come: it is still in the mailboxes.
  const auto node = sessions_.extract(id);
  if (storage_ == id) storage_ = 0;
  authority_->Send(SessionClosed{id});
  sealer_->Send(SessionClosed{id});
}

void Gateway::Refused(Session& session, uint64_t request_id, const absl::Status& why) {
  boundary::v1::ServerFrame frame;
  frame.set_request_id(request_id);
  ToProto(why, frame.mutable_error());
  Send(session, frame);
  // Refusals are no requests in flight: a client that does not read them is not read either.
  PauseOrResume(session);
}

void Gateway::Send(Session& session, const boundary::v1::ServerFrame& frame) {
  if (frame.has_error()) {
    ++errors_[static_cast<uint32_t>(frame.error().code())];
    Log(Level::kDebug, "gateway", "request refused",
        {{"session", session.id},
         {"code", static_cast<int>(frame.error().code())},
         {"reason", frame.error().message()}});
  }
  const std::string bytes = frame.SerializeAsString();
  if (bytes.size() <= runtime::kMaxFrameBytes) {
    session.stream->Send(bytes);
    return;
  }
  boundary::v1::ServerFrame instead;
  instead.set_request_id(frame.request_id());
  ToProto(Refuse(boundary::v1::ERROR_INTERNAL,
                 absl::StrCat("the answer has ", bytes.size(), " bytes and fits no frame")),
          instead.mutable_error());
  Log(Level::kError, "gateway", "an answer does not fit a frame",
      {{"session", session.id}, {"bytes", bytes.size()}});
  session.stream->Send(instead.SerializeAsString());
}

void Gateway::Handle(Release release) {
  for (Answer& answer : release.answers) {
    --in_flight_;
    bytes_in_flight_ -= answer.to.bytes;
    const auto found = sessions_.find(answer.to.session);
    if (found == sessions_.end()) continue;  // it has gone; what it asked for is done all the same
    Session& session = *found->second;
    boundary::v1::ServerFrame& frame = *answer.frame;
    if (frame.has_status()) {
      for (const auto& [code, count] : errors_)
        (*frame.mutable_status()->mutable_errors())[code] = count;
    }
    session.in_flight.erase(answer.to.request_id);
    session.bytes_in_flight -= answer.to.bytes;
    Send(session, frame);
  }
  for (const auto& [id, session] : sessions_) PauseOrResume(*session);
}

void Gateway::Handle(StoreOut store) {
  const auto found = sessions_.find(store.session);
  if (found != sessions_.end()) Send(*found->second, *store.frame);
}

void Gateway::Handle(const StorageIs& storage) {
  const auto found = sessions_.find(storage.session);
  storage_ = found == sessions_.end() ? 0 : storage.session;
  if (storage_ == 0) {
    // It closed while it became the storage, and the sealer heard of that before.
    if (storage.session != 0) sealer_->Send(SessionClosed{storage.session});
    return;
  }
  PauseOrResume(*found->second);
  Log(Level::kInfo, "gateway", "storage attached",
      {{"session", storage_}, {"peer", found->second->stream->peer()}});
}

}  // namespace coffer::enclave
