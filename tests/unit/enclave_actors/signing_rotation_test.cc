// One signing key after another, and a crash between any two steps of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "enclave_core/attestation/user_data.h"
#include "enclave_core/ethereum/transaction.h"
#include "tests/unit/enclave_actors/kms_world.h"

namespace coffer::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ResultOf;
using Use = v1::SigningKeyState;

// A provisioned world in which alice is owed 100 and a payout of 60 of them is under way.
class SigningRotationTest : public testing::Test {
 protected:
  SigningRotationTest() : world_(31) {
    COFFER_CHECK(world_.Provision().has_provisioned(), "a world of a test is provisioned");
    host_ = &world_.Load(&disk_);
    host_->AskCredit("e", "alice", 100);
    world_.scheduler.RunUntilIdle();
    first_ = world_.Status(*host_).address();
    COFFER_CHECK(Pay(60).payout().id() == 1, "a payout of a test is signed");
    log_key_ = world_.Status(*host_).audit().log_key();
  }

  ServerFrame Pay(Wei amount) {
    ClientFrame frame;
    *frame.mutable_prepare_payout() = MakePayout({{"alice", amount}});
    return world_.Call(*host_, frame);
  }
  v1::Payout PayoutOf(uint64_t id) {
    ClientFrame frame;
    frame.mutable_get_payout()->set_id(id);
    return world_.Call(*host_, frame).payout();
  }
  ServerFrame Bump(uint64_t id, uint64_t fee) {
    ClientFrame frame;
    frame.mutable_bump_transaction()->set_payout_id(id);
    *frame.mutable_bump_transaction()->mutable_fees() = MakeFees(fee);
    return world_.Call(*host_, frame);
  }
  // Its only ticket is paid, by its newest transaction.
  ServerFrame Settle(uint64_t id) {
    const v1::Payout payout = PayoutOf(id);
    const authority::Authority& state = *world_.enclave().state();
    const payouts::Payout& inside = *state.payouts().Find(id);
    Redeemed redeemed;
    redeemed.sender = ethereum::Address::FromBytes(payout.sender()).value();
    redeemed.recipient = payout.items(0).recipient();
    redeemed.face_value = redeemed.paid = ledger::FromProto(payout.items(0).amount());
    redeemed.sender_nonce = payout.items(0).sender_nonce();
    redeemed.recipient_rand = inside.items[0].ticket->recipient_rand;
    redeemed.aux_data = inside.aux_data;
    ClientFrame frame;
    *frame.mutable_report_receipt() =
        MakeReceipt(payout.attempts(payout.attempts_size() - 1).tx_hash());
    AddLogs(redeemed, frame.mutable_report_receipt());
    return world_.Call(*host_, frame);
  }
  v1::NextSigningKey Rotate() {
    const ServerFrame answer = world_.Call(*host_, world_.RotateSigningFrame());
    EXPECT_TRUE(answer.has_next_signing_key()) << answer.ShortDebugString();
    return answer.next_signing_key();
  }
  ServerFrame Adopt(std::string_view address) {
    return world_.Call(*host_, KmsWorld::AdoptSigningFrame(address));
  }
  ServerFrame Retire(std::string_view address) {
    return world_.Call(*host_, KmsWorld::RetireFrame(address));
  }
  // Made, stored, adopted.
  std::string RotateAll() {
    const v1::NextSigningKey made = Rotate();
    world_.Keep(made);
    EXPECT_TRUE(Adopt(made.signing_key().address()).has_signing_key_adopted());
    return made.signing_key().address();
  }
  void Restart() { host_ = &world_.Restart(&disk_); }
  std::vector<v1::SigningKeyState::Use> Uses() {
    std::vector<v1::SigningKeyState::Use> out;
    const v1::Status status = world_.Status(*host_);
    for (const auto& key : status.signing_keys()) out.push_back(key.use());
    return out;
  }
  // What is attested now.
  absl::StatusOr<attestation::UserData> Attested() {
    ClientFrame frame;
    frame.mutable_get_attestation()->set_nonce("n");
    const ServerFrame answer = world_.Call(*host_, frame);
    if (!answer.has_attestation()) return absl::UnavailableError(answer.error().message());
    return attestation::ParseUserData(world_.any_attester.asked.back().user_data);
  }
  // Every transaction is by the one key of its payout.
  void ExpectOneKeyAPayout() {
    const uint64_t payouts = world_.Status(*host_).payouts();
    for (uint64_t id = 1; id <= payouts; ++id) {
      const v1::Payout payout = PayoutOf(id);
      for (const v1::Attempt& attempt : payout.attempts()) {
        const auto read = ethereum::ParseSignedTransaction(attempt.raw_tx());
        EXPECT_EQ(read->Sender()->view(), payout.sender()) << "payout " << id;
      }
    }
  }

