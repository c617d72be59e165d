#include "actors/enclave/gateway.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/enclave/frame_weight.h"
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
    case ClientFrame::kGetAttestation:
    case ClientFrame::kProvision:
    case ClientFrame::kGenerate:
      return false;
    default:
      return true;
  }
}

// I8: credentials, or what can't be read and may hold some.
void Wipe(std::string* payload) { OPENSSL_cleanse(payload->data(), payload->size()); }

// A refusal of the policy is news the first time, and not the thousandth.
bool WorthALine(uint64_t count) { return count <= 100 || count % 1000 == 0; }

}  // namespace

// Closes the connection that has been silent for the longest, if one has nothing in flight.
bool Gateway::MakeRoom() {
  constexpr int kLooks = 64;
  auto it = by_silence_.begin();
  for (int i = 0; i < kLooks && it != by_silence_.end(); ++i, ++it) {
    const auto found = sessions_.find(*it);
    if (found->second->requests > 0 || *it == storage_) continue;
    runtime::FramedStream& stream = *found->second->stream;
    OnClosed(stream, absl::ResourceExhaustedError("silent, and its place was needed"));
    return true;
  }
  return false;
}

void Gateway::Accept(std::unique_ptr<runtime::FramedStream> stream) {
  if (closing_ || (sessions_.size() >= options_.max_sessions && !MakeRoom())) {
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
  s.turn = by_silence_.insert(by_silence_.end(), s.id);
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
  by_silence_.splice(by_silence_.end(), by_silence_, session.turn);
  if (payload.front() == '{') {
    OnJson(session, std::move(payload));
  } else {
    OnProtobuf(session, std::move(payload));
  }
}

void Gateway::OnProtobuf(Session& session, std::string payload) {
  const bool nests = WellNested(ClientFrame::descriptor(), payload);
  if (nests && payload.size() >= kMinWeighedBytes &&
      FrameWeight(ClientFrame::descriptor(), payload, kMaxFrameWeight) > kMaxFrameWeight) {
    return Refused(
        session, 0,
        Refuse(ERROR_MALFORMED, absl::StrCat("a frame of ", payload.size(),
                                             " bytes has more fields than any request needs")));
  }
  Request request = Request::New();
  const bool parsed = nests && request.frame->ParseFromString(payload);
  if (!parsed || CredentialsOf(request.frame) != nullptr) Wipe(&payload);
  if (!parsed) {
    Refused(
        session, 0,
        Refuse(ERROR_MALFORMED, absl::StrCat("a frame of ", payload.size(),
                                             " bytes is not a coffer.boundary.v1.ClientFrame")));
    return;
  }
  const uint64_t id = request.frame->request_id();
  if (request.frame->has_stored()) return HandleStored(session, request.frame->stored());
  absl::Status checked = CheckId(session, id);
  if (checked.ok()) checked = CheckBody(session, *request.frame);
  if (!checked.ok()) return Refused(session, id, checked);
  session.ids.insert(id);
  // What it takes in memory, which a frame of many empty fields makes far more than its bytes.
  const size_t bytes = std::max<size_t>(payload.size(), request.arena->SpaceAllocated());
  request.reply = {session.id, id, false, bytes};
  Admit(session, std::move(request));
}

void Gateway::OnJson(Session& session, std::string payload) {
  Request request = Request::New();
  absl::StatusOr<json_protocol::Call> call = json_protocol::ParseRequest(payload, request.frame);
  if (!call.ok() || CredentialsOf(request.frame) != nullptr) Wipe(&payload);
  if (!call.ok()) return RefusedJson(session, call.status());
  if (absl::Status checked = CheckBody(session, *request.frame); !checked.ok())
    return RefusedJson(session, checked);
  const size_t bytes = std::max<size_t>(payload.size(), request.arena->SpaceAllocated());
  request.reply = {session.id, session.json.Add(*std::move(call)), true, bytes};
  Admit(session, std::move(request));
}

absl::Status Gateway::CheckId(const Session& session, uint64_t request_id) const {
  if (request_id == 0) return Refuse(ERROR_MALFORMED, "request_id must not be 0");
  if (!session.ids.contains(request_id)) return absl::OkStatus();
  return Refuse(ERROR_MALFORMED, absl::StrCat("request_id ", request_id, " is in flight already"));
}

absl::Status Gateway::CheckBody(const Session& session, const ClientFrame& frame) const {
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
  // Without a key the authority's refusal says more.
  if (storage_ == 0 && provisioned_ && !options_.without_storage &&
      NeedsStorage(frame.body_case())) {
    return Refuse(
        boundary::v1::ERROR_NOT_READY,
        "no storage is attached, so nothing can be acknowledged; the host loads or attaches first");
  }
  // The storage's connection is never paused (its acknowledgements are what frees the others), so
  // it is told.
  // Requests that wait for a storage to come back hold what they were admitted for; the host that
  // brings it has to get in all the same.
  const bool attaches = frame.has_attach_storage() || frame.has_status();
  if (Full(attaches ? 2 : 1) || session.requests >= kMaxRequestsOfSession) {
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
  // What it was not given yet it cannot have stored, however soon that may be (I5).
  StoredReport report{session.id, stored};
  report.stored.set_sequence(std::min(stored.sequence(), handed_out_));
  sealer_->Send(std::move(report));
}

void Gateway::Admit(Session& session, Request request) {
  if (request.frame->has_export_state()) request.reply.bytes = kWholeStateBytes;
  ++session.requests;
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
  const size_t pending = session.stream->PendingOutput() + session.json.waiting_bytes();
  const bool pressed =
      (storage_ != 0 || options_.without_storage) &&
      (in_flight_ >= kMaxRequestsInFlight / 2 || bytes_in_flight_ >= kMaxRequestBytesInFlight / 2);
  const bool want = session.id == storage_
                        ? pending > kMaxStorageBacklog
                        : pressed || session.requests >= kMaxRequestsOfSession / 2 ||
                              session.bytes_in_flight >= kMaxRequestBytesInFlight / 2 ||
                              pending > session.stream->OutputLimit();
  if (want == session.paused) return;
  session.paused = want;
  if (want) {
    paused_.insert(session.id);
    session.stream->PauseReading();
  } else {
    paused_.erase(session.id);
    session.stream->ResumeReading();
  }
}

void Gateway::OnWritable(runtime::FramedStream& stream) {
  const auto found = by_stream_.find(&stream);
  if (found != by_stream_.end()) PauseOrResume(*found->second);
}

// A client that has sent all it wants to ask still gets its answers.
bool Gateway::OnInputEnded(runtime::FramedStream& stream) {
  const auto found = by_stream_.find(&stream);
  if (found == by_stream_.end() || found->second->requests == 0) return false;
  found->second->input_ended = true;
  return found->second->id != storage_;
}

void Gateway::OnClosed(runtime::FramedStream& stream, const absl::Status& why) {
  const auto found = by_stream_.find(&stream);
  if (found == by_stream_.end()) return;
  const SessionId id = found->second->id;
  Log(Level::kDebug, "gateway", "connection closed",
      {{"session", id}, {"peer", stream.peer()}, {"why", why}});
  by_silence_.erase(found->second->turn);
  paused_.erase(id);
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
  Count(session.id, frame.error());
  Send(session, frame);
  // Refusals are no requests in flight: a client that does not read them is not read either.
  PauseOrResume(session);
}

void Gateway::RefusedJson(Session& session, const absl::Status& why) {
  boundary::v1::Error error;
  ToProto(why, &error);
  Count(session.id, error);
  session.json.AddAnswered(json_protocol::WriteError(error));
  SendJson(session);
  PauseOrResume(session);
}

void Gateway::Count(SessionId session, const boundary::v1::Error& error) {
  ++errors_[static_cast<uint32_t>(error.code())];
  if (error.code() != boundary::v1::ERROR_POLICY) {
    Log(Level::kDebug, "gateway", "request refused",
        {{"session", session},
         {"code", static_cast<int>(error.code())},
         {"reason", error.message()}});
    return;
  }
  const uint64_t count = ++rules_[error.rule()];
  if (!WorthALine(count)) return;
  Log(Level::kWarn, "gateway", "the policy refuses a request",
      {{"session", session},
       {"rule", error.rule()},
       {"reason", error.message()},
       {"count", count}});
}

void Gateway::SendJson(Session& session) {
  session.json.Take([&](std::string_view answer) { session.stream->Send(answer); });
}

void Gateway::Send(Session& session, const boundary::v1::ServerFrame& frame) {
  std::string bytes = frame.SerializeAsString();
  if (bytes.size() <= runtime::kMaxFrameBytes) {
    session.stream->SendOwned(std::move(bytes));
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

void Gateway::Answered(Session& session, const Answer& answer) {
  boundary::v1::ServerFrame& frame = *answer.frame;
  if (frame.has_error()) Count(session.id, frame.error());
  if (frame.has_status()) {
    for (const auto& [code, count] : errors_)
      (*frame.mutable_status()->mutable_errors())[code] = count;
    for (const auto& [rule, count] : rules_)
      (*frame.mutable_status()->mutable_refusals_by_rule())[rule] = count;
  }
  --session.requests;
  session.bytes_in_flight -= answer.to.bytes;
  if (answer.to.json) {
    session.json.Answer(answer.to.request_id, frame);
    SendJson(session);
  } else {
    session.ids.erase(answer.to.request_id);
    Send(session, frame);
  }
  if (session.input_ended && session.requests == 0) session.stream->CloseAfterFlush();
}

void Gateway::Handle(Release release) {
  for (const Answer& answer : release.answers) {
    --in_flight_;
    bytes_in_flight_ -= answer.to.bytes;
    const auto found = sessions_.find(answer.to.session);
    if (found == sessions_.end()) continue;  // it has gone; what it asked for is done all the same
    Answered(*found->second, answer);
    PauseOrResume(*found->second);
  }
  if (paused_.empty()) return;
  const std::vector<SessionId> paused(paused_.begin(), paused_.end());
  for (const SessionId id : paused) {
    const auto found = sessions_.find(id);
    if (found != sessions_.end()) PauseOrResume(*found->second);
  }
}

void Gateway::Handle(StoreOut store) {
  const auto found = sessions_.find(store.session);
  if (found == sessions_.end()) return;
  if (store.session == storage_ && store.frame->has_store() &&
      store.frame->store().kind() == boundary::v1::Store::KIND_RECORD) {
    handed_out_ = store.frame->store().sequence();
  }
  Send(*found->second, *store.frame);
}

void Gateway::Handle(const StorageIs& storage) {
  const auto found = sessions_.find(storage.session);
  storage_ = found == sessions_.end() ? 0 : storage.session;
  handed_out_ = 0;
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
