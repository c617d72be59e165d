// /api/tee/*, over a router, with an enclave that a test scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "host_proxy/api.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

class FakeClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    ServerFrame frame;
    if (request.has_status()) {
      *frame.mutable_status() = status;
    } else {
      frame = attestation;
    }
    reply(frame);
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  boundary::v1::Status status;
  ServerFrame attestation;
  std::vector<ClientFrame> requests;
};

class ApiTeeTest : public ::testing::Test {
 protected:
  ApiTeeTest() { enclave_.status.set_address(std::string(20, '\x11')); }

  HttpResponse Get(const std::string& path, const std::string& query = "",
                   const std::string& mode = "remote", const std::string& token = "") {
    ApiPorts ports;
    ports.enclave = &enclave_;
    ports.metrics = &metrics_;
    ports.random = &random_;
    ports.mode = mode;
    Router router(BearerTokens(token, token.empty() ? "" : token + "-admin"), token.empty());
    Api api(std::move(ports));
    api.AddTo(router);
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    request.query = query;
    request.host = "127.0.0.1:8080";
    HttpResponse answer;
    router.Handle(std::move(request), [&](HttpResponse r) { answer = std::move(r); });
    return answer;
  }
  static Json::Value Json(const HttpResponse& answer) { return *FromText(answer.body); }

  FakeClient enclave_;
  runtime::Metrics metrics_;
  runtime::SeededRandom random_{5};
};

TEST_F(ApiTeeTest, StatusSaysModeProfileAndPolicy) {
  enclave_.status.set_attestation_available(true);
  enclave_.status.set_profile(boundary::v1::PROFILE_SIGNER);
  enclave_.status.set_policy_hash(std::string(32, '\x22'));
  (*enclave_.status.mutable_refusals_by_rule())["max_gas_limit"] = 4;
  const Json::Value status = Json(Get("/api/tee/status", "", "local"));
  EXPECT_EQ(status["mode"].asString(), "local");
  EXPECT_EQ(status["address"].asString(), "0x1111111111111111111111111111111111111111");
  EXPECT_TRUE(status["attestation_available"].asBool());
  EXPECT_EQ(status["profile"].asString(), "signer");
  EXPECT_EQ(status["policy_hash"].asString().substr(0, 6), "0x2222");
  EXPECT_EQ(status["refusals_by_rule"]["max_gas_limit"].asUInt64(), 4u);
}

TEST_F(ApiTeeTest, WithoutASignerItSaysSo) {
  const Json::Value status = Json(Get("/api/tee/status", "", "none"));
  EXPECT_EQ(status["mode"].asString(), "none");
  EXPECT_TRUE(status["address"].isNull());
  EXPECT_FALSE(status["attestation_available"].asBool());
  const HttpResponse attestation = Get("/api/tee/attestation", "", "none");
  EXPECT_EQ(attestation.status, 503);
  EXPECT_THAT(attestation.body, HasSubstr("no signer"));
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiTeeTest, AttestationCarriesTheNonce) {
  const std::string document("\x00\xff doc", 6);
  enclave_.attestation.mutable_attestation()->set_document(document);
  const HttpResponse answer = Get("/api/tee/attestation", "nonce=0x0102AB");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Json(answer)["nonce_hex"].asString(), "0x0102ab");
  EXPECT_EQ(Json(answer)["address"].asString(), "0x1111111111111111111111111111111111111111");
  EXPECT_EQ(Json(answer)["document_b64"].asString(), absl::Base64Escape(document));
  ASSERT_EQ(enclave_.requests.size(), 2u);
  EXPECT_EQ(enclave_.requests[1].get_attestation().nonce(), "\x01\x02\xab");
}

TEST_F(ApiTeeTest, ANonceIsMadeWhereNoneIsGiven) {
  enclave_.attestation.mutable_attestation()->set_document("d");
  const std::string first = Json(Get("/api/tee/attestation"))["nonce_hex"].asString();
  const std::string second = Json(Get("/api/tee/attestation"))["nonce_hex"].asString();
  EXPECT_EQ(first.size(), 66u);
  EXPECT_NE(first, second);
  EXPECT_EQ(enclave_.requests[1].get_attestation().nonce().size(), 32u);
}

TEST_F(ApiTeeTest, BadNoncesAreRefusedBeforeTheEnclaveIsAsked) {
  for (const std::string& nonce :
       {std::string("0x1"), std::string("0xzz"), std::string(""), std::string("0x"),
        "0x" + std::string(66, 'a'), std::string("hello")}) {
    EXPECT_EQ(Get("/api/tee/attestation", "nonce=" + nonce).status, 400) << nonce;
  }
  EXPECT_EQ(Get("/api/tee/attestation", "nonce=0x11&nonce=0x12").status, 400);
  EXPECT_EQ(Get("/api/tee/attestation", "none=0x11").status, 400);
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiTeeTest, WithoutADocumentTheReasonIsGiven) {
  enclave_.attestation.mutable_attestation();
  EXPECT_EQ(Get("/api/tee/attestation").status, 503);
  EXPECT_THAT(Get("/api/tee/attestation").body, HasSubstr("no attestation device"));
  for (const auto code : {boundary::v1::ERROR_UNAVAILABLE, boundary::v1::ERROR_UNKNOWN_METHOD}) {
    enclave_.attestation.mutable_error()->set_code(code);
    enclave_.attestation.mutable_error()->set_message("not here");
    EXPECT_EQ(Get("/api/tee/attestation").status, 503);
    EXPECT_THAT(Get("/api/tee/attestation").body, HasSubstr("not here"));
  }
}

TEST_F(ApiTeeTest, ATokenIsNeededWhereTokensAreSet) {
  const std::string token(40, 't');
  EXPECT_EQ(Get("/api/tee/status", "", "remote", token).status, 401);
  EXPECT_EQ(Get("/api/tee/attestation", "", "remote", token).status, 401);
}

}  // namespace
}  // namespace coffer::host_proxy