  KmsWorld world_;
  Disk disk_;
  Host* host_;
  std::string first_;  // address
  std::string log_key_;
};

TEST_F(SigningRotationTest, TheWholeWay) {
  const v1::NextSigningKey made = Rotate();
  EXPECT_EQ(made.signing_key().epoch(), 1u);
  EXPECT_EQ(made.signing_key().key_id(), kKmsKey);
  EXPECT_EQ(made.state_key().epoch(), 2u);
  EXPECT_EQ(made.state_key().address(), made.signing_key().address());
  EXPECT_EQ(world_.Status(*host_).address(), first_) << "until it is adopted";
  EXPECT_THAT(Uses(), ElementsAre());
  world_.Keep(made);
  const std::string& second = made.signing_key().address();
  const v1::Status adopted = Adopt(second).signing_key_adopted();
  EXPECT_EQ(adopted.address(), second);
  EXPECT_GT(adopted.stored_sequence(), 0u) << "a whole status";
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u))) << "a snapshot under the next key";
  EXPECT_EQ(Pay(30).payout().sender(), second);
  EXPECT_EQ(Bump(1, 300).payout().sender(), first_);
  EXPECT_EQ(Retire(first_).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_TRUE(Settle(1).receipt().known());
  EXPECT_TRUE(Retire(first_).has_signing_key_retired());
  EXPECT_TRUE(Retire(first_).has_signing_key_retired()) << "the answer may have been lost";
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_RETIRED, Use::USE_CURRENT));
  ExpectOneKeyAPayout();
  // From here on the next key is all that is needed, and the log is the same.
  world_.KeepOnlyTheNext();
  Restart();
  EXPECT_EQ(world_.Status(*host_).address(), second);
  EXPECT_EQ(world_.Status(*host_).audit().log_key(), log_key_);
  EXPECT_EQ(Pay(5).payout().sender(), second);
  const std::string third = RotateAll();
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_RETIRED, Use::USE_DRAINING, Use::USE_CURRENT));
  Restart();
  EXPECT_EQ(world_.Status(*host_).address(), third);
  EXPECT_EQ(world_.Status(*host_).audit().log_key(), log_key_);
  ExpectOneKeyAPayout();
}

TEST_F(SigningRotationTest, KmsMakesItUnderTheKeyOfTheOneBefore) {
  Rotate();
  ASSERT_GE(world_.kms.calls.size(), 2u);
  const FakeKms::Call& call = world_.kms.calls[world_.kms.calls.size() - 2];
  EXPECT_EQ(call.name, "GenerateDataKey");
  EXPECT_EQ(call.key_id, kKmsKey);
  EXPECT_EQ(call.context.at("coffer:purpose"), "signing-key");
  EXPECT_EQ(call.context.at("coffer:after"), ethereum::ToHex(first_));
  EXPECT_EQ(call.context.at("coffer:epoch"), "1");
}

TEST_F(SigningRotationTest, TheAttestedUserDataNamesBoth) {
  EXPECT_EQ(Attested()->draining, std::nullopt);
  const std::string second = RotateAll();
  const auto both = Attested();
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->address->view(), second);
  EXPECT_EQ(both->draining->view(), first_);
  ASSERT_TRUE(Settle(1).has_receipt());
  ASSERT_TRUE(Retire(first_).has_signing_key_retired());
  EXPECT_EQ(Attested()->draining, std::nullopt);
  EXPECT_EQ(Attested()->log_key->ToString(), log_key_);
}

// Which log it has is in the state, once the key has gone that it is named after.
TEST_F(SigningRotationTest, NothingIsAttestedBeforeTheLogIsKnown) {
  RotateAll();
  ASSERT_TRUE(Settle(1).has_receipt());
  ASSERT_TRUE(Retire(first_).has_signing_key_retired());
  world_.KeepOnlyTheNext();
  world_.StartWithoutKey();
  ASSERT_TRUE(world_.Provision().has_provisioned());
  ClientFrame frame;
  frame.mutable_get_attestation();
  EXPECT_EQ(world_.Call(world_.Connect(), frame).error().code(), v1::ERROR_NOT_READY);
}

