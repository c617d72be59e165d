#include "actors/host/registry.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace coffer::host {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    char name[] = "/tmp/coffer-registry-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~RegistryTest() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& entries) {
    std::ofstream(path()) << "{\"orchestrators\":{" << entries << "}}";
  }
  std::string path() const { return folder_ + "/registry.json"; }

  std::string folder_;
};

constexpr char kOne[] = "\"a\":\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"";  // EIP-55's own
constexpr char kOther[] = "\"a\":\"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359\"";
constexpr char kMore[] = "\"b\":\"0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359\"";

TEST_F(RegistryTest, AddsAndNeverChanges) {
  Registry registry(path());
  Write(kOne);
  ASSERT_TRUE(registry.Reload().ok());
  const ethereum::Address first = *registry.Find("a");
  EXPECT_EQ(registry.Find("b"), nullptr);
  EXPECT_FALSE(registry.ReloadIfChanged());
  Write(std::string(kOther) + "," + kMore);
  EXPECT_TRUE(registry.ReloadIfChanged());
  EXPECT_EQ(*registry.Find("a"), first);
  ASSERT_NE(registry.Find("b"), nullptr);
  ASSERT_EQ(registry.conflicts().size(), 1u);
  EXPECT_EQ(registry.conflicts()[0], (Registry::Conflict{"a", first, *registry.Find("b")}));
  EXPECT_EQ(registry.counters().refused, 1u);
  Write(kMore);  // what is left out is not forgotten: its money has a recipient
  ASSERT_TRUE(registry.Reload().ok());
  EXPECT_EQ(*registry.Find("a"), first);
  EXPECT_TRUE(registry.conflicts().empty());
}

TEST_F(RegistryTest, ABrokenFileChangesNothing) {
  Registry registry(path());
  EXPECT_TRUE(absl::IsNotFound(registry.Reload()));
  Write(kOne);
  ASSERT_TRUE(registry.Reload().ok());
  const std::string b = kMore;
  const std::string broken[] = {
      b + ",\"c\":\"0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"",  // checksum
      b + ",\"c\":\"0x12\"",
      b + ",\"c\":\"0x0000000000000000000000000000000000000000\"",
      b + ",\"c\":7",
      b + ",\"\":\"0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359\"",
      b + "," + b,
      b + ",",
      b + "}",
      b + ",\"c\":" + std::string(5000, '['),
  };
  uint64_t failures = 1;
  for (const std::string& entries : broken) {
    Write(entries);
    EXPECT_FALSE(registry.Reload().ok()) << entries.substr(0, 200);
    EXPECT_EQ(registry.size(), 1u);
    EXPECT_EQ(registry.counters().failures, ++failures);
  }
  std::ofstream(path()) << "[]";
  EXPECT_FALSE(registry.Reload().ok());
  std::ofstream(path()) << "{\"orchestrators\":[]}";
  EXPECT_FALSE(registry.Reload().ok());
  EXPECT_NE(registry.Find("a"), nullptr);
}

}  // namespace
}  // namespace coffer::host
