// What the process takes from the machine at start: files, the Nitro Secure Module's device, and
// what is mixed into the kernel's randomness.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/os_file.h"
#include "runtime/os_nsm.h"
#include "runtime/os_random.h"

namespace coffer::runtime {
namespace {

using testing::HasSubstr;

class OsFileTest : public testing::Test {
 protected:
  // Cases run side by side, each in a process of its own.
  OsFileTest()
      : path_(std::filesystem::path(testing::TempDir()) /
              absl::StrCat("coffer-os-file-test-", getpid())) {
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void Write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::binary) << text;
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
  }
  const std::filesystem::path path_;
};

TEST_F(OsFileTest, PiecesAreTheWholeFileInOrder) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i);
  Write(text);
  std::string read;
  int pieces = 0;
  EXPECT_TRUE(OsReadPieces(path_, [&](std::string_view piece) {
                read.append(piece);
                ++pieces;
              }).ok());
  EXPECT_TRUE(read == text);
  EXPECT_GT(pieces, 1);
  const absl::Status missing = OsReadPieces(path_.string() + ".no", [](std::string_view) {});
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr(path_.string() + ".no"));
  EXPECT_TRUE(absl::IsUnavailable(OsReadPieces("/", [](std::string_view) {})));
}

TEST_F(OsFileTest, ASecretIsItsOwnersAndBounded) {
  Write("secret\n");
  EXPECT_EQ(*OsReadSecretFile(path_, 7), "secret\n");
  const absl::Status longer = OsReadSecretFile(path_, 6).status();
  EXPECT_TRUE(absl::IsInvalidArgument(longer));
  EXPECT_THAT(std::string(longer.message()), HasSubstr("more than the 6 bytes"));
  EXPECT_THAT(std::string(longer.message()), testing::Not(HasSubstr("secret\n")));
  for (const mode_t mode : {0640, 0604, 0620}) {
    Write("secret\n", mode);
    EXPECT_TRUE(absl::IsPermissionDenied(OsReadSecretFile(path_, 99).status())) << mode;
  }
  std::filesystem::remove(path_);
  EXPECT_TRUE(absl::IsNotFound(OsReadSecretFile(path_, 99).status()));
}

TEST(OsNsmTest, WhatIsNoModuleIsRefused) {
  EXPECT_FALSE(OsNsm::Present("/nowhere/nsm"));
  EXPECT_TRUE(absl::IsNotFound(OsNsm::Open("/nowhere/nsm").status()));
  ASSERT_TRUE(OsNsm::Present("/dev/null"));
  const auto device = OsNsm::Open("/dev/null");
  ASSERT_TRUE(device.ok()) << device.status();
  const absl::Status refused = (*device)->Exchange("request", 100).status();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Nitro Secure Module's driver"));
}

TEST(OsRandomTest, TakesWhatIsMixedIn) {
  EXPECT_TRUE(OsMixRandom(std::string(256, 'r')).ok());
  EXPECT_TRUE(OsMixRandom("").ok());
}

}  // namespace
}  // namespace coffer::runtime
