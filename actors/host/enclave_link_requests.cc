// EnclaveLink's requests: out, answered, late.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/enclave_link.h"
#include "actors/host/secret_frames.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

// Room for the request's id, the tag and the length of the body.
constexpr size_t kFrameHeadBytes = 64;

// A request of the frame's only other field, its body as it is.
std::string ApplyEventsFrame(uint64_t request_id, const std::string& events) {
  using Wire = google::protobuf::internal::WireFormatLite;
  ClientFrame head;
  head.set_request_id(request_id);
  std::string frame;
  frame.reserve(events.size() + kFrameHeadBytes);
  google::protobuf::io::StringOutputStream stream(&frame);
  google::protobuf::io::CodedOutputStream out(&stream);
  head.SerializeToCodedStream(&out);
  out.WriteTag(
      Wire::MakeTag(ClientFrame::kApplyEventsFieldNumber, Wire::WIRETYPE_LENGTH_DELIMITED));
  out.WriteVarint32(static_cast<uint32_t>(events.size()));
  out.WriteString(events);
  out.Trim();
  return frame;
}

}  // namespace

bool EnclaveLink::Admit(Reply* reply) {
  if (ready()) {
    ++counters_.requests;
    return true;
  }
  dispatcher_->Post([reply = std::move(*reply),
                     reason = stopping_ ? "this host is shutting down" : reason_]() mutable {
    reply(absl::UnavailableError(absl::StrCat("the enclave is not ready: ", reason)));
  });
  return false;
}

void EnclaveLink::Call(ClientFrame request, Reply reply) {
  if (Admit(&reply)) SendRequest(std::move(request), std::move(reply), options_.request_timeout);
}

void EnclaveLink::CallApplyEvents(std::string events, Reply reply) {
  if (!Admit(&reply)) return;
  const uint64_t id = Expect(std::move(reply), options_.request_timeout);
  outbox_.push_back({ApplyEventsFrame(id, events), false});
  FlushOutbox();
}

uint64_t EnclaveLink::Expect(Reply reply, absl::Duration timeout) {
  const uint64_t id = next_id_++;
  pending_.emplace(id, Pending{std::move(reply), dispatcher_->Now() + timeout, timeout});
  if (timeout != absl::InfiniteDuration() && timeout_ == nullptr) ArmTimeout();
  return id;
}

uint64_t EnclaveLink::SendRequest(ClientFrame request, Reply reply, absl::Duration timeout) {
  const uint64_t id = Expect(std::move(reply), timeout);
  request.set_request_id(id);
  SendFrame(std::move(request));
  return id;
}

void EnclaveLink::SendFrame(ClientFrame frame) {
  if (stream_ != nullptr) {
    outbox_.push_back({frame.SerializeAsString(), CredentialsOf(&frame) != nullptr});
    FlushOutbox();
  }
  WipeCredentials(&frame);
}

void EnclaveLink::FlushOutbox() {
  while (!outbox_.empty() && stream_->PendingOutput() < stream_->OutputLimit()) {
    Waiting& next = outbox_.front();
    if (next.secret) {
      stream_->SendSecret(next.payload);
      Wipe(&next.payload);
    } else {
      stream_->SendOwned(std::move(next.payload));
    }
    outbox_.pop_front();
  }
}

void EnclaveLink::OnWritable(runtime::FramedStream& stream) {
  if (&stream != stream_.get()) return;
  FlushOutbox();
  LoadOn();
}

void EnclaveLink::OnFrame(runtime::FramedStream& stream, std::string payload) {
  if (&stream != stream_.get()) return;
  last_frame_ = dispatcher_->Now();
  ServerFrame frame;
  if (!frame.ParseFromString(payload)) {
    return Drop("the enclave sent a frame that is not a ServerFrame", options_.refused_retry);
  }
  if (frame.has_store()) return OnStore(std::move(*frame.mutable_store()));
  if (frame.request_id() == 0 && frame.has_audit_checkpoint()) {
    if (on_head_) on_head_(std::move(*frame.mutable_audit_checkpoint()));
    return;
  }
  const auto it = pending_.find(frame.request_id());
  if (it == pending_.end()) {
    // An answer that came after its time-out is dropped; an id never given out is no answer at all.
    if (frame.request_id() != 0 && frame.request_id() < next_id_) return;
    return Drop(
        absl::StrCat("the enclave answered request ", frame.request_id(), ", which was never made"),
        options_.refused_retry);
  }
  Reply reply = std::move(it->second.reply);
  pending_.erase(it);
  ++counters_.answers;
  reply(std::move(frame));
  MaybeStopped();
}

void EnclaveLink::ArmTimeout() {
  timeout_ = dispatcher_->After(options_.request_timeout / 4, [this] { Expire(); });
}

void EnclaveLink::Expire() {
  timeout_.reset();
  const absl::Time now = dispatcher_->Now();
  std::vector<Pending> late;
  bool waiting = false;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.deadline > now) {
      waiting = true;
      ++it;
      continue;
    }
    late.push_back(std::move(it->second));
    it = pending_.erase(it);
  }
  if (waiting) ArmTimeout();
  counters_.timeouts += late.size();
  for (Pending& request : late) {
    request.reply(absl::UnavailableError(
        absl::StrCat("the enclave gave no answer within ", absl::FormatDuration(request.timeout),
                     "; whether the request took effect is unknown")));
  }
  if (state_ == State::kStatus && !late.empty()) {
    Drop("the enclave did not answer a status request", backoff_.Next());
  } else if (state_ == State::kReady && !late.empty()) {
    Probe();
  }
  MaybeStopped();
}

void EnclaveLink::Probe() {
  const auto silent = [this] {
    // What it sends is not looked at while the store is behind.
    return !reading_paused_ && dispatcher_->Now() - last_frame_ >= options_.request_timeout;
  };
  if (probing_ || stopping_ || !silent()) return;
  probing_ = true;
  ClientFrame request;
  request.mutable_status();
  SendRequest(
      std::move(request),
      [this, silent, connection = connection_](const absl::StatusOr<ServerFrame>& frame) {
        if (connection != connection_) return;
        probing_ = false;
        if (frame.ok() || state_ != State::kReady || !silent()) return;
        Drop(absl::StrCat("the enclave hangs: it has sent nothing for ",
                          absl::FormatDuration(
                              absl::Trunc(dispatcher_->Now() - last_frame_, absl::Seconds(1)))),
             backoff_.Next());
      },
      options_.request_timeout);
}

}  // namespace coffer::host
