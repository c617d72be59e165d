// The API's answers, over a router, without sockets and with an enclave that a test scripts.
#include "host_proxy/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "host_proxy/api_json.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

class AnsweringClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    reply(answer);
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  std::vector<ClientFrame> requests;
  absl::StatusOr<ServerFrame> answer = ServerFrame();
};

class FakePayouts final : public PayoutControl {
 public:
  absl::Status RunNow() override {
    ++runs;
    return can_run;
  }
  void Pause() override { paused = true; }
  void Resume() override { paused = false; }
  Json::Value StatusJson() const override {
    Json::Value json;
    json["paused"] = paused;
    return json;
  }
  int runs = 0;
  bool paused = false;
  absl::Status can_run;
};

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() : router_(BearerTokens("", ""), true), api_(Ports()) { api_.AddTo(router_); }

  ApiPorts Ports() {
    ApiPorts ports;
    ports.enclave = &enclave_;
    ports.payouts = &payouts_;
    ports.metrics = &metrics_;
    ports.recipient_of = [](const std::string& account) -> absl::StatusOr<std::string> {
      if (account != "orch-1") return absl::NotFoundError("not in the registry");
      return std::string(20, '\x11');
    };
    ports.reload_registry = []() -> absl::StatusOr<Json::Value> { return Json::Value("reloaded"); };
    ports.not_ready = [this] { return reasons_; };
    return ports;
  }
  HttpResponse Ask(const std::string& method, const std::string& target,
                   const std::string& body = "") {
    HttpRequest request;
    request.method = method;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    request.host = "127.0.0.1:8080";
    request.body = body;
    request.content_type = "application/json";
    HttpResponse answer;
    answer.status = 0;
    router_.Handle(std::move(request),
                   [&](HttpResponse response) { answer = std::move(response); });
    return answer;
  }
  static Json::Value Json(const HttpResponse& response) { return *FromText(response.body); }
  void AnswerError(boundary::v1::ErrorCode code) {
    ServerFrame frame;
    frame.mutable_error()->set_code(code);
    frame.mutable_error()->set_message("no");
    enclave_.answer = frame;
  }

  AnsweringClient enclave_;
  FakePayouts payouts_;
  runtime::Metrics metrics_;
  std::vector<std::string> reasons_;
  Router router_;
  Api api_;
};

