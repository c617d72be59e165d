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

// Makes a key when it is asked for one, and adopts it.
class KeyClient final : public host::EnclaveClient {
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
    } else if (request.has_rotate_signing_key()) {
      auto* made = frame.mutable_next_signing_key();
      made->mutable_signing_key()->set_epoch(1);
      made->mutable_signing_key()->set_address(std::string(20, '\x21'));
      made->mutable_signing_key()->set_ciphertext("next");
      made->mutable_signing_key()->set_tag(std::string(32, 's'));
      made->mutable_state_key()->set_epoch(epoch + 1);
      made->mutable_state_key()->set_address(std::string(20, '\x21'));
      made->mutable_state_key()->set_ciphertext("its state key");
      made->mutable_state_key()->set_tag(std::string(32, 't'));
    } else if (request.has_adopt_signing_key()) {
      adopted = true;
      Say(frame.mutable_signing_key_adopted());
    } else if (request.has_retire_signing_key()) {
      Say(frame.mutable_signing_key_retired());
    } else {
      Say(frame.mutable_status());
    }
    reply(frame);
  }
  bool ready() const override { return is_ready; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  void Say(boundary::v1::Status* status) {
    status->set_state_key_epoch(adopted ? epoch + 1 : epoch);
    status->set_address(std::string(20, adopted ? '\x21' : '\x11'));
    if (!adopted) return;
    auto* older = status->add_signing_keys();
    older->set_address(std::string(20, '\x11'));
    older->set_use(boundary::v1::SigningKeyState::USE_DRAINING);
    older->set_open_payouts(4);
    auto* newer = status->add_signing_keys();
    newer->set_epoch(1);
    newer->set_address(std::string(20, '\x21'));
    newer->set_use(boundary::v1::SigningKeyState::USE_CURRENT);
  }

  std::vector<ClientFrame> requests;
  bool adopted = false;  // the signing key
  uint32_t epoch = 1;
  bool is_ready = true;
};

class HostKeysTest : public ::testing::Test {
 public:
  ~HostKeysTest() override {
    keys_.reset();
    std::filesystem::remove_all(folder_);
  }

