// An enclave that starts without a key: what it says until then, how it gets one, once, and what it
// refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/support/nitro.h"
#include "tests/unit/enclave_actors/kms_world.h"

namespace coffer::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kAddress[] = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

enclave::EnclaveOptions SignerWithoutStorage() {
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.policy = policy::Unrestricted();
  options.without_storage = true;
  return options;
}

ClientFrame Message() {
  ClientFrame frame;
  frame.mutable_sign_message()->set_message("hello");
  return frame;
}

TEST(UnprovisionedTest, SaysWhatItIsAndRefusesEverythingElse) {
  KmsWorld world(1);
  Host& host = world.Connect();
  const v1::Status status = world.Status(host);
  EXPECT_EQ(status.phase(), v1::PHASE_UNPROVISIONED);
  EXPECT_EQ(status.address(), "");
  EXPECT_TRUE(status.attestation_available());
  ClientFrame attest;
  attest.mutable_get_attestation()->set_nonce("n");
  EXPECT_EQ(world.Call(host, attest).attestation().document(), "a document");
  EXPECT_EQ(world.any_attester.asked.back().user_data, "payments-tee-core:unprovisioned");
  attest.mutable_get_attestation()->set_nonce(std::string(33, 'n'));
  EXPECT_EQ(world.Call(host, attest).error().code(), v1::ERROR_MALFORMED);
  // Every other method there is, those that come after this test included.
  const auto* bodies = ClientFrame::descriptor()->FindOneofByName("body");
  int refused = 0;
  for (int i = 0; i < bodies->field_count(); ++i) {
    ClientFrame frame;
    ClientFrame::GetReflection()->MutableMessage(&frame, bodies->field(i));
    if (frame.has_status() || frame.has_get_attestation() || frame.has_provision() ||
        frame.has_generate() || frame.has_stored()) {
      continue;
    }
    if (frame.has_apply_events())
      *frame.mutable_apply_events()->add_events() = MakeEvent("e", "a", 1);
    EXPECT_EQ(world.Call(host, frame).error().code(), v1::ERROR_NOT_PROVISIONED)
        << frame.ShortDebugString();
    ++refused;
  }
  EXPECT_GE(refused, 28);
  EXPECT_EQ(world.enclave().state(), nullptr);
}

TEST(UnprovisionedTest, AKeyFromKmsAndAStateThatSurvives) {
  KmsWorld world(2);
  const ServerFrame answer = world.Provision();
  ASSERT_TRUE(answer.has_provisioned()) << answer.ShortDebugString();
  EXPECT_EQ(ethereum::ToHex(answer.provisioned().address()), kAddress);
  ASSERT_THAT(world.keys, SizeIs(1));
  Disk disk;
  Host& host = world.Load(&disk);
  EXPECT_EQ(world.Status(host).state_key_epoch(), 1u);
  host.AskCredit("e", "a", 50);
  ClientFrame pay;
  *pay.mutable_prepare_payout() = MakePayout({{"a", 20}});
  EXPECT_TRUE(world.Call(host, pay).has_payout()) << "the signer has its key";
  for (const std::string& sealed : disk.Everything()) EXPECT_EQ(EpochOf(sealed), 1u);

  Host& again = world.Restart(&disk);
  EXPECT_THAT(world.keys, SizeIs(1)) << "no other key was made";
  EXPECT_EQ(world.Status(again).totals().available().low(), 30u);
  EXPECT_EQ(ethereum::ToHex(world.Status(again).address()), kAddress);

  // Without the state key the state is lost, and says so; with another signing key as well.
  world.keys.clear();
  world.StartWithoutKey();
  ASSERT_TRUE(world.Provision().has_provisioned());
  EXPECT_EQ(world.TryLoad(disk).error().code(), v1::ERROR_STATE_REFUSED);
}

