// Attestation documents as a client gets them: what is bound into them, when they leave, and what
// happens when the device is slow, refuses, or is not there.
#include "actors/enclave/attestor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "enclave_core/attestation/nsm.h"
#include "enclave_core/attestation/user_data.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

using attestation::UserData;
using testing::HasSubstr;

// Documents are what was asked for, as text.
class ScriptedAttester final : public attestation::Attester {
 public:
  attestation::Kind kind() const override { return attestation::Kind::kNitro; }
  absl::StatusOr<std::string> Attest(const attestation::Fields& fields) override {
    asked.push_back(fields);
    if (!trouble.ok()) return trouble;
    return absl::StrCat("document ", asked.size());
  }
  std::vector<attestation::Fields> asked;
  absl::Status trouble;
};

ClientFrame Ask(std::string nonce = "nonce", v1::AttestedKey key = v1::ATTESTED_KEY_NONE) {
  ClientFrame frame;
  frame.mutable_get_attestation()->set_nonce(std::move(nonce));
  frame.mutable_get_attestation()->set_public_key(key);
  return frame;
}

class AttestorTest : public testing::Test {
 protected:
  AttestorTest() : world_(17) {
    world_.attester = &attester_;
    world_.Start();
  }
  UserData Bound(size_t index) const {
    const absl::StatusOr<UserData> data =
        attestation::ParseUserData(attester_.asked.at(index).user_data);
    EXPECT_TRUE(data.ok()) << data.status() << attester_.asked.at(index).user_data;
    return *data;
  }

  ScriptedAttester attester_;
  World world_;
};

TEST_F(AttestorTest, ADocumentBindsKeyPolicyLogAndSequence) {
  Disk disk;
  Host& host = world_.Load(&disk);
  world_.Call(host, [] {
    ClientFrame frame;
    *frame.mutable_apply_events()->add_events() = MakeEvent("e1", "orch", 5);
    return frame;
  }());
  const ServerFrame answer = world_.Call(host, Ask());
  EXPECT_EQ(answer.attestation().document(), "document 1");
  EXPECT_EQ(answer.attestation().kind(), v1::ATTESTATION_KIND_NITRO);
  ASSERT_EQ(attester_.asked.size(), 1u);
  EXPECT_EQ(attester_.asked[0].nonce, "nonce");
  EXPECT_EQ(attester_.asked[0].public_key, "");
  const audit::LogKeys keys = *audit::LogKeys::Derive(Key(0x11));
  const std::string address = absl::AsciiStrToLower(Key(0x11).address().ToHex());
  EXPECT_EQ(attester_.asked[0].user_data.rfind(
                absl::StrCat("payments-tee-core:", address,
                             ":audit:", absl::AsciiStrToLower(keys.audit_address().ToHex()), ";"),
                0),
            0u)
      << attester_.asked[0].user_data;
  const UserData bound = Bound(0);
  EXPECT_EQ(bound.policy_hash, policy::PolicyHash(world_.options.policy));
  EXPECT_EQ(bound.log_key, keys.log_key());
  EXPECT_EQ(bound.sequence, world_.Status(host).stored_sequence());
  EXPECT_GT(bound.sequence.value_or(0), 0u);
  EXPECT_TRUE(world_.Status(host).attestation_available());
  EXPECT_EQ(world_.Status(host).attestation_kind(), v1::ATTESTATION_KIND_NITRO);
}

TEST_F(AttestorTest, BeforeAStateIsLoadedOnlyTheKeysAreBound) {
  Host& host = world_.Connect();
  EXPECT_EQ(world_.Call(host, Ask()).attestation().document(), "document 1");
  const UserData bound = Bound(0);
  EXPECT_EQ(bound.address, Key(0x11).address());
  EXPECT_TRUE(bound.log_key.has_value());
  EXPECT_FALSE(bound.policy_hash.has_value());
  EXPECT_FALSE(bound.sequence.has_value());
}

TEST_F(AttestorTest, NothingIsAttestedThatIsNotStored) {
  Disk disk;
  Host& host = world_.Load(&disk);
  const uint64_t before = world_.Status(host).stored_sequence();
  host.silent = true;
  const uint64_t credit = host.AskCredit("e1", "orch", 5);
  const uint64_t id = host.Ask(Ask());
  world_.scheduler.RunUntilIdle();
  EXPECT_FALSE(host.Has(credit));
  EXPECT_FALSE(host.Has(id));
  EXPECT_TRUE(attester_.asked.empty());
  host.Acknowledge(host.stores.back());
  world_.scheduler.RunUntilIdle();
  EXPECT_TRUE(host.Has(credit));
  ASSERT_TRUE(host.Has(id));
  EXPECT_EQ(Bound(0).sequence, before + 1);
}

TEST_F(AttestorTest, ASlowDeviceHoldsUpNobodyElse) {
  Disk disk;
  Host& host = world_.Load(&disk);
  world_.attesting().Freeze(absl::Seconds(30));
  const uint64_t attested = host.Ask(Ask());
  for (int i = 0; i < 20; ++i) {
    const uint64_t credit = host.AskCredit(absl::StrCat("e", i), "orch", 5);
    world_.scheduler.RunUntilIdle();
    EXPECT_TRUE(host.Has(credit)) << i;
  }
  EXPECT_FALSE(host.Has(attested));
  world_.Wait(absl::Seconds(31));
  EXPECT_EQ(host.answers[attested].attestation().document(), "document 1");
}

