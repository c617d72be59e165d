// Another signing key while the enclave works, cut off wherever it can be.
#include "actors/host/signing_key_rotation.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/unit/host_keys/key_world.h"

namespace coffer::host {
namespace {

using Step = RotationStep;
using boundary::v1::ClientFrame;
using boundary::v1::SigningKeyState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SigningKeyRotationTest : public KeyWorld {
 protected:
  SigningKeyRotationTest() {
    PutCiphertext();
    StartHost();
    EXPECT_TRUE(UntilReady()) << Reason();
    Snapshots();
    scheduler_.Advance(absl::Seconds(1));
    enclave_->asked.clear();
  }
  void Snapshots() {
    enclave_->on_adopt = [this] { enclave_->SealSnapshot(); };
  }
  // Another process of the enclave's program, with what its state knows.
  void RestartEnclave() {
    const uint64_t sealed = enclave_->scripted.sealed_;
    const auto signing = enclave_->signing;
    const char fill = enclave_->next_fill;
    const uint32_t epoch = enclave_->scripted.state_key_epoch;
    StartEnclave();
    enclave_->scripted.sealed_ = sealed;  // it goes on where what it is given ends
    enclave_->scripted.state_key_epoch = epoch;
    enclave_->signing = signing;
    enclave_->next_fill = fill;
    Snapshots();
  }
  SigningKeyRotation& rotation() { return host_->signing_rotation; }
  Step Now() { return rotation().progress().step; }
  std::string Why() { return rotation().progress().why; }
  bool Until(Step step) {
    return scheduler_.RunUntil([&] { return Now() == step; }, absl::Minutes(20));
  }
  Step Rotate() {
    const absl::Status started = rotation().Start();
    EXPECT_TRUE(started.ok()) << started;
    scheduler_.RunUntil([this] { return !rotation().under_way(); }, absl::Minutes(20));
    return Now();
  }
  void Retired() {
    enclave_->Retire();
    rotation().OnRetired(AddressOf('\x11'));
    scheduler_.Advance(absl::Milliseconds(500));
  }
  static ethereum::Address AddressOf(char fill) {
    return *ethereum::Address::FromBytes(KeyEnclave::Address(fill));
  }
  std::vector<int> Asked() {
    std::vector<int> kinds;
    for (const ClientFrame& frame : enclave_->asked) kinds.push_back(frame.body_case());
    return kinds;
  }
};

TEST_F(SigningKeyRotationTest, ANewKeyIsStoredAdoptedAndTheOlderOneDrains) {
  EXPECT_EQ(Rotate(), Step::kDraining) << Why();
  EXPECT_THAT(Asked(), ElementsAre(ClientFrame::kRotateSigningKey, ClientFrame::kAdoptSigningKey));
  EXPECT_EQ(enclave_->asked[0].rotate_signing_key().aws().secret_access_key(), "secret 2");
  EXPECT_EQ(enclave_->asked[1].adopt_signing_key().address(), KeyEnclave::Address('\x21'));
  EXPECT_EQ(rotation().progress().from, AddressOf('\x11'));
  EXPECT_EQ(rotation().progress().to, AddressOf('\x21'));
  EXPECT_EQ(rotation().progress().open_payouts, 3u);
  const auto kept = *KeyStore::Open(folder_.get());
  EXPECT_EQ(kept->root_epoch(), 0u);
  EXPECT_EQ(kept->Next()->address(), KeyEnclave::Address('\x21'));
  EXPECT_TRUE(kept->Provides(1)) << "the older one's";
  EXPECT_TRUE(kept->Provides(2));
}

TEST_F(SigningKeyRotationTest, WhileItDrainsItsOpenPayoutsAreCountedAndThenItIsRetired) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  enclave_->signing[0].set_open_payouts(1);
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_EQ(rotation().progress().open_payouts, 1u);
  rotation().OnRetired(AddressOf('\x21'));
  EXPECT_EQ(host_->keys->root_epoch(), 0u) << "that is not the one";
  Retired();
  EXPECT_EQ(Now(), Step::kDone);
  EXPECT_EQ(rotation().done(), 1u);
  EXPECT_EQ((*KeyStore::Open(folder_.get()))->root_epoch(), 1u);
  Retired();
  EXPECT_EQ(rotation().done(), 1u) << "once";
  EXPECT_EQ(Rotate(), Step::kDraining) << Why();
  EXPECT_EQ(rotation().progress().from, AddressOf('\x21'));
  EXPECT_EQ(rotation().progress().to, AddressOf('\x22'));
}

TEST_F(SigningKeyRotationTest, ThatItIsRetiredIsSeenWithoutBeingTold) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  enclave_->Retire();
  EXPECT_TRUE(Until(Step::kDone));
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
}

