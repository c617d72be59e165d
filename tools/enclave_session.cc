#include "tools/enclave_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/secret_frames.h"
#include "runtime/event_network.h"

namespace coffer::tools {

using boundary::v1::ServerFrame;

absl::StatusOr<std::unique_ptr<EnclaveSession>> EnclaveSession::Connect(
    runtime::EventLoop* loop, const runtime::Endpoint& endpoint, absl::Duration timeout) {
  std::unique_ptr<EnclaveSession> session(new EnclaveSession(loop));
  runtime::NetworkOptions options;
  options.connect_timeout = timeout;
  session->network_ = runtime::NewEventNetwork(loop, options);
  absl::Status connected = absl::UnavailableError("no connection");
  session->network_->Connect(endpoint,
                             [&](absl::StatusOr<std::unique_ptr<runtime::FramedStream>> stream) {
                               connected = stream.status();
                               if (stream.ok()) {
                                 session->stream_ = *std::move(stream);
                                 session->stream_->SetHandler(session.get());
                               }
                               loop->Stop();
                             });
  loop->Run();
  if (connected.ok()) return session;
  return absl::UnavailableError(absl::StrCat("no connection to the enclave at ",
                                             endpoint.ToString(), ": ", connected.message()));
}

EnclaveSession::~EnclaveSession() = default;

absl::StatusOr<ServerFrame> EnclaveSession::Ask(boundary::v1::ClientFrame request,
                                                absl::Duration timeout) {
  request.set_request_id(++request_);
  std::string payload = request.SerializeAsString();
  if (closed_.ok()) stream_->SendSecret(payload);
  host::Wipe(&payload);
  host::WipeCredentials(&request);
  if (!closed_.ok()) return closed_;
  waiting_ = true;
  const std::unique_ptr<runtime::Timer> deadline = loop_->After(timeout, [&] {
    End(absl::UnavailableError(absl::StrCat("the enclave gave no answer within ",
                                            absl::FormatDuration(timeout),
                                            "; whether the request took effect is unknown")));
  });
  loop_->Run();
  if (answer_.ok() && answer_->has_error()) {
    return absl::FailedPreconditionError(answer_->error().message());
  }
  return std::move(answer_);
}

void EnclaveSession::OnFrame(runtime::FramedStream&, std::string payload) {
  ServerFrame frame;
  if (!frame.ParseFromString(payload)) {
    return End(absl::UnavailableError("what answers there does not speak this protocol"));
  }
  if (frame.request_id() != request_) return;  // a head of the log, or a late answer
  End(std::move(frame));
}

void EnclaveSession::OnClosed(runtime::FramedStream&, const absl::Status& why) {
  closed_ =
      absl::UnavailableError(absl::StrCat("the enclave closed the connection: ", why.message(),
                                          "; whether the request took effect is unknown"));
  End(closed_);
}

void EnclaveSession::End(absl::StatusOr<ServerFrame> answer) {
  if (!std::exchange(waiting_, false)) return;
  answer_ = std::move(answer);
  loop_->Stop();
}

}  // namespace coffer::tools
