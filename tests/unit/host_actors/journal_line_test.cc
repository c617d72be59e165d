#include "actors/host/journal_line.h"

#include <gtest/gtest.h>

#include <string>

namespace coffer::host {
namespace {

std::string Line(std::string_view id, std::string_view amount_json) {
  return "{\"timestamp\":\"2026-01-05T10:00:00.123456+00:00\",\"event\":\"credit\",\"orchestrator_"
         "id\":\"" +
         std::string(id) + "\",\"amount\":" + std::string(amount_json) +
         ",\"balance\":\"0.1204\",\"reason\":\"workload\",\"metadata\":{\"workload_id\":\"w-77\"}}"
         "\n";
}

TEST(JournalLine, Credits) {
  struct Case {
    std::string line;
    Credit::Kind kind;
    std::string id;
    absl::uint128 wei;
  };
  const auto up = Credit::Kind::kCredit;
  const auto down = Credit::Kind::kAdjustDown;
  const std::string short_form = R"({"event":"credit","orchestrator_id":"a","amount":"1E-18"})";
  const Case cases[] = {
      {Line("orch-1", "\"0.00001606079\""), up, "orch-1", 16'060'790'000'000u},
      {Line("orch-1", "0.00001606079"), up, "orch-1", 16'060'790'000'000u},
      {Line("orch-1", "1e-7"), up, "orch-1", 100'000'000'000u},
      {Line("orch-1", "12 "), up, "orch-1", absl::uint128{12'000'000'000'000'000'000u}},
      {Line("orch-1", "\"-0.000000000000000003\""), down, "orch-1", 3},
      {Line("orch-1", "-3e-18"), down, "orch-1", 3},
      {Line(R"(\u006frch-\u00e9)", "\"1e-18\""), up, "orch-\xc3\xa9", 1},
      {Line(std::string(128, 'x'), "\"1e-18\""), up, std::string(128, 'x'), 1},
      {short_form + "\n", up, "a", 1},
      {short_form + "\r\n", up, "a", 1},
      {"  " + short_form + " \t\n", up, "a", 1},
      {R"({"\u0065vent":"cr\u0065dit","orchestrator_id":"a","amount":"\u0031e-18"})"
       "\n",
       up, "a", 1},
      {R"({"event":"credit","orchestrator_id":"a","amount":"1e-18","x":[1,{"event":"set_balance"},null,true,-0.5e-9,1e999]})"
       "\n",
       up, "a", 1},
  };
  LineParser parser;
  for (const Case& c : cases) {
    const ParsedLine parsed = parser.Parse(c.line);
    const Credit* const credit = std::get_if<Credit>(&parsed);
    ASSERT_NE(credit, nullptr) << c.line;
    EXPECT_EQ(credit->kind, c.kind) << c.line;
    EXPECT_EQ(credit->orchestrator_id, c.id) << c.line;
    EXPECT_EQ(credit->wei, c.wei) << c.line;
    EXPECT_EQ(credit->event_id.view(), parser.Id(c.line).view());
  }
}

// printf '{"event":"credit","orchestrator_id":"a","amount":"1E-18"}\n' | sha256sum, and the same
// with \r\n.
TEST(JournalLine, TheIdIsOfAllBytes) {
  LineParser parser;
  const std::string line = R"({"event":"credit","orchestrator_id":"a","amount":"1E-18"})";
  EXPECT_EQ(std::get<Credit>(parser.Parse(line + "\n")).event_id.view(),
            "ledger:5f0e3efb9e391897102dd9ccb2452b7b335a849beffbba6b8c372225140632a4");
  EXPECT_EQ(std::get<Credit>(parser.Parse(line + "\r\n")).event_id.view(),
            "ledger:584d670d364e956d810239b991439a9af07b09bb9c418b3cd58cb7d74ff621c6");
}

TEST(JournalLine, Skips) {
  LineParser parser;
  const auto skipped = [&](const std::string& line) {
    return std::get<Skipped>(parser.Parse(line)).kind;
  };
  EXPECT_EQ(skipped(R"({"event":"set_balance","orchestrator_id":"a","amount":"12"})"
                    "\n"),
            Skipped::Kind::kSetBalance);
  EXPECT_EQ(skipped(R"({"event":"set_balance"})"
                    "\n"),
            Skipped::Kind::kSetBalance);
  EXPECT_EQ(skipped(Line("a", "\"0E-18\"")), Skipped::Kind::kZero);
  EXPECT_EQ(skipped(Line("a", "-0.0")), Skipped::Kind::kZero);
}

std::string Nested(size_t depth) {
  return R"({"event":"credit","orchestrator_id":"a","amount":"1","x":)" + std::string(depth, '[') +
         std::string(depth, ']') + "}\n";
}

TEST(JournalLine, Rejects) {
  struct Case {
    std::string line;
    RejectReason reason;
  };
  using enum RejectReason;
  const std::string rest = R"(,"orchestrator_id":"a","amount":"1"})"
                           "\n";
  const Case cases[] = {
      {"", kNoNewline},
      {R"({"event":"credit","orchestrator_id":"a","amount":"1"})", kNoNewline},
      {"\n", kBlank},
      {" \t\r\n", kBlank},
      {std::string("\0\0\0\n", 4), kNotAnObject},
      {"hello\n", kNotAnObject},
      {"{\n", kNotJson},
      {"}\n", kNotAnObject},
      {"123\n", kNotAnObject},
      {"\"credit\"\n", kNotAnObject},
      {"[]\n", kNotAnObject},
      {"null\n", kNotAnObject},
      {"{}\n", kMissingField},
      {"{}{}\n", kNotJson},
      {R"({"event":"credit")" + rest.substr(0, rest.size() - 2) + "\n", kNotJson},
      {R"({"event":"credit")" + rest.substr(0, rest.size() - 1) + R"({"event":"credit")" + rest,
       kNotJson},
      {R"({"event":"credit",)" + rest, kNotJson},
      {R"({"event":"credit" "x":1)" + rest, kNotJson},
      {R"({"event":"credit","x":tru)" + rest, kNotJson},
      {R"({"event":"credit","x":nul)" + rest, kNotJson},
      {R"({"event":"credit","x":01)" + rest, kNotJson},
      {R"({"event":"credit","x":1.)" + rest, kNotJson},
      {R"({"event":"credit","x":1 2)" + rest, kNotJson},
      {R"({"event":"credit","x":NaN)" + rest, kNotJson},
      {R"({"event":"credit","x":[1,])" + rest, kNotJson},
      {R"({"event":"credit","x":{"y"})" + rest, kNotJson},
      {R"({"event":"credit","x":{1:2})" + rest, kNotJson},
      {R"({"event":"credit","x":"\q")" + rest, kNotJson},
      {R"({"event":"credit","x":"\ud800")" + rest, kNotJson},
      {R"({"event":"credit","x":"open)" + rest, kNotJson},
      {"{\"event\":\"credit\",\"x\":\"\x01\"" + rest, kNotJson},
      {"{\"event\":\"credit\",\"x\":\"\xff\"" + rest, kBadUtf8},
      {"{\"event\":\"credit\",\"x\":\"\xc0\xaf\"" + rest, kBadUtf8},
      {"{\"event\":\"credit\",\"x\":\"\xed\xa0\x80\"" + rest, kBadUtf8},
      {"\xef\xbb\xbf{\"event\":\"credit\"" + rest, kNotAnObject},
      {"\x1f\x8b\x08\xff\xfe\n", kBadUtf8},
      {Nested(32), kTooDeep},
      {Nested(500'000), kTooDeep},
      {R"({"event":"credit","event":"credit")" + rest, kDuplicateField},
      {R"({"event":"credit","am\u006funt":"2")" + rest, kDuplicateField},
      {R"({"event":"credit","orchestrator_id":"b")" + rest, kDuplicateField},
      {R"({"orchestrator_id":"a","amount":"1"})"
       "\n",
       kMissingField},
      {R"({"event":"credit","orchestrator_id":"a"})"
       "\n",
       kMissingField},
      {R"({"event":"credit","amount":"1"})"
       "\n",
       kMissingField},
      {R"({"event":null)" + rest, kWrongType},
      {R"({"event":["credit"])" + rest, kWrongType},
      {R"({"event":"credit","orchestrator_id":7,"amount":"1"})"
       "\n",
       kWrongType},
      {Line("a", "null"), kWrongType},
      {Line("a", "true"), kWrongType},
      {Line("a", "{\"eth\":1}"), kWrongType},
      {R"({"event":"debit")" + rest, kUnknownEvent},
      {R"({"event":"Credit")" + rest, kUnknownEvent},
      {R"({"event":"")" + rest, kUnknownEvent},
      {Line("", "\"1\""), kBadOrchestratorId},
      {Line(std::string(129, 'x'), "\"1\""), kBadOrchestratorId},
      {Line(R"(a\u0000)", "\"1\""), kBadOrchestratorId},
      {Line(R"(a\n)", "\"1\""), kBadOrchestratorId},
      {Line("a\x7f", "\"1\""), kBadOrchestratorId},
      {Line("a", "\"\""), kBadAmount},
      {Line("a", "\"NaN\""), kBadAmount},
      {Line("a", "\"Infinity\""), kBadAmount},
      {Line("a", "\" 1\""), kBadAmount},
      {Line("a", "\"1 ETH\""), kBadAmount},
      {Line("a", "NaN"), kNotJson},
      {Line("a", "-Infinity"), kNotJson},
      {Line("a", "1."), kNotJson},
      {Line("a", "+1"), kNotJson},
      {Line("a", "\"0.0000000000000000001\""), kTooManyDecimals},
      {Line("a", "1e-19"), kTooManyDecimals},
      {Line("a", "\"1e30\""), kAmountOutOfRange},
      {Line("a", "-1e30"), kAmountOutOfRange},
      {std::string(kMaxLineBytes, ' ') + "\n", kTooLong},
  };
  LineParser parser;
  for (const Case& c : cases) {
    const ParsedLine parsed = parser.Parse(c.line);
    const Rejected* const rejected = std::get_if<Rejected>(&parsed);
    ASSERT_NE(rejected, nullptr) << c.line.substr(0, 200);
    EXPECT_EQ(RejectReasonName(rejected->reason), RejectReasonName(c.reason))
        << c.line.substr(0, 200) << "\n"
        << rejected->detail;
    EXPECT_FALSE(rejected->detail.empty());
    // What came before has no influence on what comes next.
    EXPECT_TRUE(std::holds_alternative<Credit>(parser.Parse(Line("a", "1"))));
  }
}

TEST(JournalLine, TheDepthAndTheLengthAtTheirBounds) {
  LineParser parser;
  EXPECT_TRUE(std::holds_alternative<Credit>(parser.Parse(Nested(31))));
  std::string line = R"({"event":"credit","orchestrator_id":"a","amount":"1"})";
  line += std::string(kMaxLineBytes - line.size() - 1, ' ') + "\n";
  EXPECT_TRUE(std::holds_alternative<Credit>(parser.Parse(line)));
}

}  // namespace
}  // namespace coffer::host
