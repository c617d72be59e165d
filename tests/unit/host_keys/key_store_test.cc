// The folder of ciphertexts: strict files, and nothing lost wherever the power goes.
#include "actors/host/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

using boundary::v1::StateKey;
using ::testing::HasSubstr;

StateKey KeyOf(uint32_t epoch, char fill = 'c') {
  StateKey key;
  key.set_epoch(epoch);
  key.set_ciphertext(std::string(200, fill));
  key.set_key_id("arn:aws:kms:us-east-2:1:key/state");
  key.set_tag(std::string(32, static_cast<char>(epoch)));
  return key;
}

SigningCiphertext SigningOf(const std::string& ciphertext) {
  SigningCiphertext signing;
  signing.ciphertext = ciphertext;
  signing.key_id = "alias/coffer";
  signing.encryption_context = {{"coffer:purpose", "signing \"key\""}, {"b", ""}};
  return signing;
}

std::string Put(FaultyDisk& disk, const std::string& name, const std::string& content) {
  auto file = disk.Create(name);
  EXPECT_TRUE((*file)->Write(0, content).ok());
  return name;
}

TEST(KeyStoreTest, KeepsWhatItWasGiven) {
  FaultyDisk disk;
  auto store = KeyStore::Open(&disk);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE((*store)->signing().has_value());
  SigningCiphertext signing = SigningOf(std::string("\0\x01\xff", 3));
  boundary::v1::Policy policy;
  policy.set_chain_id(42161);
  signing.policy = policy.SerializeAsString();
  signing.address = *ethereum::Address::FromBytes(std::string(20, '\x11'));
  ASSERT_TRUE((*store)->PutSigning(signing).ok());
  ASSERT_TRUE((*store)->PutStateKey(KeyOf(2)).ok());
  ASSERT_TRUE((*store)->PutStateKey(KeyOf(1)).ok());
  EXPECT_EQ(disk.Contents("signing.ciphertext"), signing.ciphertext) << "as KMS made it";
  auto again = KeyStore::Open(&disk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->signing(), signing);
  ASSERT_EQ((*again)->Newest().size(), 2u);
  EXPECT_EQ((*again)->Newest()[0].epoch(), 1u) << "oldest first";
  EXPECT_EQ((*again)->Newest()[1].SerializeAsString(), KeyOf(2).SerializeAsString());
}

TEST(KeyStoreTest, AnOperatorMayPutTheCiphertextThereByHand) {
  FaultyDisk disk;
  Put(disk, "signing.ciphertext", "from aws kms encrypt");
  Put(disk, "notes.txt", "mine");
  auto store = KeyStore::Open(&disk);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->signing()->ciphertext, "from aws kms encrypt");
  EXPECT_FALSE((*store)->signing()->address.has_value());
  // What came out of it is remembered beside it.
  SigningCiphertext known = *(*store)->signing();
  known.address = *ethereum::Address::FromBytes(std::string(20, '\x11'));
  ASSERT_TRUE((*store)->PutSigning(known).ok());
  EXPECT_EQ(*(*KeyStore::Open(&disk))->signing(), known);
}

