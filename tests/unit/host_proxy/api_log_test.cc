// The public part of the API: the log's files, proofs and receipts, over a router and a real
// reader.
#include "host_proxy/api_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/receipt.h"
#include "host_proxy/host_metrics.h"
#include "host_proxy/json_text.h"
#include "runtime/event_loop.h"
#include "tests/unit/host_log/reader_support.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

constexpr char kBase[] = "/api/transparency/tee-core";

class LogClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    if (hold) {
      held.push_back(std::move(reply));
    } else {
      reply(request.has_get_checkpoint() ? checkpoint : status);
    }
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  std::vector<ClientFrame> requests;
  absl::StatusOr<ServerFrame> status = absl::UnavailableError("no enclave is connected");
  absl::StatusOr<ServerFrame> checkpoint = absl::UnavailableError("no enclave is connected");
  bool hold = false;
  std::vector<Reply> held;
};

class ApiLogTest : public ::testing::Test {
 protected:
  explicit ApiLogTest(RateLimiter::Options limit = {.per_second = 0})
      : reader_({.folder = log_.folder(), .index_path = log_.index_path()}, own_.loop(),
                home_.loop()),
        api_({.log = &reader_,
              .enclave = &enclave_,
              .dispatcher = home_.loop(),
              .limit = limit,
              .attestation = "sha256:00"}) {
    api_.AddTo(router_);
    own_.RunAndWait([&] { reader_.Start(); });
  }

 public:
  ~ApiLogTest() override {
    own_.RunAndWait([&] { reader_.Stop(); });
    own_.StopAndJoin();
    home_.StopAndJoin();
  }

