// One signing key after another: what each signs, and what the older one may do at its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "enclave_core/ethereum/transaction.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Use = v1::SigningKeyState;

ethereum::Address SenderOf(const v1::Attempt& attempt) {
  return ethereum::ParseSignedTransaction(attempt.raw_tx())->Sender().value();
}

ethereum::Transaction TransactionOf(const v1::Payout& payout) {
  return ethereum::ParseSignedTransaction(payout.attempts(0).raw_tx())->transaction;
}

// alice's 100 are under way in payout 1 under the first key (nonce 0), and the second one signs.
class SigningKeysTest : public testing::Test {
 protected:
  SigningKeysTest() {
    bank_.Credit("alice", 100);
    bank_.Credit("bob", 80);
    COFFER_CHECK(bank_.Pay({{"alice"}}).ok(), "the payout is signed");
    COFFER_CHECK(bank_.Rotate(0x22).ok(), "a key follows");
  }
  void SettleTheFirst() { ASSERT_TRUE(bank_.Report(bank_.ReceiptOf(1, 0, {{0, 100}})).ok()); }
  std::vector<v1::SigningKeyState::Use> Uses() const {
    v1::Status status;
    bank_.state.FillStatus(&status);
    std::vector<v1::SigningKeyState::Use> out;
    for (const auto& key : status.signing_keys()) out.push_back(key.use());
    return out;
  }

  Bank bank_;
  const ethereum::Address first_ = Key(0x11).address();
  const ethereum::Address second_ = Key(0x22).address();
};

TEST_F(SigningKeysTest, NewPayoutsAreTheNewKeysAndOldOnesStayWithTheOld) {
  EXPECT_EQ(bank_.state.address(), second_);
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  v1::PreparePayout request = MakePayout({{"bob", 10}});
  *request.mutable_reading() = Reading(7);
  const auto fresh = bank_.Prepare(request);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ(fresh->sender(), second_.view());
  EXPECT_EQ(fresh->attempts(0).nonce(), 7u) << "a key begins where the chain is";
  EXPECT_EQ(SenderOf(fresh->attempts(0)), second_);
  const auto bumped = bank_.Bump(1, 200);
  ASSERT_TRUE(bumped.ok()) << bumped.status();
  EXPECT_EQ(bumped->sender(), first_.view());
  EXPECT_EQ(bumped->attempts(1).nonce(), 0u);
  EXPECT_EQ(SenderOf(bumped->attempts(1)), first_);
  // Mined without paying: the same ticket under the first key's next nonce.
  ASSERT_TRUE(bank_.Report(bank_.ReceiptOf(1, 1, {})).ok());
  const auto retried = bank_.Retry(1, 1);
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->attempts(2).nonce(), 1u);
  EXPECT_EQ(SenderOf(retried->attempts(2)), first_);
  EXPECT_EQ(bank_.Pay({{"bob", 10}})->attempts(0).nonce(), 8u);
}

TEST_F(SigningKeysTest, AReadingIsHeldAgainstTheNonceOfThePayoutsKey) {
  ASSERT_TRUE(bank_.Report(bank_.ReceiptOf(1, 0, {})).ok());
  EXPECT_EQ(CodeOf(bank_.Retry(1, 2)), v1::ERROR_NONCE_ALARM) << "the first key's next one is 1";
  v1::PreparePayout request = MakePayout({{"bob", 10}});
  *request.mutable_reading() = Reading(2);
  EXPECT_EQ(bank_.Prepare(request)->attempts(0).nonce(), 2u) << "the second key has signed nothing";
}

// One that was taken before the new key came would give that its first nonce.
TEST_F(SigningKeysTest, AReadingOfAnotherAddressIsRefused) {
  v1::PreparePayout request = MakePayout({{"bob", 10}});
  *request.mutable_reading() = Reading(1);
  request.mutable_reading()->set_address(std::string(first_.view()));
  EXPECT_EQ(CodeOf(bank_.Prepare(request)), v1::ERROR_WRONG_STATE);
  request.mutable_reading()->set_address("short");
  EXPECT_EQ(CodeOf(bank_.Prepare(request)), v1::ERROR_WRONG_STATE);
  *request.mutable_reading() = Reading(0);
  request.mutable_reading()->set_address(std::string(second_.view()));
  EXPECT_TRUE(bank_.Prepare(request).ok());
}

