// The options of the transparency log's witnesses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host_proxy/host_options.h"

namespace coffer::host_proxy {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<HostOptions> Load(std::vector<std::string> flags) {
  flags.insert(flags.end(), {"--data-dir", "/var/lib/coffer"});
  const auto loaded = HostConfigSpec().Load(flags, {});
  if (!loaded.ok()) return loaded.status();
  return ParseHostOptions(loaded->config);
}

TEST(WitnessOptionsTest, NoneUnlessAFileIsNamed) {
  const auto none = Load({});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->witness_policy_path, "");
  EXPECT_EQ(none->witness_timeout, absl::Seconds(5));
  const auto given =
      Load({"--witnesses.policy", "/etc/coffer/policy", "--witnesses.timeout", "1500ms"});
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->witness_policy_path, "/etc/coffer/policy");
  EXPECT_EQ(given->witness_timeout, absl::Milliseconds(1500));
}

TEST(WitnessOptionsTest, AHeadWaitsForABoundedTime) {
  for (const char* bad : {"0s", "99ms", "61s", "soon"}) {
    const auto options = Load({"--witnesses.timeout", bad});
    ASSERT_FALSE(options.ok()) << bad;
    EXPECT_THAT(std::string(options.status().message()), HasSubstr("witnesses.timeout"));
  }
}

}  // namespace
}  // namespace coffer::host_proxy