TEST(KeyStoreTest, OneFolderServesOneKey) {
  FaultyDisk disk;
  auto store = *KeyStore::Open(&disk);
  ASSERT_TRUE(store->PutSigning(SigningOf("one")).ok());
  EXPECT_EQ(store->PutSigning(SigningOf("two")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(store->PutSigning(SigningOf("one")).ok());
  ASSERT_TRUE(store->PutStateKey(KeyOf(1)).ok());
  EXPECT_TRUE(store->PutStateKey(KeyOf(1)).ok());
  EXPECT_EQ(store->PutStateKey(KeyOf(1, 'd')).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(store->ReplaceStateKey(KeyOf(1, 'd')).ok());
  EXPECT_EQ((*KeyStore::Open(&disk))->state_keys().at(1).ciphertext(), std::string(200, 'd'));
}

TEST(KeyStoreTest, NoMoreKeysAreHandedOutThanAnEnclaveTakes) {
  FaultyDisk disk;
  auto store = *KeyStore::Open(&disk);
  for (uint32_t epoch = 1; epoch <= 70; ++epoch) ASSERT_TRUE(store->PutStateKey(KeyOf(epoch)).ok());
  ASSERT_EQ(store->Newest().size(), 64u);
  EXPECT_EQ(store->Newest().front().epoch(), 7u);
  EXPECT_EQ(store->Newest().back().epoch(), 70u);
}

TEST(KeyStoreTest, WhatMayNotBeIsNotStored) {
  FaultyDisk disk;
  auto store = *KeyStore::Open(&disk);
  EXPECT_FALSE(store->PutSigning(SigningOf("")).ok());
  EXPECT_FALSE(store->PutSigning(SigningOf(std::string(6145, 'x'))).ok());
  SigningCiphertext odd = SigningOf("x");
  odd.key_id = "\xff";
  EXPECT_FALSE(store->PutSigning(odd).ok());
  EXPECT_FALSE(store->PutStateKey(KeyOf(0)).ok());
  StateKey untagged = KeyOf(1);
  untagged.clear_tag();
  EXPECT_FALSE(store->PutStateKey(untagged).ok());
  EXPECT_TRUE(disk.List()->empty());
}

// A file with one thing changed is refused, and the sentence names it.
TEST(KeyStoreTest, FilesAreReadStrictly) {
  FaultyDisk good;
  auto store = *KeyStore::Open(&good);
  ASSERT_TRUE(store->PutSigning(SigningOf("cipher")).ok());
  ASSERT_TRUE(store->PutStateKey(KeyOf(1)).ok());
  const std::string state = good.Contents("state-1.json");
  const std::string signing = good.Contents("signing.json");
  const auto refused = [&](const std::string& name, const std::string& content,
                           const std::string& why) {
    auto disk = good.Clone();
    Put(*disk, name, content);
    const auto opened = KeyStore::Open(disk.get());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << content;
    EXPECT_THAT(opened.status().message(), HasSubstr("/faulty/" + name)) << content;
    EXPECT_THAT(opened.status().message(), HasSubstr(why)) << content;
  };
  const auto changed = [](const std::string& text, const std::string& from, const std::string& to) {
    EXPECT_THAT(text, HasSubstr(from));
    return absl::StrReplaceAll(text, {{from, to}});
  };
  refused("state-1.json", "", "");
  refused("state-1.json", state.substr(0, state.size() / 2), "");
  refused("state-1.json", state + "{}", "");
  refused("state-1.json", changed(state, "\"version\":1", "\"version\":2"), "version 1");
  refused("state-1.json", changed(state, "\"epoch\":1", "\"epoch\":2"), "epoch 2");
  refused("state-1.json", changed(state, "\"epoch\":1", "\"epoch\":4294967297"), "no epoch");
  refused("state-1.json", changed(state, "\"epoch\":1", "\"epoch\":1,\"epoch\":1"), "");
  refused("state-1.json", changed(state, "\"epoch\":1", "\"epoch\":1,\"more\":1"), "not know");
  refused("state-1.json", changed(state, "\"tag\":\"0x", "\"tag\":\"0x00"), "tag");
  refused("state-1.json", changed(state, "\"ciphertext_b64\":\"", "\"ciphertext_b64\":\" "),
          "base64");
  refused("state-01.json", state, "has not the name of a state key");
  refused("state-.json", state, "has not the name of a state key");
  refused("state-5.json", state, "epoch 1");
  {
    auto disk = good.Clone();
    Put(*disk, "signing.ciphertext", "another");
    EXPECT_THAT(KeyStore::Open(disk.get()).status().message(),
                HasSubstr("/faulty/signing.json is of another ciphertext"));
  }
  refused("signing.ciphertext", std::string(6145, 'x'), "more than 6144 bytes");
  refused("signing.json", changed(signing, "alias/coffer\"", "alias/coffer\",\"address\":\"0x12\""),
          "address");
  refused("signing.json", "[]", "");
}

// At every operation of the disk the power goes; afterwards the store holds the old or the new,
// whole, and what was said to be stored is there.
TEST(KeyStoreTest, APowerCutAtAnyOperationLosesNothingThatWasStored) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    bool finished = false;
    for (uint64_t cut = 1; !finished; ++cut) {
      ASSERT_LT(cut, 100u);
      std::mt19937_64 random(seed);
      FaultyDisk disk;
      auto store = *KeyStore::Open(&disk);
      SigningCiphertext signing = SigningOf("cipher");
      const auto address = *ethereum::Address::FromBytes(std::string(20, '\x11'));
      disk.CrashAt(cut);
      const bool first = store->PutSigning(signing).ok();
      signing.address = address;
      const bool pinned = store->PutSigning(signing).ok();
      const bool one = store->PutStateKey(KeyOf(1)).ok();
      const bool replaced = store->ReplaceStateKey(KeyOf(1, 'd')).ok();
      finished = replaced;
      disk.Restart(random);
      auto after = KeyStore::Open(&disk);
      ASSERT_TRUE(after.ok()) << after.status() << ", cut at " << cut << ", seed " << seed;
      const auto& kept = (*after)->signing();
      if (first) {
        ASSERT_TRUE(kept.has_value()) << cut;
        EXPECT_EQ(kept->ciphertext, "cipher");
        EXPECT_EQ(kept->key_id, "alias/coffer");
      }
      if (pinned) {
        EXPECT_EQ(kept->address, address);
      }
      if (one) {
        ASSERT_TRUE((*after)->HasEpoch(1)) << cut;
        const char fill = (*after)->state_keys().at(1).ciphertext().front();
        EXPECT_TRUE(replaced ? fill == 'd' : fill == 'c' || fill == 'd');
      }
      // It goes on.
      EXPECT_TRUE((*after)->PutSigning(signing).ok());
      EXPECT_TRUE((*after)->ReplaceStateKey(KeyOf(1, 'e')).ok());
    }
  }
}

TEST(KeyStoreTest, AFullDiskIsSaidAndTriedAgain) {
  FaultyDisk disk;
  auto store = *KeyStore::Open(&disk);
  disk.set_capacity(10);
  EXPECT_EQ(store->PutStateKey(KeyOf(1)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(store->HasEpoch(1));
  disk.Heal();
  EXPECT_TRUE(store->PutStateKey(KeyOf(1)).ok());
  EXPECT_TRUE((*KeyStore::Open(&disk))->HasEpoch(1));
}

TEST(KeyStoreTest, AFolderIsForItsOwnerAndForOneProcess) {
  const std::string path =
      std::filesystem::path(::testing::TempDir()) / absl::StrCat("coffer_keys_", getpid());
  std::filesystem::remove_all(path);
  {
    auto store = KeyStore::OpenFolder(path);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->PutSigning(SigningOf("cipher")).ok());
    ASSERT_TRUE((*store)->PutStateKey(KeyOf(1)).ok());
    for (const char* name : {"signing.ciphertext", "signing.json", "state-1.json"}) {
      struct stat info {};
      ASSERT_EQ(stat((path + "/" + name).c_str(), &info), 0) << name;
      EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
    }
    EXPECT_EQ(KeyStore::OpenFolder(path).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE((*KeyStore::OpenFolder(path))->HasEpoch(1));
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace coffer::host