TEST_F(ApiTest, Probes) {
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
  EXPECT_EQ(Ask("GET", "/readyz").status, 200);
  reasons_ = {"the disk is full", "no enclave"};
  const HttpResponse ready = Ask("GET", "/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(Json(ready)["reasons"][1].asString(), "no enclave");
  metrics_.Counter("coffer_test_total", "a test").Increment();
  EXPECT_THAT(Ask("GET", "/metrics").body, HasSubstr("coffer_test_total 1"));
}

// A frame with such a text is refused by the enclave as a whole, without its request's id, and then
// the host takes the connection for broken: one stranger's request would cost everybody theirs.
TEST_F(ApiTest, WhatIsNotUtf8NeverReachesTheEnclave) {
  for (const char* target : {"/api/ledger/accounts/%ff", "/api/ledger/accounts/\xc3\x28",
                             "/api/ledger/accounts/%ed%b0%80", "/api/ledger/accounts?after=%80"}) {
    EXPECT_EQ(Ask("GET", target).status, 400) << target;
  }
  for (const char* account : {"\xff", "\\udc00"}) {
    const std::string body =
        absl::StrCat(R"({"id":"e","account":")", account, R"(","amount":"1"})");
    EXPECT_EQ(Ask("POST", "/api/ledger/events", body).status, 400) << account;
  }
  EXPECT_TRUE(enclave_.requests.empty());
  EXPECT_EQ(Ask("GET", "/api/ledger/accounts/%c3%a9").status, 200);
  EXPECT_EQ(enclave_.requests.size(), 1u);
}

TEST_F(ApiTest, StatusHasExactAmountsAndWords) {
  ServerFrame frame;
  frame.mutable_status()->set_phase(boundary::v1::PHASE_READY);
  frame.mutable_status()->set_address(std::string(20, '\x11'));
  frame.mutable_status()->mutable_totals()->mutable_credited()->set_high(1);
  (*frame.mutable_status()->mutable_errors())[boundary::v1::ERROR_INSUFFICIENT] = 3;
  boundary::v1::SigningKeyState* key = frame.mutable_status()->add_signing_keys();
  key->set_address(std::string(20, '\x22'));
  key->set_use(boundary::v1::SigningKeyState::USE_DRAINING);
  key->set_nonce_known(true);
  key->set_next_nonce(9);
  key->mutable_outstanding()->set_low(5);
  enclave_.answer = frame;
  const Json::Value status = Json(Ask("GET", "/api/tee/status"));
  EXPECT_EQ(status["phase"].asString(), "ready");
  EXPECT_EQ(status["address"].asString(), "0x1111111111111111111111111111111111111111");
  EXPECT_EQ(status["totals"]["credited"].asString(), "18446744073709551616");
  EXPECT_EQ(status["errors"]["insufficient"].asUInt64(), 3u);
  EXPECT_TRUE(status["next_nonce"].isNull());
  const Json::Value& draining = status["signing_keys"][0];
  EXPECT_EQ(draining["address"].asString(), "0x2222222222222222222222222222222222222222");
  EXPECT_EQ(draining["use"].asString(), "draining");
  EXPECT_EQ(draining["next_nonce"].asUInt64(), 9u);
  EXPECT_EQ(draining["outstanding"].asString(), "5");
}

TEST_F(ApiTest, AccountsArePaged) {
  ServerFrame frame;
  frame.mutable_accounts()->add_accounts()->set_id("orch-1");
  frame.mutable_accounts()->set_next_index(7);
  enclave_.answer = frame;
  const Json::Value page = Json(Ask("GET", "/api/ledger/accounts?from=3&limit=4"));
  EXPECT_EQ(enclave_.requests[0].list_accounts().from_index(), 3u);
  EXPECT_EQ(enclave_.requests[0].list_accounts().limit(), 4u);
  EXPECT_EQ(page["accounts"][0]["id"].asString(), "orch-1");
  EXPECT_EQ(page["next"].asUInt64(), 7u);
  frame.mutable_accounts()->set_end(true);
  enclave_.answer = frame;
  EXPECT_TRUE(Json(Ask("GET", "/api/ledger/accounts"))["next"].isNull());
}

TEST_F(ApiTest, BadQueriesNeverReachTheEnclave) {
  for (const char* target :
       {"/api/ledger/accounts?limit=0", "/api/ledger/accounts?limit=5001",
        "/api/ledger/accounts?limit=x", "/api/ledger/accounts?limit=-1",
        "/api/ledger/accounts?from=99999999999999999999",
        "/api/ledger/accounts?limit=", "/api/ledger/accounts?limit=+1", "/api/payouts?open=2",
        "/api/payouts?limit=1001", "/api/payouts/x", "/api/payouts/-1",
        "/api/payouts/99999999999999999999", "/api/payouts/0x1"}) {
    EXPECT_EQ(Ask("GET", target).status, 400) << target;
  }
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiTest, PathParametersAreDecoded) {
  Ask("GET", "/api/ledger/accounts/a%2Fb%20%C3%BC");
  EXPECT_EQ(enclave_.requests.at(0).get_account().id(), "a/b \xc3\xbc");
}

TEST_F(ApiTest, ErrorsOfTheEnclaveHaveAStatus) {
  const std::pair<boundary::v1::ErrorCode, int> cases[] = {
      {boundary::v1::ERROR_UNKNOWN_ACCOUNT, 404}, {boundary::v1::ERROR_NOT_READY, 503},
      {boundary::v1::ERROR_OVERLOADED, 503},      {boundary::v1::ERROR_INTERNAL, 500},
      {boundary::v1::ERROR_EVENT_CONFLICT, 409},  {boundary::v1::ERROR_INSUFFICIENT, 422},
      {boundary::v1::ERROR_MALFORMED, 400}};
  for (const auto& [code, status] : cases) {
    AnswerError(code);
    EXPECT_EQ(Ask("GET", "/api/ledger/accounts/x").status, status) << code;
  }
  enclave_.answer = absl::UnavailableError("lost");
  EXPECT_EQ(Ask("GET", "/api/tee/status").status, 503);
}

TEST_F(ApiTest, PayoutControls) {
  EXPECT_EQ(Ask("POST", "/api/payouts/run").status, 202);
  EXPECT_EQ(payouts_.runs, 1);
  EXPECT_EQ(Json(Ask("POST", "/api/payouts/pause"))["paused"].asBool(), true);
  EXPECT_EQ(Json(Ask("POST", "/api/payouts/resume"))["paused"].asBool(), false);
  payouts_.can_run = absl::FailedPreconditionError("paused");
  EXPECT_EQ(Ask("POST", "/api/payouts/run").status, 409);
  EXPECT_EQ(Ask("POST", "/api/payouts/run", "{}").status, 400);
  EXPECT_EQ(Ask("GET", "/api/payouts/run").status, 400) << "a payout's id is a number";
  EXPECT_EQ(Ask("GET", "/api/journal").status, 404) << "no journal here";
  EXPECT_EQ(Ask("POST", "/api/registry/reload").status, 200);
}

TEST_F(ApiTest, EventsGetTheirRecipientFromTheRegistry) {
  ServerFrame frame;
  frame.mutable_events_applied()->set_applied(1);
  frame.mutable_events_applied()->mutable_account()->set_id("orch-1");
  enclave_.answer = frame;
  const HttpResponse answer =
      Ask("POST", "/api/ledger/events", R"({"id":"e1","account":"orch-1","amount":"1.5"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto& event = enclave_.requests.at(0).apply_events().events(0);
  EXPECT_EQ(event.recipient(), std::string(20, '\x11'));
  EXPECT_EQ(WeiText(event.amount()), "1500000000000000000");
  EXPECT_EQ(event.kind(), boundary::v1::Event::KIND_CREDIT);
  EXPECT_EQ(Json(answer)["account"]["id"].asString(), "orch-1");
}

TEST_F(ApiTest, ResultsOfABatchAreInItsOrder) {
  ServerFrame frame;  // of the three that are sent: applied, duplicate, refused
  frame.mutable_events_applied()->set_applied(1);
  frame.mutable_events_applied()->add_duplicates(1);
  auto* refusal = frame.mutable_events_applied()->add_refusals();
  refusal->set_index(2);
  refusal->mutable_error()->set_code(boundary::v1::ERROR_INSUFFICIENT);
  enclave_.answer = frame;
  const std::string body =
      R"([{"id":"a","account":"orch-1","amount_wei":"1"},
          {"id":"b","account":"nobody","amount_wei":"1"},
          {"id":"c","account":"orch-1","amount_wei":"170141183460469231731687303715884105727"},
          {"id":"d","account":"orch-1","amount":"0.000000000000000001","kind":"adjust_down"}])";
  HttpResponse answer = Ask("POST", "/api/ledger/events", body);
  EXPECT_EQ(answer.status, 422);
  const Json::Value results = Json(answer)["results"];
  EXPECT_EQ(results[0]["status"].asString(), "applied");
  EXPECT_EQ(results[1]["error"]["code"].asString(), "unknown_account");
  EXPECT_EQ(results[2]["status"].asString(), "duplicate");
  EXPECT_EQ(results[3]["error"]["code"].asString(), "insufficient");
  EXPECT_EQ(Json(answer)["refused"].asUInt(), 2u);
  refusal->mutable_error()->set_code(boundary::v1::ERROR_EVENT_CONFLICT);
  enclave_.answer = frame;
  EXPECT_EQ(Ask("POST", "/api/ledger/events", body).status, 409);
}

