// coffer rotate against a host that a test scripts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "host_proxy/http_server.h"
#include "runtime/event_loop.h"
#include "tests/unit/tools/test_log.h"
#include "tools/host_commands.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

class RotateTest : public ::testing::Test {
 public:
  ~RotateTest() override {
    thread_.RunAndWait([this] {
      unanswered_.clear();
      server_.reset();
    });
  }

 protected:
  RotateTest() : url_(absl::StrCat("unix://", folder_.path(), "/host.sock")) {
    thread_.RunAndWait([this] {
      auto server = host_proxy::HttpServer::Listen(
          thread_.loop(), *runtime::Endpoint::Parse(url_), {},
          [this](host_proxy::HttpRequest request, host_proxy::HttpResponder respond) {
            asked_.push_back(request.method + " " + request.path + " " + request.body);
            host_proxy::HttpResponse response;
            response.status = answers_.front().first;
            response.body = answers_.front().second;
            if (answers_.size() > 1) answers_.erase(answers_.begin());
            // 0: as a host that is gone.
            if (response.status == 0) return unanswered_.push_back(std::move(respond));
            respond(std::move(response));
          });
      ASSERT_TRUE(server.ok()) << server.status();
      server_ = *std::move(server);
    });
  }
  static std::pair<int, std::string> At(const std::string& step, const std::string& epoch = "2") {
    return {step == "asking" ? 202 : 200,
            absl::StrCat(R"({"step":")", step, R"(","from_epoch":1,"epoch":)", epoch,
                         R"(,"why":"KMS said no"})")};
  }
  absl::Status Run(std::vector<std::pair<int, std::string>> answers, const std::string& key = "") {
    answers_ = std::move(answers);
    const auto host = HostClient::Make(url_, "token", absl::Seconds(10));
    if (!host.ok()) return host.status();
    std::ostringstream out;
    const absl::Status status = RotateStateKey(*host, key, out);
    out_ = out.str();
    return status;
  }

  using Answers = std::vector<std::pair<int, std::string>>;
  static std::pair<int, std::string> Signing(const std::string& step, const std::string& from,
                                             const std::string& address,
                                             const std::string& open = "null",
                                             const std::string& why = "null") {
    const auto text = [](const std::string& value) {
      return value.empty() ? "null" : absl::StrCat("\"", value, "\"");
    };
    return {200,
            absl::StrCat(R"({"step":")", step, R"(","from_address":)", text(from), R"(,"address":)",
                         text(address), R"(,"open_payouts":)", open, R"(,"why":)", why, "}")};
  }
  absl::Status RunSigning(Answers answers, bool wait_drained) {
    answers_ = std::move(answers);
    const auto host = HostClient::Make(url_, "token", absl::Seconds(1));
    if (!host.ok()) return host.status();
    std::ostringstream out;
    const absl::Status status = RotateSigningKey(*host, wait_drained, out);
    out_ = out.str();
    return status;
  }

  TestFolder folder_;
  const std::string url_;
  runtime::EventLoopThread thread_{"host"};
  std::unique_ptr<host_proxy::HttpServer> server_;
  std::vector<std::pair<int, std::string>> answers_;  // by the host's thread while it runs
  std::vector<std::string> asked_;
  std::vector<host_proxy::HttpResponder> unanswered_;
  std::string out_;
};

TEST_F(RotateTest, SaysEachStepOnceAndWaitsForTheLast) {
  const absl::Status done = Run(
      {At("asking", "null"), At("key"), At("key"), At("snapshot"), At("done")}, "alias/\"new\"");
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(out_,
            "asking the enclave which key is in use\n"
            "having the state key of epoch 2 made\n"
            "in use; storing the state under it\n"
            "done: the state is sealed under epoch 2\n");
  ASSERT_EQ(asked_.size(), 5u);
  EXPECT_EQ(asked_[0], R"(POST /api/tee/rotate-state-key {"key_id":"alias/\"new\""})");
  EXPECT_EQ(asked_[1], "GET /api/tee/rotate-state-key ");
}

TEST_F(RotateTest, AFailureIsTheHostsOwnSentence) {
  EXPECT_THAT(Run({At("asking"), At("failed")}).message(), HasSubstr("KMS said no"));
  EXPECT_THAT(
      Run({{503, R"({"error":{"code":"x","message":"the enclave is not ready"}})"}}).message(),
      HasSubstr("the enclave is not ready"));
  EXPECT_THAT(Run({At("asking"), At("idle")}).message(), HasSubstr("run this again"));
  EXPECT_THAT(Run({{200, "{}"}}).message(), HasSubstr("run this again"));
}

TEST_F(RotateTest, TheSigningKeyIsFollowedUntilTheOlderOneDrains) {
  const absl::Status done = RunSigning(
      {Signing("asking", "", ""), Signing("key", "0xA", ""), Signing("adopting", "0xA", "0xB"),
       Signing("snapshot", "0xA", "0xB"), Signing("draining", "0xA", "0xB", "3")},
      false);
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(out_,
            "asking the enclave which keys it has\n"
            "having the next signing key made\n"
            "stored; the enclave takes 0xB into use\n"
            "0xB signs what is new; storing the state under its state key\n"
            "0xB signs what is new; 0xA drains, open payouts: 3\n");
  EXPECT_EQ(asked_.at(0), "POST /api/tee/rotate-signing-key ");
  EXPECT_EQ(asked_.at(1), "GET /api/tee/rotate-signing-key ");
}

TEST_F(RotateTest, TheSigningKeyIsFollowedUntilTheOlderOneIsRetiredOverRestartsOfTheHost) {
  const absl::Status done =
      RunSigning({Signing("asking", "", ""),
                  Signing("draining", "0xA", "0xB", "3"),
                  Signing("idle", "0xA", "0xB"),
                  {0, ""},
                  Signing("draining", "0xA", "0xB", "1"),
                  Signing("draining", "0xA", "0xB", "0", R"("the disk is full")"),
                  Signing("done", "0xA", "0xB")},
                 true);
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_EQ(out_,
            "asking the enclave which keys it has\n"
            "0xB signs what is new; 0xA drains, open payouts: 3\n"
            "the host was restarted, and goes on when the enclave is ready\n"
            "0xB signs what is new; 0xA drains, open payouts: 1\n"
            "0xA is retired, and the host cannot note it: the disk is full\n"
            "done: 0xB is the only signing key in use\n");
  // It noted it, and was restarted before it was asked again.
  EXPECT_TRUE(
      RunSigning({Signing("draining", "0xA", "0xB", "0"), Signing("idle", "0xB", "")}, true).ok());
  EXPECT_THAT(out_, HasSubstr("done: 0xB"));
}

TEST_F(RotateTest, ASigningKeyThatWasNeverStoredIsToBeAskedForAgain) {
  EXPECT_THAT(
      RunSigning({Signing("asking", "", ""), Signing("key", "0xA", ""), Signing("idle", "0xA", "")},
                 true)
          .message(),
      HasSubstr("run this again"));
  EXPECT_THAT(RunSigning({Signing("asking", "", ""),
                          Signing("failed", "0xA", "", "null", R"("KMS said no")")},
                         true)
                  .message(),
              HasSubstr("KMS said no"));
  EXPECT_THAT(RunSigning({{200, "{}"}}, false).message(), HasSubstr("run this again"));
  EXPECT_THAT(
      RunSigning({{503, R"({"error":{"code":"x","message":"the enclave is not ready"}})"}}, true)
          .message(),
      HasSubstr("the enclave is not ready"))
      << "nothing has begun yet";
}

}  // namespace
}  // namespace coffer::tools
