#include "actors/enclave/kms_channel.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/os_channel.h"
#include "runtime/os_clock.h"
#include "runtime/os_random.h"

namespace coffer::enclave {
namespace {

class KmsChannel final : public kms::ByteChannel {
 public:
  explicit KmsChannel(std::unique_ptr<runtime::OsChannel> channel) : channel_(std::move(channel)) {}
  absl::Status Write(std::string_view bytes) override { return channel_->Write(bytes); }
  absl::StatusOr<std::string> Read(size_t max) override { return channel_->Read(max); }

 private:
  const std::unique_ptr<runtime::OsChannel> channel_;
};

}  // namespace

kms::RemotePorts KmsPorts(const runtime::Endpoint& endpoint, attestation::Attester* attester,
                          absl::Duration budget) {
  kms::RemotePorts ports;
  ports.attester = attester;
  ports.connect = [endpoint, budget]() -> absl::StatusOr<std::unique_ptr<kms::ByteChannel>> {
    absl::StatusOr<std::unique_ptr<runtime::OsChannel>> channel =
        runtime::OsChannel::Connect(endpoint, budget);
    if (!channel.ok()) return channel.status();
    return std::make_unique<KmsChannel>(*std::move(channel));
  };
  ports.now = [] { return runtime::OsWallNow(); };
  ports.random = [](absl::Span<uint8_t> out) { runtime::OsRandom().Fill(out); };
  return ports;
}

}  // namespace coffer::enclave