TEST_F(ApiTest, AccountsThatNobodyKnowsNeedNoEnclave) {
  const HttpResponse answer =
      Ask("POST", "/api/ledger/events", R"({"id":"e1","account":"nobody","amount":"1"})");
  EXPECT_EQ(answer.status, 422);
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiTest, MalformedEventsChangeNothing) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const std::string good = R"("id":"e","account":"orch-1")";
  std::string many = "[";
  for (int i = 0; i < 1001; ++i) absl::StrAppend(&many, i ? "," : "", "{}");
  for (const std::string& body : std::vector<std::string>{
           "",
           "{",
           "null",
           "1",
           "[]",
           "[1]",
           deep,
           many + "]",
           "{}",
           "{} {}",
           "{" + good + "}",
           "{" + good + R"(,"amount":"1","amount_wei":"1"})",
           "{" + good + R"(,"amount":1.5})",
           "{" + good + R"(,"amount":"0"})",
           "{" + good + R"(,"amount":"-1"})",
           "{" + good + R"(,"amount":"NaN"})",
           "{" + good + R"(,"amount":"1e30"})",
           "{" + good + R"(,"amount":"0.0000000000000000001"})",
           "{" + good + R"(,"amount":" 1"})",
           "{" + good + R"(,"amount_wei":"1.0"})",
           "{" + good + R"(,"amount_wei":"0x10"})",
           "{" + good + R"(,"amount_wei":""})",
           "{" + good + R"(,"amount_wei":"170141183460469231731687303715884105728"})",
           "{" + good + R"(,"amount_wei":"999999999999999999999999999999999999999"})",
           "{" + good + R"(,"amount":"1","kind":"gift"})",
           "{" + good + R"(,"amount":"1","kind":1})",
           "{" + good +
               R"(,"amount":"1","recipient":"0x1111111111111111111111111111111111111111"})",
           R"({"id":"","account":"orch-1","amount":"1"})",
           R"({"id":7,"account":"orch-1","amount":"1"})",
           R"({"account":"orch-1","amount":"1"})",
           R"({"id":"a","id":"b","account":"orch-1","amount":"1"})",
           R"({"id":")" + std::string(129, 'x') + R"(","account":"orch-1","amount":"1"})",
           "{" + good + R"(,"amount":"1"} // and a comment)"}) {
    const HttpResponse answer = Ask("POST", "/api/ledger/events", body);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 200) << "\n" << answer.body;
    EXPECT_FALSE(Json(answer)["error"]["message"].asString().empty());
  }
  EXPECT_TRUE(enclave_.requests.empty());
}

}  // namespace
}  // namespace coffer::host_proxy
