// /api/tee/attestation, /api/tee/core/attestation and /api/tee/measurements, over a router, with an
// enclave that a test scripts.
#include "host_proxy/api_attestation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "host_proxy/json_text.h"
#include "runtime/test_dispatcher.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

class AttestingClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    if (request.has_status()) {
      ServerFrame frame;
      *frame.mutable_status() = status;
      return reply(frame);
    }
    if (hold) {
      held.push_back(std::move(reply));
      return;
    }
    reply(attestation);
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}
  size_t documents() const {
    return static_cast<size_t>(std::count_if(
        requests.begin(), requests.end(), [](const auto& r) { return r.has_get_attestation(); }));
  }

  boundary::v1::Status status;
  ServerFrame attestation;
  std::vector<ClientFrame> requests;
  bool hold = false;
  std::deque<Reply> held;
};

class ApiAttestationTest : public ::testing::Test {
 protected:
  ApiAttestationTest() : scheduler_(7), dispatcher_(scheduler_.NewDispatcher("host")) {
    enclave_.status.set_address(std::string(20, '\x11'));
    enclave_.attestation.mutable_attestation()->set_document("d");
    enclave_.attestation.mutable_attestation()->set_kind(boundary::v1::ATTESTATION_KIND_NITRO);
    ports_.enclave = &enclave_;
    ports_.dispatcher = dispatcher_;
    ports_.random = &random_;
  }

  void Open(const std::string& token = "") {
    api_ = *ApiAttestation::Create(ports_);
    router_ = std::make_unique<Router>(BearerTokens(token, token.empty() ? "" : token + "-admin"),
                                       token.empty());
    api_->AddTo(*router_);
  }
  HttpResponse Get(const std::string& query = "", const std::string& path = "/api/tee/attestation",
                   const std::string& peer = "192.0.2.1") {
    if (router_ == nullptr) Open();
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    request.query = query;
    request.host = "127.0.0.1:8080";
    request.peer = peer;
    // Shared: what is held is answered later, or never.
    const auto answer = std::make_shared<HttpResponse>();
    answer->status = 0;
    router_->Handle(std::move(request), [answer](HttpResponse r) { *answer = std::move(r); });
    return *answer;
  }
  HttpResponse GetCore(const std::string& query) { return Get(query, "/api/tee/core/attestation"); }
  static Json::Value Json(const HttpResponse& answer) { return *FromText(answer.body); }

  runtime::TestScheduler scheduler_;
  runtime::TestDispatcher* const dispatcher_;
  AttestingClient enclave_;
  runtime::SeededRandom random_{5};
  ApiAttestationPorts ports_;
  std::unique_ptr<ApiAttestation> api_;
  std::unique_ptr<Router> router_;
};

TEST_F(ApiAttestationTest, CarriesTheNonce) {
  const std::string document("\x00\xff doc", 6);
  enclave_.attestation.mutable_attestation()->set_document(document);
  for (const char* path : {"/api/tee/attestation", "/api/tee/core/attestation"}) {
    const HttpResponse answer = Get("nonce=0x0102AB", path);
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(Json(answer)["nonce_hex"].asString(), "0x0102ab");
    EXPECT_EQ(Json(answer)["address"].asString(), "0x1111111111111111111111111111111111111111");
    EXPECT_EQ(Json(answer)["document_b64"].asString(), absl::Base64Escape(document));
    EXPECT_EQ(Json(answer)["kind"].asString(), "nitro");
    EXPECT_FALSE(Json(answer)["development"].asBool());
  }
  ASSERT_EQ(enclave_.documents(), 1u);  // the second is the first again
  EXPECT_EQ(enclave_.requests[1].get_attestation().nonce(), "\x01\x02\xab");
}

