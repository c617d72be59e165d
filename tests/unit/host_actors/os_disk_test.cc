// The store on a real directory.
#include "actors/host/os_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "actors/host/record_store.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

std::string Item(const char* kind, uint64_t number) {
  return absl::StrCat(kind, " ", number, std::string(300, 'x'));
}

class OsDiskTest : public ::testing::Test {
 protected:
  OsDiskTest() {
    std::string name = ::testing::TempDir() + "/coffer_store_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~OsDiskTest() override { (void)std::system(("rm -rf " + path_).c_str()); }
  std::string path_;
};

TEST_F(OsDiskTest, TheLockNamesItsOwner) {
  auto first = OsDisk::Open(path_ + "/data");
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = OsDisk::Open(path_ + "/data");
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("process ", getpid())));
  first->reset();
  EXPECT_TRUE(OsDisk::Open(path_ + "/data").ok());
}

TEST_F(OsDiskTest, HoldsAStore) {
  {
    auto disk = OsDisk::Open(path_);
    ASSERT_TRUE(disk.ok()) << disk.status();
    auto store = RecordStore::Open(disk->get(), {.segment_bytes = 8192});
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint64_t s = 1; s <= 40; ++s) ASSERT_TRUE((*store)->Append({Item("record", s)}).ok());
    ASSERT_TRUE((*store)->AppendChunks(40, 0, 1, {Item("chunk", 40)}).ok());
    ASSERT_TRUE((*store)->Append({Item("record", 41), Item("record", 42)}).ok());
  }
  auto disk = OsDisk::Open(path_);
  ASSERT_TRUE(disk.ok()) << disk.status();
  auto store = RecordStore::Open(disk->get(), {.segment_bytes = 8192});
  ASSERT_TRUE(store.ok()) << store.status();
  StoreReader reader = (*store)->Read();
  for (const std::string& expected : {Item("chunk", 40), Item("record", 41), Item("record", 42)}) {
    const auto item = reader.Next();
    ASSERT_TRUE(item.ok() && item->has_value()) << item.status();
    EXPECT_EQ(**item, expected);
  }
  const auto end = reader.Next();
  EXPECT_TRUE(end.ok() && !end->has_value());
}

// The name at once, what is behind it soon after, and no descriptor stays.
TEST_F(OsDiskTest, ALargeFileIsRemovedWithoutWaitingForItsSpace) {
  auto disk = OsDisk::Open(path_);
  ASSERT_TRUE(disk.ok()) << disk.status();
  {
    auto file = (*disk)->Create("large");
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Truncate(64 << 20).ok());
  }
  ASSERT_TRUE((*disk)->Remove("large").ok());
  EXPECT_THAT((*disk)->List().value(), ::testing::Not(::testing::Contains("large")));
  const auto held = [&] {
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code closed_meanwhile;
      const std::string target = std::filesystem::read_symlink(fd, closed_meanwhile).string();
      if (target == path_ + "/large (deleted)") return true;
    }
    return false;
  };
  const absl::Time patience = absl::Now() + absl::Seconds(20);
  while (held() && absl::Now() < patience) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_FALSE(held());
  EXPECT_TRUE(absl::IsNotFound((*disk)->Remove("large")));
}

TEST_F(OsDiskTest, AMissingParentIsAnErrorThatNamesIt) {
  auto disk = OsDisk::Open(path_ + "/no/data");
  EXPECT_EQ(disk.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(disk.status().message()), HasSubstr("/no/data"));
}

}  // namespace
}  // namespace coffer::host
