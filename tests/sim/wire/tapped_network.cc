#include "tests/sim/wire/tapped_network.h"

#include <string>

namespace coffer::sim {
namespace {

using runtime::FramedStream;
using runtime::StreamHandler;

class TappedStream : public FramedStream, public StreamHandler {
 public:
  TappedStream(std::unique_ptr<FramedStream> inner, uint64_t enclave, uint64_t connection,
               FrameObserver* observer)
      : inner_(std::move(inner)), enclave_(enclave), connection_(connection), observer_(observer) {}

  void SetHandler(StreamHandler* handler) override {
    handler_ = handler;
    inner_->SetHandler(this);
  }
  void Send(std::string_view payload) override {
    observer_->OnFromEnclave(enclave_, connection_, payload);
    inner_->Send(payload);
  }
  size_t PendingOutput() const override { return inner_->PendingOutput(); }
  size_t OutputLimit() const override { return inner_->OutputLimit(); }
  void PauseReading() override { inner_->PauseReading(); }
  void ResumeReading() override { inner_->ResumeReading(); }
  void CloseAfterFlush() override { inner_->CloseAfterFlush(); }
  const std::string& peer() const override { return inner_->peer(); }

  // Any of these may destroy this stream before it returns.
  void OnFrame(FramedStream&, std::string payload) override {
    observer_->OnToEnclave(enclave_, connection_, payload);
    handler_->OnFrame(*this, std::move(payload));
  }
  void OnWritable(FramedStream&) override { handler_->OnWritable(*this); }
  bool OnInputEnded(FramedStream&) override { return handler_->OnInputEnded(*this); }
  void OnClosed(FramedStream&, const absl::Status& why) override { handler_->OnClosed(*this, why); }

 private:
  const std::unique_ptr<FramedStream> inner_;
  const uint64_t enclave_;
  const uint64_t connection_;
  FrameObserver* const observer_;
  StreamHandler* handler_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<runtime::Listener>> TappedNetwork::Listen(
    const runtime::Endpoint& endpoint, OnAccept on_accept) {
  return inner_->Listen(
      endpoint, [enclave = enclave_, observer = observer_, connections = uint64_t{0},
                 accept = std::move(on_accept)](std::unique_ptr<FramedStream> stream) mutable {
        accept(std::make_unique<TappedStream>(std::move(stream), enclave, ++connections, observer));
      });
}

}  // namespace coffer::sim