TEST_F(SigningKeyRotationTest, StartedAgainWhileOneDrainsNothingIsDone) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  enclave_->asked.clear();
  EXPECT_EQ(Rotate(), Step::kDraining) << Why();
  EXPECT_THAT(enclave_->asked, IsEmpty());
  EXPECT_EQ(rotation().progress().open_payouts, 3u);
}

// Seed 14007355: it was asked for between the older key's end and that being seen, and had no end.
TEST_F(SigningKeyRotationTest, AskedForWhenTheOlderOneHasJustBeenRetiredItEndsWithThat) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  enclave_->Retire();
  ASSERT_TRUE(rotation().Start().ok());
  EXPECT_TRUE(Until(Step::kDone)) << Why();
  EXPECT_EQ(rotation().done(), 1u);
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
  EXPECT_EQ(Rotate(), Step::kDraining) << "the next one can begin";
  EXPECT_EQ(rotation().progress().to, AddressOf('\x22'));
}

TEST_F(SigningKeyRotationTest, OneAtATimeOfBothKinds) {
  ASSERT_TRUE(rotation().Start().ok());
  EXPECT_EQ(rotation().Start().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(host_->rotation.Start("").message(), HasSubstr("a rotation of the signing key"));
  ASSERT_TRUE(Until(Step::kDraining));
  ASSERT_TRUE(host_->rotation.Start("").ok());
  EXPECT_THAT(rotation().Start().message(), HasSubstr("a rotation of the state key"));
  StartHost();
  EXPECT_EQ(rotation().Start().code(), absl::StatusCode::kUnavailable);
}

// The state key of a signing key that waits is the next state key.
TEST_F(SigningKeyRotationTest, TheStateKeyOfAWaitingSigningKeyIsNotReplaced) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  // As if it was stored and not adopted, by a host that does not go on by itself.
  enclave_->signing.clear();
  enclave_->scripted.state_key_epoch = 1;
  const std::string kept = host_->keys->state_keys().at(2).SerializeAsString();
  ASSERT_TRUE(host_->rotation.Start("").ok());
  scheduler_.RunUntil([this] { return !host_->rotation.under_way(); }, absl::Minutes(1));
  EXPECT_EQ(host_->rotation.progress().step, Step::kFailed);
  EXPECT_THAT(host_->rotation.progress().why, HasSubstr("coffer rotate signing-key first"));
  EXPECT_EQ(host_->keys->state_keys().at(2).SerializeAsString(), kept);
}

TEST_F(SigningKeyRotationTest, AStateKeyThatNoOneAdoptedIsReplaced) {
  ASSERT_TRUE(host_->keys->PutStateKey(KeyEnclave::Made(2, 9)).ok());
  EXPECT_EQ(Rotate(), Step::kDraining) << Why();
  EXPECT_EQ(host_->keys->state_keys().at(2).address(), KeyEnclave::Address('\x21'));
}

TEST_F(SigningKeyRotationTest, AKeyThatCannotBeStoredIsNotAdopted) {
  folder_->set_capacity(1);
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("cannot be stored and is not used"));
  EXPECT_THAT(Asked(), ElementsAre(ClientFrame::kRotateSigningKey));
  folder_->Heal();
  EXPECT_EQ(Rotate(), Step::kDraining) << Why();
  EXPECT_EQ(rotation().progress().to, AddressOf('\x21')) << "the same one: it was asked again";
}

TEST_F(SigningKeyRotationTest, RefusalsAndMissingCredentialsAreSaid) {
  enclave_->refuse = boundary::v1::ERROR_KMS;
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("AccessDeniedException: no"));
  host_->credentials.why = absl::NotFoundError("none here");
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_EQ(Why(), "none here");
  EXPECT_EQ(rotation().failed(), 2u);
}

