// Which signer a configuration means.
#include "host_proxy/signer_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "host_proxy/host_options.h"

namespace coffer::host_proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::StatusOr<HostOptions> LoadSigner(std::vector<std::string> flags,
                                       runtime::Environment environment) {
  flags.insert(flags.end(), {"--data-dir", "/var/lib/coffer"});
  const SignerEnvironment signer = ReadSignerEnvironment(environment);
  TranslateSignerVariables(environment);
  const auto loaded = HostConfigSpec().Load(flags, environment);
  if (!loaded.ok()) return loaded.status();
  return ParseHostOptions(loaded->config, signer);
}

SignerOptions Signer(std::vector<std::string> flags, runtime::Environment environment) {
  const absl::StatusOr<HostOptions> options = LoadSigner(std::move(flags), std::move(environment));
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? options->signer : SignerOptions();
}

std::string Refusal(std::vector<std::string> flags, runtime::Environment environment) {
  const absl::StatusOr<HostOptions> options = LoadSigner(std::move(flags), std::move(environment));
  return options.ok() ? "accepted" : std::string(options.status().message());
}

const char kKey[] = "PAYMENT_PRIVATE_KEY";
const char kKeystore[] = "PAYMENT_KEYSTORE_PATH";
const char kEndpoint[] = "PAYMENTS_SIGNER_ENDPOINT";

TEST(SignerOptionsTest, ModeAndEndpoint) {
  struct Case {
    std::vector<std::string> flags;
    runtime::Environment environment;
    const char* mode;
    const char* endpoint;
    size_t notices;
  };
  const Case cases[] = {
      {{}, {}, "remote", "tcp://127.0.0.1:5000", 0},
      {{}, {{kEndpoint, "vsock://16:5000"}}, "remote", "vsock://16:5000", 0},
      {{}, {{kEndpoint, ""}}, "remote", "tcp://127.0.0.1:5000", 0},
      {{"--enclave", "unix:///x"}, {{kEndpoint, "unix:///x"}}, "remote", "unix:///x", 0},
      {{"--enclave", "unix:///x"}, {{kEndpoint, "tcp://a:1"}}, "remote", "unix:///x", 1},
      {{}, {{"COFFER_ENCLAVE", "unix:///x"}, {kEndpoint, "tcp://a:1"}}, "remote", "unix:///x", 1},
      {{}, {{kEndpoint, "tcp://a:1"}, {kKey, "0x1"}}, "remote", "tcp://a:1", 1},
      {{}, {{kEndpoint, "tcp://a:1"}, {kKeystore, "/k"}, {kKey, "1"}}, "remote", "tcp://a:1", 1},
      {{"--enclave", "tcp://127.0.0.1:5000"}, {{kKey, "1"}}, "remote", "tcp://127.0.0.1:5000", 1},
      {{}, {{kKey, "0x1"}}, "local", "unix:///var/lib/coffer/enclave.sock", 0},
      {{}, {{kKeystore, "/k"}}, "local", "unix:///var/lib/coffer/enclave.sock", 0},
      {{}, {{kKey, ""}}, "remote", "tcp://127.0.0.1:5000", 0},
      {{}, {{"PAYMENT_KEYSTORE_PASSWORD", "x"}}, "remote", "tcp://127.0.0.1:5000", 1},
      {{"--enclave", "none"}, {}, "none", "tcp://:0", 0},
      {{"--enclave", "none"}, {{kKey, "0x1"}}, "none", "tcp://:0", 1},
      {{}, {{kEndpoint, "none"}}, "none", "tcp://:0", 0},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    const SignerOptions signer = Signer(cases[i].flags, cases[i].environment);
    EXPECT_EQ(SignerModeName(signer.mode), cases[i].mode);
    if (signer.mode != SignerMode::kNone) {
      EXPECT_EQ(signer.endpoint.ToString(), cases[i].endpoint);
    }
    EXPECT_THAT(signer.notices, SizeIs(cases[i].notices));
  }
}

