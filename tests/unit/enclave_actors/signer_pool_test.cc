#include "actors/enclave/signer_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/test_dispatcher.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using enclave::AuthorityMessage;
using enclave::SignDone;
using enclave::SignerPool;

// In the authority's place: what was signed, by the request.
struct Signed : runtime::Actor<AuthorityMessage> {
  void Receive(AuthorityMessage message) override {
    auto& done = std::get<SignDone>(message);
    order.push_back(done.reply.request_id);
    raw[done.reply.request_id] = std::get<payouts::SigningResult>(done.result).attempt.raw_tx;
  }
  std::vector<uint64_t> order;
  std::map<uint64_t, std::string> raw;
};

class SignerPoolTest : public testing::Test {
 protected:
  SignerPoolTest() {
    mailbox_.Bind(&signed_);
    std::vector<ethereum::PrivateKey> keys;
    keys.push_back(Key(0x11));
    keys.push_back(Key(0x22));
    pool_.Use(std::move(keys));
  }

  // A transfer; `request` names it.
  void Sign(uint64_t request, uint8_t key, uint64_t nonce) {
    payouts::SigningJob job;
    job.payout_id = request;
    job.strategy = boundary::v1::STRATEGY_ETH_TRANSFER;
    job.sender = Key(key).address();
    job.chain_id = 42161;
    job.to = AddressOf(0x77);
    job.nonce = nonce;
    job.fees.gas_limit = 21'000;
    pool_.Sign({enclave::ReplyTo{1, request}, std::move(job)});
  }

  runtime::TestScheduler scheduler_{1};
  runtime::TestDispatcher* const main_ = scheduler_.NewDispatcher("main");
  const std::vector<runtime::TestDispatcher*> threads_ = {
      scheduler_.NewDispatcher("0"), scheduler_.NewDispatcher("1"), scheduler_.NewDispatcher("2")};
  enclave::AuthorityMailbox mailbox_{main_, "authority", 64};
  Signed signed_;
  SignerPool pool_{{threads_.begin(), threads_.end()}, &mailbox_};
};

TEST_F(SignerPoolTest, WhoeverSignsSignsTheSame) {
  for (uint64_t request = 1; request <= 3; ++request) Sign(request, 0x11, 5);
  for (uint64_t request = 4; request <= 6; ++request) Sign(request, 0x22, 5);
  scheduler_.RunUntilIdle();
  ASSERT_EQ(signed_.raw.size(), 6u);
  EXPECT_EQ(signed_.raw[1], signed_.raw[2]);
  EXPECT_EQ(signed_.raw[1], signed_.raw[3]);
  EXPECT_EQ(signed_.raw[4], signed_.raw[6]);
  EXPECT_NE(signed_.raw[1], signed_.raw[4]) << "each with its own key";
}

TEST_F(SignerPoolTest, OneThatStandsStillHoldsUpNoOther) {
  scheduler_.RunUntilIdle();
  threads_[0]->Freeze(absl::Seconds(60));
  for (uint64_t request = 1; request <= 6; ++request) Sign(request, 0x11, request);
  EXPECT_FALSE(scheduler_.RunUntil([&] { return signed_.raw.size() > 4; }, absl::Seconds(1)));
  EXPECT_EQ(signed_.raw.size(), 4u) << "two of three";
  EXPECT_FALSE(signed_.raw.contains(1));
  EXPECT_TRUE(scheduler_.RunUntil([&] { return signed_.raw.size() == 6; }, absl::Seconds(60)));
  EXPECT_EQ(signed_.order.back(), 4u) << "in order, each for itself";
}

TEST_F(SignerPoolTest, AKeyThatIsAddedIsEverySigners) {
  pool_.Add(Key(0x33));
  for (uint64_t request = 1; request <= 3; ++request) Sign(request, 0x33, 0);
  scheduler_.RunUntilIdle();
  EXPECT_EQ(signed_.raw.size(), 3u);
}

using SignerPoolDeathTest = SignerPoolTest;

TEST_F(SignerPoolDeathTest, AKeyThatIsForgottenIsNobodys) {
  pool_.Forget(Key(0x22).address());
  for (uint64_t turn = 1; turn <= threads_.size(); ++turn) {
    EXPECT_DEATH(
        {
          Sign(100, 0x22, 0);
          scheduler_.RunUntilIdle();
        },
        "a key that is not here");
    Sign(turn, 0x11, 0);
    scheduler_.RunUntilIdle();
    EXPECT_EQ(signed_.raw.size(), turn) << "the other key is, and the next has its turn";
  }
}

}  // namespace
}  // namespace coffer::test
