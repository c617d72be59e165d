// Another state key while the enclave works, cut off wherever it can be.
#include "actors/host/key_rotation.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/unit/host_keys/key_world.h"

namespace coffer::host {
namespace {

using Step = RotationStep;
using boundary::v1::ClientFrame;
using ::testing::HasSubstr;

class KeyRotationTest : public KeyWorld {
 protected:
  KeyRotationTest() {
    PutCiphertext();
    StartHost();
    EXPECT_TRUE(UntilReady()) << Reason();
    Snapshots();
    scheduler_.Advance(absl::Seconds(1));
  }
  // The enclave seals what it is told to: a record and the snapshot on it.
  void Snapshots() {
    enclave_->on_adopt = [this] {
      enclave_->scripted.Seal();
      enclave_->scripted.SendChunk(enclave_->scripted.sealed_, 0, 1);
    };
  }
  Step Rotate(const std::string& key_id = "") {
    const absl::Status started = host_->rotation.Start(key_id);
    EXPECT_TRUE(started.ok()) << started;
    scheduler_.RunUntil(
        [this] {
          const Step step = host_->rotation.progress().step;
          return step == Step::kDone || step == Step::kFailed;
        },
        absl::Minutes(20));
    return host_->rotation.progress().step;
  }
  std::string Why() { return host_->rotation.progress().why; }
  std::vector<int> Asked() {
    std::vector<int> kinds;
    for (const ClientFrame& frame : enclave_->asked) kinds.push_back(frame.body_case());
    return kinds;
  }
};

TEST_F(KeyRotationTest, ANewKeyIsStoredAdoptedAndTheStateSealedUnderIt) {
  enclave_->asked.clear();
  EXPECT_EQ(Rotate("alias/new"), Step::kDone) << Why();
  EXPECT_THAT(Asked(),
              ::testing::ElementsAre(ClientFrame::kRotateStateKey, ClientFrame::kAdoptStateKey));
  EXPECT_EQ(enclave_->asked[0].rotate_state_key().key_id(), "alias/new");
  EXPECT_EQ(enclave_->asked[0].rotate_state_key().aws().secret_access_key(), "secret 2");
  EXPECT_EQ(host_->rotation.progress().from_epoch, 1u);
  EXPECT_EQ(host_->rotation.progress().epoch, 2u);
  EXPECT_EQ(host_->rotation.done(), 1u);
  const auto kept = *KeyStore::Open(folder_.get());
  EXPECT_TRUE(kept->HasEpoch(1)) << "the old one stays, for backups";
  EXPECT_TRUE(kept->HasEpoch(2));
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
  EXPECT_EQ(enclave_->scripted.state_key_epoch, 3u);
}

TEST_F(KeyRotationTest, ASnapshotOnTheVerySameRecordTakesThePlaceOfTheOld) {
  const auto resnapshot = [this] {
    enclave_->scripted.SendChunk(enclave_->scripted.sealed_, 0, 2);
    enclave_->scripted.SendChunk(enclave_->scripted.sealed_, 1, 2);
  };
  enclave_->on_adopt = resnapshot;
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
  EXPECT_EQ(host_->store.status().snapshots, 2u);
  EXPECT_EQ(host_->store.status().snapshot_sequence, 1u);
}

TEST_F(KeyRotationTest, OneAtATimeAndOnlyWithAReadyEnclave) {
  ASSERT_TRUE(host_->rotation.Start("").ok());
  EXPECT_EQ(host_->rotation.Start("").code(), absl::StatusCode::kFailedPrecondition);
  scheduler_.Advance(absl::Seconds(5));
  StartHost();
  EXPECT_EQ(host_->rotation.Start("").code(), absl::StatusCode::kUnavailable);
}

TEST_F(KeyRotationTest, AKeyThatCannotBeStoredIsNotAdopted) {
  folder_->set_capacity(1);
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("cannot be stored and is not used"));
  EXPECT_EQ(enclave_->scripted.state_key_epoch, 1u);
  folder_->Heal();
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
}

TEST_F(KeyRotationTest, RefusalsAndMissingCredentialsAreSaid) {
  enclave_->refuse = boundary::v1::ERROR_KMS;
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("AccessDeniedException: no"));
  host_->credentials.why = absl::NotFoundError("none here");
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_EQ(Why(), "none here");
  EXPECT_EQ(host_->rotation.failed(), 2u);
}

TEST_F(KeyRotationTest, WithoutASnapshotItSaysThatTheOldKeyIsNeeded) {
  enclave_->on_adopt = [this] { enclave_->scripted.Seal(); };
  EXPECT_EQ(Rotate(), Step::kFailed);
  EXPECT_THAT(Why(), HasSubstr("no snapshot under it was stored"));
}

TEST_F(KeyRotationTest, AStoredKeyThatWasNotAdoptedIsGoneOnWith) {
  // As a host leaves it that dies between storing and adopting.
  enclave_->pending = 2;
  ASSERT_TRUE(host_->keys->PutStateKey(KeyEnclave::Made(2, 9)).ok());
  enclave_->asked.clear();
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
  EXPECT_THAT(Asked(), ::testing::ElementsAre(ClientFrame::kAdoptStateKey));
}

TEST_F(KeyRotationTest, AKeyThatTheEnclaveForgotIsReplaced) {
  ASSERT_TRUE(host_->keys->PutStateKey(KeyEnclave::Made(2, 9)).ok());
  EXPECT_EQ(Rotate(), Step::kDone) << Why();
  EXPECT_EQ(host_->keys->state_keys().at(2).ciphertext(), KeyEnclave::Made(2, 2).ciphertext());
}

// The host dies at each operation of the folder's disk; the enclave lives on, or is restarted.
TEST_F(KeyRotationTest, KilledAtEachStepTheKeyInUseIsStored) {
  for (const bool enclave_too : {false, true}) {
    bool finished = false;
    for (uint64_t cut = 1; !finished; ++cut) {
      ASSERT_LT(cut, 40u);
      std::mt19937_64 random(cut);
      folder_->CrashAt(folder_->operations() + cut);
      finished = Rotate() == Step::kDone;
      host_.reset();
      folder_->Restart(random);
      EXPECT_TRUE((*KeyStore::Open(folder_.get()))->HasEpoch(enclave_->scripted.state_key_epoch));
      if (enclave_too) {
        const uint64_t sealed = enclave_->scripted.sealed_;
        StartEnclave();
        enclave_->scripted.sealed_ = sealed;  // it goes on where what it is given ends
      }
      Snapshots();
      StartHost();
      ASSERT_TRUE(UntilReady()) << Reason();
      EXPECT_TRUE(host_->keys->HasEpoch(enclave_->scripted.state_key_epoch));
      EXPECT_EQ(Rotate(), Step::kDone) << Why();
    }
  }
}

}  // namespace
}  // namespace coffer::host
