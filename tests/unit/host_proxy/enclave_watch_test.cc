// What the host makes of an enclave's status.
#include "host_proxy/enclave_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/test_dispatcher.h"

namespace coffer::host_proxy {
namespace {

using boundary::v1::Status;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class CountingClient final : public host::EnclaveClient {
 public:
  void Call(boundary::v1::ClientFrame, Reply reply) override {
    ++calls;
    boundary::v1::ServerFrame frame;
    *frame.mutable_status() = status;
    reply(frame);
  }
  bool ready() const override { return is_ready; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}
  Status status;
  bool is_ready = true;
  int calls = 0;
};

class EnclaveWatchTest : public ::testing::Test {
 protected:
  EnclaveWatch& Make(EnclaveWatch::Wanted wanted) {
    wanted.endpoint = "unix:///e";
    watch_ =
        std::make_unique<EnclaveWatch>(dispatcher_, &client_, std::move(wanted),
                                       [this](const std::string& why) { unfit_.push_back(why); });
    return *watch_;
  }
  static ethereum::Address AddressOf(char c) {
    return ethereum::Address::FromBytes(std::string(20, c)).value();
  }
  static Status StatusOf(char c) {
    Status status;
    status.set_phase(boundary::v1::PHASE_READY);
    status.set_address(std::string(20, c));
    return status;
  }
  void Settle() { scheduler_.Advance(absl::Milliseconds(1)); }