 protected:
  HostKeysTest() {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              absl::StrCat("coffer_host_keys_", getpid(), "_",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
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
    ports.oldest_key_epoch = [this] { return static_cast<uint32_t>(1 + snapshots_); };
    auto made = HostKeys::Create(std::move(ports), std::move(options), std::move(environment),
                                 folder_ / "keys");
    if (!made.ok()) return made.status();
    keys_ = *std::move(made);
    return absl::OkStatus();
  }
  HttpResponse Ask(const std::string& method, const std::string& body = "",
                   const std::string& token = "admin-token-of-32-characters-000",
                   const std::string& path = "/api/tee/rotate-state-key") {
    Router router(
        BearerTokens("viewer-token-of-32-characters-00", "admin-token-of-32-characters-000"),
        false);
    keys_->AddTo(router);
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.host = "127.0.0.1:8080";
    request.authorization = "Bearer " + token;
    request.content_type = "application/json";
    request.body = body;
    HttpResponse answer;
    router.Handle(std::move(request), [&](HttpResponse r) { answer = std::move(r); });
    return answer;
  }
  HttpResponse AskSigning(const std::string& method, const std::string& body = "",
                          const std::string& token = "admin-token-of-32-characters-000") {
    return Ask(method, body, token, "/api/tee/rotate-signing-key");
  }
  Json::Value Signing() { return *FromText(AskSigning("GET").body); }
  void PutSigning() {
    std::filesystem::create_directories(folder_ / "keys");
    File("keys/signing.ciphertext", "from KMS");
    ASSERT_TRUE(Make().ok());
    host::SigningCiphertext opened = *keys_->store().signing();
    opened.address = ethereum::Address::FromBytes(std::string(20, '\x11')).value();
    keys_.reset();
    ASSERT_TRUE((*host::KeyStore::OpenFolder(folder_ / "keys"))->PutSigning(opened).ok());
    ASSERT_TRUE(Make().ok());
  }
  std::string Step() { return (*FromText(Ask("GET").body))["step"].asString(); }
  std::string File(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  runtime::EventLoop loop_;
  runtime::OsRandom random_;
  KeyClient enclave_;
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

TEST_F(HostKeysTest, ARotationOfTheSigningKeyIsStartedAndWatchedLikewise) {
  PutSigning();
  EXPECT_EQ(Signing()["step"].asString(), "idle");
  EXPECT_EQ(AskSigning("POST", "", "viewer-token-of-32-characters-00").status, 403);
  EXPECT_EQ(AskSigning("GET", "", "viewer-token-of-32-characters-00").status, 200);
  EXPECT_EQ(AskSigning("POST", R"({"key_id":"alias/new"})").status, 400);
  EXPECT_EQ(AskSigning("POST").status, 202);
  EXPECT_EQ(AskSigning("POST").status, 409) << "one at a time";
  EXPECT_EQ(Ask("POST").status, 409) << "of either kind";
  ASSERT_TRUE(
      runtime::TurnUntil(loop_, [this] { return Signing()["step"].asString() == "snapshot"; }));
  EXPECT_EQ(enclave_.requests.at(1).rotate_signing_key().aws().secret_access_key(), "secret");
  ++snapshots_;
  ASSERT_TRUE(
      runtime::TurnUntil(loop_, [this] { return Signing()["step"].asString() == "draining"; }));
  EXPECT_EQ(Signing()["from_address"].asString(), "0x1111111111111111111111111111111111111111");
  EXPECT_EQ(Signing()["address"].asString(), "0x2121212121212121212121212121212121212121");
  EXPECT_EQ(Signing()["open_payouts"].asUInt64(), 4u);
  EXPECT_TRUE(Signing()["why"].isNull());
  runtime::Metrics metrics;
  HostMetrics host(&metrics, "test");
  host.Add(keys_.get());
  host.Refresh();
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_kms_signing_keys 2"));
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_kms_draining_payouts 4"));
  keys_->OnSigningKeyRetired(*ethereum::Address::FromBytes(std::string(20, '\x11')));
  ASSERT_TRUE(runtime::TurnUntil(loop_, [this] { return Signing()["step"].asString() == "done"; }));
  EXPECT_TRUE(Signing()["open_payouts"].isNull());
  EXPECT_EQ(keys_->store().root_epoch(), 1u);
  host.Refresh();
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_kms_signing_rotations_total 1"));
  EXPECT_THAT(metrics.Text(), HasSubstr("coffer_kms_signing_keys 1"));
}

TEST_F(HostKeysTest, WithoutACiphertextThereIsNothingToFollow) {
  ASSERT_TRUE(Make().ok());
  EXPECT_EQ(AskSigning("POST").status, 202);
  EXPECT_EQ(Signing()["step"].asString(), "failed");
  EXPECT_THAT(Signing()["why"].asString(), HasSubstr("whose ciphertext is not in"));
  enclave_.is_ready = false;
  EXPECT_EQ(AskSigning("POST").status, 503);
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

TEST_F(HostKeysTest, WhatGoesWithACiphertextThatWasPutThereByHand) {
  std::filesystem::create_directories(folder_ / "keys");
  File("keys/signing.ciphertext", "by hand");
  KmsOptions options;
  options.encryption_context = {{"a", "b"}};
  ASSERT_TRUE(Make(options).ok());
  EXPECT_EQ(keys_->store().signing()->ciphertext, "by hand");
  EXPECT_EQ(keys_->store().signing()->encryption_context.at("a"), "b");
  options.encryption_context = {{"a", "c"}};
  ASSERT_TRUE(Make(options).ok()) << "not opened yet, so it may have been wrong";
  EXPECT_EQ(keys_->store().signing()->encryption_context.at("a"), "c");
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
