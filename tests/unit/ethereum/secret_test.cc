#include "enclave_core/ethereum/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "enclave_core/ethereum/secret_hex.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;

// The address and thread sanitizers turn mlock into nothing, so what it does can't be seen under
// them.
#if defined(COFFER_ADDRESS_SANITIZER) || defined(COFFER_THREAD_SANITIZER)
#define COFFER_SKIP_WITHOUT_MLOCK() GTEST_SKIP() << "sanitizers disable mlock"
#else
#define COFFER_SKIP_WITHOUT_MLOCK() static_cast<void>(0)
#endif

// The VmFlags of the mapping that `address` lies in, or "" when it lies in none.
std::string VmFlagsOf(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    char* dash = nullptr;
    const uintptr_t from = std::strtoul(line.c_str(), &dash, 16);
    if (dash != line.c_str() && *dash == '-') {  // "from-to rwxp ...", the first line of a mapping
      inside = from <= wanted && wanted < std::strtoul(dash + 1, nullptr, 16);
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line.substr(8) + " ";
    }
  }
  return "";
}

TEST(SecretBytesTest, PagesAreLockedNotDumpedAndNotForked) {
  COFFER_SKIP_WITHOUT_MLOCK();
  SecretBytes secret = SecretBytes::CopyOf("0123456789abcdef").value();
  const std::string flags = VmFlagsOf(secret.data().data());
  EXPECT_THAT(flags, HasSubstr(" lo "));  // locked
  EXPECT_THAT(flags, HasSubstr(" dd "));  // left out of core dumps
  EXPECT_THAT(flags, HasSubstr(" wf "));  // wiped on fork
}

TEST(SecretBytesTest, ForkedChildSeesZeros) {
  const SecretBytes secret = SecretBytes::CopyOf("not for children").value();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool wiped =
        std::all_of(secret.data().begin(), secret.data().end(), [](uint8_t b) { return b == 0; });
    _exit(wiped ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(secret.view(), "not for children");
}

TEST(SecretBytesTest, PagesAreGoneAfterwards) {
  COFFER_SKIP_WITHOUT_MLOCK();
  const void* where = nullptr;
  {
    const SecretBytes secret = SecretBytes::Create(5000).value();
    where = secret.data().data();
    ASSERT_THAT(VmFlagsOf(where), HasSubstr(" lo "));
  }
  EXPECT_EQ(VmFlagsOf(where).find(" wf "), std::string::npos);
}

TEST(SecretBytesTest, SizesAndMoves) {
  EXPECT_FALSE(SecretBytes::Create(0).ok());
  EXPECT_FALSE(SecretBytes::Create(SecretBytes::kMaxSize + 1).ok());
  EXPECT_FALSE(SecretBytes::CopyOf("").ok());
  SecretBytes first = SecretBytes::CopyOf("abc").value();
  SecretBytes second = std::move(first);
  EXPECT_EQ(second.view(), "abc");
  SecretBytes third = SecretBytes::Create(1).value();
  third = std::move(second);
  EXPECT_EQ(third.view(), "abc");
  EXPECT_EQ(SecretBytes().size(), 0u);
  third.data()[0] = 'x';
  EXPECT_EQ(third.view(), "xbc");
}

// Every byte in every place, against FromHex, which is written in another way.
TEST(SecretFromHexTest, ReadsWhatFromHexReads) {
  COFFER_SKIP_WITHOUT_MLOCK();
  for (int c = 0; c < 256; ++c) {
    for (const size_t place : {0u, 1u, 2u, 7u}) {
      std::string hex = "0aF93b7C";
      hex[place] = static_cast<char>(c);
      const absl::StatusOr<std::string> plain = FromHex(hex);
      const absl::StatusOr<SecretBytes> secret = SecretFromHex(hex, 4);
      // With an x in the second place FromHex sees a prefix, and three bytes.
      const bool expected = plain.ok() && plain->size() == 4;
      ASSERT_EQ(secret.ok(), expected) << c << " at " << place;
      if (!expected) continue;
      EXPECT_EQ(secret->view(), *plain) << c << " at " << place;
    }
  }
}

TEST(SecretFromHexTest, PrefixAndLength) {
  COFFER_SKIP_WITHOUT_MLOCK();
  EXPECT_EQ(SecretFromHex("0x0102", 2)->view(), "\x01\x02");
  EXPECT_EQ(SecretFromHex("0X0102", 2)->view(), "\x01\x02");
  for (const char* text :
       {"", "01", "010", "01020", "000102", "1x0102", "0x01020", "0x01", "0x01zz"}) {
    const absl::StatusOr<SecretBytes> secret = SecretFromHex(text, 2);
    EXPECT_TRUE(absl::IsInvalidArgument(secret.status())) << text;
  }
}

TEST(SecretBytesTest, ConstantTimeEquals) {
  const SecretBytes secret = SecretBytes::CopyOf("abc").value();
  EXPECT_TRUE(secret.ConstantTimeEquals("abc"));
  for (const char* other : {"abd", "ab", "abcd", ""}) {
    EXPECT_FALSE(secret.ConstantTimeEquals(other)) << other;
  }
  EXPECT_TRUE(SecretBytes().ConstantTimeEquals(""));
}

// Runs in a process of its own. The limit does not bind root, so root is given up first.
[[noreturn]] void MakeAKeyWithoutLockedMemory() {
  rlimit none{};
  if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) _exit(2);
  if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
  const auto key = PrivateKey::FromBytes(std::string(32, '\x11'));
  std::fprintf(stderr, "%s", key.status().ToString().c_str());
  _exit(key.status().code() == absl::StatusCode::kResourceExhausted ? 0 : 4);
}

TEST(SecretBytesDeathTest, NoLockedMemoryIsAnErrorThatNamesTheLimit) {
  COFFER_SKIP_WITHOUT_MLOCK();
  EXPECT_EXIT(MakeAKeyWithoutLockedMemory(), testing::ExitedWithCode(0), "RLIMIT_MEMLOCK");
}

}  // namespace
}  // namespace coffer::ethereum