TEST_F(SigningRotationTest, AskedAgainTheSameKeyIsTheAnswer) {
  const v1::NextSigningKey made = Rotate();
  const v1::NextSigningKey again = Rotate();
  EXPECT_EQ(again.signing_key().ciphertext(), made.signing_key().ciphertext());
  EXPECT_EQ(again.signing_key().tag(), made.signing_key().tag());
  EXPECT_EQ(again.state_key().SerializeAsString(), made.state_key().SerializeAsString());
  EXPECT_EQ(world_.Call(*host_, world_.RotateFrame()).error().code(), v1::ERROR_WRONG_STATE)
      << "a state key goes with it";
  world_.Keep(made);
  ASSERT_TRUE(Adopt(made.signing_key().address()).has_signing_key_adopted());
  EXPECT_TRUE(Adopt(made.signing_key().address()).has_signing_key_adopted());
  EXPECT_EQ(world_.Call(*host_, world_.RotateSigningFrame()).error().code(), v1::ERROR_WRONG_STATE)
      << "one drains";
}

TEST_F(SigningRotationTest, WhatIsNotThereIsNotAdopted) {
  EXPECT_EQ(Adopt("short").error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(Adopt(AddressOf(9).view()).error().code(), v1::ERROR_WRONG_STATE);
  Rotate();
  EXPECT_EQ(Adopt(AddressOf(9).view()).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(Retire(AddressOf(9).view()).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(Retire("").error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(world_.Status(*host_).address(), first_);
}

TEST_F(SigningRotationTest, TheStateKeyThatWaitsGoesFirst) {
  const ServerFrame made = world_.Call(*host_, world_.RotateFrame());
  EXPECT_EQ(world_.Call(*host_, world_.RotateSigningFrame()).error().code(), v1::ERROR_WRONG_STATE);
  world_.keys[2] = made.state_key();
  world_.Call(*host_, KmsWorld::AdoptFrame(2));
  EXPECT_EQ(Rotate().state_key().epoch(), 3u);
}

// Later state keys are vouched for by the newest signing key.
TEST_F(SigningRotationTest, AStateKeyAfterIt) {
  const std::string second = RotateAll();
  const ServerFrame made = world_.Call(*host_, world_.RotateFrame());
  EXPECT_EQ(made.state_key().epoch(), 3u);
  EXPECT_EQ(made.state_key().address(), second);
  world_.keys[3] = made.state_key();
  ASSERT_TRUE(world_.Call(*host_, KmsWorld::AdoptFrame(3)).has_state_key_adopted());
  Restart();
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 3u);
  EXPECT_EQ(PayoutOf(1).sender(), first_);
}

TEST_F(SigningRotationTest, KmsMayRefuseAndWorkGoesOn) {
  world_.kms.trouble = absl::FailedPreconditionError("DisabledException");
  const ServerFrame refused = world_.Call(*host_, world_.RotateSigningFrame());
  EXPECT_EQ(refused.error().code(), v1::ERROR_KMS);
  EXPECT_THAT(refused.error().message(), HasSubstr("DisabledException"));
  world_.kms.trouble = absl::OkStatus();
  world_.attesting().Freeze(absl::Seconds(5));
  const uint64_t first = host_->Ask(world_.RotateSigningFrame());
  const uint64_t second = host_->Ask(world_.RotateSigningFrame());
  const uint64_t third = host_->Ask(world_.RotateFrame());
  const uint64_t credit = host_->AskCredit("f", "alice", 1);
  world_.Wait(absl::Seconds(1));
  EXPECT_EQ(host_->Code(second), v1::ERROR_OVERLOADED);
  EXPECT_EQ(host_->Code(third), v1::ERROR_OVERLOADED);
  EXPECT_TRUE(host_->Has(credit)) << "payments go on";
  world_.Wait(absl::Seconds(9));
  EXPECT_TRUE(host_->answers[first].has_next_signing_key());
}

TEST_F(SigningRotationTest, ADevelopmentKeyIsFollowedByNone) {
  World world(32);
  Disk disk;
  Host& host = world.Load(&disk);
  for (const ClientFrame& frame :
       {world_.RotateSigningFrame(), KmsWorld::AdoptSigningFrame(AddressOf(1).view()),
        KmsWorld::RetireFrame(AddressOf(1).view())}) {
    EXPECT_EQ(world.Call(host, frame).error().code(), v1::ERROR_UNAVAILABLE);
  }
}

// ---- a host that lies ---------------------------------------------------------------------------

// A key that the host knows may not stand beside one that it does not: with it the host could make
// a state for both.
TEST_F(SigningRotationTest, AKeyThatNobodyVouchesForIsRefused) {
  const v1::NextSigningKey made = Rotate();
  world_.Keep(made);
  const ethereum::PrivateKey known = Key(0x77);
  kms::EncryptionContext context(made.signing_key().encryption_context().begin(),
                                 made.signing_key().encryption_context().end());
  world_.next->set_ciphertext(world_.kms.Encrypt(std::string(32, '\x77'), context));
  world_.next->set_address(std::string(known.address().view()));
  world_.keys.erase(2);
  world_.StartWithoutKey();
  const ServerFrame refused = world_.Provision();
  EXPECT_EQ(refused.error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(refused.error().message(), HasSubstr("was not made by an enclave"));
}

TEST_F(SigningRotationTest, AStateKeyOfAnotherSigningKeyIsRefused) {
  const v1::NextSigningKey made = Rotate();
  world_.Keep(made);
  ClientFrame frame = world_.ProvisionFrame();
  frame.mutable_provision()->clear_next_signing_key();
  world_.StartWithoutKey();
  const ServerFrame refused = world_.Call(world_.Connect(), frame);
  EXPECT_EQ(refused.error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(refused.error().message(), HasSubstr("another signing key"));
}

TEST_F(SigningRotationTest, AStateIsNotLoadedWithoutAKeyThatItSignsWith) {
  RotateAll();
  world_.next.reset();
  world_.keys.erase(2);
  world_.StartWithoutKey();
  ASSERT_TRUE(world_.Provision().has_provisioned());
  EXPECT_EQ(world_.TryLoad(disk_).error().code(), v1::ERROR_STATE_REFUSED);
}

TEST_F(SigningRotationTest, ARetiredKeyThatComesAgainIsForgotten) {
  RotateAll();
  ASSERT_TRUE(Settle(1).has_receipt());
  ASSERT_TRUE(Retire(first_).has_signing_key_retired());
  Restart();  // with both, as a host does that died before it noted the retirement
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_RETIRED, Use::USE_CURRENT));
  EXPECT_EQ(Bump(1, 900).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_NE(Pay(5).payout().sender(), first_);
  RotateAll();
}

// ---- a crash of the enclave between two steps ---------------------------------------------------

TEST_F(SigningRotationTest, CrashBeforeTheKeyIsStored) {
  const std::string lost = Rotate().signing_key().address();
  Restart();
  EXPECT_EQ(Adopt(lost).error().code(), v1::ERROR_WRONG_STATE) << "it is forgotten";
  EXPECT_NE(Rotate().signing_key().address(), lost);
}

TEST_F(SigningRotationTest, CrashBeforeTheKeyIsAdopted) {
  const v1::NextSigningKey made = Rotate();
  world_.Keep(made);
  Restart();
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_CURRENT, Use::USE_WAITING));
  EXPECT_EQ(world_.Status(*host_).address(), first_);
  EXPECT_EQ(Pay(10).payout().sender(), first_);
  EXPECT_EQ(world_.Call(*host_, world_.RotateSigningFrame()).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_TRUE(Adopt(made.signing_key().address()).has_signing_key_adopted());
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  EXPECT_EQ(Pay(10).payout().sender(), made.signing_key().address());
  Restart();
  ExpectOneKeyAPayout();
}

// The disk hears nothing of what comes after the adoption: it did not happen.
TEST_F(SigningRotationTest, CrashBeforeTheAdoptionIsStored) {
  const v1::NextSigningKey made = Rotate();
  world_.Keep(made);
  Disk nowhere;
  host_->disk = &nowhere;
  host_->silent = true;
  const uint64_t adopt = host_->Ask(KmsWorld::AdoptSigningFrame(made.signing_key().address()));
  ClientFrame pay;
  *pay.mutable_prepare_payout() = MakePayout({{"alice", 10}});
  const uint64_t paid = host_->Ask(pay);
  world_.scheduler.RunUntilIdle();
  EXPECT_FALSE(host_->Has(adopt)) << "I5";
  EXPECT_FALSE(host_->Has(paid)) << "I5";
  Restart();
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_CURRENT, Use::USE_WAITING));
  EXPECT_EQ(world_.Status(*host_).payouts(), 1u);
  ASSERT_TRUE(Adopt(made.signing_key().address()).has_signing_key_adopted());
}

// It hears of everything but the snapshot under the new state key.
TEST_F(SigningRotationTest, CrashBeforeTheSnapshotIsStored) {
  const v1::NextSigningKey made = Rotate();
  world_.Keep(made);
  Disk nowhere;
  host_->disk = &nowhere;
  const size_t before = host_->stores.size();
  host_->Ask(KmsWorld::AdoptSigningFrame(made.signing_key().address()));
  host_->AskCredit("f", "alice", 1);
  world_.scheduler.RunUntilIdle();
  for (size_t i = before; i < host_->stores.size(); ++i) {
    if (host_->stores[i].kind() == v1::Store::KIND_RECORD) disk_.Write(host_->stores[i]);
  }
  Restart();
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
}

TEST_F(SigningRotationTest, CrashWhileTheOldKeyHasASignatureToGive) {
  const std::string second = RotateAll();
  // Reserved and sealed, and the process ends before the signature is.
  ClientFrame bump;
  bump.mutable_bump_transaction()->set_payout_id(1);
  *bump.mutable_bump_transaction()->mutable_fees() = MakeFees(700);
  host_->Ask(bump);
  world_.scheduler.RunUntil([&] { return disk_.records.size() > 1; }, absl::Seconds(5));
  Restart();
  world_.scheduler.RunUntilIdle();
  const v1::Payout payout = PayoutOf(1);
  EXPECT_EQ(payout.attempts_size(), 2);
  ExpectOneKeyAPayout();
  EXPECT_EQ(world_.Status(*host_).address(), second);
}

TEST_F(SigningRotationTest, CrashBeforeTheRetirementIsStored) {
  RotateAll();
  ASSERT_TRUE(Settle(1).has_receipt());
  Disk nowhere;
  host_->disk = &nowhere;
  host_->silent = true;
  const uint64_t retire = host_->Ask(KmsWorld::RetireFrame(first_));
  world_.scheduler.RunUntilIdle();
  EXPECT_FALSE(host_->Has(retire)) << "I5";
  Restart();
  EXPECT_THAT(Uses(), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  EXPECT_TRUE(Retire(first_).has_signing_key_retired());
}

// ---- in JSON ------------------------------------------------------------------------------------

TEST_F(SigningRotationTest, TheSameInJson) {
  Host& client = world_.Connect();
  constexpr char kAws[] =
      R"("region":"eu-west-1","aws_access_key_id":"AKIAEXAMPLE","aws_secret_access_key":"sesame","aws_session_token":"token")";
  client.stream->Send(absl::StrCat(R"({"method":"rotate_signing_key","params":{)", kAws, "}}"));
  world_.scheduler.RunUntilIdle();
  ASSERT_EQ(client.unreadable.size(), 1u);
  const std::string& made = client.unreadable[0];
  EXPECT_THAT(made, AllOf(HasSubstr(R"({"result":{"signing_key":{"epoch":1,"address":"0x)"),
                          HasSubstr(R"("state_key":{"epoch":2,)"),
                          HasSubstr(R"("coffer:purpose":"signing-key")")));
  // The next enclave takes both as they were given.
  const size_t at = made.find(R"("state_key":)");
  const std::string signing = made.substr(25, at - 26);
  const std::string state = made.substr(at + 12, made.size() - at - 14);
  const std::string second = made.substr(made.find(R"("address":")") + 11, 42);
  const v1::StateKey& one = world_.keys[1];
  world_.StartWithoutKey();
  Host& again = world_.Connect();
  again.stream->Send(absl::StrCat(
      R"({"method":"provision","params":{)", kAws, R"(,"ciphertext_b64":")",
      absl::Base64Escape(world_.ciphertext), R"(","next_signing_key":)", signing,
      R"(,"state_keys":[{"epoch":1,"ciphertext_b64":")", absl::Base64Escape(one.ciphertext()),
      R"(","tag":")", ethereum::ToHex(one.tag()), R"("},)", state, "]}}"));
  world_.scheduler.RunUntilIdle();
  ASSERT_EQ(again.unreadable.size(), 1u);
  EXPECT_THAT(again.unreadable[0], HasSubstr("address")) << signing << "\n" << state;
  host_ = &world_.Load(&disk_);
  again.stream->Send(
      absl::StrCat(R"({"method":"adopt_signing_key","params":{"address":")", second, R"("}})"));
  world_.scheduler.RunUntilIdle();
  ASSERT_EQ(again.unreadable.size(), 2u);
  EXPECT_EQ(again.unreadable[1],
            absl::StrCat(R"({"result":{"ok":true,"address":")", second, R"("}})"));
  again.stream->Send(absl::StrCat(R"({"method":"retire_signing_key","params":{"address":")",
                                  ethereum::ToHex(first_), R"("}})"));
  world_.scheduler.RunUntilIdle();
  ASSERT_EQ(again.unreadable.size(), 3u);
  EXPECT_THAT(again.unreadable[2], HasSubstr("wrong_state"));
}

}  // namespace
}  // namespace coffer::test
