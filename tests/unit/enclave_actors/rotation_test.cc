// Rotation of the state key, and a crash between any two steps of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "tests/unit/enclave_actors/kms_world.h"

namespace coffer::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::ResultOf;
using testing::SizeIs;

// A provisioned world with a state of 50 wei.
class RotationTest : public testing::Test {
 protected:
  RotationTest() : world_(21) {
    COFFER_CHECK(world_.Provision().has_provisioned(), "a world of a test is provisioned");
    host_ = &world_.Load(&disk_);
    host_->AskCredit("e", "a", 50);
    world_.scheduler.RunUntilIdle();
  }
  v1::StateKey Rotate() {
    const ServerFrame answer = world_.Call(*host_, world_.RotateFrame());
    EXPECT_TRUE(answer.has_state_key()) << answer.ShortDebugString();
    return answer.state_key();
  }
  ServerFrame Adopt(uint32_t epoch) { return world_.Call(*host_, KmsWorld::AdoptFrame(epoch)); }
  uint64_t Available() { return world_.Status(*host_).totals().available().low(); }
  void Restart() { host_ = &world_.Restart(&disk_); }

  KmsWorld world_;
  Disk disk_;
  Host* host_;
};

TEST_F(RotationTest, TheSnapshotIsTheFirstThingUnderTheNewKeyAndNothingOldIsNeeded) {
  const v1::StateKey made = Rotate();
  EXPECT_EQ(made.epoch(), 2u);
  EXPECT_EQ(made.key_id(), kKmsKey);
  EXPECT_EQ(world_.kms.calls.back().context.at("coffer:epoch"), "2");
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 1u) << "until it is adopted";
  host_->AskCredit("f", "a", 1);
  world_.scheduler.RunUntilIdle();
  EXPECT_EQ(EpochOf(disk_.Everything().back()), 1u);
  world_.keys[2] = made;
  const size_t before = host_->stores.size();
  // In one batch with work before it and after it.
  host_->AskCredit("g", "a", 1);
  const uint64_t adopt = host_->Ask(KmsWorld::AdoptFrame(2));
  host_->AskCredit("h", "a", 1);
  world_.scheduler.RunUntilIdle();
  EXPECT_EQ(host_->answers[adopt].state_key_adopted().state_key_epoch(), 2u);
  std::vector<v1::Store> stores(host_->stores.begin() + static_cast<std::ptrdiff_t>(before),
                                host_->stores.end());
  const auto first_new = std::find_if(stores.begin(), stores.end(), [](const v1::Store& store) {
    return EpochOf(store.sealed()) == 2;
  });
  ASSERT_NE(first_new, stores.end());
  EXPECT_EQ(first_new->kind(), v1::Store::KIND_SNAPSHOT_CHUNK);
  EXPECT_TRUE(std::all_of(first_new, stores.end(),
                          [](const v1::Store& store) { return EpochOf(store.sealed()) == 2; }));
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
  // Only the new one is kept from here on.
  world_.keys.erase(1);
  Restart();
  EXPECT_EQ(Available(), 53u);
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 2u);
  EXPECT_EQ(Rotate().epoch(), 3u);
}

TEST_F(RotationTest, AskedAgainTheSameKeyIsTheAnswer) {
  const v1::StateKey made = Rotate();
  EXPECT_EQ(Rotate().SerializeAsString(), made.SerializeAsString());
  const ServerFrame other = world_.Call(*host_, world_.RotateFrame("alias/other"));
  EXPECT_EQ(other.error().code(), v1::ERROR_WRONG_STATE);
  world_.keys[2] = made;
  EXPECT_TRUE(Adopt(2).has_state_key_adopted());
  EXPECT_TRUE(Adopt(2).has_state_key_adopted()) << "the answer may have been lost";
  const ServerFrame next = world_.Call(*host_, world_.RotateFrame("alias/other"));
  EXPECT_EQ(next.state_key().epoch(), 3u);
  EXPECT_EQ(next.state_key().key_id(), "alias/other");
}

TEST_F(RotationTest, WhatIsNotThereIsNotAdopted) {
  for (const uint32_t epoch : {0u, 2u, 7u}) {
    EXPECT_EQ(Adopt(epoch).error().code(), v1::ERROR_WRONG_STATE) << epoch;
  }
  Rotate();
  EXPECT_EQ(Adopt(3).error().code(), v1::ERROR_WRONG_STATE);
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 1u);
}

