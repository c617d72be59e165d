// ChainRpc over a fake transport, in virtual time.
#include "actors/host/chain_rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/host_actors/json_text.h"

namespace coffer::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The answer to one call: its own first parameter.
Json::Value Echo(const Json::Value& call) {
  Json::Value answer(Json::objectValue);
  answer["jsonrpc"] = "2.0";
  answer["id"] = call["id"];
  answer["result"] = call["method"] == "eth_chainId" ? Json::Value("0x7a69") : call["params"][0];
  return answer;
}

std::string EchoAll(const Json::Value& request) {
  if (!request.isArray()) return Compact(Echo(request));
  Json::Value all(Json::arrayValue);
  // In another order than asked: only ids count.
  for (Json::ArrayIndex i = request.size(); i > 0; --i) all.append(Echo(request[i - 1]));
  return Compact(all);
}

class FakeHttp final : public HttpTransport {
 public:
  struct Seen {
    std::string host;
    size_t calls;  // 0: a single call, not in an array
    absl::Time at;
  };
  using Script = std::function<absl::StatusOr<HttpResponse>(const Json::Value& request)>;

  explicit FakeHttp(runtime::Dispatcher* dispatcher) : dispatcher_(dispatcher) {}

  void Post(const HttpUrl& url, std::string body, absl::Duration timeout, Done done) override {
    const Json::Value request = J(body);
    seen.push_back({url.host, request.isArray() ? request.size() : 0, dispatcher_->Now()});
    auto& script = scripts[url.host];
    absl::StatusOr<HttpResponse> response =
        script ? script(request) : HttpResponse{200, EchoAll(request), {}};
    ++in_flight;
    most_in_flight = std::max(most_in_flight, in_flight);
    const bool slow = !response.ok() && absl::IsDeadlineExceeded(response.status());
    timers_.push_back(dispatcher_->After(
        slow ? timeout : absl::Milliseconds(1),
        [this, done = std::move(done), response = std::move(response)]() mutable {
          --in_flight;
          done(std::move(response));
        }));
  }

  std::vector<std::string> Hosts() const {
    std::vector<std::string> out;
    for (const Seen& one : seen) out.push_back(one.host);
    return out;
  }

  std::map<std::string, Script> scripts;
  std::vector<Seen> seen;
  size_t in_flight = 0;
  size_t most_in_flight = 0;

 private:
  runtime::Dispatcher* const dispatcher_;
  std::vector<std::unique_ptr<runtime::Timer>> timers_;
};

class ChainRpcTest : public ::testing::Test {
 protected:
  void Make(std::initializer_list<const char*> hosts) {
    for (const char* host : hosts) {
      options.urls.push_back(*HttpUrl::Parse(absl::StrCat("http://", host, "/KEY")));
    }
    rpc = std::make_unique<ChainRpc>(dispatcher, &http, &random, options);
  }
  void Ask(int number) {
    Json::Value params(Json::arrayValue);
    params.append(number);
    rpc->Call("eth_test", params, [this, number](absl::StatusOr<RpcAnswer> answer) {
      std::string text = absl::StrCat(number, ": ");
      if (!answer.ok()) {
        text += "no answer";
        last_error = answer.status();
      } else if (answer->refused) {
        absl::StrAppend(&text, "error ", answer->error.code);
      } else {
        EXPECT_EQ(answer->result.asInt(), number);
        text += "ok";
      }
      answers.push_back(text);
    });
  }
  bool Until(size_t count, absl::Duration limit = absl::Minutes(5)) {
    return scheduler.RunUntil([&] { return answers.size() >= count; }, limit);
  }
  absl::Status Check(uint64_t expected) {
    std::optional<absl::Status> got;
    rpc->CheckChainId(expected, [&](absl::Status status) { got = status; });
    EXPECT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, absl::Minutes(1)));
    return got.value_or(absl::InternalError("never called"));
  }
  static HttpResponse Ok(std::string body) { return {200, std::move(body), {}}; }
  static FakeHttp::Script Always(absl::StatusOr<HttpResponse> response) {
    return [response](const Json::Value&) { return response; };
  }

  runtime::TestScheduler scheduler{1};
  runtime::TestDispatcher* dispatcher = scheduler.NewDispatcher("host");
  FakeHttp http{dispatcher};
  runtime::SeededRandom random{7};
  ChainRpcOptions options;
  std::unique_ptr<ChainRpc> rpc;
  std::vector<std::string> answers;
  absl::Status last_error;
};

