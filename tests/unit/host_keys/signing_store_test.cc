// The folder's signing keys after the first: which is the root, which follows, and nothing lost
// wherever the power goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "actors/host/key_store.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/key_enclave.h"

namespace coffer::host {
namespace {

using boundary::v1::SigningKey;
using boundary::v1::StateKey;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ethereum::Address AddressOf(char fill) {
  return *ethereum::Address::FromBytes(KeyEnclave::Address(fill));
}

SigningCiphertext First() {
  SigningCiphertext signing;
  signing.ciphertext = "first";
  signing.encryption_algorithm = "SYMMETRIC_DEFAULT";
  signing.address = AddressOf('\x11');
  boundary::v1::Policy policy;
  policy.set_chain_id(42161);
  signing.policy = policy.SerializeAsString();
  return signing;
}

// As it is after one rotation was begun.
std::unique_ptr<KeyStore> Begun(FaultyDisk& disk) {
  auto store = *KeyStore::Open(&disk);
  const SigningKey next = KeyEnclave::MadeSigning(1, '\x21');
  EXPECT_TRUE(store->PutSigning(First()).ok());
  EXPECT_TRUE(store->PutStateKey(KeyEnclave::Made(1, 1)).ok());
  EXPECT_TRUE(store->PutStateKey(KeyEnclave::MadeFor(next, 2)).ok());
  EXPECT_TRUE(store->PutNext(next).ok());
  return store;
}

std::vector<uint32_t> Epochs(const KeyStore& store) {
  std::vector<uint32_t> epochs;
  for (const StateKey& key : store.Newest()) epochs.push_back(key.epoch());
  return epochs;
}

TEST(SigningStoreTest, TheNextKeyStandsBesideTheRootUntilItIsTheRoot) {
  FaultyDisk disk;
  auto store = Begun(disk);
  for (int reopened = 0; reopened < 2; ++reopened) {
    EXPECT_EQ(store->root_epoch(), 0u);
    EXPECT_EQ(store->Root(), First());
    ASSERT_NE(store->Next(), nullptr);
    EXPECT_EQ(store->Next()->encryption_context().at("coffer:purpose"), "signing-key");
    EXPECT_TRUE(store->InUse(KeyEnclave::Address('\x11')));
    EXPECT_TRUE(store->InUse(KeyEnclave::Address('\x21')));
    EXPECT_FALSE(store->InUse(KeyEnclave::Address('\x22')));
    EXPECT_THAT(Epochs(*store), ElementsAre(1, 2));
    store = *KeyStore::Open(&disk);
  }
  ASSERT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
  const uint64_t written = disk.operations();
  EXPECT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
  EXPECT_EQ(disk.operations(), written) << "once is enough";
  for (int reopened = 0; reopened < 2; ++reopened) {
    EXPECT_EQ(store->root_epoch(), 1u);
    EXPECT_EQ(store->Root()->ciphertext, KeyEnclave::MadeSigning(1, '\x21').ciphertext());
    EXPECT_EQ(store->Root()->address, AddressOf('\x21'));
    EXPECT_EQ(store->Root()->policy, First().policy) << "whichever the root is";
    EXPECT_EQ(store->Next(), nullptr);
    EXPECT_FALSE(store->InUse(KeyEnclave::Address('\x11')));
    EXPECT_THAT(Epochs(*store), ElementsAre(2)) << "the other is of a key that is gone";
    EXPECT_FALSE(store->Provides(1));
    EXPECT_TRUE(store->HasEpoch(1)) << "and stays, for backups";
    store = *KeyStore::Open(&disk);
  }
  EXPECT_TRUE(disk.Exists("signing.ciphertext"));
  EXPECT_TRUE(store->PutNext(KeyEnclave::MadeSigning(2, '\x22')).ok());
  EXPECT_EQ((*KeyStore::Open(&disk))->Next()->epoch(), 2u);
}

TEST(SigningStoreTest, AKeyThatDoesNotFollowIsNotStored) {
  FaultyDisk disk;
  auto store = *KeyStore::Open(&disk);
  EXPECT_EQ(store->PutNext(KeyEnclave::MadeSigning(1, '\x21')).code(),
            absl::StatusCode::kFailedPrecondition)
      << "there is nothing that it could follow";
  ASSERT_TRUE(store->PutSigning(First()).ok());
  EXPECT_EQ(store->PutNext(KeyEnclave::MadeSigning(2, '\x21')).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store->PutNext(KeyEnclave::MadeSigning(1, '\x11')).code(),
            absl::StatusCode::kFailedPrecondition);
  SigningKey odd = KeyEnclave::MadeSigning(1, '\x21');
  odd.clear_tag();
  EXPECT_EQ(store->PutNext(odd).code(), absl::StatusCode::kInvalidArgument);
  odd = KeyEnclave::MadeSigning(1, '\x21');
  odd.set_address("short");
  EXPECT_EQ(store->PutNext(odd).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(store->PutNext(KeyEnclave::MadeSigning(1, '\x21')).ok());
  EXPECT_TRUE(store->PutNext(KeyEnclave::MadeSigning(1, '\x21')).ok()) << "the same again";
  EXPECT_EQ(store->PutNext(KeyEnclave::MadeSigning(1, '\x22')).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store->MakeRoot(AddressOf('\x22')).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store->MakeRoot(AddressOf('\x11')).ok()) << "which it is";
  EXPECT_EQ(store->root_epoch(), 0u);
}

TEST(SigningStoreTest, AStateKeyGoesWithItsSigningKeyAlone) {
  FaultyDisk disk;
  auto store = Begun(disk);
  StateKey orphan = KeyEnclave::MadeFor(KeyEnclave::MadeSigning(1, '\x33'), 3);
  ASSERT_TRUE(store->PutStateKey(orphan).ok()) << "as a crash leaves it";
  StateKey named = KeyEnclave::Made(4, 1);
  named.set_address(KeyEnclave::Address('\x11'));
  ASSERT_TRUE(store->PutStateKey(named).ok());
  EXPECT_THAT(Epochs(*store), ElementsAre(1, 2, 4));
  EXPECT_FALSE(store->Provides(3));
  store = *KeyStore::Open(&disk);
  EXPECT_EQ(store->state_keys().at(3).address(), KeyEnclave::Address('\x33'));
  // Where the first one's address is not known, the enclave says which are its own.
  ASSERT_TRUE(disk.Remove("signing.json").ok());
  ASSERT_TRUE(disk.Remove("signing-1.json").ok());
  EXPECT_THAT(Epochs(**KeyStore::Open(&disk)), ElementsAre(1, 2, 3, 4));
}

TEST(SigningStoreTest, WhatAnEnclaveIsGiven) {
  FaultyDisk disk;
  auto store = Begun(disk);
  boundary::v1::Provision both;
  FillProvision(*store->Root(), store.get(), &both);
  EXPECT_EQ(both.ciphertext(), "first");
  EXPECT_EQ(both.encryption_algorithm(), "SYMMETRIC_DEFAULT");
  EXPECT_EQ(both.signing_key_epoch(), 0u);
  EXPECT_EQ(both.next_signing_key().address(), KeyEnclave::Address('\x21'));
  EXPECT_EQ(both.state_keys_size(), 2);
  EXPECT_EQ(both.policy().chain_id(), 42161u);
  ASSERT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
  boundary::v1::Provision one;
  FillProvision(*store->Root(), store.get(), &one);
  EXPECT_EQ(one.ciphertext(), KeyEnclave::MadeSigning(1, '\x21').ciphertext());
  EXPECT_EQ(one.encryption_context().at("coffer:purpose"), "signing-key");
  EXPECT_EQ(one.signing_key_epoch(), 1u);
  EXPECT_FALSE(one.has_next_signing_key());
  ASSERT_EQ(one.state_keys_size(), 1);
  EXPECT_EQ(one.state_keys(0).epoch(), 2u);
  EXPECT_EQ(one.policy().chain_id(), 42161u);
}

TEST(SigningStoreTest, AnExpectedAddressMayBeEitherOfTwo) {
  FaultyDisk disk;
  auto store = Begun(disk);
  EXPECT_EQ(RootAddress(*store, std::nullopt), AddressOf('\x11'));
  EXPECT_EQ(RootAddress(*store, AddressOf('\x11')), AddressOf('\x11'));
  EXPECT_EQ(RootAddress(*store, AddressOf('\x21')), AddressOf('\x11'));
  EXPECT_EQ(RootAddress(*store, AddressOf('\x22')), AddressOf('\x22')) << "which will not come out";
  ASSERT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
  EXPECT_EQ(RootAddress(*store, AddressOf('\x11')), AddressOf('\x11')) << "retired: likewise";
}

TEST(SigningStoreTest, FilesAreReadStrictly) {
  FaultyDisk good;
  auto store = Begun(good);
  const std::string text = good.Contents("signing-1.json");
  const auto refused = [&](const std::string& name, const std::string& content,
                           const std::string& why) {
    auto disk = good.Clone();
    EXPECT_TRUE((*disk->Create(name))->Write(0, content).ok());
    const auto opened = KeyStore::Open(disk.get());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << content;
    EXPECT_THAT(opened.status().message(), HasSubstr("/faulty/" + name)) << content;
    EXPECT_THAT(opened.status().message(), HasSubstr(why)) << content;
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    EXPECT_THAT(text, HasSubstr(from));
    return absl::StrReplaceAll(text, {{from, to}});
  };
  refused("signing-1.json", text.substr(0, text.size() / 2), "");
  refused("signing-1.json", changed("\"epoch\":1", "\"epoch\":2"), "epoch 2");
  refused("signing-1.json", changed("\"epoch\":1", "\"epoch\":0"), "epoch");
  refused("signing-1.json", changed("\"address\":\"0x", "\"address\":\"0X"), "address");
  refused("signing-1.json", changed("\"address\"", "\"adress\""), "does not know");
  refused("signing-1.json",
          changed("\"address\":\"0x2121212121212121212121212121212121212121\",", ""), "address");
  refused("signing-1.json", changed("\"tag\":\"0x", "\"tag\":\"0x00"), "tag");
  refused("signing-1.json", changed("}\n", ",\"root\":false}\n"), "root");
  refused("signing-1.json", changed("}\n", ",\"root\":1}\n"), "root");
  refused("signing-1.json", changed("\"encryption_context\"", "\"context\""), "");
  refused("signing-01.json", text, "has not the name of a signing key, signing-<epoch>.json");
  refused("signing-.json", text, "has not the name of a signing key");
  refused("signing-2.json", changed("\"epoch\":1", "\"epoch\":2"), "does not follow");
  {
    auto disk = good.Clone();
    ASSERT_TRUE(disk->Remove("signing.ciphertext").ok());
    EXPECT_THAT(
        KeyStore::Open(disk.get()).status().message(),
        HasSubstr("follows the signing key of /faulty/signing.ciphertext, which is missing"));
    // One that is retired is not missed.
    ASSERT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
    auto later = good.Clone();
    ASSERT_TRUE(later->Remove("signing.ciphertext").ok());
    const auto opened = KeyStore::Open(later.get());
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->Root()->address, AddressOf('\x21'));
    EXPECT_EQ((*opened)->PutPolicy("").code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST(SigningStoreTest, APolicyThatIsGivenLaterIsKeptWithTheFirstKey) {
  FaultyDisk disk;
  auto store = Begun(disk);
  ASSERT_TRUE(store->MakeRoot(AddressOf('\x21')).ok());
  boundary::v1::Policy policy;
  policy.set_chain_id(1);
  ASSERT_TRUE(store->PutPolicy(policy.SerializeAsString()).ok());
  EXPECT_EQ((*KeyStore::Open(&disk))->Root()->policy, policy.SerializeAsString());
}

// At every operation of the disk the power goes, in a rotation and in the next one.
TEST(SigningStoreTest, APowerCutAtAnyOperationLeavesARotationThatCanGoOn) {
  const SigningKey one = KeyEnclave::MadeSigning(1, '\x21');
  const SigningKey two = KeyEnclave::MadeSigning(2, '\x22');
  for (uint64_t seed = 0; seed < 20; ++seed) {
    bool finished = false;
    for (uint64_t cut = 1; !finished; ++cut) {
      ASSERT_LT(cut, 100u);
      std::mt19937_64 random(seed);
      FaultyDisk disk;
      auto store = *KeyStore::Open(&disk);
      ASSERT_TRUE(store->PutSigning(First()).ok());
      ASSERT_TRUE(store->PutStateKey(KeyEnclave::Made(1, 1)).ok());
      disk.CrashAt(disk.operations() + cut);
      const bool state = store->ReplaceStateKey(KeyEnclave::MadeFor(one, 2)).ok();
      const bool next = state && store->PutNext(one).ok();
      const bool rooted = next && store->MakeRoot(AddressOf('\x21')).ok();
      const bool state_two = rooted && store->ReplaceStateKey(KeyEnclave::MadeFor(two, 3)).ok();
      finished = state_two && store->PutNext(two).ok();
      disk.Restart(random);
      const auto opened = KeyStore::Open(&disk);
      ASSERT_TRUE(opened.ok()) << opened.status() << ", cut at " << cut << ", seed " << seed;
      KeyStore& after = **opened;
      EXPECT_GE(after.root_epoch() + (after.Next() != nullptr ? 1 : 0), next ? 1u : 0u) << cut;
      EXPECT_GE(after.root_epoch(), rooted ? 1u : 0u) << cut;
      if (finished) {
        EXPECT_NE(after.Next(), nullptr);
      }
      // Whichever is there has a state key.
      for (const char fill : {'\x21', '\x22'}) {
        if (!after.InUse(KeyEnclave::Address(fill))) continue;
        EXPECT_TRUE(after.Provides(fill == '\x21' ? 2 : 3)) << cut;
      }
      // It goes on, from wherever it is.
      ASSERT_TRUE(after.ReplaceStateKey(KeyEnclave::MadeFor(one, 2)).ok());
      if (after.root_epoch() == 0) {
        ASSERT_TRUE(after.PutNext(one).ok());
      }
      ASSERT_TRUE(after.MakeRoot(AddressOf('\x21')).ok());
      ASSERT_TRUE(after.PutNext(two).ok());
    }
  }
}

}  // namespace
}  // namespace coffer::host
