// What `coffer call` sends, and how it prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tools/call_command.h"
#include "tools/json_lines.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Request(std::vector<std::string> params, std::string json = "",
                    const std::string& input = "") {
  CallArguments arguments;
  arguments.method = "m";
  arguments.params = std::move(params);
  arguments.json = std::move(json);
  std::istringstream stream(input);
  const absl::StatusOr<std::string> request = CallRequest(arguments, stream);
  return request.ok() ? *request : "error: " + std::string(request.status().message());
}

std::string OneParam(const std::string& param) {
  const std::string request = Request({param});
  const std::string before = R"({"method":"m","params":{"k":)";
  EXPECT_EQ(request.substr(0, before.size()), before) << request;
  return request.substr(before.size(), request.size() - before.size() - 2);
}

TEST(CallRequestTest, AValueIsJsonWhereItIsJson) {
  const std::pair<const char*, const char*> cases[] = {
      {"k=5", "5"},
      {"k=-0.5e3", "-0.5e3"},
      {"k=115792089237316195423570985008687907853269984665640564039457584007913129639935",
       "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
      {"k=true", "true"},
      {"k=null", "null"},
      {"k=\"5\"", "\"5\""},
      {"k={\"a\":[1,2]}", "{\"a\":[1,2]}"},
      // No JSON, so strings.
      {"k=0xab", "\"0xab\""},
      {"k=orch-1", "\"orch-1\""},
      {"k=", "\"\""},
      {"k=007", "\"007\""},
      {"k=+1", "\"+1\""},
      {"k=1.", "\"1.\""},
      {"k=.5", "\".5\""},
      {"k=0x", "\"0x\""},
      {"k=NaN", "\"NaN\""},
      {"k=1 2", "\"1 2\""},
      {"k={\"a\":1,\"a\":2}", R"("{\"a\":1,\"a\":2}")"},
      {"k={\"a\":01}", R"("{\"a\":01}")"},
      {"k=a=b", "\"a=b\""},
      {"k=say \"hi\"", R"("say \"hi\"")"},
  };
  for (const auto& [param, wanted] : cases) EXPECT_EQ(OneParam(param), wanted) << param;
}

TEST(CallRequestTest, ParametersTogether) {
  EXPECT_EQ(Request({}), R"({"method":"m","params":{}})");
  EXPECT_EQ(Request({"a=1", "b=x"}), R"({"method":"m","params":{"a":1,"b":"x"}})");
  EXPECT_EQ(Request({}, R"({"big": 99999999999999999999})"),
            R"({"method":"m","params":{"big": 99999999999999999999}})");
  EXPECT_EQ(Request({}, "-", R"({"from":"stdin"})"), R"({"method":"m","params":{"from":"stdin"}})");
}

TEST(CallRequestTest, RefusalsNameTheParameterAndNeverItsValue) {
  for (const std::string& request :
       {Request({"ok=1", "hunter2"}), Request({"=hunter2"}), Request({"k=hunter2", "k=hunter2"}),
        Request({"k=hunter2\xff"}), Request({}, "{\"k\":hunter2}"), Request({}, "[\"hunter2\"]"),
        Request({}, "-", "{\"k\":\"hunter2\"")}) {
    EXPECT_THAT(request, HasSubstr("error: "));
    EXPECT_THAT(request, Not(HasSubstr("hunter2")));
  }
}

TEST(IndentJsonTest, LinesAndDigits) {
  EXPECT_EQ(*IndentJson("{\"a\":1e2,\"b\":[1, 18446744073709551616,{}],\"c\":{},\"d\":[]}"),
            "{\n  \"a\": 1e2,\n  \"b\": [\n    1,\n    18446744073709551616,\n    {}\n  ],\n"
            "  \"c\": {},\n  \"d\": []\n}");
  EXPECT_EQ(*IndentJson(" 7 "), "7");
  EXPECT_EQ(*IndentJson(R"({"x":"a\"}{,:b"})"), "{\n  \"x\": \"a\\\"}{,:b\"\n}");
  // No terminal is told anything by an answer.
  EXPECT_EQ(*IndentJson("\"\x1b[2J\""), "\"\\u001b[2J\"");
}

TEST(IndentJsonTest, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "{\"a\":1,\"a\":1}", "[1,]", "nul", "01", "-", "1 2", "NaN",
                           "\"\xff\"", "// c\n1", "{'a':1}", "[+1]", "[1.]"}) {
    EXPECT_FALSE(IndentJson(text).ok()) << text;
  }
  EXPECT_FALSE(IndentJson(std::string(100'000, '[')).ok());
}

}  // namespace
}  // namespace coffer::tools
