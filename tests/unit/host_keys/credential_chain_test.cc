// Where credentials come from, in which order, and what is said when there are none.
#include "actors/host/aws/credential_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "runtime/event_loop.h"
#include "tests/unit/host_keys/imds_server.h"
#include "tests/unit/runtime/support.h"

namespace coffer::host::aws {
namespace {

using ethereum::SecretBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CredentialChainTest : public ::testing::Test {
 public:
  ~CredentialChainTest() override { std::filesystem::remove_all(home); }

 protected:
  CredentialChainTest() : imds(&loop) {
    home = std::filesystem::path(::testing::TempDir()) /
           absl::StrCat("coffer_aws_", getpid(), "_",
                        ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(home / ".aws");
    environment.home = home;
    environment.imds_endpoint = imds.Url();
    http = *HttpClient::Create(&loop, {});
  }

  void SetKeys(const std::string& id, const std::string& secret) {
    environment.access_key_id = id;
    if (!secret.empty()) environment.secret_access_key = *SecretBytes::CopyOf(secret);
  }
  std::string File(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::string path = home / name;
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
  }
  absl::StatusOr<Credentials> Get() {
    auto made = CredentialChain::Create(&loop, http.get(), std::move(environment), options);
    if (!made.ok()) return made.status();
    chain = *std::move(made);
    return Again();
  }
  absl::StatusOr<Credentials> Again() {
    std::optional<absl::StatusOr<Credentials>> got;
    chain->Get([&](absl::StatusOr<Credentials> found) { got = std::move(found); });
    EXPECT_FALSE(got.has_value()) << "never from inside Get";
    EXPECT_TRUE(runtime::TurnUntil(loop, [&] { return got.has_value(); }));
    if (!got.has_value()) return absl::InternalError("no answer at all");
    return *std::move(got);
  }

  runtime::EventLoop loop;
  ImdsServer imds;
  std::filesystem::path home;
  AwsEnvironment environment;
  CredentialChain::Options options;
  std::unique_ptr<HttpClient> http;
  std::unique_ptr<CredentialChain> chain;
};

constexpr char kProfile[] = "[default]\naws_access_key_id=AKIDFILE\naws_secret_access_key=file\n";

TEST_F(CredentialChainTest, TheEnvironmentComesFirst) {
  SetKeys("AKIDENV", "env/secret");
  environment.session_token = *SecretBytes::CopyOf("env-token");
  environment.region = "us-west-2";
  File(".aws/credentials", kProfile);
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->access_key_id, "AKIDENV");
  EXPECT_EQ(got->secret_access_key.view(), "env/secret");
  EXPECT_EQ(got->session_token.view(), "env-token");
  EXPECT_EQ(got->region, "us-west-2");
  EXPECT_THAT(imds.asked, IsEmpty());
  EXPECT_TRUE(Again().ok()) << "they are copied, not given away";
}

TEST_F(CredentialChainTest, ThenTheProfileOfTheSharedFiles) {
  File(".aws/credentials",
       absl::StrCat(kProfile, "[pay]\naws_access_key_id=AKIDPAY\n", "aws_secret_access_key=pay\n"));
  File(".aws/config", "[profile pay]\nregion=eu-central-1\n", 0644);
  environment.profile = "pay";
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->access_key_id, "AKIDPAY");
  EXPECT_EQ(got->region, "eu-central-1");
  EXPECT_THAT(got->source, HasSubstr(".aws/credentials"));
  EXPECT_THAT(imds.asked, IsEmpty());
  // Read anew each time: who rotates keys changes the file.
  File(".aws/credentials", "[pay]\naws_access_key_id=AKIDNEW\naws_secret_access_key=new\n");
  EXPECT_EQ(Again()->access_key_id, "AKIDNEW");
}

TEST_F(CredentialChainTest, TheFilesMayBeElsewhereAndTheConfigMayHaveTheKeys) {
  environment.credentials_file = home / "nothing-here";
  environment.config_file = File("my.conf", absl::StrCat(kProfile, "region=us-east-1\n"));
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->access_key_id, "AKIDFILE");
  EXPECT_EQ(got->region, "us-east-1");
}

TEST_F(CredentialChainTest, ThenTheInstancesRole) {
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->access_key_id, "ASIAROLE");
  EXPECT_EQ(got->secret_access_key.view(), "role/secret");
  EXPECT_EQ(got->session_token.view(), "session-token");
  EXPECT_EQ(got->region, "us-east-2");
  EXPECT_TRUE(got->expiration.has_value());
  EXPECT_EQ(got->source, "the instance's role pay-role");
  EXPECT_THAT(imds.asked, ElementsAre("PUT /latest/api/token",
                                      "GET /latest/meta-data/iam/security-credentials/",
                                      "GET /latest/meta-data/iam/security-credentials/pay-role",
                                      "GET /latest/meta-data/placement/region"));
  // The service gives new ones before the old end.
  imds.bodies["/latest/meta-data/iam/security-credentials/pay-role"] =
      ImdsServer::Role("fresh", "2126-02-01T00:00:00Z");
  EXPECT_EQ(Again()->secret_access_key.view(), "fresh");
}

TEST_F(CredentialChainTest, AGivenRegionWinsAndIsNotAskedFor) {
  options.region = "ap-south-1";
  environment.region = "us-west-2";
  EXPECT_EQ(Get()->region, "ap-south-1");
  EXPECT_EQ(imds.asked.size(), 3u);
}