TEST(UnprovisionedTest, GenerateGivesAKeyThatNeverWasOutside) {
  KmsWorld world(3);
  ClientFrame frame;
  FillCredentials(frame.mutable_generate()->mutable_aws());
  frame.mutable_generate()->set_key_id("alias/payments");
  frame.mutable_generate()->set_key_spec("AES_256");
  const ServerFrame answer = world.Call(world.Connect(), frame);
  ASSERT_TRUE(answer.has_provisioned()) << answer.ShortDebugString();
  EXPECT_EQ(answer.provisioned().new_state_keys_size(), 1);
  EXPECT_EQ(world.Status(world.Connect()).address(), answer.provisioned().address());
  world.StartWithoutKey();
  ClientFrame provision = world.ProvisionFrame();
  provision.mutable_provision()->set_ciphertext(answer.provisioned().ciphertext());
  *provision.mutable_provision()->mutable_state_keys() = answer.provisioned().new_state_keys();
  EXPECT_EQ(world.Call(world.Connect(), provision).provisioned().address(),
            answer.provisioned().address());
}

TEST(UnprovisionedTest, AFailureLeavesItWaiting) {
  KmsWorld world(4);
  Host& host = world.Connect();
  world.kms.trouble = absl::FailedPreconditionError("AccessDeniedException: not you");
  const ServerFrame refused = world.Call(host, world.ProvisionFrame());
  EXPECT_EQ(refused.error().code(), v1::ERROR_KMS);
  EXPECT_THAT(refused.error().message(), HasSubstr("AccessDeniedException: not you"));
  ClientFrame wrong = world.ProvisionFrame();
  wrong.mutable_provision()->mutable_aws()->set_secret_access_key("hunter2");
  const ServerFrame credentials = world.Call(host, wrong);
  EXPECT_EQ(credentials.error().code(), v1::ERROR_UNAVAILABLE);
  EXPECT_THAT(credentials.error().message(), Not(HasSubstr("hunter2")));
  wrong.mutable_provision()->mutable_aws()->set_region("evil.example/");
  EXPECT_EQ(world.Call(host, wrong).error().code(), v1::ERROR_MALFORMED);
  ClientFrame expects = world.ProvisionFrame();
  expects.mutable_provision()->set_expected_address(std::string(20, 'x'));
  world.kms.trouble = absl::OkStatus();
  EXPECT_EQ(world.Call(host, expects).error().code(), v1::ERROR_KMS);
  EXPECT_EQ(world.Status(host).phase(), v1::PHASE_UNPROVISIONED);
  EXPECT_TRUE(world.Provision().has_provisioned());
}

TEST(UnprovisionedTest, OneAtATimeAndOnlyOnce) {
  KmsWorld world(5);
  Host& host = world.Connect();
  world.attesting().Freeze(absl::Seconds(5));
  const uint64_t first = host.Ask(world.ProvisionFrame());
  const uint64_t meanwhile = host.Ask(world.ProvisionFrame());
  const uint64_t status = host.AskStatus();
  world.Wait(absl::Seconds(1));
  EXPECT_EQ(host.Code(meanwhile), v1::ERROR_OVERLOADED);
  EXPECT_EQ(host.answers[status].status().phase(), v1::PHASE_UNPROVISIONED) << "nobody waits";
  EXPECT_FALSE(host.Has(first));
  world.Wait(absl::Seconds(9));
  EXPECT_TRUE(host.answers[first].has_provisioned());
  // Nothing is sealed under its state key yet: a host that ended before it stored that asks again.
  ASSERT_TRUE(world.Provision().has_provisioned());
  Disk disk;
  world.Load(&disk);
  const ServerFrame second = world.Call(host, world.ProvisionFrame());
  EXPECT_EQ(second.error().code(), v1::ERROR_ALREADY_PROVISIONED);
  EXPECT_THAT(second.error().message(), HasSubstr("already provisioned"));
}