TEST_F(SigningKeysTest, ADepositIsHeldAgainstTheTicketsOfItsKey) {
  v1::PreparePayout request = MakePayout({{"bob", 80}});
  *request.mutable_reading() = Reading(0, /*deposit=*/80);
  EXPECT_TRUE(bank_.Prepare(request).ok()) << "alice's 100 are out against the other deposit";
  bank_.Credit("bob", 1);
  request = MakePayout({{"bob", 1}});
  *request.mutable_reading() = Reading(0, /*deposit=*/80);
  EXPECT_EQ(CodeOf(bank_.Prepare(request)), v1::ERROR_DEPOSIT);
}

// A ticket's hash names its sender. One with the same number by the other key is not ours.
TEST_F(SigningKeysTest, ARedemptionCountsForTheKeyThatSignedTheTicket) {
  v1::ReportReceipt receipt = MakeReceipt(bank_.View(1).attempts(0).tx_hash());
  Redeemed other = bank_.RedemptionOf(1, 0, 100);
  other.sender = second_;
  AddLogs(other, &receipt);
  const auto result = bank_.Report(receipt);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->foreign_redemptions(), 1u);
  EXPECT_EQ(Line(bank_.Of("alice")), "0 100 0");
}

TEST_F(SigningKeysTest, ANonceAloneDoesNotNameAPayout) {
  ASSERT_TRUE(bank_.Redeem("bob", 0, 10).ok());
  EXPECT_EQ(bank_.View(2).attempts(0).nonce(), 0u) << "as payout 1 has it under the other key";
  const auto again = bank_.Redeem("bob", 0, 10);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id(), 2u);
}

// The client's nonce is of the address that signs what is new.
TEST_F(SigningKeysTest, WhatTheOldKeyHoldsIsNotSignedAgainForAClientThatNamesANonce) {
  ASSERT_TRUE(bank_.Report(bank_.ReceiptOf(1, 0, {})).ok());
  EXPECT_EQ(CodeOf(bank_.Redeem("alice", 0)), v1::ERROR_NOTHING_TO_PAY);
  bank_.Credit("alice", 7);
  const auto fresh = bank_.Redeem("alice", 0);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ(fresh->sender(), second_.view());
  EXPECT_EQ(fresh->items(0).amount().low(), 7u);
}

TEST_F(SigningKeysTest, OneDrainsAtATimeAndNoAddressComesBack) {
  EXPECT_EQ(CodeOf(bank_.Rotate(0x33)), v1::ERROR_WRONG_STATE);
  SettleTheFirst();
  EXPECT_EQ(CodeOf(bank_.Rotate(0x33)), v1::ERROR_WRONG_STATE);
  ASSERT_TRUE(bank_.Retire(first_).ok());
  EXPECT_EQ(CodeOf(bank_.Rotate(0x11)), v1::ERROR_WRONG_STATE) << "its nonces are used";
  EXPECT_EQ(CodeOf(bank_.Rotate(0x22)), v1::ERROR_WRONG_STATE);
  EXPECT_TRUE(bank_.Rotate(0x33).ok());
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_RETIRED, Use::USE_DRAINING, Use::USE_CURRENT));
}

TEST_F(SigningKeysTest, AKeyIsRetiredWhenNothingOfItIsOpen) {
  const absl::Status open = bank_.Retire(first_);
  EXPECT_EQ(CodeOf(open), v1::ERROR_WRONG_STATE);
  EXPECT_THAT(std::string(open.message()), HasSubstr("1 payouts"));
  EXPECT_EQ(CodeOf(bank_.Retire(second_)), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(CodeOf(bank_.Retire(AddressOf(5))), v1::ERROR_WRONG_STATE);
  SettleTheFirst();
  EXPECT_TRUE(bank_.Retire(first_).ok());
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_RETIRED, Use::USE_CURRENT));
  EXPECT_EQ(CodeOf(bank_.Retire(first_)), v1::ERROR_WRONG_STATE);
}

