// The tail over rotations, truncations and lost cursors.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <string>

#include "tests/unit/host_actors/journal_fixture.h"

namespace coffer::host {
namespace {

using JournalRotationTest = JournalFixture;

TEST_F(JournalRotationTest, RotationInMidLineAndTruncation) {
  Append(Line(1, "1", 0) + Line(1, "1", 1).substr(0, 25));
  Begin();
  Run();
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(2, "1", 2));
  Run(absl::Milliseconds(500));
  Append(Line(1, "1", 1).substr(25), options_.path + ".1");  // its writer had it open still
  Run();
  EXPECT_EQ(ledger_.order.size(), 3u);
  EXPECT_EQ(tailer_->metrics().tail.rotations, 1u);
  EXPECT_TRUE(ReadLetters().count.empty());

  Append(Line(2, "1", 3).substr(0, 25));  // never finished
  Run();
  std::filesystem::rename(options_.path, options_.path + ".2");
  Append(Line(2, "1", 4));
  Run();
  EXPECT_EQ(ledger_.order.size(), 4u);
  EXPECT_EQ(Dead(RejectReason::kNoNewline), 1u);

  std::ofstream(options_.path, std::ios::trunc) << Line(3, "1", 5);
  Run();
  EXPECT_EQ(ledger_.order.size(), 5u);
  EXPECT_EQ(tailer_->metrics().tail.truncations, 1u);
  // The same file with other, and more, content.
  std::ofstream(options_.path, std::ios::trunc) << Line(4, "1", 6) << Line(4, "1", 7);
  Run();
  EXPECT_EQ(ledger_.order.size(), 7u);
  EXPECT_EQ(tailer_->metrics().tail.truncations, 2u);
}

TEST_F(JournalRotationTest, TwoRotationsWhileItWasDown) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  Kill();
  Append(Line(1, "1", 1));
  std::filesystem::rename(options_.path, options_.path + ".2");
  Append(Line(1, "1", 2));
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 3));
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 4u);
  EXPECT_EQ(tailer_->metrics().tail.lost, 0u);
  EXPECT_EQ(tailer_->metrics().batches.duplicates, 0u);
}

// Found by the simulation: without a cursor, nobody looked for a rotated file.
TEST_F(JournalRotationTest, TheVeryFirstFileRotatedBeforeAnythingWasAnswered) {
  Append(Line(1, "1", 0));
  Begin();
  enclave_->Hold();
  Run(absl::Milliseconds(100));
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): the same faults each time
  Kill();
  disk_.Restart(random);
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 1));
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 2u);
}

// Found by the random crashes below: nothing durable told of a time before the first file.
TEST_F(JournalRotationTest, TheVeryFirstFileCameAndWasRotatedWhileItWasDown) {
  Begin();
  Run();
  Kill();
  Append(Line(1, "1", 0));
  std::filesystem::rename(options_.path, options_.path + ".1");
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 1u);
}

TEST_F(JournalRotationTest, ADamagedCursorMeansAllRotatedFilesAgain) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 1));
  Run(absl::Seconds(20));
  Kill();
  auto file = disk_.Create(options_.cursor);
  ASSERT_TRUE(file.ok() && (*file)->Write(0, "{}").ok() && (*file)->Sync().ok());
  ledger_ = {};
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 2u);
  EXPECT_EQ(tailer_->metrics().tail.bad_cursors, 1u);
}

// Found by the simulation: the change was seen while answers were awaited, and then forgotten.
TEST_F(JournalRotationTest, TruncatedWhileAnswersAreAwaited) {
  Append(Line(1, "1", 0));
  Begin();
  enclave_->Hold();
  Run(absl::Seconds(1));
  std::filesystem::resize_file(options_.path, 0);
  Append(Line(1, "1", 1));  // as long as the line before
  Run(absl::Seconds(2));
  enclave_->Resume();
  Run(absl::Seconds(20));
  EXPECT_EQ(tailer_->metrics().tail.truncations, 1u);
  EXPECT_EQ(ledger_.order.size(), 2u);
}