TEST(UnprovisionedTest, AllowedAgainOnlyWhileThereIsNothingToLose) {
  enclave::EnclaveOptions options = World::Options();
  options.allow_reprovision = true;
  KmsWorld world(6, options);
  ASSERT_TRUE(world.Provision().has_provisioned());
  world.keys.clear();
  ClientFrame other = world.ProvisionFrame();
  other.mutable_provision()->set_ciphertext(world.kms.Encrypt(std::string(32, '\x12')));
  const ServerFrame answer = world.Call(world.Connect(), other);
  ASSERT_TRUE(answer.has_provisioned()) << answer.ShortDebugString();
  EXPECT_EQ(answer.provisioned().address(), Key(0x12).address().view());
  for (const v1::StateKey& key : answer.provisioned().new_state_keys()) {
    world.keys[key.epoch()] = key;
  }
  Disk disk;
  Host& host = world.Load(&disk);
  host.AskCredit("e", "a", 50);
  ClientFrame pay;
  *pay.mutable_prepare_payout() = MakePayout({{"a", 20}});
  EXPECT_TRUE(world.Call(host, pay).has_payout());
  const ServerFrame late = world.Call(host, world.ProvisionFrame());
  EXPECT_EQ(late.error().code(), v1::ERROR_ALREADY_PROVISIONED);
  EXPECT_THAT(late.error().message(), HasSubstr("its state is loaded"));
  EXPECT_EQ(world.Status(host).address(), Key(0x12).address().view());
}

TEST(UnprovisionedTest, AStateThatIsLoadedMeanwhileKeepsItsKey) {
  enclave::EnclaveOptions options = World::Options();
  options.allow_reprovision = true;
  KmsWorld world(7, options);
  ASSERT_TRUE(world.Provision().has_provisioned());
  Host& asks = world.Connect();
  world.attesting().Freeze(absl::Seconds(5));
  ClientFrame other = world.ProvisionFrame();
  other.mutable_provision()->clear_state_keys();
  other.mutable_provision()->set_ciphertext(world.kms.Encrypt(std::string(32, '\x12')));
  const uint64_t late = asks.Ask(other);
  Disk disk;
  Host& host = world.Connect(&disk);
  const uint64_t load = host.AskLoad({});
  world.Wait(absl::Seconds(1));
  ASSERT_TRUE(host.answers[load].has_load_done());
  world.Wait(absl::Seconds(9));
  EXPECT_EQ(asks.Code(late), v1::ERROR_ALREADY_PROVISIONED);
  EXPECT_EQ(world.Status(host).address(), Key(0x11).address().view());
}

// A device whose documents are read.
class Device final : public attestation::Attester {
 public:
  attestation::Kind kind() const override { return attestation::Kind::kNitro; }
  absl::StatusOr<std::string> Attest(const attestation::Fields&) override {
    if (garbage) return "no document";
    attestation::Document document = attestation::NitroDocument();
    if (debug) {
      for (uint32_t i = 0; i < 3; ++i) document.pcrs[i] = std::string(48, '\0');
    }
    return attestation::SignDocument(document);
  }
  bool debug = false;
  bool garbage = false;
};

TEST(UnprovisionedTest, NoKeyForAnEnclaveThatItsHostCanLookInto) {
  KmsWorld world(8);
  Device device;
  device.debug = true;
  world.attester = &device;
  world.StartWithoutKey();
  const ServerFrame refused = world.Provision();
  EXPECT_EQ(refused.error().code(), v1::ERROR_UNAVAILABLE);
  EXPECT_THAT(refused.error().message(), HasSubstr("debug mode"));
  EXPECT_THAT(world.kms.calls, IsEmpty()) << "before any credential leaves";
  device.garbage = true;
  EXPECT_THAT(world.Provision().error().message(), HasSubstr("cannot be read"));
  device.garbage = false;
  world.allow_debug = true;
  world.StartWithoutKey();
  EXPECT_TRUE(world.Provision().has_provisioned());
  world.keys.clear();
  device.debug = world.allow_debug = false;
  world.StartWithoutKey();
  EXPECT_TRUE(world.Provision().has_provisioned());
}