TEST_F(ChainRpcTest, CallsOfOneTurnTravelInBoundedBatches) {
  options.max_batch = 3;
  Make({"a"});
  for (int i = 1; i <= 7; ++i) Ask(i);
  EXPECT_TRUE(answers.empty()) << "never from inside Call";
  ASSERT_TRUE(Until(7));
  ASSERT_EQ(http.seen.size(), 3);
  EXPECT_EQ(http.seen[0].calls, 3);
  EXPECT_EQ(http.seen[1].calls, 3);
  EXPECT_EQ(http.seen[2].calls, 0) << "one call is no batch";
  for (const std::string& answer : answers) EXPECT_THAT(answer, HasSubstr("ok"));
  EXPECT_EQ(rpc->metrics().answers, 7);
}

TEST_F(ChainRpcTest, RequestsInFlightAreBounded) {
  options.max_batch = 1;
  options.max_in_flight = 2;
  Make({"a"});
  for (int i = 1; i <= 9; ++i) Ask(i);
  ASSERT_TRUE(Until(9));
  EXPECT_EQ(http.most_in_flight, 2);
}

TEST_F(ChainRpcTest, TooManyWaitingCallsAreRefused) {
  options.max_calls = 2;
  Make({"a"});
  for (int i = 1; i <= 3; ++i) Ask(i);
  ASSERT_TRUE(Until(3));
  EXPECT_TRUE(absl::IsResourceExhausted(last_error));
  EXPECT_EQ(rpc->metrics().overloaded, 1);
}

TEST_F(ChainRpcTest, FailuresGoToTheNextUrl) {
  const absl::StatusOr<HttpResponse> failures[] = {
      absl::UnavailableError("closed"),
      absl::DeadlineExceededError("slow"),
      absl::ResourceExhaustedError("huge"),
      HttpResponse{503, "<html>", {}},
      HttpResponse{401, R"({"jsonrpc":"2.0","id":1,"result":1})", {}},
      HttpResponse{301, "", {}},
      HttpResponse{500, "oops", {}},
      HttpResponse{429, "", {}},
      Ok(""),
      Ok("garbage"),
      Ok("{}"),
      Ok("[]"),
      Ok(R"({"jsonrpc":"2.0","id":999,"result":1})"),
      Ok(R"({"jsonrpc":"2.0","id":"1","result":1})"),
      Ok(R"({"jsonrpc":"2.0","id":1})"),
      Ok(R"({"jsonrpc":"2.0","id":1,"result":1}{})"),
      Ok(R"([{"jsonrpc":"2.0","id":1,"result":1}])"),
      Ok(R"({"jsonrpc":"2.0","id":-1,"result":1})"),
      Ok(R"({"jsonrpc":"2.0","id":1.5,"result":1})"),
      Ok(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}})"),
      Ok(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}})"),
      Ok(std::string(1000, '[') + std::string(1000, ']')),
  };
  for (size_t i = 0; i < std::size(failures); ++i) {
    SCOPED_TRACE(absl::StrCat("failure ", i));
    options.urls.clear();
    http.seen.clear();
    answers.clear();
    Make({"a", "b"});
    http.scripts["a"] = Always(failures[i]);
    Ask(1);
    ASSERT_TRUE(Until(1));
    EXPECT_THAT(answers, ElementsAre("1: ok"));
    EXPECT_THAT(http.Hosts(), ElementsAre("a", "b"));
    const ChainRpcMetrics metrics = rpc->metrics();
    EXPECT_EQ(metrics.timeouts + metrics.unavailable + metrics.rate_limited + metrics.malformed, 1);
    EXPECT_EQ(metrics.current_url, 1);
    Ask(2);
    ASSERT_TRUE(Until(2));
    EXPECT_EQ(http.seen.back().host, "b") << "the bad one is left alone for a while";
  }
}

