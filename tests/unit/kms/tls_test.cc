#include "enclave_core/kms/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/kms/amazon_roots.h"
#include "tests/unit/kms/names.h"
#include "tests/unit/kms/tls_server.h"

namespace coffer::kms {
namespace {

using host::KeyAndCertificate;
using host::MakeCertificate;
using ::testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  TlsOptions Options(const std::string& host = kHost) { return {host, now_, PemOf(ca_)}; }
  KeyAndCertificate Issued(const std::string& names, long seconds = 3600) {
    return MakeCertificate("server", &ca_, names, seconds);
  }
  // Carries bytes between the two until neither has any, `piece` bytes at a time.
  static absl::Status Carry(TlsClient& client, TlsServer& server, size_t piece = 100'000) {
    for (int idle = 0; idle < 2;) {
      const std::string up = client.TakeOutput();
      server.Feed(up);
      const std::string down = server.TakeOutput();
      idle = up.empty() && down.empty() ? idle + 1 : 0;
      for (size_t at = 0; at < down.size(); at += piece) {
        if (absl::Status fed = client.FeedWire(down.substr(at, piece)); !fed.ok()) return fed;
      }
    }
    return absl::OkStatus();
  }
  // The error of a handshake with a server that has this certificate.
  static std::string Refusal(const TlsOptions& options, const KeyAndCertificate& certificate,
                             int max_version = 0) {
    const auto client = TlsClient::Create(options).value();
    TlsServer server(certificate, max_version);
    const absl::Status status = Carry(*client, server);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_FALSE(client->connected());
    EXPECT_FALSE(client->Write("secret").ok());
    EXPECT_THAT(status.message(), HasSubstr(options.host));
    return std::string(status.message());
  }

  const absl::Time now_ = absl::Now();
  const KeyAndCertificate ca_ = MakeCertificate("ca", nullptr, "");
  const KeyAndCertificate good_ = Issued(absl::StrCat("DNS:", kHost));
};

TEST_F(TlsTest, BytesGoBothWaysInTls12AndTls13) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t piece : {1U, 7U, 100'000U}) {
      const auto client = TlsClient::Create(Options()).value();
      TlsServer server(good_, version);
      ASSERT_FALSE(client->connected());
      ASSERT_TRUE(Carry(*client, server, piece).ok());
      ASSERT_TRUE(client->connected() && server.connected());
      EXPECT_EQ(SSL_version(server.ssl()), version);
      EXPECT_EQ(server.asked_for(), kHost);
      ASSERT_TRUE(client->Write("question").ok());
      ASSERT_TRUE(Carry(*client, server, piece).ok());
      EXPECT_EQ(server.plaintext(), "question");
      const std::string answer(100'000, 'a');
      server.Write(answer);
      ASSERT_TRUE(Carry(*client, server, piece).ok());
      EXPECT_EQ(client->TakePlaintext(), answer);
      EXPECT_FALSE(client->closed());
      server.SayEnd();
      ASSERT_TRUE(Carry(*client, server, piece).ok());
      EXPECT_TRUE(client->closed());
      EXPECT_TRUE(client->FeedWireEnd().ok());
    }
  }
}

TEST_F(TlsTest, ACertificateThatIsNotTheHostsIsRefusedAndTheErrorSaysWhy) {
  EXPECT_THAT(Refusal(Options(), Issued(absl::StrCat("DNS:", kHost), -60)),
              HasSubstr("has expired (judged at "));
  EXPECT_THAT(Refusal(Options(), Issued("DNS:kms.eu-west-1.amazonaws.com")),
              HasSubstr("another host's"));
  EXPECT_THAT(Refusal(Options(), Issued("DNS:*.us-east-2.amazonaws.com.evil.example")),
              HasSubstr("another host's"));
  EXPECT_THAT(Refusal(Options(), Issued("IP:127.0.0.1")), HasSubstr("another host's"));
  // The common name counts for nothing, even where no other name is there.
  for (const char* const names : {"DNS:other.example", "IP:127.0.0.1"}) {
    EXPECT_THAT(Refusal(Options(), MakeCertificate(kHost, &ca_, names)),
                HasSubstr("another host's"));
  }
  const KeyAndCertificate strangers = MakeCertificate("ca", nullptr, "");
  EXPECT_THAT(Refusal(Options(), MakeCertificate("s", &strangers, absl::StrCat("DNS:", kHost))),
              testing::AnyOf(HasSubstr("not valid: certificate signature failure"),
                             HasSubstr("issuer is unknown")));
  const KeyAndCertificate nobody = MakeCertificate("nobody", nullptr, "");
  EXPECT_THAT(Refusal(Options(), MakeCertificate("s", &nobody, absl::StrCat("DNS:", kHost))),
              HasSubstr("not under the CA given"));
  // Without a CA of its own: Amazon's roots, and this is not under them.
  EXPECT_THAT(Refusal({kHost, now_, ""}, good_), HasSubstr("not under Amazon's roots"));
  EXPECT_THAT(Refusal({kHost, now_, ""}, nobody), HasSubstr("not under Amazon's roots"));
}

TEST_F(TlsTest, CertificatesAreJudgedAtTheCallersTime) {
  TlsOptions options = Options();
  options.now = now_ + absl::Hours(2);
  EXPECT_THAT(Refusal(options, good_), HasSubstr("has expired"));
  options.now = now_ - absl::Hours(24);
  EXPECT_THAT(Refusal(options, good_), HasSubstr("not valid yet"));
  // And what the machine's clock would refuse passes at the time that it was valid.
  options.now = now_ - absl::Hours(1);
  const auto client = TlsClient::Create(options).value();
  TlsServer server(Issued(absl::StrCat("DNS:", kHost), -60));
  EXPECT_TRUE(Carry(*client, server).ok());
  EXPECT_TRUE(client->connected());
}

