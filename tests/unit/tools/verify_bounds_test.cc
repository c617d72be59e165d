// What is not asked for, what is only old, and what a stranger makes without end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tools/test_log.h"
#include "tools/balance_claims.h"
#include "tools/small_files.h"
#include "tools/verify_log.h"
#include "tools/verify_report.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

TEST(VerifyBoundsTest, AnOlderCopyIsNoVerdictAndForgetsNothing) {
  TestFolder folder;
  MemorySource source;
  std::vector<Leaf> leaves = HonestLeaves::Story(900);
  source.Publish(Encode(leaves), LogSigner());
  VerifyLogOptions options = FullOptions(folder);
  options.copy = true;
  ASSERT_EQ(VerifyLog(source, options).report.ExitCode(), kVerified);
  const std::string state = ReadWholeFile(folder / "seen", 100'000).value();
  leaves.resize(700);
  source.Publish(Encode(leaves), LogSigner());
  const Report report = VerifyLog(source, options).report;
  EXPECT_EQ(report.ExitCode(), kCouldNotTell) << Show(report);
  EXPECT_THAT(report.Find("consistency")->sentence, HasSubstr("is older than the head of "));
  EXPECT_EQ(ReadWholeFile(folder / "seen", 100'000).value(), state);
  options.copy = false;
  EXPECT_EQ(VerifyLog(source, options).report.ExitCode(), kNotVerified);
}

TEST(VerifyBoundsTest, ALogOfBadLeavesIsGivenUp) {
  TestFolder folder;
  MemorySource source;
  source.Publish(std::vector<std::string>(1100 * 256, "x"), LogSigner());
  const Report report = VerifyLog(source, FullOptions(folder)).report;
  EXPECT_EQ(report.ExitCode(), kNotVerified);
  EXPECT_EQ(report.Find("leaves")->outcome, Outcome::kFailed);
  EXPECT_EQ(report.Find("tiles")->outcome, Outcome::kUnknown);
  EXPECT_THAT(report.Find("tiles")->sentence, HasSubstr("given up before leaf 256000, after 1000"));
}

TEST(VerifyBoundsTest, AnAccountThatIsOnlyShownIsNoClaim) {
  TestFolder folder;
  MemorySource source;
  source.Publish(Encode(HonestLeaves::Story(300)), LogSigner());
  VerifyLogOptions options = FullOptions(folder);
  options.account = Claim{.account = "alice"};
  const Report report = VerifyLog(source, options).report;
  EXPECT_EQ(report.ExitCode(), kVerified) << Show(report);
  EXPECT_EQ(report.Find("claims")->outcome, Outcome::kSkipped);
  EXPECT_THAT(report.Find("claims")->sentence, HasSubstr("the account alice is owed"));
  options.account->owed = 1;
  EXPECT_EQ(VerifyLog(source, options).report.Find("claims")->outcome, Outcome::kFailed);
}

TEST(VerifyBoundsTest, AListOfAccountsWithoutEndIsGivenUp) {
  size_t page = 0;
  const GetPage endless = [&](const std::string&) -> absl::StatusOr<std::string> {
    ++page;
    return absl::StrCat(R"({"accounts":[{"id":"a","available":"1"},{"id":"b","available":"1"}],)",
                        R"("next":)", page, "}");
  };
  for (const ClaimLimits limits : {ClaimLimits{10, 100}, ClaimLimits{1000, 6}}) {
    page = 0;
    const auto claims = FetchClaims(endless, "the host", limits);
    EXPECT_THAT(std::string(claims.status().message()),
                HasSubstr("the list of the host does not end"));
    EXPECT_EQ(page, 6u);
  }
  const GetPage ends = [](const std::string&) -> absl::StatusOr<std::string> {
    return R"({"accounts":[{"id":"a","available":"1"}],"next":null})";
  };
  const auto claims = FetchClaims(ends, "the host", {1, 1});
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->size(), 1u);
}

TEST(VerifyBoundsTest, WhatATerminalWouldObeyIsNotShown) {
  for (const char* bad : {"\x1b", "\n", "\x7f", "\u0080", "\u009b", "\u009f", "\u061c", "\u200e",
                          "\u200f", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"}) {
    EXPECT_EQ(Printable(absl::StrCat("a", bad, "b")), "a?b");
    EXPECT_EQ(Printable(bad), "?");
  }
  for (const char* good : {"", "plain", "\u00a0", "\u00e9", "\u061b", "\u200d", "\u2010", "\u2027",
                           "\u202f", "\u2065", "\u206a", "\U0001f4b0"}) {
    EXPECT_EQ(Printable(good), good);
  }
  EXPECT_EQ(Printable("a\x9b!"), "a?!");  // no UTF-8
}

}  // namespace
}  // namespace coffer::tools
