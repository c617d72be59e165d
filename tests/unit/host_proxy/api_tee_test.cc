// /api/tee/status, over a router, with an enclave that a test scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host_proxy/api.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

class StatusClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    ServerFrame frame;
    *frame.mutable_status() = status;
    reply(frame);
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  boundary::v1::Status status;
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

  StatusClient enclave_;
  runtime::Metrics metrics_;
};

TEST_F(ApiTeeTest, StatusSaysModeProfileAndPolicy) {
  enclave_.status.set_attestation_available(true);
  enclave_.status.set_attestation_kind(boundary::v1::ATTESTATION_KIND_DEVELOPMENT);
  enclave_.status.set_profile(boundary::v1::PROFILE_SIGNER);
  enclave_.status.set_policy_hash(std::string(32, '\x22'));
  (*enclave_.status.mutable_refusals_by_rule())["max_gas_limit"] = 4;
  const Json::Value status = Json(Get("/api/tee/status", "", "local"));
  EXPECT_EQ(status["mode"].asString(), "local");
  EXPECT_EQ(status["address"].asString(), "0x1111111111111111111111111111111111111111");
  EXPECT_TRUE(status["attestation_available"].asBool());
  EXPECT_EQ(status["attestation_kind"].asString(), "development");
  EXPECT_EQ(status["profile"].asString(), "signer");
  EXPECT_EQ(status["policy_hash"].asString().substr(0, 6), "0x2222");
  EXPECT_EQ(status["refusals_by_rule"]["max_gas_limit"].asUInt64(), 4u);
}

TEST_F(ApiTeeTest, WithoutASignerItSaysSo) {
  const Json::Value status = Json(Get("/api/tee/status", "", "none"));
  EXPECT_EQ(status["mode"].asString(), "none");
  EXPECT_TRUE(status["address"].isNull());
  EXPECT_FALSE(status["attestation_available"].asBool());
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(ApiTeeTest, ATokenIsNeededWhereTokensAreSet) {
  const std::string token(40, 't');
  EXPECT_EQ(Get("/api/tee/status", "", "remote", token).status, 401);
}

}  // namespace
}  // namespace coffer::host_proxy
