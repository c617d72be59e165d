#include "runtime/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"

namespace coffer::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

const absl::Time kTime = absl::FromUnixMicros(1767225600123456);

std::string Json(std::string_view value) {
  const std::string line = FormatLogLine(true, kTime, Level::kInfo, "c", "m", {{"k", value}});
  const std::string before = "\"k\":";
  const size_t at = line.find(before) + before.size();
  return line.substr(at, line.size() - at - 1);
}

TEST(LogTest, LinesInBothForms) {
  const auto line = [](bool json) {
    return FormatLogLine(json, kTime, Level::kWarn, "journal", "replay \"done\"",
                         {{"lines", 20000u},
                          {"delta", -3},
                          {"seconds", 1.5},
                          {"ok", true},
                          {"path", "/var/j"},
                          {"why", "two words"},
                          {"empty", ""},
                          {"status", absl::NotFoundError("gone")}});
  };
  EXPECT_EQ(line(true),
            R"({"time":"2026-01-01T00:00:00.123456Z","level":"warn","component":"journal",)"
            R"("message":"replay \"done\"","lines":20000,"delta":-3,"seconds":1.5,"ok":true,)"
            R"("path":"/var/j","why":"two words","empty":"","status":"gone"})");
  EXPECT_EQ(line(false),
            "2026-01-01T00:00:00.123456Z warn  journal: replay \\\"done\\\" lines=20000 delta=-3 "
            "seconds=1.5 ok=true path=/var/j why=\"two words\" empty=\"\" status=gone");
}

TEST(LogTest, HostileValuesAreMadeSafe) {
  const struct {
    std::string value;
    std::string want;
  } kCases[] = {
      {"plain", R"("plain")"},
      {"quote\" back\\", R"("quote\" back\\")"},
      {"forged\nline", R"("forged\nline")"},
      {"\r\t", R"("\u000d\u0009")"},
      {std::string("a\0b", 3), R"("a\u0000b")"},
      {"\x1b[31mred", R"("\u001b[31mred")"},
      {"\x7f", R"("\u007f")"},
      {"\xc2\x9b"
       "31m",
       R"("\u009b31m")"},  // a control character of C1
      {"\xe2\x80\xae"
       "txt",
       R"("\u202etxt")"},  // right-to-left override
      {"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80",
       "\"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80\""},
      {"\xff", "\"\xef\xbf\xbd\""},
      {"\xc3", "\"\xef\xbf\xbd\""},                                  // cut short
      {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                  // overlong
      {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},  // surrogate
      {"\xf5\x80\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
  };
  for (const auto& test : kCases) EXPECT_EQ(Json(test.value), test.want);
  const std::string huge = Json(std::string(1 << 20, 'x'));
  EXPECT_LT(huge.size(), 5000u);
  EXPECT_THAT(huge, HasSubstr("(1048576 bytes)"));
  const std::string text = FormatLogLine(false, kTime, Level::kInfo, "c", "evil\nmessage\x1b",
                                         {{"k", "a=b c\n"}, {"eq", "x=y"}});
  EXPECT_THAT(text, HasSubstr(R"(evil\nmessage\u001b k="a=b c\n" eq="x=y")"));
}

TEST(LogTest, NumbersThatJsonDoesNotKnow) {
  const std::string line = FormatLogLine(true, kTime, Level::kInfo, "c", "m",
                                         {{"nan", std::numeric_limits<double>::quiet_NaN()},
                                          {"inf", std::numeric_limits<double>::infinity()},
                                          {"big", std::numeric_limits<uint64_t>::max()}});
  EXPECT_THAT(line, HasSubstr(R"("nan":null,"inf":null,"big":18446744073709551615)"));
}

// Sends the log to a file while it lives.
class LogFileTest : public testing::Test {
 protected:
  void Open(Level level) { InitLog({.level = level, .json = false, .out = file_}); }
  ~LogFileTest() override {
    InitLog({});
    std::fclose(file_);
  }
  std::vector<std::string> Lines() {
    std::string text(1 << 20, '\0');
    std::rewind(file_);
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return absl::StrSplit(text, '\n', absl::SkipEmpty());
  }
  std::FILE* file_ = std::tmpfile();
};

TEST_F(LogFileTest, TheLevelDecides) {
  Open(Level::kWarn);
  Log(Level::kInfo, "c", "quiet");
  Log(Level::kWarn, "c", "loud");
  Log(Level::kError, "c", "louder");
  EXPECT_FALSE(LogEnabled(Level::kInfo));
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(LogFileTest, FloodsAreLimitedAndCounted) {
  Open(Level::kInfo);
  LogEvery every(absl::Milliseconds(30));
  for (int i = 0; i < 100; ++i) every.Log(Level::kWarn, "c", "flood", {{"i", i}});
  absl::SleepFor(absl::Milliseconds(40));
  every.Log(Level::kWarn, "c", "flood", {{"i", 100}});
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], Not(HasSubstr("suppressed")));
  EXPECT_THAT(lines[1], HasSubstr("i=100 suppressed=99"));
}

TEST_F(LogFileTest, LinesOfThreadsDoNotMix) {
  Open(Level::kInfo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) Log(Level::kInfo, "thread", "line", {{"t", t}, {"end", "END"}});
    });
  }
  for (auto& thread : threads) thread.join();
  const std::vector<std::string> lines = Lines();
  EXPECT_EQ(lines.size(), 800u);
  for (const std::string& line : lines) {
    EXPECT_TRUE(line.starts_with("20") && line.ends_with("end=END")) << line;
  }
}

TEST(LogTest, LevelNames) {
  Level level = Level::kError;
  EXPECT_TRUE(ParseLogLevel("debug", &level).ok());
  EXPECT_EQ(level, Level::kDebug);
  EXPECT_FALSE(ParseLogLevel("LOUD", &level).ok());
}

}  // namespace
}  // namespace coffer::runtime
