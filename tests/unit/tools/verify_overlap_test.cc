// Runs that overlap, and what is published or remembered while one of them reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "tests/unit/tools/test_log.h"
#include "tools/log_mirror.h"
#include "tools/seen_log.h"
#include "tools/small_files.h"
#include "tools/verify_log.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

class VerifyOverlapTest : public ::testing::Test {
 protected:
  VerifyOverlapTest() {
    leaves.resize(1500);
    Publish(source, leaves, 1200);
  }
  void Publish(MemorySource& to, const std::vector<Leaf>& from, long size) {
    to.Publish(Encode({from.begin(), from.begin() + size}), signer);
  }
  std::vector<Leaf> Forked() const {
    std::vector<Leaf> fork = leaves;
    fork[500].claimed_time += 1;
    return fork;
  }
  // Verifies `source`, and in the middle of it another run verifies `second` to its end.
  Report VerifyAround(MemorySource& second) {
    VerifyLogOptions options = FullOptions(folder);
    bool ran = false;
    options.on_progress = [&](uint64_t, uint64_t) {
      if (!std::exchange(ran, true)) {
        EXPECT_EQ(VerifyLog(second, FullOptions(folder)).report.ExitCode(), kVerified);
      }
    };
    return VerifyLog(source, options).report;
  }
  uint64_t Remembered() { return LoadSeenLog(folder / "seen")->checkpoint.size; }

  TestFolder folder;
  MemorySource source, other;
  audit::NoteSigner signer = LogSigner();
  std::vector<Leaf> leaves = HonestLeaves::Story(1500);
};

TEST_F(VerifyOverlapTest, TwoRunsDoNotAcceptTwoHistories) {
  for (const long size : {700, 1200}) {
    std::filesystem::remove(folder / "seen");
    Publish(other, Forked(), size);
    const Report report = VerifyAround(other);
    EXPECT_EQ(report.ExitCode(), kNotVerified) << size << "\n" << Show(report);
    EXPECT_THAT(report.Find("state")->sentence, HasSubstr("two histories"));
    EXPECT_THAT(report.Find("state")->sentence, HasSubstr("both signed heads are in "));
    EXPECT_EQ(Remembered(), static_cast<uint64_t>(size));
  }
}

TEST_F(VerifyOverlapTest, ALargerHeadIsNotForgotten) {
  Publish(other, leaves, 1500);
  Report report = VerifyAround(other);
  EXPECT_EQ(Remembered(), 1500u);
  // This source has not got what would show that the one continues the other.
  EXPECT_EQ(report.ExitCode(), kCouldNotTell) << Show(report);
  EXPECT_THAT(report.Find("state")->sentence, HasSubstr("run it again"));

  std::filesystem::remove(folder / "seen");
  for (const auto& [path, content] : other.files) source.files.try_emplace(path, content);
  report = VerifyAround(other);
  EXPECT_EQ(Remembered(), 1500u);
  EXPECT_EQ(report.ExitCode(), kVerified) << Show(report);
  EXPECT_THAT(report.Find("state")->sentence, HasSubstr("a later head of 1500 leaves"));
}

TEST_F(VerifyOverlapTest, ASmallerHeadOfTheSameHistoryIsReplaced) {
  Publish(other, leaves, 900);
  EXPECT_EQ(VerifyAround(other).ExitCode(), kVerified);
  EXPECT_EQ(Remembered(), 1200u);
}

TEST_F(VerifyOverlapTest, AMirrorDoesNotTakeAnotherHistoryEither) {
  Publish(other, Forked(), 1200);
  MirrorOptions options{.trust = FullOptions(folder).trust, .threads = 2, .on_progress = {}};
  MirrorOptions quiet = options;
  bool ran = false;
  options.on_progress = [&](uint64_t, uint64_t) {
    if (std::exchange(ran, true)) return;
    const Report second = MirrorLog(other, folder / "copy", quiet);
    EXPECT_EQ(second.ExitCode(), kCouldNotTell);
    EXPECT_THAT(second.Find("mirror")->sentence, HasSubstr("in use by another"));
    EXPECT_EQ(VerifyLog(other, FullOptions(folder)).report.ExitCode(), kVerified);
  };
  const Report report = MirrorLog(source, folder / "copy", options);
  EXPECT_EQ(report.ExitCode(), kNotVerified) << Show(report);
  EXPECT_THAT(report.Find("mirror")->sentence, HasSubstr("two histories"));
  EXPECT_FALSE(std::filesystem::exists(folder / "copy/checkpoint"));
}

TEST_F(VerifyOverlapTest, AHeadThatIsPublishedAndAnchoredMeanwhileIsNoCutBack) {
  // The registry is asked, then all of it grows: what was read first is the older.
  VerifyLogOptions options = FullOptions(folder);
  options.registry = [&]() -> absl::StatusOr<AnchoredHead> {
    const audit::Checkpoint head = audit::ParseCheckpoint(source.files["checkpoint"])->checkpoint;
    Publish(source, leaves, 1500);
    return AnchoredHead{head.size, head.root};
  };
  const LogVerdict verdict = VerifyLog(source, options);
  EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  EXPECT_EQ(verdict.head->size, 1500u);
}

TEST_F(VerifyOverlapTest, AHeadOnTheChainThatIsNotPublishedYet) {
  Publish(other, leaves, 1500);
  audit::Checkpoint later = audit::ParseCheckpoint(other.files["checkpoint"])->checkpoint;
  VerifyLogOptions options = FullOptions(folder);
  options.registry = [&] { return AnchoredHead{later.size, later.root}; };
  Report report = VerifyLog(source, options).report;
  EXPECT_EQ(report.ExitCode(), kCouldNotTell) << Show(report);
  EXPECT_THAT(report.Find("registry")->sentence, HasSubstr("not published yet"));
  // Its tiles are there already, and they are those of another history.
  Publish(other, Forked(), 1500);
  later = audit::ParseCheckpoint(other.files["checkpoint"])->checkpoint;
  MemorySource both;
  both.files = other.files;
  both.files["checkpoint"] = source.files["checkpoint"];
  options.full = false;
  report = VerifyLog(both, options).report;
  EXPECT_EQ(report.Find("registry")->outcome, Outcome::kFailed) << Show(report);
  EXPECT_THAT(report.Find("registry")->sentence, HasSubstr("two histories"));
}

}  // namespace
}  // namespace coffer::tools