TEST_F(SigningKeyRotationTest, AnAnswerThatMakesNoSenseIsNotStored) {
  boundary::v1::NextSigningKey good;
  *good.mutable_signing_key() = KeyEnclave::MadeSigning(1, '\x21');
  *good.mutable_state_key() = KeyEnclave::MadeFor(good.signing_key(), 2);
  for (const auto& [change, said] :
       {std::pair<std::function<void(boundary::v1::NextSigningKey&)>, std::string>{
            [](auto& made) { made.mutable_signing_key()->set_epoch(2); }, "epoch 2"},
        {[](auto& made) { made.mutable_state_key()->set_epoch(1); }, "that of epoch 1 is in use"},
        {[](auto& made) { made.mutable_state_key()->clear_address(); }, "another signing key's"},
        {[](auto& made) {
           made.mutable_signing_key()->set_address(KeyEnclave::Address());
           made.mutable_state_key()->set_address(KeyEnclave::Address());
         },
         "cannot be stored"}}) {
    enclave_->waiting = good;
    change(*enclave_->waiting);
    EXPECT_EQ(Rotate(), Step::kFailed);
    EXPECT_THAT(Why(), HasSubstr(said));
    EXPECT_EQ(host_->keys->Next(), nullptr);
  }
}

TEST_F(SigningKeyRotationTest, AKeyThatIsNotOfKmsCannotBeFollowed) {
  enclave_->given = KeyEnclave::Address('\x77');
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("whose ciphertext is not in /faulty"));
  enclave_->scripted.without_storage = true;
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("--storage none"));
}

TEST_F(SigningKeyRotationTest, WithoutASnapshotUnderTheNewStateKeyTheOlderKeyStaysTheRoot) {
  enclave_->on_adopt = [this] { enclave_->scripted.Seal(); };
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("no snapshot under it was stored"));
  Retired();
  EXPECT_EQ(Now(), Step::kDraining);
  EXPECT_THAT(Why(), HasSubstr("what is stored needs a state key of the retired one"));
  EXPECT_EQ(host_->keys->root_epoch(), 0u) << "its state keys are needed";
  enclave_->SealSnapshot();
  EXPECT_TRUE(Until(Step::kDone)) << Why();
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
}

TEST_F(SigningKeyRotationTest, TheExpectedAddressStaysInUse) {
  options_.expected_address = AddressOf('\x11');
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  Retired();
  scheduler_.Advance(absl::Seconds(10));
  EXPECT_EQ(host_->keys->root_epoch(), 0u);
  EXPECT_THAT(Why(), HasSubstr("--expected-address names the retired key"));
  options_.expected_address = AddressOf('\x21');
  StartHost();
  EXPECT_TRUE(Until(Step::kDone)) << "by itself";
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
}

TEST_F(SigningKeyRotationTest, WhatCannotBeNotedIsNotedLater) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  folder_->set_capacity(1);
  Retired();
  EXPECT_EQ(Now(), Step::kDraining);
  EXPECT_EQ(host_->keys->root_epoch(), 0u);
  folder_->Heal();
  EXPECT_TRUE(Until(Step::kDone));
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
}

TEST_F(SigningKeyRotationTest, AStoredKeyIsAdoptedByItselfOnceTheEnclaveIsReady) {
  // As a host leaves it that dies between storing and adopting.
  const auto next = KeyEnclave::MadeSigning(1, '\x21');
  ASSERT_TRUE(host_->keys->PutStateKey(KeyEnclave::MadeFor(next, 2)).ok());
  ASSERT_TRUE(host_->keys->PutNext(next).ok());
  RestartEnclave();
  StartHost();
  EXPECT_TRUE(Until(Step::kDraining)) << Why();
  EXPECT_THAT(Asked(), ElementsAre(ClientFrame::kProvision, ClientFrame::kAdoptSigningKey));
  EXPECT_EQ(enclave_->asked[0].provision().next_signing_key().address(), next.address());
  EXPECT_EQ(enclave_->scripted.state_key_epoch, 2u);
}

TEST_F(SigningKeyRotationTest, AnEnclaveThatLacksTheStoredKeyIsSaidToNeedARestart) {
  const auto next = KeyEnclave::MadeSigning(1, '\x21');
  ASSERT_TRUE(host_->keys->PutStateKey(KeyEnclave::MadeFor(next, 2)).ok());
  ASSERT_TRUE(host_->keys->PutNext(next).ok());
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("the stored signing key, which it is given when it starts"));
  EXPECT_THAT(Asked(), ElementsAre(ClientFrame::kAdoptSigningKey)) << "no third one is made";
  RestartEnclave();
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Until(Step::kDraining)) << Why();
  EXPECT_EQ(Why(), "") << "no longer";
}