TEST_F(RotationTest, KmsMayRefuse) {
  world_.kms.trouble = absl::FailedPreconditionError("DisabledException");
  const ServerFrame refused = world_.Call(*host_, world_.RotateFrame());
  EXPECT_EQ(refused.error().code(), v1::ERROR_KMS);
  EXPECT_THAT(refused.error().message(), HasSubstr("DisabledException"));
  world_.kms.trouble = absl::OkStatus();
  world_.attesting().Freeze(absl::Seconds(5));
  const uint64_t first = host_->Ask(world_.RotateFrame());
  const uint64_t second = host_->Ask(world_.RotateFrame());
  const uint64_t credit = host_->AskCredit("f", "a", 1);
  world_.Wait(absl::Seconds(1));
  EXPECT_EQ(host_->Code(second), v1::ERROR_OVERLOADED);
  EXPECT_TRUE(host_->Has(credit)) << "payments go on";
  world_.Wait(absl::Seconds(9));
  EXPECT_EQ(host_->answers[first].state_key().epoch(), 2u);
}

TEST_F(RotationTest, ADevelopmentKeyHasNoneToRotate) {
  World world(22);
  Disk disk;
  Host& host = world.Load(&disk);
  EXPECT_EQ(world.Call(host, world_.RotateFrame()).error().code(), v1::ERROR_UNAVAILABLE);
  EXPECT_EQ(world.Call(host, KmsWorld::AdoptFrame(0)).error().code(), v1::ERROR_WRONG_STATE);
}

// ---- a crash of the enclave between two steps ---------------------------------------------------

TEST_F(RotationTest, CrashBeforeTheKeyIsStored) {
  const v1::StateKey lost = Rotate();
  Restart();
  EXPECT_EQ(Available(), 50u);
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 1u);
  EXPECT_EQ(Adopt(2).error().code(), v1::ERROR_WRONG_STATE) << "it is forgotten";
  const v1::StateKey made = Rotate();
  EXPECT_EQ(made.epoch(), 2u);
  EXPECT_NE(made.ciphertext(), lost.ciphertext());
  world_.keys[2] = made;
  EXPECT_TRUE(Adopt(2).has_state_key_adopted());
  Restart();
  EXPECT_EQ(Available(), 50u);
}

TEST_F(RotationTest, CrashBeforeTheKeyIsAdopted) {
  world_.keys[2] = Rotate();
  Restart();
  EXPECT_EQ(Available(), 50u);
  // The newest that the host has is used, and a snapshot frees it of the older one by itself.
  EXPECT_EQ(world_.Status(*host_).state_key_epoch(), 2u);
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
  world_.keys.erase(1);
  Restart();
  EXPECT_EQ(Available(), 50u);
}

// The disk hears nothing of what comes after the adoption.
TEST_F(RotationTest, CrashBeforeAnythingIsStoredUnderTheNewKey) {
  world_.keys[2] = Rotate();
  Disk nowhere;
  host_->disk = &nowhere;
  host_->silent = true;
  host_->Ask(KmsWorld::AdoptFrame(2));
  host_->AskCredit("f", "a", 1);
  world_.scheduler.RunUntilIdle();
  Restart();
  EXPECT_EQ(Available(), 50u) << "the credit was not acknowledged";
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
}

// It hears of everything but the snapshot.
TEST_F(RotationTest, CrashBeforeTheSnapshotIsStored) {
  world_.keys[2] = Rotate();
  Disk nowhere;
  host_->disk = &nowhere;
  const size_t before = host_->stores.size();
  host_->Ask(KmsWorld::AdoptFrame(2));
  host_->AskCredit("f", "a", 1);
  world_.scheduler.RunUntilIdle();
  for (size_t i = before; i < host_->stores.size(); ++i) {
    if (host_->stores[i].kind() == v1::Store::KIND_RECORD) disk_.Write(host_->stores[i]);
  }
  EXPECT_EQ(EpochOf(disk_.Everything().front()), 1u);
  EXPECT_EQ(EpochOf(disk_.Everything().back()), 2u);
  // Who has only the older key is told which one is missing.
  const v1::StateKey newest = world_.keys[2];
  world_.keys.erase(2);
  world_.StartWithoutKey();
  ASSERT_TRUE(world_.Provision().has_provisioned());
  const ServerFrame refused = world_.TryLoad(disk_);
  EXPECT_EQ(refused.error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("epoch 2"), HasSubstr("holds epoch 1")));
  world_.keys[2] = newest;
  Restart();
  EXPECT_EQ(Available(), 51u);
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
}