TEST_F(ChainRpcTest, BadIdsInABatchSpoilAllOfIt) {
  const char* bodies[] = {
      R"([{"id":1,"result":1},{"id":1,"result":1}])",
      R"([{"id":1,"result":1}])",
      R"([{"id":1,"result":1},{"id":2,"result":2},{"id":3,"result":3}])",
      R"([{"id":1,"result":1},7])",
      R"([{"id":1,"result":1},{"id":2}])",
  };
  for (const char* body : bodies) {
    SCOPED_TRACE(body);
    options.urls.clear();
    http.seen.clear();
    answers.clear();
    Make({"a", "b"});
    http.scripts["a"] = Always(Ok(body));
    Ask(1);
    Ask(2);
    ASSERT_TRUE(Until(2));
    EXPECT_THAT(answers, ::testing::UnorderedElementsAre("1: ok", "2: ok"));
    EXPECT_EQ(rpc->metrics().malformed, 1);
    // Asked again one by one: perhaps one call was why.
    EXPECT_THAT(http.Hosts(), ElementsAre("a", "b", "b"));
  }
}

TEST_F(ChainRpcTest, ANodesRefusalIsAnAnswer) {
  Make({"a", "b"});
  http.scripts["a"] = Always(
      HttpResponse{500, R"({"id":1,"error":{"code":-32000,"message":"nonce too low"}})", {}});
  Ask(1);
  ASSERT_TRUE(Until(1));
  EXPECT_THAT(answers, ElementsAre("1: error -32000"));
  EXPECT_EQ(http.seen.size(), 1);
  EXPECT_EQ(rpc->metrics().refusals_by_kind[static_cast<size_t>(RpcErrorKind::kNonceTooLow)], 1);
}

TEST_F(ChainRpcTest, ANodeWithoutBatchesGetsSingleCalls) {
  Make({"a"});
  http.scripts["a"] = [](const Json::Value& request) {
    if (!request.isArray()) return Ok(EchoAll(request));
    return HttpResponse{
        400, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}})", {}};
  };
  for (int i = 1; i <= 3; ++i) Ask(i);
  ASSERT_TRUE(Until(3, absl::Milliseconds(50))) << "without a pause";
  EXPECT_EQ(http.seen.size(), 4);
  Ask(4);
  Ask(5);
  ASSERT_TRUE(Until(5));
  EXPECT_EQ(http.seen.size(), 6) << "it is remembered";
  EXPECT_EQ(rpc->metrics().malformed, 0);
}

TEST_F(ChainRpcTest, RetryAfterIsHonoured) {
  Make({"a"});
  int asked = 0;
  http.scripts["a"] = [&](const Json::Value& request) {
    if (++asked == 1) return HttpResponse{429, "", absl::Seconds(20)};
    return Ok(EchoAll(request));
  };
  Ask(1);
  ASSERT_TRUE(Until(1));
  ASSERT_EQ(http.seen.size(), 2);
  EXPECT_GE(http.seen[1].at - http.seen[0].at, absl::Seconds(20));
  EXPECT_LE(http.seen[1].at - http.seen[0].at, absl::Seconds(21));
  EXPECT_EQ(rpc->metrics().rate_limited, 1);
}

TEST_F(ChainRpcTest, ALimitedCallOfABatchIsAskedAgainAlone) {
  Make({"a", "b"});
  http.scripts["a"] = [](const Json::Value& request) {
    Json::Value all = J(EchoAll(request));
    all[0].removeMember("result");
    all[0]["error"] = J(R"({"code":-32005,"message":"slow down"})");
    return Ok(Compact(all));
  };
  Ask(1);
  Ask(2);
  ASSERT_TRUE(Until(2));
  EXPECT_THAT(answers, ElementsAre("1: ok", "2: ok"));
  EXPECT_THAT(http.Hosts(), ElementsAre("a", "b"));
  EXPECT_EQ(http.seen[1].calls, 0);
}

