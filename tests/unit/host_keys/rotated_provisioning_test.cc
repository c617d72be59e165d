// An enclave is given two signing keys, or a later one; and what it holds and the folder does not
// is not loaded.
#include <gmock/gmock.h>

#include "tests/unit/host_keys/key_world.h"

namespace coffer::host {
namespace {

using boundary::v1::SigningKeyState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RotatedProvisioningTest : public KeyWorld {
 protected:
  RotatedProvisioningTest() {
    SigningCiphertext first;
    first.ciphertext = "ciphertext";
    first.address = AddressOf('\x11');
    boundary::v1::Policy policy;
    policy.set_chain_id(42161);
    first.policy = policy.SerializeAsString();
    const auto next = KeyEnclave::MadeSigning(1, '\x21');
    auto store = *KeyStore::Open(folder_.get());
    EXPECT_TRUE(store->PutSigning(first).ok());
    EXPECT_TRUE(store->PutStateKey(KeyEnclave::Made(1, 1)).ok());
    EXPECT_TRUE(store->PutStateKey(KeyEnclave::MadeFor(next, 2)).ok());
    EXPECT_TRUE(store->PutNext(next).ok());
  }
  static ethereum::Address AddressOf(char fill) {
    return *ethereum::Address::FromBytes(KeyEnclave::Address(fill));
  }
  void MakeRoot() {
    ASSERT_TRUE((*KeyStore::Open(folder_.get()))->MakeRoot(AddressOf('\x21')).ok());
  }
  const boundary::v1::Provision& Given() { return enclave_->asked.at(0).provision(); }
  // As an enclave is that somebody else provisioned.
  void Provisioned(uint32_t epoch, char fill, SigningKeyState::Use use) {
    enclave_->scripted.phase = boundary::v1::PHASE_EMPTY;
    enclave_->scripted.state_key_epoch = 2;
    enclave_->scripted.on_status = [=](boundary::v1::Status* status) {
      SigningKeyState* const key = status->add_signing_keys();
      key->set_epoch(epoch);
      key->set_address(KeyEnclave::Address(fill));
      key->set_use(use);
    };
  }
};

TEST_F(RotatedProvisioningTest, BothKeysAreGivenWithTheStateKeysOfBoth) {
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  EXPECT_EQ(Given().ciphertext(), "ciphertext");
  EXPECT_EQ(Given().signing_key_epoch(), 0u);
  EXPECT_EQ(Given().expected_address(), KeyEnclave::Address('\x11'));
  EXPECT_EQ(Given().next_signing_key().SerializeAsString(),
            KeyEnclave::MadeSigning(1, '\x21').SerializeAsString());
  ASSERT_EQ(Given().state_keys_size(), 2);
  EXPECT_EQ(Given().state_keys(1).address(), KeyEnclave::Address('\x21'));
  EXPECT_EQ(Given().policy().chain_id(), 42161u);
}

TEST_F(RotatedProvisioningTest, OnceTheOlderIsRetiredTheNewerIsGivenAlone) {
  MakeRoot();
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  EXPECT_EQ(Given().ciphertext(), KeyEnclave::MadeSigning(1, '\x21').ciphertext());
  EXPECT_EQ(Given().key_id(), "arn:aws:kms:us-east-2:1:key/k");
  EXPECT_EQ(Given().encryption_context().at("coffer:purpose"), "signing-key");
  EXPECT_EQ(Given().signing_key_epoch(), 1u);
  EXPECT_EQ(Given().expected_address(), KeyEnclave::Address('\x21'));
  EXPECT_FALSE(Given().has_next_signing_key());
  ASSERT_EQ(Given().state_keys_size(), 1);
  EXPECT_EQ(Given().state_keys(0).epoch(), 2u);
  EXPECT_EQ(Given().policy().chain_id(), 42161u);
  EXPECT_EQ((*KeyStore::Open(folder_.get()))->signing()->address, AddressOf('\x11')) << "untouched";
}

TEST_F(RotatedProvisioningTest, TheExpectedAddressMayBeEithers) {
  options_.expected_address = AddressOf('\x21');
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  EXPECT_EQ(Given().expected_address(), KeyEnclave::Address('\x11')) << "of what is opened";
  MakeRoot();
  StartEnclave();
  options_.expected_address = AddressOf('\x11');
  StartHost();
  ASSERT_TRUE(
      scheduler_.RunUntil([this] { return Failures(KeyTrouble::kAddress) > 0; }, absl::Seconds(9)))
      << "a retired one is none of them";
  EXPECT_EQ(enclave_->scripted.loads, 0);
}

TEST_F(RotatedProvisioningTest, StateKeysOfARetiredKeyAloneAreNone) {
  StartHost();
  ASSERT_TRUE(UntilReady()) << Reason();
  scheduler_.Advance(absl::Seconds(1));
  host_.reset();
  MakeRoot();
  ASSERT_TRUE(folder_->Remove("state-2.json").ok());
  StartEnclave();
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_THAT(Reason(), HasSubstr("kms no_state_keys: "));
  EXPECT_THAT(enclave_->asked, IsEmpty());
}

TEST_F(RotatedProvisioningTest, AnEnclaveWithASigningKeyThatIsNotStoredIsNotLoaded) {
  options_.provision = false;
  for (const auto use : {SigningKeyState::USE_WAITING, SigningKeyState::USE_CURRENT}) {
    StartEnclave();
    Provisioned(1, '\x22', use);
    StartHost();
    scheduler_.Advance(absl::Minutes(1));
    EXPECT_THAT(Reason(), HasSubstr("kms no_ciphertext: "));
    EXPECT_THAT(Reason(), HasSubstr("0x2222222222222222222222222222222222222222"));
    EXPECT_EQ(enclave_->scripted.loads, 0);
  }
  for (const char fill : {'\x21', '\x22'}) {
    StartEnclave();
    // Of one that is gone nothing can be lost.
    Provisioned(1, fill,
                fill == '\x21' ? SigningKeyState::USE_CURRENT : SigningKeyState::USE_RETIRED);
    StartHost();
    EXPECT_TRUE(UntilReady()) << Reason();
  }
}

TEST_F(RotatedProvisioningTest, AnEnclaveThatMayBeProvisionedAgainIsGivenTheFoldersKeys) {
  Provisioned(1, '\x22', SigningKeyState::USE_CURRENT);
  enclave_->reprovision = true;
  StartHost();
  ASSERT_TRUE(scheduler_.RunUntil([this] { return !enclave_->asked.empty(); }, absl::Seconds(9)));
  EXPECT_EQ(Given().next_signing_key().address(), KeyEnclave::Address('\x21'));
}

// The state key is the folder's by its number, and of a signing key that the folder has not.
TEST_F(RotatedProvisioningTest, AStateKeyThatNoKeyInUseVouchesForIsNotLoadedUnder) {
  options_.provision = false;
  const auto other = KeyEnclave::MadeSigning(1, '\x33');
  ASSERT_TRUE((*KeyStore::Open(folder_.get()))->PutStateKey(KeyEnclave::MadeFor(other, 3)).ok());
  enclave_->scripted.phase = boundary::v1::PHASE_EMPTY;
  enclave_->scripted.state_key_epoch = 3;
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_THAT(Reason(), HasSubstr("kms no_state_keys: "));
  EXPECT_EQ(enclave_->scripted.loads, 0);
}

}  // namespace
}  // namespace coffer::host