// What it signed can still pay, and is known when it does.
TEST_F(SigningKeysTest, AReorgAfterTheRetirement) {
  SettleTheFirst();
  ASSERT_TRUE(bank_.Retire(first_).ok());
  const std::string tx_hash = bank_.View(1).attempts(0).tx_hash();
  ASSERT_TRUE(bank_.Reorg(tx_hash).ok());
  EXPECT_EQ(Line(bank_.Of("alice")), "0 100 0");
  for (const absl::Status& refused : {bank_.Bump(1, 500).status(), [&] {
                                        auto failed = bank_.ReceiptOf(1, 0, {});
                                        (void)bank_.Report(failed);
                                        return bank_.Retry(1, 1).status();
                                      }()}) {
    EXPECT_EQ(CodeOf(refused), v1::ERROR_WRONG_STATE);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("retired"));
  }
  ASSERT_TRUE(bank_.Reorg(tx_hash).ok());
  SettleTheFirst();
  EXPECT_EQ(Line(bank_.Of("alice")), "0 0 100");
}

TEST_F(SigningKeysTest, TheOldKeysFundsFollowWhenNothingOfItIsOpen) {
  for (const v1::Strategy move : {v1::STRATEGY_UNLOCK, v1::STRATEGY_WITHDRAW, v1::STRATEGY_SWEEP}) {
    EXPECT_EQ(CodeOf(bank_.Fund(move, move == v1::STRATEGY_SWEEP ? 9 : 0)), v1::ERROR_WRONG_STATE);
  }
  SettleTheFirst();
  EXPECT_EQ(CodeOf(bank_.Fund(v1::STRATEGY_UNLOCK, 1)), v1::ERROR_OUT_OF_RANGE);
  EXPECT_EQ(CodeOf(bank_.Fund(v1::STRATEGY_SWEEP, 0)), v1::ERROR_OUT_OF_RANGE);
  const auto unlock = bank_.Fund(v1::STRATEGY_UNLOCK, 0);
  ASSERT_TRUE(unlock.ok()) << unlock.status();
  EXPECT_EQ(unlock->sender(), first_.view());
  EXPECT_EQ(SenderOf(unlock->attempts(0)), first_);
  EXPECT_EQ(unlock->attempts(0).nonce(), 1u);
  EXPECT_EQ(ethereum::ToHex(TransactionOf(*unlock).data), "0xa69df4b5");
  EXPECT_EQ(TransactionOf(*unlock).to, WidePolicy().broker);
  EXPECT_EQ(TransactionOf(*unlock).value, 0);
  EXPECT_EQ(CodeOf(bank_.Fund(v1::STRATEGY_WITHDRAW, 0)), v1::ERROR_WRONG_STATE)
      << "one after the other";
  EXPECT_EQ(CodeOf(bank_.Retire(first_)), v1::ERROR_WRONG_STATE);
  ASSERT_TRUE(bank_.Report(MakeReceipt(unlock->attempts(0).tx_hash())).ok());
  EXPECT_EQ(bank_.View(2).state(), v1::PAYOUT_STATE_SETTLED);
  const auto withdraw = bank_.Fund(v1::STRATEGY_WITHDRAW, 0);
  ASSERT_TRUE(withdraw.ok()) << withdraw.status();
  EXPECT_EQ(ethereum::ToHex(TransactionOf(*withdraw).data), "0x3ccfd60b");
  ASSERT_TRUE(bank_.Report(MakeReceipt(withdraw->attempts(0).tx_hash(), false)).ok());
  EXPECT_EQ(bank_.View(3).state(), v1::PAYOUT_STATE_VOIDED) << "it failed, and has no amount";
  const auto sweep = bank_.Fund(v1::STRATEGY_SWEEP, 777);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(SenderOf(sweep->attempts(0)), first_);
  EXPECT_EQ(TransactionOf(*sweep).to, second_) << "and nowhere else";
  EXPECT_EQ(TransactionOf(*sweep).value, 777);
  EXPECT_EQ(TransactionOf(*sweep).data, "");
  ASSERT_TRUE(bank_.Report(MakeReceipt(sweep->attempts(0).tx_hash())).ok());
  EXPECT_TRUE(bank_.Retire(first_).ok());
}