 protected:
  HttpResponse Ask(const std::string& target, HttpRequest request = {}) {
    if (request.method.empty()) request.method = "GET";
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    if (request.peer.empty()) request.peer = "192.0.2.1";
    std::promise<HttpResponse> answer;
    home_.loop()->Post([&] {
      router_.Handle(std::move(request),
                     [&](HttpResponse response) { answer.set_value(std::move(response)); });
    });
    return answer.get_future().get();
  }
  Json::Value AskJson(const std::string& target, int status = 200) {
    const HttpResponse response = Ask(kBase + target);
    EXPECT_EQ(response.status, status) << target << " " << response.body;
    return *FromText(response.body);
  }
  std::string Code(const std::string& target, int status) {
    return AskJson(target, status)["error"]["code"].asString();
  }
  static std::string Header(const HttpResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
  // The enclave says that it has made so many leaves.
  void EnclaveHas(uint64_t size) {
    ServerFrame frame;
    auto& audit = *frame.mutable_status()->mutable_audit();
    audit.set_log_key(host::TestLogKey().key().ToString());
    audit.set_audit_address(std::string(20, '\x22'));
    audit.set_size(size);
    audit.set_root(std::string(32, '\x33'));
    audit.set_head(std::string(32, '\x44'));
    enclave_.status = frame;
  }

  host::TestLog log_;
  runtime::EventLoopThread own_{"reader"};
  runtime::EventLoopThread home_{"home"};
  host::LogReader reader_;
  LogClient enclave_;  // the home loop's
  // Tokens are set: the log needs none of them.
  Router router_{BearerTokens("viewer-token-0123456789", "admin-token-0123456789"), false};
  ApiLog api_;
};

TEST_F(ApiLogTest, FilesAreServedAsTheSpecificationSays) {
  EXPECT_EQ(Ask("/log/checkpoint").status, 404);
  log_.Publish(70'000);
  const HttpResponse checkpoint = Ask("/log/checkpoint");
  EXPECT_EQ(checkpoint.status, 200);
  EXPECT_EQ(checkpoint.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(checkpoint.cache_control, "no-store");
  EXPECT_EQ(checkpoint.body, host::ReadFile(log_.folder() + "/checkpoint"));
  EXPECT_EQ(Header(checkpoint, "Access-Control-Allow-Origin"), "*");
  for (const char* path : {"tile/0/000", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17",
                           "tile/2/000.p/1", "tile/entries/000", "tile/entries/273.p/112"}) {
    const HttpResponse tile = Ask(absl::StrCat("/log/", path));
    ASSERT_EQ(tile.status, 200) << path << tile.body;
    EXPECT_EQ(tile.content_type, "application/octet-stream");
    // What was compared with the tile above it may be kept for ever.
    const bool compared = absl::StrContains(path, "entries") || !absl::StrContains(path, ".p/");
    EXPECT_THAT(tile.cache_control, HasSubstr(compared ? "immutable" : "max-age=60")) << path;
    EXPECT_EQ(tile.body, host::ReadFile(absl::StrCat(log_.folder(), "/", path)));
    EXPECT_EQ(Header(tile, "Access-Control-Allow-Origin"), "*");
  }
  // What a browser's page of another site, or a client that knows this host by another name, gets.
  HttpRequest foreign;
  foreign.origin = "https://elsewhere.example";
  foreign.host = "log.example";
  EXPECT_EQ(Ask("/log/checkpoint", foreign).status, 200);
  EXPECT_EQ(Header(Ask("/log/tile/9/9", foreign), "Access-Control-Allow-Origin"), "*");
  HttpRequest head;
  head.method = "HEAD";
  EXPECT_EQ(Ask("/log/tile/0/000", head).status, 200);
  HttpRequest post;
  post.method = "POST";
  EXPECT_EQ(Ask("/log/checkpoint", post).status, 401) << "not open, so not told";
}

TEST_F(ApiLogTest, HostilePathsFindNothing) {
  log_.Publish(300);
  for (const char* path : {"/log/tile/0/000/",
                           "/log/tile/0/../checkpoint",
                           "/log/tile/../checkpoint",
                           "/log/tile/0/%2e%2e/%2e%2e/checkpoint",
                           "/log/tile/0//000",
                           "/log/tile/00/000",
                           "/log/tile/0/0",
                           "/log/tile/0/1000",
                           "/log/tile/0/x000/000",
                           "/log/tile/0/001.p/0",
                           "/log/tile/0/001.p/256",
                           "/log/tile/0/001.p/044",
                           "/log/tile/64/000",
                           "/log/tile/-1/000",
                           "/log/tile/entries/001.p/44x",
                           "/log/tile/entries",
                           "/log/tile/0/000.new",
                           "/log/tile/0/x999/x999/x999/x999/x999/x999/999",
                           "/log/tile/0/001.p/45",
                           "/log/tile/0/001",
                           "/log/tile/0/002",
                           "/log/tile/1/001",
                           "/log/tile/%00",
                           "/log/tile/"}) {
    EXPECT_EQ(Ask(path).status, 404) << path;
  }
  EXPECT_EQ(Ask("/log/tile/0/001.p/44").status, 200);
  EXPECT_EQ(Ask("/log/tile/0/001.p/43").status, 200);
  EXPECT_EQ(Ask("/log/tile/" + std::string(3000, '0')).status, 400);
  EXPECT_EQ(Ask("/log/checkpoint?x=1").status, 400);
  EXPECT_EQ(Ask("/log/checkpoint/x").status, 401);
  EXPECT_EQ(reader_.stats().failures, 0u);
}

TEST_F(ApiLogTest, StatusHasTheEnclavesPartAndThePublishedOne) {
  Json::Value status = AskJson("/audit/status");
  EXPECT_TRUE(status["published"].isNull());
  EXPECT_TRUE(status["audit_seq"].isNull());
  EXPECT_THAT(status["enclave_error"].asString(), HasSubstr("no enclave"));
  log_.Publish(300);
  status = AskJson("/audit/status");
  EXPECT_EQ(status["published"]["size"].asUInt64(), 300u);
  EXPECT_EQ(status["published"]["root"].asString(), log_.Root().ToHex());
  EXPECT_GE(status["published"]["age_seconds"].asDouble(), 0.0);
  EXPECT_TRUE(status["published"]["cosigners"].empty());
  EXPECT_EQ(status["log_origin"].asString(), host::kTestOrigin);
  EnclaveHas(305);
  status = AskJson("/audit/status");
  EXPECT_EQ(status["audit_address"].asString(), "0x2222222222222222222222222222222222222222");
  EXPECT_EQ(status["audit_seq"].asUInt64(), 305u);
  EXPECT_EQ(status["audit_merkle_root"].asString(), "0x" + std::string(64, '3'));
  EXPECT_EQ(status["audit_head_hash"].asString(), "0x" + std::string(64, '4'));
  EXPECT_EQ(status["audit_checkpoint_head_hash"], status["audit_merkle_root"]);
  EXPECT_EQ(status["log_key"].asString(), host::TestLogKey().key().ToString());
  EXPECT_TRUE(status["enclave_error"].isNull());
}

TEST_F(ApiLogTest, CheckpointsAreSignedByTheEnclaveForAChain) {
  EXPECT_EQ(Code("/audit/checkpoint", 503), "unavailable");
  EnclaveHas(5);
  ServerFrame frame;
  auto& checkpoint = *frame.mutable_audit_checkpoint();
  checkpoint.set_note("note");
  checkpoint.set_size(5);
  checkpoint.set_root(std::string(32, '\x33'));
  checkpoint.set_head(std::string(32, '\x44'));
  checkpoint.set_claimed_time(1'700'000'000'017);
  checkpoint.set_audit_address(std::string(20, '\x22'));
  checkpoint.set_chain_id(42161);
  checkpoint.set_registry(std::string(20, '\x55'));
  checkpoint.set_digest(std::string(32, '\x66'));
  checkpoint.set_signature(std::string(65, '\x77'));
  enclave_.checkpoint = frame;
  const Json::Value json =
      AskJson("/audit/checkpoint?chain_id=42161&contract_address=0x" + std::string(40, '5'));
  const auto& asked = enclave_.requests.back().get_checkpoint();
  EXPECT_EQ(asked.chain_id(), 42161u);
  EXPECT_EQ(asked.registry(), std::string(20, '\x55'));
  EXPECT_EQ(json["schema"].asString(), "coffer-audit:checkpoint:v1");
  EXPECT_EQ(json["seq"].asUInt64(), 5u);
  EXPECT_EQ(json["head_hash"].asString(), "0x" + std::string(64, '3'));
  EXPECT_EQ(json["merkle_root"], json["head_hash"]);
  EXPECT_EQ(json["chain_head_hash"].asString(), "0x" + std::string(64, '4'));
  EXPECT_EQ(json["message_hash"].asString(), "0x" + std::string(64, '6'));
  EXPECT_EQ(json["signature"].asString(), "0x" + std::string(130, '7'));
  EXPECT_EQ(json["timestamp"].asString(), "2023-11-14T22:13:20.017Z");
  EXPECT_EQ(json["checkpoint"].asString(), "note");
  EXPECT_EQ(json["log_key"].asString(), host::TestLogKey().key().ToString());
  AskJson("/audit/checkpoint");
  EXPECT_EQ(enclave_.requests.back().get_checkpoint().registry(), "");
  for (const char* query : {"chain_id=x", "chain_id=-1", "chain_id=18446744073709551616",
                            "contract_address=0x12", "contract_address=nobody"}) {
    EXPECT_EQ(Code(absl::StrCat("/audit/checkpoint?", query), 400), "malformed") << query;
  }
}

TEST_F(ApiLogTest, ProofsAndReceiptsVerify) {
  log_.Publish(300);
  for (const char* name : {"event_id=ev-123", "leaf_index=123"}) {
    const Json::Value json = AskJson(absl::StrCat("/audit/proof?", name));
    EXPECT_EQ(json["leaf_index"].asUInt64(), 123u);
    EXPECT_EQ(json["tree_size"].asUInt64(), 300u);
    EXPECT_EQ(json["audit_entry"]["event_id"].asString(), "ev-123");
    EXPECT_EQ(json["audit_entry"]["seq"].asUInt64(), 124u);
    audit::Proof proof;
    for (const Json::Value& hash : json["proof"]) {
      proof.push_back(*audit::Hash::FromHex(hash.asString()));
    }
    const auto leaf = ethereum::FromHex(json["audit_entry"]["leaf"].asString());
    EXPECT_TRUE(audit::VerifyInclusion(123, 300, audit::LeafHash(*leaf), proof, log_.Root()).ok());
    EXPECT_EQ(json["checkpoint"]["merkle_root"].asString(), log_.Root().ToHex());
  }
  const Json::Value payout = AskJson("/audit/proof?payout_id=7");
  EXPECT_EQ(payout["leaf_index"].asUInt64(), 150u);
  EXPECT_EQ(payout["payout_leaves"].size(), 2u);

  const Json::Value receipt = AskJson("/receipt?event_id=ev-123");
  EXPECT_EQ(receipt["event_id"].asString(), "ev-123");
  const auto parsed = audit::ParseReceipt(receipt["receipt"].asString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->attestation, "sha256:00");
  const auto policy = audit::QuorumPolicy::Parse(
      absl::StrCat("log ", host::TestLogKey().key().ToString(), "\nquorum none\n"));
  EXPECT_TRUE(audit::VerifyReceipt(*parsed, *policy).valid);
  const HttpResponse file = Ask(absl::StrCat(kBase, "/receipt?event_id=ev-123&format=file"));
  EXPECT_EQ(file.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(Header(file, "Content-Disposition"),
            "attachment; filename=\"coffer-receipt-123.tlog-proof\"");
  EXPECT_EQ(file.body, receipt["receipt"].asString());

  const Json::Value consistency = AskJson("/audit/consistency?first=100&second=300");
  EXPECT_FALSE(consistency["proof"].empty());
  EXPECT_EQ(AskJson("/audit/consistency?first=100")["second"].asUInt64(), 300u);
  EXPECT_TRUE(AskJson("/audit/consistency?first=0&second=7")["proof"].empty());
}

TEST_F(ApiLogTest, WhatIsMissingIsToldApart) {
  EXPECT_EQ(Code("/audit/proof?leaf_index=0", 404), "not_published_yet");
  log_.Publish(300);
  EXPECT_EQ(Code("/audit/proof?event_id=nobody", 404), "not_in_log") << "as far as is published";
  EXPECT_EQ(Code("/audit/proof?leaf_index=300", 404), "not_published_yet");
  EnclaveHas(305);
  EXPECT_EQ(Code("/receipt?event_id=ev-301", 404), "not_published_yet");
  EXPECT_EQ(Code("/audit/proof?leaf_index=304", 404), "not_published_yet");
  EXPECT_EQ(Code("/audit/proof?leaf_index=305", 404), "not_in_log");
  EnclaveHas(300);
  EXPECT_EQ(Code("/receipt?event_id=ev-301", 404), "not_in_log");
  EXPECT_EQ(Code("/receipt?payout_id=99", 404), "not_in_log");
  EXPECT_EQ(Code("/audit/consistency?first=1&second=301", 404), "not_published_yet");
  log_.Alter("tile/0/000", 0);
  EXPECT_EQ(Code("/audit/proof?event_id=ev-123", 500), "log_damaged");
  EXPECT_EQ(reader_.stats().failures, 1u);
}

TEST_F(ApiLogTest, AnAlteredFileIsNeverServedAsOneOfTheLog) {
  log_.Publish(70'000);
  for (const char* path :
       {"tile/0/005", "tile/1/000", "tile/entries/007", "tile/entries/273.p/112"}) {
    ASSERT_EQ(Ask(absl::StrCat("/log/", path)).status, 200) << path;
    log_.Alter(path, 40);
    const HttpResponse altered = Ask(absl::StrCat("/log/", path));
    EXPECT_EQ(altered.status, 500) << path;
    EXPECT_THAT(altered.body, HasSubstr("log_damaged")) << path;
    EXPECT_THAT(altered.body, HasSubstr(path));
    EXPECT_EQ(altered.cache_control, "no-store") << path;
    log_.Alter(path, 40);  // and back
  }
}

TEST_F(ApiLogTest, BadQueriesAreRefused) {
  log_.Publish(300);
  for (const char* target :
       {"/audit/proof", "/audit/proof?event_id=", "/audit/proof?event_id=a&leaf_index=1",
        "/audit/proof?leaf_index=x", "/audit/proof?leaf_index=-1", "/audit/proof?payout_id=1.5",
        "/audit/proof?leaf_index=18446744073709551616", "/receipt?event_id=ev-1&format=pdf",
        "/audit/consistency", "/audit/consistency?second=5", "/audit/consistency?first=5&second=4",
        "/audit/consistency?first=", "/log?limit=0", "/log?limit=1001", "/log?limit=x",
        "/log?offset=-1", "/log?order=up", "/log?orchestrator_id=orch-1&limit=201"}) {
    EXPECT_EQ(Code(target, 400), "malformed") << target;
  }
  EXPECT_EQ(Code("/log?color=red", 400), "bad_query");
}

TEST_F(ApiLogTest, TheLogIsPaged) {
  log_.Publish(300);
  Json::Value page = AskJson("/log?limit=2&offset=255");
  EXPECT_EQ(page["total"].asUInt64(), 300u);
  EXPECT_EQ(page["offset"].asUInt64(), 255u);
  ASSERT_EQ(page["entries"].size(), 2u);
  EXPECT_EQ(page["entries"][1]["audit_entry"]["leaf_index"].asUInt64(), 256u);
  page = AskJson("/log?limit=2&order=desc");
  EXPECT_EQ(page["entries"][0]["audit_entry"]["leaf_index"].asUInt64(), 299u);
  EXPECT_EQ(AskJson("/log")["entries"].size(), 50u);
  EXPECT_EQ(AskJson("/log?limit=1000")["entries"].size(), 300u);
  page = AskJson("/log?orchestrator_id=orch-3&limit=5");
  ASSERT_EQ(page["entries"].size(), 5u);
  for (const Json::Value& entry : page["entries"]) {
    EXPECT_EQ(entry["audit_entry"]["orchestrator_id"].asString(), "orch-3");
  }
  EXPECT_EQ(page["indexed"].asUInt64(), 300u);
  EXPECT_EQ(AskJson("/log?orchestrator_id=nobody")["total"].asUInt64(), 0u);
}

TEST_F(ApiLogTest, StrangersHaveFewQuestionsToTheEnclaveUnderWay) {
  log_.Publish(300);
  std::vector<std::future<HttpResponse>> answers;
  home_.RunAndWait([&] { enclave_.hold = true; });
  for (size_t i = 0; i < ApiLog::kMaxEnclaveCalls; ++i) {
    answers.push_back(std::async(std::launch::async,
                                 [&] { return Ask(absl::StrCat(kBase, "/audit/checkpoint")); }));
  }
  for (size_t held = 0; held < ApiLog::kMaxEnclaveCalls;) {
    home_.RunAndWait([&] { held = enclave_.held.size(); });
  }
  EXPECT_EQ(Code("/audit/checkpoint", 503), "unavailable");
  EXPECT_EQ(AskJson("/audit/proof?leaf_index=1")["leaf_index"].asUInt64(), 1u);
  home_.RunAndWait([&] {
    for (auto& reply : enclave_.held) reply(absl::UnavailableError("lost"));
  });
  for (auto& answer : answers) EXPECT_EQ(answer.get().status, 503);
}

TEST_F(ApiLogTest, FiguresComeWithTheMetrics) {
  log_.Publish(300);
  runtime::Metrics metrics;
  HostMetrics host(&metrics, "test");
  host.Add(&reader_);
  host.Add(&api_);
  AskJson("/audit/proof?event_id=ev-1");
  // The figures are published after the answer.
  while (reader_.stats().indexed < 300) own_.RunAndWait([] {});
  host.Refresh();
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_log_indexed_leaves 300"));
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_log_questions_total 1"));
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_http_rate_limited_total 0"));
}

class ApiLogLimitTest : public ApiLogTest {
 protected:
  ApiLogLimitTest() : ApiLogTest({.per_second = 1, .burst = 5}) {}
};

TEST_F(ApiLogLimitTest, AnAddressThatAsksTooMuchWaits) {
  log_.Publish(300);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("/log/checkpoint").status, 200);
  const HttpResponse refused = Ask("/log/checkpoint");
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("rate_limited"));
  EXPECT_EQ(Header(refused, "Retry-After"), "1");
  EXPECT_EQ(Header(refused, "Access-Control-Allow-Origin"), "*");
  HttpRequest other;
  other.peer = "192.0.2.2";
  EXPECT_EQ(Ask("/log/checkpoint", other).status, 200);
  EXPECT_EQ(Ask(absl::StrCat(kBase, "/log?limit=300"), other).status, 200) << "costs 4";
  EXPECT_EQ(Ask(absl::StrCat(kBase, "/log?limit=300"), other).status, 429);
  EXPECT_EQ(api_.limiter().refused(), 2u);
}

TEST(RateLimiterTest, RefillsAndForgetsTheSilent) {
  RateLimiter limiter({.per_second = 2, .burst = 4, .peers = 3});
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limiter.Take("a", 1, now), absl::ZeroDuration());
  EXPECT_EQ(limiter.Take("a", 1, now), absl::Milliseconds(500));
  now += absl::Milliseconds(500);
  EXPECT_EQ(limiter.Take("a", 1, now), absl::ZeroDuration());
  EXPECT_GT(limiter.Take("a", 1, now), absl::ZeroDuration());
  now += absl::Hours(1);
  EXPECT_EQ(limiter.Take("a", 100, now), absl::ZeroDuration()) << "a cost above the burst";
  EXPECT_EQ(limiter.Take("a", 100, now), absl::Seconds(2));
  for (const char* peer : {"b", "c", "d"}) limiter.Take(peer, 4, now);
  EXPECT_EQ(limiter.peers(), 3u);
  EXPECT_EQ(limiter.Take("d", 1, now), absl::Milliseconds(500));
  EXPECT_EQ(limiter.Take("a", 1, now), absl::ZeroDuration()) << "forgotten";
}

TEST(RateLimiterTest, PeersAreCountedByWhatOneClientHas) {
  EXPECT_EQ(RateKey("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(RateKey("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(RateKey("2001:db8:1:2::1"), RateKey("2001:db8:1:2:ffff::9"));
  EXPECT_NE(RateKey("2001:db8:1:2::1"), RateKey("2001:db8:1:3::1"));
  EXPECT_EQ(RateKey("unix"), "unix");
}

}  // namespace
}  // namespace coffer::host_proxy
