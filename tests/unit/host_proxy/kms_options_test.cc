// The options kms.* of coffer-host.
#include "host_proxy/kms_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host_proxy/host_options.h"

namespace coffer::host_proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

absl::StatusOr<HostOptions> Load(std::vector<std::string> flags) {
  flags.insert(flags.end(), {"--data-dir", "/var/lib/coffer"});
  const auto loaded = HostConfigSpec().Load(flags, {});
  if (!loaded.ok()) return loaded.status();
  return ParseHostOptions(loaded->config);
}

TEST(KmsOptionsTest, NothingIsProvisionedUnlessAskedFor) {
  const auto options = Load({});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->kms.provisioner.provision);
  EXPECT_EQ(options->kms.provisioner.proxy_port, 8000u);
  EXPECT_EQ(options->kms.credentials.sources, host::aws::Sources::kAll);
}

TEST(KmsOptionsTest, EachGoesToItsPlace) {
  const auto options = Load({"--kms.provision", "--kms.region", "us-east-2", "--kms.credentials",
                             "instance", "--kms.encryption-context", "a=1,b=x=y",
                             "--kms.state-key-id", "alias/state", "--kms.generate-key-id",
                             "alias/sign", "--kms.proxy-port", "8001", "--kms.timeout", "30s"});
  ASSERT_TRUE(options.ok()) << options.status();
  const KmsOptions& kms = options->kms;
  EXPECT_TRUE(kms.provisioner.provision);
  EXPECT_EQ(kms.credentials.region, "us-east-2");
  EXPECT_EQ(kms.credentials.sources, host::aws::Sources::kInstance);
  EXPECT_THAT(kms.encryption_context, UnorderedElementsAre(Pair("a", "1"), Pair("b", "x=y")));
  EXPECT_EQ(kms.provisioner.generate_context, kms.encryption_context);
  EXPECT_EQ(kms.provisioner.state_key_id, "alias/state");
  EXPECT_EQ(kms.provisioner.generate_key_id, "alias/sign");
  EXPECT_EQ(kms.provisioner.proxy_port, 8001u);
  EXPECT_EQ(kms.provisioner.timeout, absl::Seconds(30));
}

TEST(KmsOptionsTest, WhatMakesNoSenseIsRefusedByName) {
  for (const auto& [flags, why] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--kms.generate-key-id", "k"}, "--kms.generate-key-id: means something with"},
           {{"--kms.new-state-key"}, "--kms.new-state-key: means something with"},
           {{"--kms.provision", "--enclave", "none"}, "--kms.provision: needs an enclave"},
           {{"--kms.region", "us.east"}, "--kms.region: "},
           {{"--kms.encryption-context", "a"}, "--kms.encryption-context: write it as"},
           {{"--kms.encryption-context", "a=1,a=2"}, "a comes twice"},
           {{"--kms.timeout", "1s"}, "--kms.timeout: "},
           {{"--kms.provision", "--kms.generate-key-id", "k", "--kms.ciphertext-file", "f"},
            "goes not together"}}) {
    EXPECT_THAT(Load(flags).status().message(), HasSubstr(why));
  }
}

}  // namespace
}  // namespace coffer::host_proxy