TEST_F(TlsTest, AnIpAddressIsAHost) {
  const auto client = TlsClient::Create(Options("127.0.0.1")).value();
  TlsServer server(Issued("IP:127.0.0.1"));
  EXPECT_TRUE(Carry(*client, server).ok());
  EXPECT_TRUE(client->connected());
  EXPECT_EQ(server.asked_for(), "");
  EXPECT_THAT(Refusal(Options("127.0.0.2"), Issued("IP:127.0.0.1")), HasSubstr("another host's"));
  EXPECT_THAT(Refusal(Options("127.0.0.1"), Issued("DNS:127.0.0.1")), HasSubstr("another host's"));
}

TEST_F(TlsTest, OldTlsIsRefused) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    EXPECT_THAT(Refusal(Options(), good_, version), HasSubstr("handshake was refused"));
  }
}

TEST_F(TlsTest, AWeakSuiteOrARefusalOfTheServersIsAnError) {
  const auto client = TlsClient::Create(Options()).value();
  TlsServer server(good_, TLS1_2_VERSION);
  SSL_set_cipher_list(server.ssl(), "ECDHE-ECDSA-AES128-SHA");  // CBC
  EXPECT_THAT(Carry(*client, server).message(), HasSubstr("handshake was refused"));
}

TEST_F(TlsTest, WhatIsNoTlsIsRefused) {
  const std::string alert("\x15\x03\x01\x00\x02\x02\x28", 7);  // handshake_failure
  for (const std::string& text : {std::string("HTTP/1.1 200 OK\r\n\r\n"), alert}) {
    const auto client = TlsClient::Create(Options()).value();
    EXPECT_THAT(client->FeedWire(text).message(), HasSubstr("handshake was refused"));
    EXPECT_FALSE(client->FeedWire("").ok()) << "an error stays one";
  }
}

TEST_F(TlsTest, ACutConnectionIsAnErrorWhereverItIsCut) {
  const auto start = TlsClient::Create(Options()).value();
  EXPECT_THAT(start->FeedWireEnd().message(), HasSubstr("during the TLS handshake"));
  const auto client = TlsClient::Create(Options()).value();
  TlsServer server(good_);
  ASSERT_TRUE(Carry(*client, server).ok());
  server.Write("half of an ans");
  ASSERT_TRUE(Carry(*client, server).ok());
  EXPECT_THAT(client->FeedWireEnd().message(), HasSubstr("cut"));
}

TEST_F(TlsTest, AChangedRecordIsRefused) {
  const auto client = TlsClient::Create(Options()).value();
  TlsServer server(good_);
  ASSERT_TRUE(Carry(*client, server).ok());
  server.Write("answer");
  std::string record = server.TakeOutput();
  record.back() = static_cast<char>(record.back() ^ 1);
  EXPECT_THAT(client->FeedWire(record).message(), HasSubstr("TLS stream is broken"));
  EXPECT_EQ(client->TakePlaintext(), "");
  EXPECT_FALSE(client->TakeOutput().empty()) << "an alert for the server";
}

TEST_F(TlsTest, AServerThatNeverEndsIsStopped) {
  const auto client = TlsClient::Create(Options()).value();
  TlsServer server(good_);
  ASSERT_TRUE(Carry(*client, server).ok());
  absl::Status status;
  size_t sent = 0;
  while (status.ok() && sent < 2 * kMaxTlsInputBytes) {
    server.Write(std::string(10'000, 'x'));
    status = client->FeedWire(server.TakeOutput());
    sent += 10'000;
  }
  EXPECT_THAT(status.message(), HasSubstr("more than any answer"));
}

TEST_F(TlsTest, OptionsAreChecked) {
  const auto code = [](const TlsOptions& options) {
    return TlsClient::Create(options).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  for (const std::string host : {"", "a b", "a/b", "a\nb", "user@host"}) {
    EXPECT_EQ(code(Options(host)), invalid) << host;
  }
  EXPECT_EQ(code(Options(std::string(254, 'a'))), invalid);
  const std::string pem = PemOf(ca_);
  EXPECT_EQ(code({kHost, now_, "no PEM"}), invalid);
  EXPECT_EQ(code({kHost, now_, pem + pem.substr(0, pem.size() / 2)}), invalid);
  std::string many;
  for (int i = 0; i < 17; ++i) many += pem;
  EXPECT_EQ(code({kHost, now_, many}), invalid);
  EXPECT_EQ(code({kHost, now_, pem + pem}), absl::StatusCode::kOk);
}

TEST(AmazonRoots, AreThoseWhoseFingerprintsAreKnown) {
  std::set<std::string> names;
  for (const PinnedRoot& root : AmazonRoots()) {
    SCOPED_TRACE(root.name);
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(
        BIO_new_mem_buf(root.pem.data(), static_cast<int>(root.pem.size())), BIO_free);
    const std::unique_ptr<X509, void (*)(X509*)> certificate(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    ASSERT_NE(certificate, nullptr);
    std::array<unsigned char, 32> digest{};
    X509_digest(certificate.get(), EVP_sha256(), digest.data(), nullptr);
    const std::string hex =
        ethereum::ToHex({reinterpret_cast<const char*>(digest.data()), digest.size()});
    EXPECT_EQ(absl::AsciiStrToUpper(hex.substr(2)), root.fingerprint);
    std::array<char, 128> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(),
                              name.size());
    EXPECT_EQ(std::string(name.data()), root.name);
    EXPECT_EQ(X509_check_ca(certificate.get()), 1);
    names.insert(std::string(root.fingerprint));
  }
  EXPECT_EQ(names.size(), AmazonRoots().size());
}

}  // namespace
}  // namespace coffer::kms
