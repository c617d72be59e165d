// The auditor at the door, and what an enclave does for a second time: it signs again, makes a key
// again, names a change again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/sim/wire/door.h"

namespace coffer::sim {
namespace {

using testing::HasSubstr;
namespace v1 = boundary::v1;

// The nonce of `payment` is signed for again with fees twice as high; gives that transaction.
Door::Payment Bump(Door& door, const Door::Payment& payment) {
  Door::Payment again = payment;
  again.transaction.max_fee_per_gas *= 2;
  again.transaction.max_priority_fee_per_gas *= 2;
  door.Sign(again);
  ClientFrame frame;
  frame.mutable_bump_transaction()->set_payout_id(payment.id);
  const uint64_t id = door.Ask(frame);
  door.AddSigned(again);
  door.HandOutAndStore();
  ServerFrame answer = door.PayoutAnswer(payment);
  Door::AddAttempt(again, answer.mutable_payout());
  door.Say(answer, id);
  return again;
}

std::string AfterTwoPayments(uint32_t signatures, bool bump) {
  policy::Policy policy = DoorPolicy();
  policy.velocity_window = 60;
  policy.velocity_signatures = signatures;
  policy.velocity_total = policy.velocity_recipient = 1000;
  Door door(policy);
  door.FoundAndCredit();
  Door::Payment first = door.NewPayment(1, 7, 60);
  door.Pay(first);
  if (bump) Bump(door, first);
  Door::Payment second = door.NewPayment(2, 8, 30);
  door.Pay(second);
  return door.auditor.broken();
}

TEST(WireRepetitionsTest, I10WhatIsSignedAgainCountsInTheWindow) {
  EXPECT_EQ(AfterTwoPayments(2, /*bump=*/false), "");
  EXPECT_EQ(AfterTwoPayments(3, /*bump=*/true), "");
  EXPECT_THAT(AfterTwoPayments(2, /*bump=*/true), HasSubstr("I10: 3 signatures in 60 seconds"));
}

TEST(WireRepetitionsTest, I4OneTransactionOfANonceIsMined) {
  for (const bool both : {false, true}) {
    Door door;
    door.FoundAndCredit();
    Door::Payment first = door.NewPayment(1, 7, 60);
    door.Pay(first);
    const Door::Payment second = Bump(door, first);
    door.Settle(first);
    door.Ask(door.ReceiptRequest(second, 60));
    ServerFrame answer = door.PayoutAnswer(first);
    v1::Payout& payout = *answer.mutable_payout();
    Door::AddAttempt(second, &payout);
    for (v1::Attempt& attempt : *payout.mutable_attempts()) {
      attempt.set_mined(both || attempt.tx_hash() == first.made.TransactionHash().view());
      attempt.set_succeeded(attempt.mined());
      if (attempt.mined()) attempt.set_block_hash(std::string(32, '\x0b'));
    }
    payout.set_state(v1::PAYOUT_STATE_SETTLED);
    payout.set_under_way(false);
    payout.mutable_paid()->set_low(60);
    payout.mutable_items(0)->set_state(v1::PayoutItem::STATE_PAID);
    payout.mutable_items(0)->mutable_paid()->set_low(60);
    payout.mutable_items(0)->set_paid_by(std::string(first.made.TransactionHash().view()));
    ClientFrame get;
    get.mutable_get_payout()->set_id(1);
    door.Say(answer, door.Ask(get));
    if (both) {
      EXPECT_THAT(door.auditor.broken(), HasSubstr("I4: two transactions of one nonce are mined"));
    } else {
      EXPECT_EQ(door.auditor.broken(), "");
    }
  }
}

TEST(WireRepetitionsTest, I8AnEnclaveMakesOneStateKeyOfAnEpoch) {
  Door door;
  door.FoundAndCredit();
  ClientFrame request;
  request.mutable_rotate_state_key();
  const auto made = [&](uint32_t epoch, const char* ciphertext) {
    ServerFrame answer;
    answer.mutable_state_key()->set_epoch(epoch);
    answer.mutable_state_key()->set_ciphertext(ciphertext);
    door.Say(answer, door.Ask(request));
    return door.auditor.broken();
  };
  EXPECT_EQ(made(2, "a"), "");
  EXPECT_EQ(made(2, "a"), "");
  EXPECT_EQ(made(3, "b"), "");
  EXPECT_THAT(made(3, "c"), HasSubstr("I8: an enclave makes a second state key of epoch 3"));
}

TEST(WireRepetitionsTest, I10APolicyIsShownAsTheChangeThatItWas) {
  for (const uint64_t sequence : {uint64_t{0}, uint64_t{1}}) {
    Door door;
    door.FoundAndCredit();
    ClientFrame request;
    request.mutable_get_policy();
    ServerFrame answer;
    policy::ToProto(DoorPolicy(), answer.mutable_policy()->mutable_policy());
    answer.mutable_policy()->set_hash(std::string(policy::PolicyHash(DoorPolicy()).view()));
    answer.mutable_policy()->set_sequence(sequence);
    door.Say(answer, door.Ask(request));
    if (sequence == 0) {
      EXPECT_EQ(door.auditor.broken(), "");
    } else {
      EXPECT_THAT(door.auditor.broken(), HasSubstr("or as another change than it was"));
    }
  }
}

}  // namespace
}  // namespace coffer::sim