TEST_F(CredentialChainTest, EachSourceSaysWhyItHasNone) {
  SetKeys("AKIDENV", "");
  File(".aws/credentials", kProfile, 0644);
  File(".aws/config", "[default]\nrole_arn=arn:aws:iam::1:role/x\n");
  imds.bodies.erase("/latest/meta-data/iam/security-credentials/");
  const auto got = Get();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(got.status().message(),
              HasSubstr("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"));
  EXPECT_THAT(got.status().message(), HasSubstr(".aws/credentials can be read by others"));
  EXPECT_THAT(got.status().message(), HasSubstr("role_arn, which is not done here"));
  EXPECT_THAT(got.status().message(), HasSubstr("the instance has no role"));
}

TEST_F(CredentialChainTest, OneSourceCanBeMeant) {
  SetKeys("AKIDENV", "env");
  File(".aws/credentials", kProfile);
  environment.region = "us-east-1";
  options.sources = Sources::kInstance;
  EXPECT_EQ(Get()->access_key_id, "ASIAROLE");
  EXPECT_EQ(ParseSources("profile").value(), Sources::kProfile);
  EXPECT_FALSE(ParseSources("imds").ok());
}

TEST_F(CredentialChainTest, CredentialsWithoutARegionAreNoneAtAll) {
  SetKeys("AKIDENV", "env");
  const auto got = Get();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(got.status().message(), HasSubstr("no region"));
}

TEST_F(CredentialChainTest, WhatEndsNowIsNotHandedOver) {
  imds.bodies["/latest/meta-data/iam/security-credentials/pay-role"] =
      ImdsServer::Role("old/secret", "2020-01-31T18:00:00Z");
  const auto got = Get();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(got.status().message(), HasSubstr("end at 2020-01-31T18:00:00+00:00"));
  EXPECT_THAT(std::string(got.status().message()), Not(HasSubstr("old/secret")));
}

TEST_F(CredentialChainTest, AnInstanceThatDoesNotAnswerIsSaidToBeThat) {
  imds.mute = "/latest/api/token";
  options.imds_timeout = absl::Milliseconds(200);
  const auto got = Get();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(got.status().message(), HasSubstr("the instance metadata service does not answer"));
}

TEST_F(CredentialChainTest, TheMetadataServiceCanBeForbidden) {
  environment.imds_disabled = true;
  EXPECT_THAT(Get().status().message(), HasSubstr("AWS_EC2_METADATA_DISABLED"));
  EXPECT_THAT(imds.asked, IsEmpty());
}

TEST_F(CredentialChainTest, AnAnswerThatIsNoneNamesWhatItWas) {
  const std::string role = "/latest/meta-data/iam/security-credentials/pay-role";
  for (const auto& [body, said] :
       {std::pair<std::string, std::string>("<html>", "something else than an object"),
        {R"({"Code":"AssumeRoleUnauthorizedAccess"})", "AssumeRoleUnauthorizedAccess"},
        {R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s p","Token":"t",)"
         R"("Expiration":"2126-01-31T18:00:00Z"})",
         "not the form"},
        {R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t",)"
         R"("Expiration":"tomorrow"})",
         "not the form"},
        {std::string(kMaxImdsAnswerBytes + 1, ' '), "too long"}}) {
    imds.bodies[role] = body;
    environment.home = home;
    environment.imds_endpoint = imds.Url();
    EXPECT_THAT(Get().status().message(), HasSubstr(said));
  }
  imds.bodies["/latest/meta-data/iam/security-credentials/"] = "../../user-data";
  EXPECT_THAT(Again().status().message(), HasSubstr("a role's name that is none"));
}

TEST_F(CredentialChainTest, WrongNamesOfRegionsAndEndpointsAreRefusedAtTheStart) {
  options.region = "us-east-1.evil.example";
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kInvalidArgument);
  options.region = "us-east-1";
  for (const char* endpoint : {"http://127.0.0.1/latest", "ftp://x", "http://u:p@127.0.0.1"}) {
    environment.imds_endpoint = endpoint;
    EXPECT_EQ(Get().status().code(), absl::StatusCode::kInvalidArgument) << endpoint;
  }
}

TEST(AwsEnvironmentTest, TakesTheSecretsOutOfTheProcesssEnvironment) {
  setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "env/secret", 1);
  setenv("AWS_SESSION_TOKEN", "env-token", 1);
  setenv("AWS_DEFAULT_REGION", "us-west-1", 1);
  const auto taken = AwsEnvironment::Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->secret_access_key.view(), "env/secret");
  EXPECT_EQ(taken->session_token.view(), "env-token");
  EXPECT_EQ(taken->region, "us-west-1");
  EXPECT_EQ(getenv("AWS_SECRET_ACCESS_KEY"), nullptr);
  EXPECT_EQ(getenv("AWS_SESSION_TOKEN"), nullptr);
  setenv("AWS_SECRET_ACCESS_KEY", std::string(10'000, 'x').c_str(), 1);
  EXPECT_THAT(AwsEnvironment::Take().status().message(), HasSubstr("AWS_SECRET_ACCESS_KEY"));
}

}  // namespace
}  // namespace coffer::host::aws