// The enclave made it, and does not speak of it; the host dies between storing and adopting.
TEST_F(SigningKeyRotationTest, AStoredKeyThatALivingEnclaveMadeIsAdoptedByTheNextHost) {
  enclave_->waiting.emplace();
  *enclave_->waiting->mutable_signing_key() = KeyEnclave::MadeSigning(1, '\x21');
  *enclave_->waiting->mutable_state_key() =
      KeyEnclave::MadeFor(enclave_->waiting->signing_key(), 2);
  ASSERT_TRUE(host_->keys->PutStateKey(enclave_->waiting->state_key()).ok());
  ASSERT_TRUE(host_->keys->PutNext(enclave_->waiting->signing_key()).ok());
  StartHost();
  EXPECT_TRUE(Until(Step::kDraining)) << Why();
  EXPECT_THAT(Asked(), ElementsAre(ClientFrame::kAdoptSigningKey));
}

TEST_F(SigningKeyRotationTest, AStateThatIsFurtherThanTheFolderIsSaid) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  enclave_->signing.back().set_use(SigningKeyState::USE_DRAINING);
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("another signing key follows that of 0x2121"));
}

TEST_F(SigningKeyRotationTest, AfterARestartOfBothADrainingKeyIsLookedAfter) {
  ASSERT_EQ(Rotate(), Step::kDraining) << Why();
  RestartEnclave();
  StartHost();
  EXPECT_EQ(Now(), Step::kIdle);
  EXPECT_EQ(rotation().progress().to, AddressOf('\x21')) << "as the folder says";
  ASSERT_TRUE(Until(Step::kDraining));
  RestartEnclave();
  enclave_->Retire();
  EXPECT_TRUE(Until(Step::kDone)) << "its state says so";
  EXPECT_EQ(host_->keys->root_epoch(), 1u);
  RestartEnclave();
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(UntilReady()) << Reason();
  const auto& given = enclave_->asked.at(0).provision();
  EXPECT_EQ(given.signing_key_epoch(), 1u);
  EXPECT_EQ(given.expected_address(), KeyEnclave::Address('\x21'));
  EXPECT_FALSE(given.has_next_signing_key());
  EXPECT_EQ(given.state_keys_size(), 1);
}

// The host dies at each operation of the folder's disk; the enclave lives on, or is restarted.
// Afterwards what is in use is stored, and the rotation comes to its end.
TEST_F(SigningKeyRotationTest, KilledAtEachStepItIsGoneOnWith) {
  for (const bool enclave_too : {false, true}) {
    bool finished = false;
    for (uint64_t cut = 1; !finished; ++cut) {
      ASSERT_LT(cut, 40u);
      host_.reset();
      records_ = std::make_unique<FaultyDisk>();
      folder_ = std::make_unique<FaultyDisk>();
      StartEnclave();
      Snapshots();
      PutCiphertext();
      StartHost();
      ASSERT_TRUE(UntilReady()) << Reason();
      std::mt19937_64 random(cut);
      folder_->CrashAt(folder_->operations() + cut);
      const bool drains = Rotate() == Step::kDraining;
      if (drains) {
        scheduler_.Advance(absl::Seconds(1));
        Retired();
        finished = Now() == Step::kDone;
      }
      host_.reset();
      folder_->Restart(random);
      const auto kept = *KeyStore::Open(folder_.get());
      for (const SigningKeyState& key : enclave_->signing) {
        if (key.use() == SigningKeyState::USE_RETIRED) continue;
        EXPECT_TRUE(kept->InUse(key.address())) << cut << ": what signs is stored";
      }
      EXPECT_TRUE(kept->Provides(enclave_->scripted.state_key_epoch)) << cut;
      if (enclave_too) RestartEnclave();
      StartHost();
      ASSERT_TRUE(UntilReady()) << Reason();
      scheduler_.Advance(absl::Seconds(10));
      if (host_->keys->root_epoch() == 0) {
        if (host_->keys->Next() == nullptr) {
          ASSERT_EQ(Rotate(), Step::kDraining) << cut << Why();
        }
        ASSERT_EQ(Now(), Step::kDraining) << cut << ": by itself; " << Why();
        enclave_->Retire();
        ASSERT_TRUE(Until(Step::kDone)) << cut << Why();
      }
      EXPECT_EQ(host_->keys->root_epoch(), 1u);
      EXPECT_EQ(host_->keys->Root()->address->view(), enclave_->signing.back().address());
    }
  }
}

}  // namespace
}  // namespace coffer::host