TEST_F(ChainRpcTest, RetriesBackOffAndEnd) {
  options.max_tries = 4;
  Make({"a"});
  http.scripts["a"] = Always(absl::UnavailableError("closed"));
  Ask(1);
  ASSERT_TRUE(Until(1));
  EXPECT_THAT(answers, ElementsAre("1: no answer"));
  EXPECT_TRUE(absl::IsUnavailable(last_error));
  ASSERT_EQ(http.seen.size(), 4);
  // 100 ms, 200 ms, 400 ms, of which jitter takes up to half; and 1 ms for the answer.
  for (int i = 0; i < 3; ++i) {
    const absl::Duration gap = http.seen[i + 1].at - http.seen[i].at;
    EXPECT_GE(gap, absl::Milliseconds(50 << i));
    EXPECT_LE(gap, absl::Milliseconds((100 << i) + 2));
  }
  EXPECT_EQ(rpc->metrics().expired, 1);
}

TEST_F(ChainRpcTest, TheDeadlineEndsACallInFlight) {
  options.try_timeout = absl::Seconds(10);
  options.deadline = absl::Seconds(15);
  Make({"a"});
  http.scripts["a"] = Always(absl::DeadlineExceededError("slow"));
  const absl::Time start = dispatcher->Now();
  Ask(1);
  ASSERT_TRUE(Until(1));
  EXPECT_EQ(dispatcher->Now() - start, absl::Seconds(15));
  EXPECT_EQ(http.in_flight, 1);
  EXPECT_THAT(std::string(last_error.message()), HasSubstr("slow"));
  scheduler.Advance(absl::Minutes(1));
  EXPECT_EQ(answers.size(), 1) << "the late end changes nothing";
}

TEST_F(ChainRpcTest, WrongChainIsNeverUsed) {
  Make({"a", "b"});
  http.scripts["a"] = [](const Json::Value& request) {
    Json::Value answer = Echo(request);
    if (request["method"] == "eth_chainId") answer["result"] = "0x1";
    return Ok(Compact(answer));
  };
  EXPECT_TRUE(Check(31337).ok());
  EXPECT_EQ(rpc->metrics().usable_urls, 1);
  http.seen.clear();
  http.scripts["b"] = Always(absl::UnavailableError("closed"));
  Ask(1);
  ASSERT_TRUE(Until(1));
  EXPECT_THAT(answers, ElementsAre("1: no answer"));
  EXPECT_THAT(http.Hosts(), ::testing::Each("b"));
}

TEST_F(ChainRpcTest, AllOnTheWrongChain) {
  Make({"a", "b"});
  EXPECT_TRUE(absl::IsFailedPrecondition(Check(42161)));
}

TEST_F(ChainRpcTest, ANodeThatWasDownAtStartIsUsedOnceItHasAnswered) {
  Make({"a", "b"});
  bool up = false;
  const auto script = [&](const Json::Value& request) -> absl::StatusOr<HttpResponse> {
    if (!up) return absl::UnavailableError("down");
    return Ok(EchoAll(request));
  };
  http.scripts["a"] = script;
  // Slow: "a" is asked several times meanwhile, and that must not count for "b".
  http.scripts["b"] = Always(absl::DeadlineExceededError("slow"));
  EXPECT_TRUE(absl::IsUnavailable(Check(31337)));
  Ask(1);
  scheduler.Advance(absl::Seconds(1));
  EXPECT_TRUE(answers.empty()) << "nobody may be asked yet";
  up = true;
  ASSERT_TRUE(Until(1, absl::Seconds(40)));
  EXPECT_THAT(answers, ElementsAre("1: ok"));
}

TEST_F(ChainRpcTest, RepliesMayCallAgainAndEndTheClient) {
  Make({"a"});
  rpc->Call("eth_test", J("[1]"), [this](absl::StatusOr<RpcAnswer>) { Ask(2); });
  ASSERT_TRUE(Until(1));
  rpc->Call("eth_test", J("[3]"), [this](absl::StatusOr<RpcAnswer>) {
    rpc.reset();
    answers.push_back("ended");
  });
  Ask(4);
  ASSERT_TRUE(Until(2));
  scheduler.Advance(absl::Minutes(1));
  EXPECT_EQ(answers.back(), "ended") << "nothing after the end";
}

TEST_F(ChainRpcTest, NamesHideSecrets) {
  Make({"a"});
  EXPECT_EQ(rpc->url_name(0), "http://a:80/***");
}

}  // namespace
}  // namespace coffer::host