// Found by the simulation: the replay waited for the cursor, the cursor for the replaced file.
TEST_F(JournalRotationTest, AReplayIsAskedForJustAfterATruncation) {
  Append(Line(1, "1", 0));
  Begin();
  enclave_->Hold();
  Run(absl::Seconds(1));
  std::filesystem::resize_file(options_.path, 0);
  bool replayed = false;
  tailer_->ReplayDeadLetters([&](const auto& summary) { replayed = summary.ok(); });
  Run(absl::Seconds(1));
  enclave_->Resume();
  Run(absl::Seconds(20));
  EXPECT_TRUE(replayed);
  EXPECT_TRUE(tailer_->caught_up());
}

// Found by the simulation: it waited for a file of the journal's name, which there was none of.
TEST_F(JournalRotationTest, TwoRotationsAndNoNewFileYet) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 1));
  std::filesystem::rename(options_.path, options_.path + ".2");
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 2u);
  Append(Line(1, "1", 2));
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 3u);
  EXPECT_EQ(tailer_->metrics().batches.duplicates, 0u);
}

// Found by the simulation.
TEST_F(JournalRotationTest, TruncatedAndThenRotatedWhileItWasDown) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  Kill();
  std::filesystem::resize_file(options_.path, 0);
  Append(Line(1, "1", 1));
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 2));
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 3u);
  EXPECT_EQ(tailer_->metrics().tail.truncations, 1u);
}

// Found by the simulation (seed 178270463): the late line made the older file the younger one, and
// the other was taken for one of those before it.
class LateLineTest : public JournalFixture, public ::testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(Restarted, LateLineTest, ::testing::Bool());

TEST_P(LateLineTest, InTheOlderOfTwoRotatedFiles) {
  const std::string older = options_.path + ".1";
  const std::string newer = options_.path + ".2";
  Append(Line(1, "1", 0));
  Begin();
  Run();
  std::filesystem::rename(options_.path, older);
  Append(Line(1, "1", 1));
  Run(absl::Milliseconds(100));
  if (GetParam()) Kill();
  std::filesystem::rename(options_.path, newer);
  Append(Line(1, "1", 2), older);
  std::filesystem::last_write_time(
      older, std::filesystem::last_write_time(newer) + std::chrono::seconds(1));
  if (GetParam()) Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 3u);
  EXPECT_EQ(tailer_->metrics().tail.lost, 0u);
}

TEST_F(JournalRotationTest, ARotatedFileIsFoundAlthoughTheOneBeforeVanished) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  Kill();
  std::filesystem::rename(options_.path, folder_ + "/elsewhere");
  Append(Line(1, "1", 1));
  std::filesystem::rename(options_.path, options_.path + ".1");
  Append(Line(1, "1", 2));
  Begin();
  Run(absl::Seconds(20));
  EXPECT_EQ(tailer_->metrics().tail.lost, 1u);
  EXPECT_EQ(ledger_.order.size(), 3u);
}

TEST_F(JournalRotationTest, TheBeginningOfALineIsReplaced) {
  Append(Line(2, "1", 0).substr(0, 50));
  Begin();
  Run(absl::Seconds(1));
  std::filesystem::resize_file(options_.path, 0);
  Append(Line(1, "1", 1) + Line(1, "1", 2));
  Run(absl::Seconds(20));
  EXPECT_EQ(ledger_.order.size(), 2u);
  EXPECT_EQ(tailer_->metrics().tail.truncations, 1u);
}

TEST_F(JournalRotationTest, AVanishedFileIsReported) {
  Append(Line(1, "1", 0));
  Begin();
  Run();
  Kill();
  // Kept open elsewhere, so that its inode does not come again.
  std::filesystem::rename(options_.path, folder_ + "/elsewhere");
  Append(Line(1, "1", 1));
  Begin();
  Run();
  EXPECT_EQ(tailer_->metrics().tail.lost, 1u);
  EXPECT_EQ(ledger_.order.size(), 2u);
}

}  // namespace
}  // namespace coffer::host
