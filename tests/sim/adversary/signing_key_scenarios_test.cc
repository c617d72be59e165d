// What a hostile host can do with a rotation of the signing key, and what it can't: each test is an
// item of docs/threat-model.md, or what keeps it from being one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/sealing/state_key.h"
#include "tests/sim/adversary/key_sets.h"
#include "tests/sim/adversary/scripted_host.h"

namespace coffer::sim {
namespace {

namespace v1 = boundary::v1;
using testing::ElementsAre;
using Use = v1::SigningKeyState;

class SigningKeyScenario : public ScriptedHost {
 protected:
  SigningKeyScenario() {
    Open(ScenarioPolicy(), HostileWorld::KeysFrom::kKms);
    v1::SigningKey& first = keys_.signing.emplace_back();
    first.set_address(std::string(world_->address().view()));
    first.set_ciphertext(world_->kms().Encrypt(std::string(32, '\x42')));
  }

  // ---- enclaves
  ServerFrame Give(size_t slot, const KeySet& keys) {
    Restart(slot);
    ClientFrame frame;
    test::FillCredentials(frame.mutable_provision()->mutable_aws());
    Fill(keys, frame.mutable_provision());
    return Call(slot, frame);
  }
  // A new enclave with the keys that are there, and the state that ends at this record.
  void Load(size_t slot, int record) {
    const ServerFrame given = Give(slot, keys_);
    ASSERT_TRUE(given.has_provisioned()) << given.error().message();
    for (const v1::StateKey& key : given.provisioned().new_state_keys()) {
      keys_.state.push_back(key);
    }
    ASSERT_TRUE(LoadState(slot, record).has_load_done());
  }

  // ---- what is asked
  void Credit(size_t slot, const std::string& id, uint64_t amount) {
    EXPECT_EQ(ScriptedHost::Credit(slot, id, amount).events_applied().applied(), 1u);
  }
  static ClientFrame PayFrame(uint64_t nonce) {
    ClientFrame frame;
    frame.mutable_prepare_payout()->set_strategy(v1::STRATEGY_LIVEPEER_TICKET);
    frame.mutable_prepare_payout()->add_items()->set_account("payee");
    Read(nonce, frame.mutable_prepare_payout()->mutable_reading());
    Fees(frame.mutable_prepare_payout()->mutable_fees());
    return frame;
  }
  static ClientFrame RotateFrame() {
    ClientFrame frame;
    test::FillCredentials(frame.mutable_rotate_signing_key()->mutable_aws());
    return frame;
  }
  static ClientFrame AdoptFrame(const std::string& address) {
    ClientFrame frame;
    frame.mutable_adopt_signing_key()->set_address(address);
    return frame;
  }
  static ClientFrame RetireFrame(const std::string& address) {
    ClientFrame frame;
    frame.mutable_retire_signing_key()->set_address(address);
    return frame;
  }
  ServerFrame Move(size_t slot, v1::Strategy strategy, uint64_t nonce, uint64_t amount = 0) {
    ClientFrame frame;
    frame.mutable_prepare_funding()->set_strategy(strategy);
    frame.mutable_prepare_funding()->mutable_amount()->set_low(amount);
    Read(nonce, frame.mutable_prepare_funding()->mutable_reading());
    Fees(frame.mutable_prepare_funding()->mutable_fees());
    return Call(slot, frame);
  }
  // Made, kept and adopted; its address.
  std::string Rotate(size_t slot) {
    const v1::NextSigningKey made = Call(slot, RotateFrame()).next_signing_key();
    keys_.Add(made);
    EXPECT_TRUE(Call(slot, AdoptFrame(made.signing_key().address())).has_signing_key_adopted());
    return made.signing_key().address();
  }
  wire::SignedTransaction Last(const v1::Payout& payout) {
    std::vector<ethereum::Address> signers;
    for (const v1::SigningKey& key : keys_.signing) {
      signers.push_back(*ethereum::Address::FromBytes(key.address()));
    }
    return ScriptedHost::Last(payout, signers);
  }
  // All of them paid in full.
  ServerFrame Receipt(size_t slot, const wire::SignedTransaction& transaction) {
    const ethereum::U256 face =
        transaction.tickets.empty() ? ethereum::U256(0) : transaction.tickets[0].face_value;
    return ScriptedHost::Receipt(slot, transaction, face);
  }
  std::vector<Use::Use> Uses(size_t slot) {
    std::vector<Use::Use> out;
    const v1::Status status = Status(slot);
    for (const auto& key : status.signing_keys()) out.push_back(key.use());
    return out;
  }
  // As whoever may encrypt under the KMS key makes it: a key that the host knows, with the context
  // of one that an enclave had made, and a state key that it vouches for.
  v1::NextSigningKey HostsKey() {
    const auto own = ethereum::PrivateKey::FromBytes(std::string(32, '\x43'));
    const auto tag_key = sealing::StateKeyTagKey(*own);
    const kms::EncryptionContext context = {{"coffer:purpose", "signing-key"},
                                            {"coffer:after", world_->address().ToHex()},
                                            {"coffer:epoch", "1"}};
    v1::NextSigningKey out;
    v1::SigningKey& key = *out.mutable_signing_key();
    key.set_epoch(1);
    key.set_address(std::string(own->address().view()));
    key.set_ciphertext(world_->kms().Encrypt(std::string(32, '\x43'), context));
    key.mutable_encryption_context()->insert(context.begin(), context.end());
    key.set_tag(
        std::string(sealing::SigningKeyTag(*tag_key, 1, own->address(), key.ciphertext()).view()));
    v1::StateKey& state = *out.mutable_state_key();
    state.set_epoch(2);
    state.set_address(key.address());
    state.set_ciphertext(
        world_->kms().Encrypt(std::string(32, 'h'), {{"coffer:purpose", "state-key"},
                                                     {"coffer:address", own->address().ToHex()},
                                                     {"coffer:epoch", "2"}}));
    auto secret = ethereum::SecretBytes::CopyOf(std::string(32, 'h'));
    state.set_tag(std::string(
        sealing::StateKeyTag(*tag_key, {2, *std::move(secret)}, state.ciphertext())->view()));
    return out;
  }

