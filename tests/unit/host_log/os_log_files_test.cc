// The real folder.
#include "actors/host/log/os_log_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "actors/host/log/log_store.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/host_log/support.h"

namespace coffer::host {
namespace {

class OsLogFilesTest : public ::testing::Test {
 public:
  ~OsLogFilesTest() override { std::filesystem::remove_all(path_); }

 protected:
  OsLogFilesTest() {
    std::string name = ::testing::TempDir() + "/coffer_log_XXXXXX";
    path_ = mkdtemp(name.data());
    auto files = OsLogFiles::Open(path_ + "/log");
    EXPECT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  bool Exists(const std::string& path) const {
    return access((path_ + "/" + path).c_str(), F_OK) == 0;
  }
  std::string path_;
  std::unique_ptr<OsLogFiles> files_;
};

TEST_F(OsLogFilesTest, ASyncIsBegunOnAnotherThreadAndOneAtATime) {
  runtime::TestScheduler scheduler(1);
  runtime::TestDispatcher* const thread = scheduler.NewDispatcher("sync");
  files_->BeginSync();  // there is no thread for it: nothing happens
  files_->UseBackground(thread);
  ASSERT_TRUE(files_->Write("tile/0/000", "content").ok());
  EXPECT_EQ(scheduler.RunUntilIdle(), 0u);
  for (int i = 0; i < 3; ++i) files_->BeginSync();
  EXPECT_EQ(scheduler.RunUntilIdle(), 1u);
  files_->BeginSync();
  files_.reset();  // what is under way has a descriptor of its own
  EXPECT_EQ(scheduler.RunUntilIdle(), 1u);
}

TEST_F(OsLogFilesTest, WritesReadsReplacesAndRemoves) {
  EXPECT_TRUE(absl::IsNotFound(files_->Read("a/b/c").status()));
  ASSERT_TRUE(files_->Write("tile/0/x001/x234/067", "one").ok());
  EXPECT_EQ(*files_->Read("tile/0/x001/x234/067"), "one");
  ASSERT_TRUE(files_->Write("tile/0/x001/x234/067", "two").ok());
  EXPECT_EQ(*files_->Read("tile/0/x001/x234/067"), "two");
  ASSERT_TRUE(files_->WriteDurably("checkpoint", "note").ok());
  EXPECT_EQ(*files_->Read("checkpoint"), "note");
  EXPECT_FALSE(Exists("log/checkpoint.tmp"));
  ASSERT_TRUE(files_->SyncAll().ok());
  for (int i = 1; i < 20; ++i) {
    ASSERT_TRUE(files_->Write("tile/0/000.p/" + std::to_string(i), "p").ok());
  }
  ASSERT_TRUE(files_->RemoveFolder("tile/0/000.p").ok());
  EXPECT_FALSE(Exists("log/tile/0/000.p"));
  ASSERT_TRUE(files_->RemoveFolder("tile/0/000.p").ok());
  ASSERT_TRUE(files_->RemoveFolder("no/such").ok());
  ASSERT_TRUE(files_->Write("tile/0/000.p/7", "again").ok()) << "made anew after its removal";
  EXPECT_TRUE(Exists("log/tile/0/000.p/7"));
  for (int i = 0; i < 50; ++i) {  // more folders than are kept open
    ASSERT_TRUE(files_->Write("many/" + std::to_string(i) + "/f", std::to_string(i)).ok());
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(*files_->Read("many/" + std::to_string(i) + "/f"), std::to_string(i));
  }
}

TEST_F(OsLogFilesTest, NothingOutsideIsReached) {
  std::ofstream(path_ + "/secret") << "secret";
  for (const std::string bad : {"", "/", "/etc/passwd", "../secret", "a/../../secret", "a//b", "a/",
                                "./a", "a/.", "a b", "a\\b", "~", "a/..", "\xc3\xa4"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(files_->Read(bad).status())) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(files_->Write(bad, "x"))) << bad;
    EXPECT_TRUE(absl::IsInvalidArgument(files_->RemoveFolder(bad))) << bad;
  }
  EXPECT_FALSE(files_->Read(std::string(kMaxLogPath + 1, 'a')).ok());
  EXPECT_FALSE(files_->Read(std::string("a\0b", 3)).ok());
  ASSERT_EQ(symlink("../secret", (path_ + "/log/link").c_str()), 0);
  ASSERT_EQ(symlink("..", (path_ + "/log/up").c_str()), 0);
  EXPECT_FALSE(files_->Read("link").ok());
  EXPECT_FALSE(files_->Read("up/secret").ok());
  EXPECT_FALSE(files_->Write("up/secret", "x").ok());
  EXPECT_FALSE(files_->RemoveFolder("up").ok());
  ASSERT_EQ(symlink("../secret", (path_ + "/log/new.tmp").c_str()), 0);
  EXPECT_FALSE(files_->Write("new", "x").ok()) << "through a link with the temporary name";
  std::string secret;
  std::ifstream(path_ + "/secret") >> secret;
  EXPECT_EQ(secret, "secret");
}

TEST_F(OsLogFilesTest, WhatIsNoFileOrTooLargeIsAnError) {
  ASSERT_EQ(mkdir((path_ + "/log/folder").c_str(), 0755), 0);
  ASSERT_EQ(mkfifo((path_ + "/log/fifo").c_str(), 0644), 0);
  EXPECT_FALSE(files_->Read("folder").ok());
  EXPECT_FALSE(files_->Read("fifo").ok()) << "and does not wait for a writer";
  ASSERT_TRUE(files_->Write("large", "").ok());
  ASSERT_EQ(truncate((path_ + "/log/large").c_str(), kMaxLogFileBytes + 1), 0);
  EXPECT_TRUE(absl::IsDataLoss(files_->Read("large").status()));
}

TEST_F(OsLogFilesTest, HoldsALog) {
  auto store = LogStore::Open(files_.get());
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Append(70'000, Leaves(0, 70'000)).ok());
  ASSERT_TRUE((*store)->Cut(69'000, RootOf(69'000)).ok());
  ASSERT_TRUE((*store)->Publish(69'000, NoteOf(69'000, RootOf(69'000))).ok());
  ASSERT_TRUE((*store)->Sync().ok());
  auto again = LogStore::Open(files_.get());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->size(), 70'000u);
  EXPECT_EQ((*again)->published_size(), 69'000u);
  for (const auto& [path, content] : Reference(69'000).files) {
    const auto there = files_->Read(path);
    ASSERT_TRUE(there.ok()) << path;
    ASSERT_EQ(*there, content) << path;
  }
}

TEST(OsLogFilesOpenTest, AMissingParentIsAnErrorThatNamesIt) {
  const auto files = OsLogFiles::Open(::testing::TempDir() + "/no/such/log");
  EXPECT_TRUE(absl::IsNotFound(files.status()));
  EXPECT_THAT(std::string(files.status().message()), ::testing::HasSubstr("/no/such/log"));
}

}  // namespace
}  // namespace coffer::host