  runtime::TestScheduler scheduler_{3};
  runtime::TestDispatcher* dispatcher_ = scheduler_.NewDispatcher("host");
  CountingClient client_;
  std::unique_ptr<EnclaveWatch> watch_;
  std::vector<std::string> unfit_;
};

TEST_F(EnclaveWatchTest, AnotherAddressIsUnfitAndSaidOnce) {
  EnclaveWatch& watch = Make({.address = AddressOf('\x11')});
  EXPECT_TRUE(watch.Judge(StatusOf('\x11')).ok());
  EXPECT_EQ(watch.Judge(StatusOf('\x12')).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(unfit_.empty()) << "it is told later, not from inside the link";
  EXPECT_FALSE(watch.Judge(StatusOf('\x13')).ok());
  Settle();
  ASSERT_EQ(unfit_.size(), 1u);
  EXPECT_THAT(unfit_[0], HasSubstr("0x1212121212121212121212121212121212121212"));
  EXPECT_THAT(unfit_[0], HasSubstr("0x1111111111111111111111111111111111111111"));
}

TEST_F(EnclaveWatchTest, WhileOneKeyFollowsAnotherTheExpectedOneMayBeEither) {
  const auto in_use = [](const ethereum::Address& address) {
    return address == AddressOf('\x11') || address == AddressOf('\x21');
  };
  for (const char expected : {'\x11', '\x21'}) {
    EnclaveWatch& watch = Make({.address = AddressOf(expected), .in_use = in_use});
    EXPECT_TRUE(watch.Judge(StatusOf('\x11')).ok());
    EXPECT_TRUE(watch.Judge(StatusOf('\x21')).ok());
    EXPECT_FALSE(watch.Judge(StatusOf('\x12')).ok());
  }
  EXPECT_FALSE(Make({.address = AddressOf('\x12'), .in_use = in_use}).Judge(StatusOf('\x21')).ok())
      << "a retired one, or somebody else's";
}

TEST_F(EnclaveWatchTest, AnEnclaveWithoutAKeyIsWaitedFor) {
  EnclaveWatch& watch = Make({.address = AddressOf('\x11')});
  EXPECT_EQ(watch.Judge(Status()).code(), absl::StatusCode::kUnavailable);
  Settle();
  EXPECT_THAT(unfit_, IsEmpty());
}

TEST_F(EnclaveWatchTest, AnUnprovisionedEnclaveIsGivenItsKeyBeforeItsAddressIsJudged) {
  EnclaveWatch& watch = Make({.address = AddressOf('\x11')});
  int started = 0;
  watch.AfterFirst(absl::Minutes(1), [&] { ++started; });
  Status status;
  status.set_phase(boundary::v1::PHASE_UNPROVISIONED);
  EXPECT_TRUE(watch.Judge(status).ok());
  EXPECT_EQ(started, 0) << "the host is started once the address was seen";
  EXPECT_FALSE(watch.Judge(StatusOf('\x12')).ok());
  EXPECT_TRUE(watch.Judge(StatusOf('\x11')).ok());
  EXPECT_EQ(started, 1);
}

TEST_F(EnclaveWatchTest, ALedgerNeedsAnAuthorityThatKeepsItsState) {
  Status signer = StatusOf('\x11');
  signer.set_profile(boundary::v1::PROFILE_SIGNER);
  Status forgetful = StatusOf('\x11');
  forgetful.set_without_storage(true);
  EXPECT_TRUE(Make({}).Judge(signer).ok());
  EXPECT_TRUE(Make({}).Judge(forgetful).ok());
  EXPECT_THAT(Make({.ledger_option = "--journal.path"}).Judge(signer).message(),
              HasSubstr("--profile signer and keeps no balances, so --journal.path"));
  EXPECT_THAT(Make({.ledger_option = "--chain.urls"}).Judge(forgetful).message(),
              HasSubstr("--storage none"));
  EXPECT_TRUE(Make({.ledger_option = "--chain.urls"}).Judge(StatusOf('\x11')).ok());
}

TEST_F(EnclaveWatchTest, TheStartWaitsForTheFirstStatusOrItsPatience) {
  int started = 0;
  EnclaveWatch& watch = Make({.address = AddressOf('\x11')});
  watch.AfterFirst(absl::Seconds(7), [&] { ++started; });
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_EQ(started, 0);
  EXPECT_TRUE(watch.Judge(StatusOf('\x11')).ok());
  EXPECT_EQ(started, 1);
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_EQ(started, 1);
  EnclaveWatch& silent = Make({.address = AddressOf('\x11')});
  silent.AfterFirst(absl::Seconds(7), [&] { ++started; });
  scheduler_.Advance(absl::Seconds(8));
  EXPECT_EQ(started, 2);
}

TEST_F(EnclaveWatchTest, RefusalsAddUpOverRestartsOfTheEnclave) {
  EnclaveWatch& watch = Make({});
  watch.Start();
  (*client_.status.mutable_refusals_by_rule())["max_gas_limit"] = 3;
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_THAT(watch.refusals(), ElementsAre(Pair("max_gas_limit", 3)));
  (*client_.status.mutable_refusals_by_rule())["max_gas_limit"] = 5;
  (*client_.status.mutable_refusals_by_rule())["broker"] = 1;
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_THAT(watch.refusals(), ElementsAre(Pair("broker", 1), Pair("max_gas_limit", 5)));
  client_.status.mutable_refusals_by_rule()->clear();  // started again
  (*client_.status.mutable_refusals_by_rule())["max_gas_limit"] = 2;
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_THAT(watch.refusals(), ElementsAre(Pair("broker", 1), Pair("max_gas_limit", 7)));
  client_.is_ready = false;
  const int calls = client_.calls;
  scheduler_.Advance(absl::Seconds(20));
  EXPECT_EQ(client_.calls, calls) << "nobody is asked who cannot answer";
}

TEST_F(EnclaveWatchTest, AnEnclaveThatInventsRulesTakesNoMemory) {
  EnclaveWatch& watch = Make({});
  for (int round = 0; round < 20; ++round) {
    Status status;
    for (int i = 0; i < 100; ++i) {
      (*status.mutable_refusals_by_rule())["r" + std::to_string(100 * round + i)] = 1;
    }
    EXPECT_TRUE(watch.Judge(status).ok());
  }
  EXPECT_LE(watch.refusals().size(), EnclaveWatch::kMaxRules);
}

}  // namespace
}  // namespace coffer::host_proxy