TEST_F(ApiAttestationTest, ADevelopmentDocumentSaysSo) {
  enclave_.attestation.mutable_attestation()->set_kind(boundary::v1::ATTESTATION_KIND_DEVELOPMENT);
  const Json::Value answer = Json(Get("nonce=0x01"));
  EXPECT_TRUE(answer["development"].asBool());
  EXPECT_EQ(answer["kind"].asString(), "development");
  EXPECT_THAT(answer["note"].asString(), HasSubstr("proves nothing about a TEE"));
}

TEST_F(ApiAttestationTest, ANonceIsMadeWhereNoneIsGiven) {
  const std::string first = Json(Get())["nonce_hex"].asString();
  const std::string second = Json(Get())["nonce_hex"].asString();
  EXPECT_EQ(first.size(), 66u);
  EXPECT_NE(first, second);
  EXPECT_EQ(enclave_.requests[1].get_attestation().nonce().size(), 32u);
}

TEST_F(ApiAttestationTest, ANonceNeedsNo0x) {
  EXPECT_EQ(Json(GetCore("nonce=AB01"))["nonce_hex"].asString(), "0xab01");
}

TEST_F(ApiAttestationTest, BadNoncesAreRefusedBeforeTheEnclaveIsAsked) {
  for (const std::string& nonce :
       {std::string("0x1"), std::string("0xzz"), std::string(""), std::string("0x"),
        "0x" + std::string(66, 'a'), std::string("hello"), std::string("abc")}) {
    EXPECT_EQ(Get("nonce=" + nonce).status, 400) << nonce;
    EXPECT_EQ(GetCore("nonce=" + nonce).status, 400) << nonce;
  }
  EXPECT_EQ(Get("nonce=0x11&nonce=0x12").status, 400);
  EXPECT_EQ(Get("none=0x11").status, 400);
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiAttestationTest, WithoutADocumentTheReasonIsGiven) {
  ports_.limit.per_second = 0;
  enclave_.attestation.mutable_attestation()->clear_document();
  EXPECT_EQ(Get("nonce=0x01").status, 503);
  EXPECT_THAT(Get("nonce=0x01").body, HasSubstr("no attestation device"));
  for (const auto code : {boundary::v1::ERROR_UNAVAILABLE, boundary::v1::ERROR_UNKNOWN_METHOD}) {
    enclave_.attestation.mutable_error()->set_code(code);
    enclave_.attestation.mutable_error()->set_message("not here");
    EXPECT_EQ(Get("nonce=0x01").status, 503);
    EXPECT_THAT(Get("nonce=0x01").body, HasSubstr("not here"));
  }
  EXPECT_EQ(enclave_.documents(), 6u);  // a refusal is not kept
  EXPECT_EQ(api_->stats().documents, 0u);
}

TEST_F(ApiAttestationTest, WithoutASignerItSaysSo) {
  ports_.without_signer = true;
  const HttpResponse answer = Get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("no signer"));
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiAttestationTest, TheSameNonceIsAnsweredFromTheCacheForAWhile) {
  const std::string first = Get("nonce=0x01").body;
  enclave_.attestation.mutable_attestation()->set_document("another");
  scheduler_.Advance(DocumentCache::kLife - absl::Milliseconds(1));
  EXPECT_EQ(Get("nonce=0x01").body, first);
  EXPECT_NE(Get("nonce=0x02").body, first);
  EXPECT_EQ(api_->stats().cached, 1u);
  scheduler_.Advance(absl::Milliseconds(1));
  EXPECT_NE(Get("nonce=0x01").body, first);
  EXPECT_EQ(api_->stats().documents, 3u);
}

TEST_F(ApiAttestationTest, AnAddressThatAsksTooMuchWaits) {
  ports_.limit = {.per_second = 20, .burst = 100, .peers = 10};
  size_t made = 0;
  HttpResponse answer;
  for (int i = 10; i < 30; ++i) {
    answer = GetCore(absl::StrCat("nonce=0x", i));
    if (answer.status != 200) break;
    ++made;
  }
  EXPECT_EQ(made, 5u);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(Get("nonce=0x99").status, 429);      // one limit for both
  EXPECT_EQ(GetCore("nonce=0xzz").status, 429);  // nothing is free of it
  EXPECT_EQ(Get("nonce=0x99", "/api/tee/attestation", "192.0.2.2").status, 200);
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(Get("nonce=0x99").status, 200);
  scheduler_.Advance(absl::Milliseconds(200));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Get("nonce=0x99").status, 200);  // kept: it costs little
  EXPECT_EQ(api_->stats().limited, 3u);
}

