// What the host shows of payouts while one signing key follows another.
#include "host_proxy/host_payouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "host_proxy/host_metrics.h"
#include "runtime/metrics.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::SigningKeyState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Answers each request for the state and for the list of payouts.
class PayoutClient final : public host::EnclaveClient {
 public:
  explicit PayoutClient(runtime::EventLoop* loop) : loop_(loop) {}
  void Call(boundary::v1::ClientFrame request, Reply reply) override {
    auto shared = std::make_shared<Reply>(std::move(reply));
    loop_->Post([this, shared, list = request.has_list_payouts()] {
      boundary::v1::ServerFrame frame;
      if (list) {
        frame.mutable_payouts()->set_end(true);
        *frame.mutable_payouts()->add_payouts() = payout;
      } else {
        *frame.mutable_status() = status;
      }
      (*shared)(std::move(frame));
    });
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}

  boundary::v1::Status status;
  boundary::v1::Payout payout;

 private:
  runtime::EventLoop* const loop_;
};

class HostPayoutsTest : public ::testing::Test {
 protected:
  HostPayoutsTest() {
    client_.status.set_phase(boundary::v1::PHASE_READY);
    client_.status.set_chain_id(5);
    client_.status.set_address(std::string(20, 'n'));
    client_.status.set_broker(std::string(20, 'b'));
    client_.payout.set_id(1);
    client_.payout.set_sender(std::string(20, 'o'));
    client_.payout.set_under_way(true);
    PayoutFlags flags;
    flags.chain_id = 5;
    flags.rpc.urls = {*host::HttpUrl::Parse("http://127.0.0.1:1")};  // nobody listens there
    flags.rpc.deadline = absl::Milliseconds(20);
    flags.driver.tick = absl::Milliseconds(10);
    payouts_ = *HostPayouts::Create(&loop_, &client_, &random_, std::move(flags));
    metrics_.Add(payouts_.get());
  }

  void AddKey(char address, SigningKeyState::Use use) {
    SigningKeyState* key = client_.status.add_signing_keys();
    key->set_address(std::string(20, address));
    key->set_use(use);
    key->set_nonce_known(true);
    key->set_next_nonce(7);
  }
  // A while of real time, many ticks.
  void Run() {
    const auto stop = loop_.After(absl::Milliseconds(300), [this] { loop_.Stop(); });
    loop_.Run();
  }

  runtime::EventLoop loop_;
  runtime::SeededRandom random_{1};
  PayoutClient client_{&loop_};
  runtime::Metrics registry_;
  HostMetrics metrics_{&registry_, "test"};
  std::unique_ptr<HostPayouts> payouts_;
};

TEST_F(HostPayoutsTest, WithOneKeyNothingDrains) {
  payouts_->Start();
  Run();
  const Json::Value json = payouts_->StatusJson();
  EXPECT_TRUE(json["draining"].isNull());
  EXPECT_TRUE(json["reopened"].empty());
  EXPECT_EQ(json["address"].asString(), ethereum::ToHex(std::string(20, 'n')));
}

TEST_F(HostPayoutsTest, ShowsTheDrainingKeyBesideTheCurrentOne) {
  AddKey('o', SigningKeyState::USE_DRAINING);
  AddKey('n', SigningKeyState::USE_CURRENT);
  payouts_->Start();
  Run();
  const Json::Value json = payouts_->StatusJson();
  EXPECT_EQ(json["address"].asString(), ethereum::ToHex(std::string(20, 'n')));
  const Json::Value& draining = json["draining"];
  ASSERT_TRUE(draining.isObject());
  EXPECT_EQ(draining["address"].asString(), ethereum::ToHex(std::string(20, 'o')));
  EXPECT_EQ(draining["next_nonce"].asString(), "7");
  EXPECT_TRUE(json["next_nonce"].isNull());
  ASSERT_FALSE(draining["halts"].empty());
  EXPECT_EQ(draining["halts"][0]["code"].asString(), "chain_unreachable");
  for (const char* amount : {"deposit", "reserve", "balance", "outstanding"}) {
    EXPECT_EQ(draining[amount].asString(), "0") << amount;
  }
  metrics_.Refresh();
  EXPECT_THAT(registry_.Text(), HasSubstr("coffer_draining_key 1"));
  EXPECT_THAT(registry_.Text(), HasSubstr("coffer_draining_next_nonce 7"));
  EXPECT_THAT(payouts_->NotReady(), IsEmpty());  // credits go on, whatever the chain says
}

TEST_F(HostPayoutsTest, ShowsRetiredKeysOnlyWhileAPayoutOfTheirsIsOpen) {
  AddKey('o', SigningKeyState::USE_RETIRED);
  AddKey('n', SigningKeyState::USE_CURRENT);
  payouts_->Start();
  Run();
  EXPECT_TRUE(payouts_->StatusJson()["draining"].isNull());
  EXPECT_TRUE(payouts_->StatusJson()["reopened"].empty());
  metrics_.Refresh();
  EXPECT_THAT(registry_.Text(), HasSubstr("coffer_draining_key 0"));
}

}  // namespace
}  // namespace coffer::host_proxy
