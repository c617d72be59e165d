// An enclave that has no key is given it, and nothing is sealed that could not be opened again.
#include "actors/host/key_provisioner.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/unit/host_keys/key_world.h"

namespace coffer::host {
namespace {

using boundary::v1::ClientFrame;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using KeyProvisionerTest = KeyWorld;

TEST_F(KeyProvisionerTest, ANewEnclaveIsProvisionedStoredAndOnlyThenLoaded) {
  PutCiphertext();
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  ASSERT_EQ(enclave_->asked.size(), 1u);
  const auto& asked = enclave_->asked[0].provision();
  EXPECT_EQ(asked.ciphertext(), "ciphertext");
  EXPECT_EQ(asked.aws().region(), "us-east-2");
  EXPECT_EQ(asked.aws().secret_access_key(), "secret 1");
  EXPECT_EQ(asked.aws().session_token(), "token");
  EXPECT_EQ(asked.aws().proxy_port(), 8000u);
  EXPECT_EQ(asked.state_keys_size(), 0);
  EXPECT_EQ(enclave_->scripted.loads, 1);
  const auto kept = *KeyStore::Open(folder_.get());
  EXPECT_TRUE(kept->HasEpoch(1));
  EXPECT_EQ(kept->signing()->address->view(), KeyEnclave::Address());
  EXPECT_EQ(host_->provisioner.counters().provisions, 1u);
  EXPECT_TRUE(host_->provisioner.counters().provisioned);
}

TEST_F(KeyProvisionerTest, AfterARestartOfTheEnclaveItIsProvisionedAgainWithWhatIsStored) {
  PutCiphertext();
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  StartEnclave();
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(UntilReady()) << Reason();
  ASSERT_EQ(enclave_->asked.size(), 1u);
  const auto& asked = enclave_->asked[0].provision();
  EXPECT_EQ(asked.aws().secret_access_key(), "secret 2") << "credentials are fetched anew";
  ASSERT_EQ(asked.state_keys_size(), 1);
  EXPECT_EQ(asked.state_keys(0).SerializeAsString(), KeyEnclave::Made(1, 1).SerializeAsString());
  EXPECT_EQ(asked.expected_address(), KeyEnclave::Address()) << "what came out the first time";
  EXPECT_EQ(enclave_->scripted.loaded.size(), 1u) << "the genesis record";
}

TEST_F(KeyProvisionerTest, AKeyIsGeneratedWhenAskedForAndNoneIsThere) {
  options_.generate_key_id = "alias/sign";
  options_.state_key_id = "alias/state";
  options_.generate_context = {{"coffer:deployment", "test"}};
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  const auto& asked = enclave_->asked.at(0).generate();
  EXPECT_EQ(asked.key_id(), "alias/sign");
  EXPECT_EQ(asked.key_spec(), "AES_256");
  EXPECT_EQ(asked.state_key_id(), "alias/state");
  const auto kept = *KeyStore::Open(folder_.get());
  EXPECT_EQ(kept->signing()->ciphertext, "generated ciphertext");
  EXPECT_EQ(kept->signing()->encryption_context.at("coffer:deployment"), "test");
  EXPECT_TRUE(kept->HasEpoch(1));
  StartEnclave();
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(UntilReady());
  EXPECT_EQ(enclave_->asked.at(0).body_case(), ClientFrame::kProvision) << "never a second one";
}

TEST_F(KeyProvisionerTest, WithoutACiphertextNothingIsDone) {
  StartHost();
  scheduler_.Advance(absl::Minutes(5));
  EXPECT_FALSE(host_->link.ready());
  EXPECT_THAT(Reason(), HasSubstr("kms no_ciphertext: "));
  EXPECT_THAT(Reason(), HasSubstr("/faulty/signing.ciphertext"));
  EXPECT_THAT(enclave_->asked, IsEmpty());
  EXPECT_EQ(host_->credentials.asked, 0);
  // It backs off: a minute between two tries in the end.
  EXPECT_GE(Failures(KeyTrouble::kCiphertext), 5u);
  EXPECT_LE(Failures(KeyTrouble::kCiphertext), 20u);
}

TEST_F(KeyProvisionerTest, RecordsWithoutTheirStateKeyAreNotThrownAway) {
  PutCiphertext();
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(folder_->Remove("state-1.json").ok());
  StartEnclave();
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_THAT(Reason(), HasSubstr("kms no_state_keys: "));
  EXPECT_THAT(Reason(), HasSubstr("--kms.new-state-key"));
  EXPECT_THAT(enclave_->asked, IsEmpty()) << "not even asked";
  options_.new_state_key = true;
  StartHost();
  EXPECT_TRUE(UntilReady()) << Reason();
}

TEST_F(KeyProvisionerTest, RecordsForbidANewSigningKey) {
  PutCiphertext();
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(folder_->Remove("signing.ciphertext").ok());
  options_.generate_key_id = "alias/sign";
  StartEnclave();
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_THAT(Reason(), HasSubstr("kms no_ciphertext: "));
  EXPECT_THAT(enclave_->asked, IsEmpty());
}

TEST_F(KeyProvisionerTest, EachTroubleHasItsWordAndIsTriedAgain) {
  PutCiphertext();
  StartHost();
  host_->credentials.why = absl::NotFoundError("no credentials of AWS were found");
  scheduler_.Advance(absl::Seconds(10));
  EXPECT_EQ(Reason(), "kms no_credentials: no credentials of AWS were found");
  host_->credentials.why = absl::OkStatus();
  enclave_->refuse = boundary::v1::ERROR_KMS;
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_EQ(Reason(), "kms kms: AccessDeniedException: no");
  enclave_->refuse = boundary::v1::ERROR_UNAVAILABLE;
  scheduler_.Advance(absl::Minutes(2));
  EXPECT_EQ(Failures(KeyTrouble::kRefused), 0u)
      << "KMS was not reached: the enclave refused nothing";
  EXPECT_THAT(Reason(), HasSubstr("kms kms: "));
  enclave_->refuse = boundary::v1::ERROR_MALFORMED;
  scheduler_.Advance(absl::Minutes(2));
  EXPECT_THAT(Reason(), HasSubstr("kms refused: the enclave refused its key: "));
  enclave_->refuse = boundary::v1::ERROR_UNSPECIFIED;
  enclave_->mute = true;
  scheduler_.Advance(absl::Minutes(5));
  EXPECT_GT(Failures(KeyTrouble::kNoAnswer), 0u);
  enclave_->mute = false;
  EXPECT_TRUE(UntilReady()) << Reason();
}

TEST_F(KeyProvisionerTest, AnotherKeyThanTheExpectedOneIsNotWorkedWith) {
  PutCiphertext();
  options_.expected_address = *ethereum::Address::FromBytes(KeyEnclave::Address('\x22'));
  StartHost();
  ASSERT_TRUE(
      scheduler_.RunUntil([this] { return Failures(KeyTrouble::kAddress) > 0; }, absl::Seconds(2)));
  EXPECT_THAT(Reason(), HasSubstr("0x1111111111111111111111111111111111111111"));
  EXPECT_EQ(enclave_->scripted.loads, 0);
  EXPECT_FALSE((*KeyStore::Open(folder_.get()))->HasEpoch(1));
}

TEST_F(KeyProvisionerTest, WhatCannotBeStoredIsNotLoadedAndIsStoredLater) {
  PutCiphertext();
  folder_->set_capacity(300);
  StartHost();
  scheduler_.Advance(absl::Seconds(20));
  EXPECT_THAT(Reason(), HasSubstr("kms key_folder: "));
  EXPECT_EQ(enclave_->scripted.loads, 0) << "nothing is sealed under a key that is not stored";
  folder_->Heal();
  ASSERT_TRUE(UntilReady()) << Reason();
  EXPECT_EQ(enclave_->asked.size(), 1u) << "it has its key already";
  EXPECT_TRUE((*KeyStore::Open(folder_.get()))->HasEpoch(1));
}

TEST_F(KeyProvisionerTest, AHostThatDoesNotProvisionStillGuards) {
  options_.provision = false;
  StartHost();
  scheduler_.Advance(absl::Seconds(10));
  EXPECT_THAT(Reason(), HasSubstr("kms not_asked: "));
  EXPECT_THAT(Reason(), HasSubstr("coffer provision"));
  // Somebody provisions it and keeps the state key for themselves.
  enclave_->scripted.phase = boundary::v1::PHASE_EMPTY;
  enclave_->scripted.state_key_epoch = 1;
  scheduler_.Advance(absl::Minutes(2));
  EXPECT_THAT(Reason(), HasSubstr("its state key of epoch 1, which is not in /faulty"));
  EXPECT_EQ(enclave_->scripted.loads, 0);
  // A development key needs nothing.
  enclave_->scripted.state_key_epoch = 0;
  EXPECT_TRUE(UntilReady());
}

TEST_F(KeyProvisionerTest, AnAnswerThatWasLostLeavesASentenceThatSaysWhatToDo) {
  PutCiphertext();
  enclave_->die_after_provision = true;
  StartHost();
  scheduler_.Advance(absl::Minutes(4));
  EXPECT_THAT(Reason(), HasSubstr("kms refused: "));
  EXPECT_THAT(Reason(), HasSubstr("restart the enclave, and it is provisioned anew"));
  EXPECT_EQ(enclave_->scripted.loads, 0);
  StartEnclave();
  EXPECT_TRUE(UntilReady()) << Reason();
}

TEST_F(KeyProvisionerTest, AnEnclaveThatMayBeProvisionedAgainIs) {
  PutCiphertext();
  enclave_->reprovision = true;
  enclave_->die_after_provision = true;
  StartHost();
  ASSERT_TRUE(scheduler_.RunUntil([this] { return Failures(KeyTrouble::kNoAnswer) > 0; },
                                  absl::Minutes(4)));
  enclave_->die_after_provision = false;
  ASSERT_TRUE(UntilReady()) << Reason();
  EXPECT_TRUE(host_->keys->HasEpoch(1));
  EXPECT_EQ(enclave_->scripted.loads, 1);
}

// The host dies, and the power goes, at every operation of the folder's disk during the first
// provisioning. Whatever was stored, after restarts of both all goes on, and no record is ever
// sealed under a key that is not in the folder.
TEST_F(KeyProvisionerTest, KilledAtEachStepNothingIsLost) {
  for (const bool generate : {false, true}) {
    for (const bool enclave_too : {false, true}) {
      bool finished = false;
      for (uint64_t cut = 1; !finished; ++cut) {
        ASSERT_LT(cut, 60u);
        host_.reset();
        records_ = std::make_unique<FaultyDisk>();
        folder_ = std::make_unique<FaultyDisk>();
        options_.generate_key_id = generate ? "alias/sign" : "";
        StartEnclave();
        if (!generate) PutCiphertext();
        std::mt19937_64 random(cut);
        folder_->CrashAt(folder_->operations() + cut);
        StartHost();
        finished = scheduler_.RunUntil([this] { return host_->link.ready(); }, absl::Seconds(3));
        const bool loaded = enclave_->scripted.loads > 0;
        EXPECT_EQ(loaded, finished);
        host_.reset();
        folder_->Restart(random);
        const auto kept = *KeyStore::Open(folder_.get());
        if (loaded) {
          EXPECT_TRUE(kept->HasEpoch(1)) << cut;
          EXPECT_TRUE(kept->signing().has_value());
        }
        if (enclave_too) StartEnclave();
        StartHost();
        if (!UntilReady()) {
          // The enclave that made the key still lives: it has to be restarted, as the reason says.
          ASSERT_FALSE(enclave_too) << Reason();
          EXPECT_THAT(Reason(), HasSubstr("kms "));
          StartEnclave();
          ASSERT_TRUE(UntilReady()) << Reason();
        }
        EXPECT_TRUE(host_->keys->HasEpoch(enclave_->scripted.state_key_epoch));
      }
    }
  }
}

}  // namespace
}  // namespace coffer::host