TEST_F(ApiAttestationTest, FewAreUnderWayAtATime) {
  enclave_.hold = true;
  ports_.limit.per_second = 0;
  for (size_t i = 0; i < ApiAttestation::kMaxUnderWay; ++i) EXPECT_EQ(Get().status, 0) << i;
  const HttpResponse refused = Get();
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("under way"));
  enclave_.held.front()(absl::UnavailableError("gone"));
  EXPECT_EQ(Get().status, 0);
}

TEST_F(ApiAttestationTest, OneIsForEverybodyAndOneNeedsAToken) {
  Open(std::string(40, 't'));
  EXPECT_EQ(Get("nonce=0x01").status, 401);
  EXPECT_EQ(GetCore("nonce=0x01").status, 200);
  EXPECT_EQ(Get("", "/api/tee/measurements").status, 404);
}

TEST_F(ApiAttestationTest, MeasurementsAreServedAsTheyAreAfterTheyParsed) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) /
                                       absl::StrCat("coffer-api-measurements-", getpid());
  std::filesystem::create_directories(folder);
  ports_.measurements_path = (folder / "measurements.json").string();
  std::filesystem::remove(ports_.measurements_path);
  EXPECT_TRUE(absl::IsNotFound(ApiAttestation::Create(ports_).status()));
  const auto write = [&](const std::string& text) {
    std::ofstream(ports_.measurements_path) << text;
  };
  write("{\"releases\": ");
  EXPECT_TRUE(absl::IsInvalidArgument(ApiAttestation::Create(ports_).status()));
  const std::string good = "{ \"version\": 1,\n  \"releases\": [] }\n";
  write(good);
  EXPECT_EQ(Get("", "/api/tee/measurements").body, good);
  write("nothing");
  EXPECT_FALSE(api_->Reload().ok());
  EXPECT_EQ(Get("", "/api/tee/measurements").body, good);
  write("[" + std::string(ApiAttestation::kMaxMeasurementsBytes, ' ') + "]");
  EXPECT_THAT(std::string(api_->Reload().message()), HasSubstr("more than"));
  write("[1]");
  EXPECT_TRUE(api_->Reload().ok());
  EXPECT_EQ(Get("", "/api/tee/measurements").body, "[1]");
  std::filesystem::remove_all(folder);
}

TEST(DocumentCacheTest, IsBoundedAndForgetsTheOldest) {
  DocumentCache cache;
  const absl::Time start = absl::UnixEpoch();
  for (size_t i = 0; i <= DocumentCache::kEntries; ++i) {
    HttpResponse response;
    response.body = absl::StrCat(i);
    cache.Put(absl::StrCat("n", i), response, start + absl::Milliseconds(i));
  }
  EXPECT_EQ(cache.size(), DocumentCache::kEntries);
  const absl::Time now = start + absl::Milliseconds(DocumentCache::kEntries);
  EXPECT_EQ(cache.Find("n0", now), nullptr);
  ASSERT_NE(cache.Find("n1", now), nullptr);
  EXPECT_EQ(cache.Find("n1", now)->body, "1");
  EXPECT_EQ(cache.Find("n1", start + absl::Milliseconds(1) + DocumentCache::kLife), nullptr);
  cache.Put("n2", {}, now);  // already there: the first stays
  EXPECT_EQ(cache.Find("n2", now)->body, "2");
  EXPECT_EQ(cache.Find("nothing", start + absl::Minutes(1)), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace coffer::host_proxy
