// The store on a real directory.
#include "actors/host/os_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
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

TEST_F(OsDiskTest, AMissingParentIsAnErrorThatNamesIt) {
  auto disk = OsDisk::Open(path_ + "/no/data");
  EXPECT_EQ(disk.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(disk.status().message()), HasSubstr("/no/data"));
}

}  // namespace
}  // namespace coffer::host