  KeySet keys_;
};

TEST_F(SigningKeyScenario, ARotationWithEverythingAnsweredLateReleasesNothingEarly) {
  Load(0, -1);
  Credit(0, "e1", 100);
  const std::string first = keys_.signing[0].address();
  ASSERT_TRUE(Call(0, PayFrame(7)).has_payout());
  Credit(0, "e2", 50);
  acknowledges_ = false;
  const ServerFrame made = Call(0, RotateFrame());
  ASSERT_TRUE(made.has_next_signing_key()) << "nothing is signed with it, nothing sealed";
  const std::string second = made.next_signing_key().signing_key().address();
  const uint64_t adopted = Ask(0, AdoptFrame(second));
  const uint64_t paid = Ask(0, PayFrame(3));
  EXPECT_FALSE(Answered(adopted));
  EXPECT_FALSE(Answered(paid)) << "no signature of a key that a crash takes back";
  // Whoever kept the keys goes on from wherever the disk ends.
  keys_.Add(made.next_signing_key());
  acknowledges_ = true;
  Load(0, newest_);
  EXPECT_THAT(Uses(0), ElementsAre(Use::USE_DRAINING, Use::USE_CURRENT));
  ClientFrame get;
  get.mutable_get_payout()->set_id(2);
  EXPECT_EQ(Call(0, get).payout().sender(), second);
  // The signer of the one that drains is slow, and its answer comes after everything else.
  world_->StopSigner(0, absl::Milliseconds(100));
  ClientFrame bump;
  bump.mutable_bump_transaction()->set_payout_id(1);
  Fees(bump.mutable_bump_transaction()->mutable_fees(), 200);
  const uint64_t bumped = Ask(0, bump);
  EXPECT_EQ(Call(0, RetireFrame(first)).error().code(), v1::ERROR_WRONG_STATE);
  world_->Advance(absl::Milliseconds(200));
  EXPECT_EQ(AnswerOf(bumped).payout().sender(), first);
  ASSERT_TRUE(Receipt(0, Last(AnswerOf(bumped).payout())).receipt().known());
  EXPECT_TRUE(Call(0, RetireFrame(first)).has_signing_key_retired());
}

TEST_F(SigningKeyScenario, AForgedNextSigningKeyIsRefused) {
  Load(0, -1);
  const v1::NextSigningKey genuine = Call(0, RotateFrame()).next_signing_key();
  const v1::NextSigningKey own = HostsKey();
  KeySet forged = keys_;
  forged.Add(own);
  EXPECT_EQ(Give(1, forged).error().code(), v1::ERROR_STATE_REFUSED)
      << "its own key vouches for it, and the one before does not";
  forged.signing[1].set_tag(genuine.signing_key().tag());
  EXPECT_EQ(Give(1, forged).error().code(), v1::ERROR_STATE_REFUSED);
  // Nor is a genuine one taken behind a key that the host knows, which would then be swept to it.
  forged = keys_;
  forged.signing[0].set_ciphertext(world_->kms().Encrypt(std::string(32, '\x43')));
  forged.signing[0].set_address(own.signing_key().address());
  forged.state.clear();
  forged.Add(genuine);
  EXPECT_EQ(Give(1, forged).error().code(), v1::ERROR_STATE_REFUSED);
  // Nor as what is adopted.
  EXPECT_EQ(Call(0, AdoptFrame(own.signing_key().address())).error().code(), v1::ERROR_WRONG_STATE);
  keys_.Add(genuine);
  EXPECT_TRUE(Give(1, keys_).has_provisioned());
}

// Item 18: without a freshness counter.
TEST_F(SigningKeyScenario, RollsBackOverARotationAndPaysTwiceByTwoKeys) {
  Load(0, -1);
  Credit(0, "e0", 10);
  Receipt(0, Last(Call(0, PayFrame(7)).payout()));
  Credit(0, "e1", 100);
  const int before = newest_;
  const std::string first = keys_.signing[0].address();
  const std::string second = Rotate(0);
  const wire::SignedTransaction after = Last(Call(0, PayFrame(0)).payout());
  SignHead(0);
  Load(1, before);
  EXPECT_THAT(Uses(1), ElementsAre(Use::USE_CURRENT, Use::USE_WAITING));
  // The truth about each key's nonce raises no alarm: they are two accounts.
  const wire::SignedTransaction once_more = Last(Call(1, PayFrame(8)).payout());
  Credit(1, "e2", 1);
  SignHead(1);
  EXPECT_EQ(after.signer.view(), second);
  EXPECT_EQ(once_more.signer.view(), first);
  EXPECT_EQ(after.tickets[0].face_value + once_more.tickets[0].face_value, 200u)
      << "100 is owed; each is paid from a deposit of its own";
  EXPECT_EQ(Receipt(1, after).error().code(), v1::ERROR_UNKNOWN_TRANSACTION)
      << "nor does the one before know the other's key, whose redemptions it would count";
  EXPECT_EQ(Receipt(0, once_more).receipt().foreign_redemptions(), 1u)
      << "the one after knows both";
  EXPECT_TRUE(HeadsContradict()) << "the log has one name under every key";
}

// Item 18: the two may also have two next keys.
TEST_F(SigningKeyScenario, TwoLinesHaveTwoNextKeysAndOneLog) {
  Load(0, -1);
  Credit(0, "e1", 100);
  const int before = newest_;
  const KeySet old = keys_;
  const std::string here = Rotate(0);
  SignHead(0);
  const KeySet those_of_here = std::exchange(keys_, old);
  Load(1, before);
  const std::string there = Rotate(1);
  SignHead(1);
  EXPECT_NE(here, there);
  EXPECT_EQ(Status(0).audit().log_key(), Status(1).audit().log_key());
  EXPECT_TRUE(HeadsContradict());
  // A state is not opened with the next key of another line.
  ASSERT_TRUE(Give(2, those_of_here).has_provisioned());
  ClientFrame frame;
  frame.mutable_load_begin();
  Call(2, frame);
  for (const std::string& piece : memory_.Pieces(newest_, true)) {
    frame.mutable_load_record()->set_sealed(piece);
    Call(2, frame);
  }
  frame.mutable_load_end();
  EXPECT_TRUE(Call(2, frame).has_error());
  EXPECT_EQ(Status(2).phase(), v1::PHASE_EMPTY);
}

// Item 19.
TEST_F(SigningKeyScenario, WithdrawsWhatOpenTicketsWouldBePaidFrom) {
  Load(0, -1);
  Credit(0, "e1", 100);
  const wire::SignedTransaction made = Last(Call(0, PayFrame(7)).payout());
  const std::string second = Rotate(0);
  EXPECT_EQ(Move(0, v1::STRATEGY_UNLOCK, 8).error().code(), v1::ERROR_WRONG_STATE)
      << "while a ticket of it is open";
  Receipt(0, made);  // nothing of it was on a chain
  EXPECT_TRUE(Receipt(0, Last(Move(0, v1::STRATEGY_UNLOCK, 8).payout())).receipt().known());
  EXPECT_TRUE(Receipt(0, Last(Move(0, v1::STRATEGY_WITHDRAW, 9).payout())).receipt().known());
  const wire::SignedTransaction sweep = Last(Move(0, v1::STRATEGY_SWEEP, 10, 900).payout());
  EXPECT_EQ(sweep.to.view(), second) << "the ticket is worth nothing now, and the host has nothing";
}

// Item 20.
TEST_F(SigningKeyScenario, RetiresAKeyAndLeavesItsFundsBehind) {
  Load(0, -1);
  const std::string first = keys_.signing[0].address();
  Rotate(0);
  EXPECT_TRUE(Call(0, RetireFrame(first)).has_signing_key_retired())
      << "nobody says what is still at its address";
  EXPECT_EQ(Move(0, v1::STRATEGY_SWEEP, 0, 900).error().code(), v1::ERROR_WRONG_STATE);
  // This state signs with it no more, whoever provisions it.
  Load(0, newest_);
  EXPECT_THAT(Uses(0), ElementsAre(Use::USE_RETIRED, Use::USE_CURRENT));
  EXPECT_EQ(Move(0, v1::STRATEGY_SWEEP, 0, 900).error().code(), v1::ERROR_WRONG_STATE);
}

}  // namespace
}  // namespace coffer::sim