// ---- the policy ---------------------------------------------------------------------------------

TEST(ProvisionedPolicyTest, ComesWithTheKeyWhereNoneWasGivenBefore) {
  enclave::EnclaveOptions options = World::Options();
  options.policy = policy::Unrestricted();
  KmsWorld world(10, options);
  Host& host = world.Connect();
  const ServerFrame none = world.Call(host, world.ProvisionFrame());
  EXPECT_EQ(none.error().code(), v1::ERROR_MALFORMED);
  EXPECT_THAT(none.error().message(), HasSubstr("a policy is needed"));
  ClientFrame frame = world.ProvisionFrame();
  policy::Policy policy = WidePolicy();
  policy.max_tickets = 7;
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  frame.mutable_provision()->mutable_policy()->set_format(9);
  EXPECT_EQ(world.Call(host, frame).error().code(), v1::ERROR_MALFORMED);
  frame.mutable_provision()->mutable_policy()->set_format(1);
  frame.mutable_provision()->mutable_policy()->set_win_prob(Bytes32(1));
  EXPECT_THAT(world.Call(host, frame).error().message(), HasSubstr("always win"));
  EXPECT_THAT(world.kms.calls, IsEmpty());
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  const ServerFrame answer = world.Call(host, frame);
  ASSERT_TRUE(answer.has_provisioned()) << answer.ShortDebugString();
  for (const v1::StateKey& key : answer.provisioned().new_state_keys()) {
    world.keys[key.epoch()] = key;
  }
  Disk disk;
  Host& storage = world.Load(&disk);
  EXPECT_EQ(world.Status(storage).policy_hash(), policy::PolicyHash(policy).view());
  EXPECT_EQ(world.Status(storage).chain_id(), policy.chain_id);
  // It is sealed: another one at the next start is refused like another option.
  world.StartWithoutKey();
  policy.max_tickets = 8;
  frame = world.ProvisionFrame();
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  ASSERT_TRUE(world.Call(world.Connect(), frame).has_provisioned());
  EXPECT_EQ(world.TryLoad(disk).error().code(), v1::ERROR_STATE_REFUSED);
}

TEST(ProvisionedPolicyTest, OfTheStartIsNotReplaced) {
  KmsWorld world(11);
  Host& host = world.Connect();
  ClientFrame frame = world.ProvisionFrame();
  policy::Policy policy = WidePolicy();
  policy.max_tickets = 7;
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  const ServerFrame refused = world.Call(host, frame);
  EXPECT_EQ(refused.error().code(), v1::ERROR_POLICY);
  EXPECT_THAT(refused.error().message(), HasSubstr("max_tickets"));
  EXPECT_THAT(world.kms.calls, IsEmpty());
  policy::ToProto(WidePolicy(), frame.mutable_provision()->mutable_policy());
  EXPECT_TRUE(world.Call(host, frame).has_provisioned());
}

TEST(ProvisionedPolicyTest, ASignerWithoutAStorageKeepsNothingOverTime) {
  KmsWorld world(12, SignerWithoutStorage());
  Host& host = world.Connect();
  ClientFrame frame = world.ProvisionFrame();
  policy::Policy policy = WidePolicy();
  policy.velocity_window = 60;
  policy.velocity_total = 1'000;
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  EXPECT_THAT(world.Call(host, frame).error().message(), HasSubstr("--storage host"));
  policy = WidePolicy();
  policy::ToProto(policy, frame.mutable_provision()->mutable_policy());
  EXPECT_TRUE(world.Call(host, frame).has_provisioned());
  EXPECT_EQ(world.Call(host, Message()).error().rule(), "allow_raw_messages");
}