TEST_F(SigningKeysTest, TheKeyThatSignsKeepsItsFunds) {
  SettleTheFirst();
  ASSERT_TRUE(bank_.Retire(first_).ok());
  for (const v1::Strategy move : {v1::STRATEGY_UNLOCK, v1::STRATEGY_WITHDRAW, v1::STRATEGY_SWEEP}) {
    const auto refused = bank_.Fund(move, move == v1::STRATEGY_SWEEP ? 9 : 0);
    EXPECT_EQ(CodeOf(refused), v1::ERROR_WRONG_STATE);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("no signing key is draining"));
  }
}

TEST_F(SigningKeysTest, AStateTakesTheKeysThatItSignsWith) {
  const ethereum::Address third = Key(0x33).address();
  const auto adopt = [&](std::vector<ethereum::Address> held) {
    return CodeOf(bank_.state.Adopt(held, WidePolicy(), false, bank_.Next()));
  };
  EXPECT_EQ(adopt({first_, second_}), v1::ERROR_UNSPECIFIED);
  EXPECT_EQ(adopt({first_}), v1::ERROR_STATE_REFUSED);
  EXPECT_EQ(adopt({second_}), v1::ERROR_STATE_REFUSED) << "the first one drains";
  SettleTheFirst();
  ASSERT_TRUE(bank_.Retire(first_).ok());
  EXPECT_EQ(adopt({second_}), v1::ERROR_UNSPECIFIED);
  EXPECT_EQ(adopt({second_, third}), v1::ERROR_UNSPECIFIED) << "one that waits to be adopted";
  EXPECT_EQ(adopt({first_}), v1::ERROR_STATE_REFUSED);
}

// Its log would be signed with keys that are derived from the older one.
TEST_F(SigningKeysTest, AStateThatTheSecondKeyFoundedIsNotLoadedBesideTheFirst) {
  Bank other(WidePolicy(), 0x22);
  const absl::Status refused =
      other.state.Adopt({first_, Key(0x22).address()}, WidePolicy(), false, other.Next());
  EXPECT_EQ(CodeOf(refused), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("was founded by"));
  EXPECT_TRUE(
      other.state.Adopt({Key(0x22).address(), first_}, WidePolicy(), false, other.Next()).ok());
}

TEST_F(SigningKeysTest, TheLogSaysWhichKeySigns) {
  SettleTheFirst();
  ASSERT_TRUE(bank_.Retire(first_).ok());
  (void)bank_.Batches();
  EXPECT_EQ(bank_.log.count(audit::LeafKind::kSigningKeyAdded), 1u);
  EXPECT_EQ(bank_.log.count(audit::LeafKind::kSigningKeyRetired), 1u);
}

TEST_F(SigningKeysTest, ASnapshotAndAReplayGiveTheSame) {
  ASSERT_TRUE(bank_.Pay({{"bob", 10}}).ok());
  const auto same = [&] {
    const authority::Authority replayed = Replayed(bank_.Batches());
    const authority::Authority restored = Restored(bank_.state);
    EXPECT_EQ(SnapshotBytes(replayed), SnapshotBytes(bank_.state));
    EXPECT_EQ(SnapshotBytes(restored), SnapshotBytes(bank_.state));
    ASSERT_NE(restored.log_secrets(), nullptr);
    EXPECT_EQ(restored.log_secrets()->seed.view(), Bytes32(0x66));
    EXPECT_EQ(restored.log_secrets()->audit.view(), Bytes32(0x67));
    EXPECT_EQ(restored.first_address(), first_);
    v1::Status before, after;
    bank_.state.FillStatus(&before);
    restored.FillStatus(&after);
    EXPECT_EQ(after.DebugString(), before.DebugString());
  };
  same();
  SettleTheFirst();
  ASSERT_TRUE(bank_.Retire(first_).ok());
  same();
}

}  // namespace
}  // namespace coffer::test