TEST(SignerOptionsTest, NoticesSayWhatIsIgnored) {
  const SignerOptions signer = Signer(
      {"--enclave", "unix:///x"},
      {{kEndpoint, "tcp://a:1"}, {kKey, "hunter2"}, {"PAYMENT_KEYSTORE_PASSWORD", "hunter2"}});
  ASSERT_THAT(signer.notices, SizeIs(2));
  EXPECT_THAT(signer.notices[0], HasSubstr("PAYMENTS_SIGNER_ENDPOINT says tcp://a:1"));
  EXPECT_THAT(signer.notices[0], HasSubstr("flag --enclave says unix:///x"));
  EXPECT_EQ(signer.notices[1],
            "ignored, because the signer is the enclave at unix:///x: PAYMENT_PRIVATE_KEY, "
            "PAYMENT_KEYSTORE_*");
}

TEST(SignerOptionsTest, TimeoutInSeconds) {
  const char kVariable[] = "PAYMENTS_SIGNER_TIMEOUT_SECONDS";
  EXPECT_EQ(LoadSigner({}, {{kVariable, "7"}})->enclave.request_timeout, absl::Seconds(7));
  EXPECT_EQ(LoadSigner({}, {{kVariable, "2.5"}})->enclave.request_timeout, absl::Seconds(2.5));
  EXPECT_EQ(LoadSigner({"--enclave-timeout", "9s"}, {{kVariable, "7"}})->enclave.request_timeout,
            absl::Seconds(9));
  for (const char* bad : {"soon", "-1", "0", "0.5", "nan"}) {
    EXPECT_THAT(Refusal({}, {{kVariable, bad}}), HasSubstr("imeout")) << bad;
  }
}

TEST(SignerOptionsTest, ExpectedAddress) {
  const char kVariable[] = "PAYMENTS_SIGNER_EXPECTED_ADDRESS";
  const std::string address = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
  const SignerOptions signer = Signer({}, {{kVariable, address}});
  ASSERT_TRUE(signer.expected_address.has_value());
  EXPECT_EQ(ethereum::ToChecksum(*signer.expected_address), address);
  EXPECT_FALSE(Signer({}, {}).expected_address.has_value());
  for (const char* bad : {"0x12", "coffer", "0x008aEeda4D805471dF9b2A5B0f38A0C3bCBA786b"}) {
    EXPECT_THAT(Refusal({"--expected-address", bad}, {}), HasSubstr("--expected-address"));
  }
}

TEST(SignerOptionsTest, WhatTheLocalEnclaveIsGiven) {
  const SignerOptions signer = Signer({}, {{kKey, "1"},
                                           {"COFFER_ENCLAVE_CHAIN_ID", "42161"},
                                           {"COFFER_ENCLAVE_TICKET_BROKER", "0xb"},
                                           {"COFFER_HTTP_ADMIN_TOKEN", ""},
                                           {"SIGNER_PRIVATE_KEY", "hunter2"}});
  EXPECT_THAT(signer.local_environment,
              testing::UnorderedElementsAre(testing::Pair("COFFER_CHAIN_ID", "42161"),
                                            testing::Pair("COFFER_TICKET_BROKER", "0xb")));
  EXPECT_THAT(Signer({}, {{"COFFER_ENCLAVE_CHAIN_ID", "1"}}).local_environment, IsEmpty());
}

TEST(SignerOptionsTest, Refusals) {
  EXPECT_THAT(Refusal({"--enclave", "nowhere"}, {}), HasSubstr("--enclave"));
  EXPECT_THAT(Refusal({}, {{kEndpoint, "http://x"}}), HasSubstr("enclave"));
  EXPECT_THAT(Refusal({"--data-dir", std::string("/") + std::string(200, 'd')}, {{kKey, "1"}}),
              HasSubstr("data-dir"));
  EXPECT_THAT(Refusal({"--enclave", "none", "--journal.path", "/j", "--registry.path", "/r"}, {}),
              HasSubstr("--journal.path: needs an enclave"));
}

TEST(SignerOptionsTest, ALocalKeyIsLoudlyInsecure) {
  const absl::StatusOr<HostOptions> options = LoadSigner({}, {{kKey, "1"}});
  EXPECT_THAT(InsecureParts(*options), testing::Contains(HasSubstr("signing key comes from this")));
}

}  // namespace
}  // namespace coffer::host_proxy
