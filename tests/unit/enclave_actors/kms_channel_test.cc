// The KMS client over real sockets: a KMS with a certificate of its own on tcp, the client's ports
// as the enclave has them.
#include "actors/enclave/kms_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/development.h"
#include "enclave_core/kms/remote_client.h"
#include "runtime/os_clock.h"
#include "runtime/socket_address.h"
#include "tests/unit/kms/tls_server.h"

namespace coffer::enclave {
namespace {

using testing::HasSubstr;

// Serves one connection on a thread of its own, with the channel that the pure tests have.
class OneConnection {
 public:
  explicit OneConnection(const kms::ServerSetup* setup) : setup_(setup) {
    const auto any = runtime::Endpoint::Parse("tcp://127.0.0.1:0").value();
    listener_ = runtime::ListenOn(any).value();
    endpoint_ = runtime::Endpoint::Parse(
                    absl::StrCat("tcp://", runtime::LocalAddress(listener_.get()).ToString()))
                    .value();
    thread_ = std::thread([this] { Serve(); });
  }
  ~OneConnection() { thread_.join(); }
  OneConnection(const OneConnection&) = delete;
  OneConnection& operator=(const OneConnection&) = delete;

  const runtime::Endpoint& endpoint() const { return endpoint_; }

 private:
  void Serve() {
    pollfd poller{listener_.get(), POLLIN, 0};
    ASSERT_EQ(poll(&poller, 1, 20'000), 1);
    const runtime::Fd peer(accept(listener_.get(), nullptr, nullptr));
    ASSERT_TRUE(peer.valid());
    kms::ServerChannel channel(setup_);
    std::array<char, 4096> piece{};
    ssize_t size = 0;
    while ((size = recv(peer.get(), piece.data(), piece.size(), 0)) > 0) {
      ASSERT_TRUE(channel.Write({piece.data(), static_cast<size_t>(size)}).ok());
      const std::string out = channel.Read(1'000'000).value();
      ASSERT_EQ(send(peer.get(), out.data(), out.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(out.size()));
    }
  }

  const kms::ServerSetup* const setup_;
  runtime::Fd listener_;
  runtime::Endpoint endpoint_;
  std::thread thread_;
};

class KmsChannelTest : public testing::Test {
 protected:
  KmsChannelTest() {
    setup_.certificate = host::MakeCertificate("kms", &ca_, "DNS:kms.test");
    setup_.answer = [](const std::string& head, const std::string&) {
      EXPECT_THAT(head, HasSubstr("TrentService.GenerateRandom"));
      const std::string body = R"({"__type":"AccessDeniedException","message":"not this image"})";
      return absl::StrCat("HTTP/1.1 400 Bad Request\r\nContent-Length: ", body.size(), "\r\n\r\n",
                          body);
    };
    const absl::Time now = runtime::OsWallNow();
    const auto files = attestation::MakeDevelopmentRoot(now - absl::Hours(1), 30).value();
    attester_ = attestation::DevelopmentAttester::Create(
                    {files.secret_pem, std::string(48, 'p'), [now] { return now; }})
                    .value();
  }
  absl::Status Ask(const runtime::Endpoint& endpoint, absl::Duration budget) {
    kms::Credentials credentials{"us-east-2", "AKIDEXAMPLE",
                                 ethereum::SecretBytes::CopyOf("secret").value(), ""};
    const auto client =
        kms::RemoteClient::Create({"kms.test", kms::PemOf(ca_)}, std::move(credentials),
                                  KmsPorts(endpoint, attester_.get(), budget))
            .value();
    return client->GenerateRandom(32).status();
  }

  const host::KeyAndCertificate ca_ = host::MakeCertificate("ca", nullptr, "");
  kms::ServerSetup setup_;
  std::unique_ptr<attestation::DevelopmentAttester> attester_;
};

TEST_F(KmsChannelTest, AskedOverTcpKmsAnswers) {
  const OneConnection kms(&setup_);
  EXPECT_EQ(Ask(kms.endpoint(), absl::Seconds(20)),
            absl::FailedPreconditionError("AccessDeniedException: not this image"));
}

TEST_F(KmsChannelTest, AnExpiredCertificateIsRefusedByTheMachinesClock) {
  setup_.certificate = host::MakeCertificate("kms", &ca_, "DNS:kms.test", -60);
  const OneConnection kms(&setup_);
  const absl::Status status = Ask(kms.endpoint(), absl::Seconds(20));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("has expired"));
}

TEST_F(KmsChannelTest, AHostThatSaysNothingIsGivenUp) {
  const auto listener =
      runtime::ListenOn(runtime::Endpoint::Parse("tcp://127.0.0.1:0").value()).value();
  const auto endpoint =
      runtime::Endpoint::Parse(
          absl::StrCat("tcp://", runtime::LocalAddress(listener.get()).ToString()))
          .value();
  const absl::Status status = Ask(endpoint, absl::Milliseconds(300));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("in time"));
}

TEST_F(KmsChannelTest, NobodyThereIsUnavailable) {
  const auto nowhere = runtime::Endpoint::Parse("unix:///nowhere/kms.sock").value();
  EXPECT_EQ(Ask(nowhere, absl::Seconds(5)).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace coffer::enclave
