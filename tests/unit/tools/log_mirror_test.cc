// Mirrors: whole, resumable, and never with a head that was not verified.
#include "tools/log_mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/tools/test_log.h"
#include "tools/seen_log.h"
#include "tools/small_files.h"
#include "tools/verify_log.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

class LogMirrorTest : public ::testing::Test {
 protected:
  LogMirrorTest() {
    options.trust.key = LogSigner().key();
    options.trust.state_file = folder / "seen";
    options.threads = 2;
    std::vector<Leaf> story = HonestLeaves::Story(1200);
    story.resize(1200);
    entries = Encode(story);
  }
  void Publish(size_t size) {
    source.Publish({entries.begin(), entries.begin() + static_cast<long>(size)}, LogSigner());
  }
  Report Mirror() { return MirrorLog(source, folder / "copy", options); }
  bool Has(const std::string& path) { return std::filesystem::exists(folder / ("copy/" + path)); }
  void ExpectWhole() {
    FolderSource copy(folder / "copy");
    VerifyLogOptions verify = FullOptions(folder);
    const LogVerdict verdict = VerifyLog(copy, verify);
    EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  }

  TestFolder folder;
  MemorySource source;
  MirrorOptions options;
  std::vector<std::string> entries;
};

TEST_F(LogMirrorTest, CopiesALogAsItGrowsAndFetchesOnlyWhatIsNew) {
  for (const size_t size : {1u, 255u, 256u, 700u, 1200u}) {
    Publish(size);
    const Report report = Mirror();
    EXPECT_EQ(report.ExitCode(), kVerified) << size << "\n" << Show(report);
    ExpectWhole();
  }
  EXPECT_FALSE(Has("tile/0/002.p/188"));  // of size 700
  source.reads = 0;
  EXPECT_EQ(Mirror().ExitCode(), kVerified);
  EXPECT_EQ(source.reads, 1);  // the checkpoint
}

TEST_F(LogMirrorTest, AnInterruptedCopyHasNoHeadAndGoesOn) {
  Publish(1200);
  source.broken = {{"tile/entries/003", absl::UnavailableError("the cable is cut")}};
  const Report report = Mirror();
  EXPECT_EQ(report.ExitCode(), kCouldNotTell);
  EXPECT_THAT(report.Find("tiles")->sentence, HasSubstr("run it again to go on"));
  EXPECT_FALSE(Has("checkpoint"));
  EXPECT_FALSE(Has("tile/entries/000"));
  EXPECT_TRUE(Has(".incoming/tile/entries/000"));
  source.broken.clear();
  EXPECT_EQ(Mirror().ExitCode(), kVerified);
  ExpectWhole();
}

TEST_F(LogMirrorTest, WhatIsWrongIsNotKept) {
  Publish(1200);
  const std::string honest = source.files["tile/entries/002"];
  source.files["tile/entries/002"][40] ^= 1;
  const Report report = Mirror();
  EXPECT_EQ(report.ExitCode(), kNotVerified);
  EXPECT_THAT(report.Find("tiles")->sentence, HasSubstr("the head is not put in place"));
  EXPECT_FALSE(Has("checkpoint"));
  EXPECT_FALSE(Has("tile/entries/002"));
  source.files["tile/entries/002"] = honest;
  EXPECT_EQ(Mirror().ExitCode(), kVerified);
  ExpectWhole();
}

TEST_F(LogMirrorTest, DamageInTheFolderIsMended) {
  Publish(1200);
  ASSERT_EQ(Mirror().ExitCode(), kVerified);
  for (const char* path : {"tile/0/001", "tile/entries/003", "tile/1/000.p/4"}) {
    std::fstream file(folder / absl::StrCat("copy/", path), std::ios::in | std::ios::out);
    file.seekp(70);
    file.put('!');
    file.close();
    const Report report = Mirror();
    EXPECT_EQ(report.ExitCode(), kVerified) << path << "\n" << Show(report);
    ExpectWhole();
  }
}

TEST_F(LogMirrorTest, AnotherHistoryIsRefusedAndTheCopyStays) {
  Publish(900);
  ASSERT_EQ(Mirror().ExitCode(), kVerified);
  const std::string head = ReadWholeFile(folder / "copy/checkpoint", 10'000).value();
  for (const size_t size : {700u, 900u, 1200u}) {
    for (const bool remembered : {true, false}) {
      std::vector<std::string> other(entries.begin(), entries.begin() + static_cast<long>(size));
      other[3][19] ^= 1;
      source.Publish(other, LogSigner());
      if (!remembered) std::filesystem::remove(folder / "seen");
      const Report report = Mirror();
      EXPECT_EQ(report.ExitCode(), kNotVerified) << size << "\n" << Show(report);
      EXPECT_EQ(ReadWholeFile(folder / "copy/checkpoint", 10'000).value(), head);
    }
  }
  Publish(1200);
  const Report report = Mirror();
  EXPECT_EQ(report.ExitCode(), kVerified) << Show(report);
  ExpectWhole();
}

TEST(SeenLogTest, OnlyWhatItWritesIsRead) {
  MemorySource source;
  source.Publish(Encode(HonestLeaves::Story(10)), LogSigner());
  const std::string note = source.files["checkpoint"];
  const std::string good = FormatSeenLog(LogSigner().key(), note);
  const absl::StatusOr<SeenLog> seen = ParseSeenLog(good);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(FormatSeenLog(seen->key, seen->note), good);
  for (const std::string& bad :
       {std::string(), good.substr(1), good.substr(0, good.size() - 1), good + "x",
        FormatSeenLog(LogSigner('x').key(), note), std::string("coffer-seen-log v1\n") + note,
        "coffer-seen-log v2" + good.substr(18), good + std::string(400'000, 'a')}) {
    EXPECT_FALSE(ParseSeenLog(bad).ok()) << bad.substr(0, 200);
  }
  std::mt19937_64 random(audit::TestSeed());
  for (int i = 0; i < 500; ++i) {
    std::string changed = good;
    changed[random() % changed.size()] ^= static_cast<char>(1 << random() % 7);
    EXPECT_FALSE(ParseSeenLog(changed).ok()) << changed;
  }
}

}  // namespace
}  // namespace coffer::tools