TEST_F(RotationTest, AHostThatComesBackGetsTheSnapshotThatWasCutOff) {
  world_.keys[2] = Rotate();
  Disk nowhere;
  host_->disk = &nowhere;
  host_->silent = true;
  host_->Ask(KmsWorld::AdoptFrame(2));
  world_.scheduler.RunUntilIdle();
  host_->stream.reset();
  world_.scheduler.RunUntilIdle();
  Host& back = world_.Connect(&disk_);
  back.AskAttach(disk_.last(), sealing::RecordHash(disk_.Everything().back()).view());
  world_.scheduler.RunUntilIdle();
  EXPECT_TRUE(back.answers[back.last_id].has_storage_attached());
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
}

// The same where the state was loaded, and the older key is still needed for what was read.
TEST_F(RotationTest, AHostThatComesBackAfterALoadGetsTheSnapshotThatWasCutOff) {
  world_.keys[2] = Rotate();
  world_.StartWithoutKey();
  ASSERT_TRUE(world_.Provision().has_provisioned());
  Disk nowhere;
  Host& loads = world_.Connect(&nowhere);
  loads.silent = true;
  loads.AskLoad(disk_.Everything());
  world_.scheduler.RunUntilIdle();
  loads.stream.reset();
  world_.scheduler.RunUntilIdle();
  EXPECT_EQ(EpochOf(disk_.Everything().front()), 1u);
  Host& back = world_.Connect(&disk_);
  back.AskAttach(disk_.last(), sealing::RecordHash(disk_.Everything().back()).view());
  world_.scheduler.RunUntilIdle();
  EXPECT_TRUE(back.answers[back.last_id].has_storage_attached());
  EXPECT_THAT(disk_.Everything(), Each(ResultOf(EpochOf, 2u)));
}

// ---- in JSON ------------------------------------------------------------------------------------

TEST_F(RotationTest, TheSameInJson) {
  Host& client = world_.Connect();
  constexpr char kAws[] =
      R"("region":"eu-west-1","aws_access_key_id":"AKIAEXAMPLE","aws_secret_access_key":"sesame","aws_session_token":"token")";
  client.stream->Send(absl::StrCat(R"({"method":"rotate_state_key","params":{)", kAws, "}}"));
  world_.scheduler.RunUntilIdle();
  client.stream->Send(R"({"method":"adopt_state_key","params":{"epoch":2}})");
  client.stream->Send(R"({"method":"adopt_state_key","params":{"epoch":3}})");
  world_.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(3));
  EXPECT_THAT(client.unreadable[0],
              AllOf(HasSubstr(R"("epoch":2,"ciphertext_b64":")"), HasSubstr(R"("tag":"0x)")));
  EXPECT_EQ(client.unreadable[1], R"({"result":{"ok":true,"state_key_epoch":2}})");
  EXPECT_THAT(client.unreadable[2], HasSubstr("wrong_state"));
  // And the next enclave takes it in JSON as it was given.
  const std::string key2 = client.unreadable[0].substr(10, client.unreadable[0].size() - 11);
  const v1::StateKey& one = world_.keys[1];
  world_.StartWithoutKey();
  Host& again = world_.Connect();
  again.stream->Send(absl::StrCat(R"({"method":"provision","params":{)", kAws,
                                  R"(,"ciphertext_b64":")", absl::Base64Escape(world_.ciphertext),
                                  R"(","state_keys":[{"epoch":1,"ciphertext_b64":")",
                                  absl::Base64Escape(one.ciphertext()), R"(","tag":")",
                                  ethereum::ToHex(one.tag()), R"("},)", key2, "]}}"));
  world_.scheduler.RunUntilIdle();
  ASSERT_THAT(again.unreadable, SizeIs(1));
  EXPECT_THAT(again.unreadable[0],
              AllOf(HasSubstr("address"), testing::Not(HasSubstr("new_state_keys"))));
  host_ = &world_.Load(&disk_);
  EXPECT_EQ(Available(), 50u);
}

}  // namespace
}  // namespace coffer::test
