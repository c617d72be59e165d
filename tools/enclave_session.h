// A connection to an enclave for the command line: one question at a time, blocking.
#ifndef COFFER_TOOLS_ENCLAVE_SESSION_H_
#define COFFER_TOOLS_ENCLAVE_SESSION_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/boundary.pb.h"
#include "runtime/endpoint.h"
#include "runtime/event_loop.h"
#include "runtime/stream.h"

namespace coffer::tools {

class EnclaveSession final : private runtime::StreamHandler {
 public:
  // `loop` does not run meanwhile, and outlives this object. Unavailable when nobody answers.
  static absl::StatusOr<std::unique_ptr<EnclaveSession>> Connect(runtime::EventLoop* loop,
                                                                 const runtime::Endpoint& endpoint,
                                                                 absl::Duration timeout);
  ~EnclaveSession() override;

  // The enclave's answer; its Error as FailedPrecondition with its sentence. Credentials in the
  // request are wiped once they are sent. Unavailable when no answer came: whether the request took
  // effect is unknown then.
  absl::StatusOr<boundary::v1::ServerFrame> Ask(boundary::v1::ClientFrame request,
                                                absl::Duration timeout);

 private:
  explicit EnclaveSession(runtime::EventLoop* loop) : loop_(loop) {}
  void OnFrame(runtime::FramedStream& stream, std::string payload) override;
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream& stream, const absl::Status& why) override;
  void End(absl::StatusOr<boundary::v1::ServerFrame> answer);

  runtime::EventLoop* const loop_;
  std::unique_ptr<runtime::Network> network_;
  std::unique_ptr<runtime::FramedStream> stream_;
  uint64_t request_ = 0;
  bool waiting_ = false;
  absl::Status closed_;
  absl::StatusOr<boundary::v1::ServerFrame> answer_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ENCLAVE_SESSION_H_
