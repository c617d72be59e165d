// The keys' routes and what is taken over at the start.
#include "host_proxy/host_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "host_proxy/host_metrics.h"
#include "host_proxy/json_text.h"
#include "runtime/os_random.h"
#include "tests/unit/runtime/support.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

// Makes a state key when it is asked for one, and adopts it.
class FakeClient final : public host::EnclaveClient {
 public:
  void Call(ClientFrame request, Reply reply) override {
    requests.push_back(request);
    ServerFrame frame;
    if (request.has_rotate_state_key()) {
      auto* key = frame.mutable_state_key();
      key->set_epoch(epoch + 1);
      key->set_ciphertext("ciphertext");
      key->set_tag(std::string(32, 't'));
    } else if (request.has_adopt_state_key()) {
      frame.mutable_state_key_adopted()->set_state_key_epoch(++epoch);
    } else {
      frame.mutable_status()->set_state_key_epoch(epoch);
    }
    reply(frame);
  }
  bool ready() const override { return is_ready; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  std::vector<ClientFrame> requests;
  uint32_t epoch = 1;
  bool is_ready = true;
};

class HostKeysTest : public ::testing::Test {
 protected:
  HostKeysTest() {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              absl::StrCat("coffer_host_keys_", getpid(), "_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~HostKeysTest() override {
    keys_.reset();
    std::filesystem::remove_all(folder_);
  }

  absl::Status Make(KmsOptions options = {}) {
    keys_.reset();
    host::aws::AwsEnvironment environment;
    environment.access_key_id = "AKID";
    environment.secret_access_key = *ethereum::SecretBytes::CopyOf("secret");
    environment.region = "us-east-2";
    HostKeys::Ports ports;
    ports.loop = &loop_;
    ports.random = &random_;
    ports.enclave = &enclave_;
    ports.stored_records = [] { return uint64_t{0}; };
    ports.stored_snapshots = [this] { return snapshots_; };
    auto made = HostKeys::Create(std::move(ports), std::move(options), std::move(environment),
                                 folder_ / "keys");
    if (!made.ok()) return made.status();
    keys_ = *std::move(made);
    return absl::OkStatus();
  }
  HttpResponse Ask(const std::string& method, const std::string& body = "",
                   const std::string& token = "admin-token-of-32-characters-000") {
    Router router(
        BearerTokens("viewer-token-of-32-characters-00", "admin-token-of-32-characters-000"),
        false);
    keys_->AddTo(router);
    HttpRequest request;
    request.method = method;
    request.path = "/api/tee/rotate-state-key";
    request.host = "127.0.0.1:8080";
    request.authorization = "Bearer " + token;
    request.content_type = "application/json";
    request.body = body;
    HttpResponse answer;
    router.Handle(std::move(request), [&](HttpResponse r) { answer = std::move(r); });
    return answer;
  }
  std::string Step() { return (*FromText(Ask("GET").body))["step"].asString(); }
  std::string File(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  runtime::EventLoop loop_;
  runtime::OsRandom random_;
  FakeClient enclave_;
  uint64_t snapshots_ = 0;
  std::filesystem::path folder_;
  std::unique_ptr<HostKeys> keys_;
};

TEST_F(HostKeysTest, ARotationIsStartedByAnAdministratorAndWatchedByAViewer) {
  ASSERT_TRUE(Make().ok());
  EXPECT_EQ(Step(), "idle");
  EXPECT_EQ(Ask("POST", "", "viewer-token-of-32-characters-00").status, 403);
  EXPECT_EQ(Ask("GET", "", "viewer-token-of-32-characters-00").status, 200);
  EXPECT_EQ(Ask("POST", R"({"key_id":"alias/new"})").status, 202);
  EXPECT_NE(Ask("POST").status, 202) << "one at a time";
  ASSERT_TRUE(runtime::TurnUntil(loop_, [this] { return Step() == "snapshot"; }));
  EXPECT_EQ(enclave_.requests.at(1).rotate_state_key().key_id(), "alias/new");
  EXPECT_EQ(enclave_.requests.at(1).rotate_state_key().aws().secret_access_key(), "secret");
  ++snapshots_;
  ASSERT_TRUE(runtime::TurnUntil(loop_, [this] { return Step() == "done"; }));
  EXPECT_TRUE(keys_->store().HasEpoch(2));
}

TEST_F(HostKeysTest, WhatIsNoRequestChangesNothing) {
  ASSERT_TRUE(Make().ok());
  for (const char* body :
       {"[]", "{\"key\":\"x\"}", "{\"key_id\":1}", "x", "{\"key_id\":\"a\",\"more\":1}"}) {
    EXPECT_EQ(Ask("POST", body).status, 400) << body;
  }
  EXPECT_EQ(Ask("POST", absl::StrCat("{\"key_id\":\"", std::string(2049, 'x'), "\"}")).status, 400);
  enclave_.is_ready = false;
  EXPECT_EQ(Ask("POST").status, 503);
  EXPECT_EQ(Step(), "idle");
  EXPECT_TRUE(enclave_.requests.empty());
}

TEST_F(HostKeysTest, ACiphertextFileIsTakenOverOnce) {
  KmsOptions options;
  options.ciphertext_file = File("key.bin", "from KMS");
  options.key_id = "alias/coffer";
  options.encryption_context = {{"a", "b"}};
  ASSERT_TRUE(Make(options).ok());
  EXPECT_EQ(keys_->store().signing()->ciphertext, "from KMS");
  EXPECT_EQ(keys_->store().signing()->key_id, "alias/coffer");
  EXPECT_EQ(keys_->store().signing()->encryption_context.at("a"), "b");
  // Later the option may stay, and the file go.
  std::filesystem::remove(folder_ / "key.bin");
  ASSERT_TRUE(Make(options).ok());
  options.ciphertext_file = File("other.bin", "another");
  ASSERT_TRUE(Make(options).ok());
  EXPECT_EQ(keys_->store().signing()->ciphertext, "from KMS") << "never replaced";
}

TEST_F(HostKeysTest, WhatIsNoCiphertextIsRefused) {
  KmsOptions options;
  options.ciphertext_file = folder_ / "nothing";
  EXPECT_EQ(Make(options).code(), absl::StatusCode::kNotFound);
  for (const std::string& content : {std::string(), std::string(6145, 'x')}) {
    options.ciphertext_file = File("key.bin", content);
    EXPECT_THAT(Make(options).message(), HasSubstr("1 to 6144 bytes"));
  }
  File("keys/state-1.json", "{}");
  EXPECT_EQ(Make().code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostKeysTest, EveryReasonHasItsCounterFromTheStart) {
  ASSERT_TRUE(Make().ok());
  runtime::Metrics metrics;
  HostMetrics host(&metrics, "test");
  host.Add(keys_.get());
  host.Refresh();
  for (size_t i = 0; i < host::kKeyTroubles; ++i) {
    EXPECT_THAT(metrics.Text(),
                HasSubstr(absl::StrCat(
                    "coffer_kms_failures_total{reason=\"",
                    std::string(host::KeyTroubleWord(static_cast<host::KeyTrouble>(i))), "\"} 0")));
  }
}

}  // namespace
}  // namespace coffer::host_proxy