TEST_F(AttestorTest, FewWaitForTheDeviceAndTheRestIsRefused) {
  Disk disk;
  Host& host = world_.Load(&disk);
  world_.attesting().Freeze(absl::Seconds(30));
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < enclave::kMaxAttestations + 10; ++i) ids.push_back(host.Ask(Ask()));
  world_.scheduler.RunUntilIdle();
  size_t refused = 0;
  for (const uint64_t id : ids) {
    if (!host.Has(id)) continue;
    EXPECT_EQ(host.Code(id), v1::ERROR_OVERLOADED);
    ++refused;
  }
  EXPECT_EQ(refused, 10u);
  world_.Wait(absl::Seconds(31));
  for (const uint64_t id : ids) EXPECT_TRUE(host.Has(id));
  EXPECT_EQ(attester_.asked.size(), enclave::kMaxAttestations);
  EXPECT_EQ(world_.enclave().gateway().requests_in_flight(), 0u);
}

TEST_F(AttestorTest, ADeviceThatFailsIsAnErrorAndNoMore) {
  Disk disk;
  Host& host = world_.Load(&disk);
  attester_.trouble = absl::UnavailableError("it refuses: InternalError");
  const ServerFrame answer = world_.Call(host, Ask());
  EXPECT_EQ(answer.error().code(), v1::ERROR_UNAVAILABLE);
  EXPECT_THAT(answer.error().message(), HasSubstr("it refuses: InternalError"));
  attester_.trouble = absl::OkStatus();
  EXPECT_EQ(world_.Call(host, Ask()).attestation().document(), "document 2");
}

TEST_F(AttestorTest, WhatIsAskedForWronglyNeverReachesTheDevice) {
  Disk disk;
  Host& host = world_.Load(&disk);
  EXPECT_EQ(world_.Call(host, Ask(std::string(33, 'n'))).error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(world_.Call(host, Ask("n", static_cast<v1::AttestedKey>(7))).error().code(),
            v1::ERROR_MALFORMED);
  EXPECT_TRUE(attester_.asked.empty());
  EXPECT_TRUE(world_.Call(host, Ask(std::string(32, 'n'))).has_attestation());
  EXPECT_TRUE(world_.Call(host, Ask("")).has_attestation());
}

TEST_F(AttestorTest, APublicKeyIsOfThisRunAndStaysTheSame) {
  Host& host = world_.Connect();
  for (const auto kind :
       {v1::ATTESTED_KEY_RSA_2048, v1::ATTESTED_KEY_P384, v1::ATTESTED_KEY_RSA_2048}) {
    EXPECT_TRUE(world_.Call(host, Ask("n", kind)).has_attestation());
  }
  EXPECT_EQ(attester_.asked[0].public_key.size(), 294u);
  EXPECT_EQ(attester_.asked[1].public_key.size(), 120u);
  EXPECT_EQ(attester_.asked[2].public_key, attester_.asked[0].public_key);
  world_.Start();
  Host& next = world_.Connect();
  world_.Call(next, Ask("n", v1::ATTESTED_KEY_RSA_2048));
  EXPECT_NE(attester_.asked[3].public_key, attester_.asked[0].public_key);
}

TEST_F(AttestorTest, AClientThatLeavesGivesBackItsPlace) {
  Disk disk;
  world_.Load(&disk);
  world_.attesting().Freeze(absl::Seconds(30));
  Host& gone = world_.Connect();
  gone.Ask(Ask());
  world_.scheduler.RunUntilIdle();
  gone.stream.reset();
  world_.Wait(absl::Seconds(31));
  EXPECT_EQ(attester_.asked.size(), 1u);
  EXPECT_EQ(world_.enclave().gateway().requests_in_flight(), 0u);
}

TEST(AttestorProfileTest, ASignerBindsItsOwnText) {
  ScriptedAttester attester;
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.without_storage = true;
  World world(18, options);
  world.attester = &attester;
  world.Start();
  Host& host = world.Connect();
  EXPECT_TRUE(world.Call(host, Ask()).has_attestation());
  EXPECT_EQ(attester.asked[0].user_data.rfind(
                absl::StrCat("payments-signer:", absl::AsciiStrToLower(Key(0x11).address().ToHex()),
                             ";policy="),
                0),
            0u)
      << attester.asked[0].user_data;
  EXPECT_FALSE(attestation::ParseUserData(attester.asked[0].user_data)->sequence.has_value());
}

TEST(AttestorProfileTest, WithoutAnAttesterTheAnswerHasNoDocument) {
  World world(19);
  Disk disk;
  Host& host = world.Load(&disk);
  const ServerFrame answer = world.Call(host, Ask());
  EXPECT_TRUE(answer.has_attestation());
  EXPECT_EQ(answer.attestation().document(), "");
  EXPECT_EQ(answer.attestation().kind(), v1::ATTESTATION_KIND_NONE);
  EXPECT_FALSE(world.Status(host).attestation_available());
}

}  // namespace
}  // namespace coffer::test