// ---- a signer without a storage -----------------------------------------------------------------

TEST(ProvisionedSignerTest, SignsAtOnceAndSealsBlobsUnderItsOwnKey) {
  KmsWorld world(13, SignerWithoutStorage());
  const ServerFrame answer = world.Provision();
  ASSERT_TRUE(answer.has_provisioned());
  EXPECT_THAT(answer.provisioned().new_state_keys(), IsEmpty());
  Host& host = world.Connect();
  const std::string signature = world.Call(host, Message()).message_signature().signature();
  const auto address = ethereum::RecoverAddress(ethereum::Eip191Hash("hello"),
                                                *ethereum::Signature::FromBytes65(signature));
  EXPECT_EQ(address->ToHex(), kAddress);
  EXPECT_EQ(world.Status(host).state_key_epoch(), 0u);
  ClientFrame export_state, import_state;
  export_state.mutable_export_state();
  import_state.mutable_import_state()->set_blob(world.Call(host, export_state).state_blob().blob());
  EXPECT_EQ(world.Call(host, world.RotateFrame()).error().code(), v1::ERROR_UNAVAILABLE);
  world.StartWithoutKey();
  ASSERT_TRUE(world.Provision().has_provisioned());
  EXPECT_TRUE(world.Call(world.Connect(), import_state).has_state_imported());
}

TEST(ProvisionedSignerTest, AnotherKeyWhereItIsAllowed) {
  enclave::EnclaveOptions options = SignerWithoutStorage();
  options.allow_reprovision = true;
  KmsWorld world(14, options);
  ASSERT_TRUE(world.Provision().has_provisioned());
  Host& host = world.Connect();
  ClientFrame other = world.ProvisionFrame();
  other.mutable_provision()->set_ciphertext(world.kms.Encrypt(std::string(32, '\x12')));
  ASSERT_TRUE(world.Call(host, other).has_provisioned());
  const std::string signature = world.Call(host, Message()).message_signature().signature();
  const auto address = ethereum::RecoverAddress(ethereum::Eip191Hash("hello"),
                                                *ethereum::Signature::FromBytes65(signature));
  EXPECT_EQ(*address, Key(0x12).address());
}

TEST(ProvisionedSignerTest, TheJsonProtocolAsOldClientsSpeakIt) {
  KmsWorld world(15, SignerWithoutStorage());
  Host& client = world.Connect();
  const std::string provision =
      absl::StrCat(R"({"method":"provision","params":{"region":"eu-west-1","ciphertext_b64":")",
                   absl::Base64Escape(world.ciphertext),
                   R"(","aws_access_key_id":"AKIAEXAMPLE","aws_secret_access_key":"sesame",)",
                   R"("aws_session_token":"token"}})");
  for (const std::string& payload :
       {std::string(R"({"method":"status"})"), std::string(R"({"method":"address"})"),
        std::string(R"({"method":"sign_message_defunct","params":{"message_hash":"0x00"}})"),
        provision, std::string(R"({"method":"address"})"), provision}) {
    client.stream->Send(payload);
    world.scheduler.RunUntilIdle();
  }
  ASSERT_THAT(client.unreadable, SizeIs(6));
  EXPECT_THAT(client.unreadable[0], HasSubstr(R"("provisioned":false)"));
  EXPECT_THAT(client.unreadable[1],
              AllOf(HasSubstr("signer not provisioned"), HasSubstr("\"not_provisioned\"")));
  EXPECT_THAT(client.unreadable[2], HasSubstr("signer not provisioned"));
  EXPECT_EQ(client.unreadable[3],
            R"({"result":{"address":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"}})");
  EXPECT_EQ(client.unreadable[4], client.unreadable[3]);
  EXPECT_THAT(client.unreadable[5],
              AllOf(HasSubstr("already_provisioned"), HasSubstr("already provisioned")));
}

}  // namespace
}  // namespace coffer::test
