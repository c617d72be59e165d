// The JSON protocol at the enclave's port, beside protobuf: order, back-pressure, errors, and an
// enclave without a storage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/policy/policy.h"
#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string CreditJson(std::string_view id, std::string_view account, uint64_t amount) {
  return absl::StrCat(R"({"method":"credit","params":{"orchestrator_id":")", std::string(account),
                      R"(","recipient":"0x2222222222222222222222222222222222222222",)",
                      R"("amount_wei":)", amount, R"(,"event_id":")", std::string(id), R"("}})");
}
constexpr char kAddress[] = R"({"method":"address","params":{}})";
constexpr char kStatus[] = R"({"method":"status"})";

enclave::EnclaveOptions WithoutStorage() {
  enclave::EnclaveOptions options = World::Options();
  options.without_storage = true;
  return options;
}

enclave::EnclaveOptions SignerOptions() {
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.policy.velocity_window = 3600;
  options.policy.velocity_total = 1'000;
  return options;
}

std::string TicketJson(uint64_t face_value, uint64_t sender_nonce) {
  return absl::StrCat(R"({"method":"sign_ticket","params":{"ticket":{)",
                      R"("recipient":"0x2222222222222222222222222222222222222222",)",
                      R"("faceValue":)", face_value, R"(,"senderNonce":)", sender_nonce,
                      R"(,"recipientRandHash":"0x)", std::string(64, '4'), R"(","auxData":"0x)",
                      std::string(128, '0'), R"("}}})");
}

TEST(JsonTest, AnswersComeInTheOrderOfTheirRequestsAndNoneBeforeItIsDurable) {
  World world(1);
  Disk disk;
  Host& storage = world.Load(&disk);
  Host& client = world.Connect();
  storage.silent = true;
  client.stream->Send(CreditJson("e1", "orch-1", 123));
  client.stream->Send(kAddress);
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(client.unreadable, IsEmpty()) << "the credit is not stored yet";
  storage.Acknowledge(storage.stores.back());
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(2));
  EXPECT_THAT(client.unreadable[0],
              AllOf(HasSubstr(R"("balance_wei":123)"), HasSubstr(R"("idempotent":false)")));
  EXPECT_THAT(client.unreadable[1], HasSubstr("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"));
}

TEST(JsonTest, AnErrorTakesItsTurnAndTheConnectionServesOn) {
  World world(2);
  Disk disk;
  world.Load(&disk);
  Host& client = world.Connect();
  for (
      const char* payload :
      {R"({"method":"no_such_method"})", R"({"method":"address")",
       R"({"method":"sign_transaction","params":{"tx":{"chainId":1,"nonce":0,"gas":21000,"gasPrice":1,"to":"0x2222222222222222222222222222222222222222","value":1}}})",
       kAddress}) {
    client.stream->Send(payload);
  }
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(4));
  EXPECT_THAT(client.unreadable[0], HasSubstr("unknown_method"));
  EXPECT_THAT(client.unreadable[1], HasSubstr("malformed"));
  EXPECT_THAT(client.unreadable[2], HasSubstr("wrong_profile"));
  EXPECT_THAT(client.unreadable[3], HasSubstr("result"));
  EXPECT_FALSE(client.closed);
  const v1::Status status = world.Status(client);
  EXPECT_EQ(status.errors().at(v1::ERROR_UNKNOWN_METHOD), 1u);
  EXPECT_EQ(status.errors().at(v1::ERROR_WRONG_PROFILE), 1u);
}

TEST(JsonTest, BothFormsShareOneConnection) {
  World world(3);
  Disk disk;
  world.Load(&disk);
  Host& client = world.Connect();
  client.stream->Send(CreditJson("e1", "orch-1", 5));
  const uint64_t id = client.AskStatus();
  client.stream->Send(CreditJson("e1", "orch-1", 5));
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(client.Has(id));
  ASSERT_THAT(client.unreadable, SizeIs(2));
  EXPECT_THAT(client.unreadable[1], HasSubstr(R"("idempotent":true)"));
}

TEST(JsonTest, WithoutAStorageTheStateIsThereAtOnceAndTravelsAsABlob) {
  World world(4, WithoutStorage());
  Host& client = world.Connect();
  client.stream->Send(CreditJson("e1", "orch-1", 77));
  client.stream->Send(R"({"method":"export_state","params":{}})");
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(2));
  EXPECT_THAT(client.unreadable[0], HasSubstr(R"("balance_wei":77)"));
  const std::string& exported = client.unreadable[1];
  const size_t at = exported.find("\"blob_b64\":\"") + 12;
  const std::string blob = exported.substr(at, exported.find('"', at) - at);
  const std::string load =
      absl::StrCat(R"({"method":"load_state","params":{"blob_b64":")", blob, R"("}})");

  // Not over a state that has changed.
  client.stream->Send(load);
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(client.unreadable.back(), HasSubstr("already_loaded"));

  world.Start();
  Host& next = world.Connect();
  next.stream->Send(load);
  next.stream->Send(R"({"method":"balance","params":{"orchestrator_id":"orch-1"}})");
  next.stream->Send(CreditJson("e1", "orch-1", 77));
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(next.unreadable, SizeIs(3));
  EXPECT_THAT(next.unreadable[0], AllOf(HasSubstr(R"("ok":true)"), HasSubstr(R"("balances":1)")));
  EXPECT_THAT(next.unreadable[1], HasSubstr(R"("balance_wei":77)"));
  EXPECT_THAT(next.unreadable[2], HasSubstr(R"("idempotent":true)"));

  // Altered, cut, or of another key: refused, and nothing changes.
  for (const bool cut : {true, false}) {
    world.Start();
    Host& victim = world.Connect();
    std::string raw;
    ASSERT_TRUE(absl::Base64Unescape(blob, &raw));
    if (cut) {
      raw.resize(raw.size() - 5);
    } else {
      raw[raw.size() / 2] = static_cast<char>(raw[raw.size() / 2] ^ 1);
    }
    victim.stream->Send(absl::StrCat(R"({"method":"load_state","params":{"blob_b64":")",
                                     absl::Base64Escape(raw), R"("}})"));
    victim.stream->Send(kStatus);
    world.scheduler.RunUntilIdle();
    ASSERT_THAT(victim.unreadable, SizeIs(2));
    EXPECT_THAT(victim.unreadable[0], HasSubstr("state_refused"));
    EXPECT_THAT(victim.unreadable[1], HasSubstr(R"("balances":0)"));
  }
  world.Start(0x12);
  Host& stranger = world.Connect();
  stranger.stream->Send(load);
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(stranger.unreadable.back(), HasSubstr("state_refused"));
}

TEST(JsonTest, WithoutAStorageNoStorageIsTaken) {
  World world(5, WithoutStorage());
  Host& host = world.Connect();
  EXPECT_EQ(host.Code(host.AskLoad({})), static_cast<v1::ErrorCode>(-1));
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.Code(1), v1::ERROR_ALREADY_LOADED);
  EXPECT_EQ(host.Code(2), v1::ERROR_ALREADY_LOADED);
  EXPECT_TRUE(world.Status(host).without_storage());
}

TEST(JsonTest, ASignatureIsReleasedOnlyOnceItsRecordIsStored) {
  World world(6, SignerOptions());
  Disk disk;
  Host& storage = world.Load(&disk);
  Host& client = world.Connect();
  storage.silent = true;
  const size_t before = storage.stores.size();
  client.stream->Send(TicketJson(400, 1));
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(client.unreadable, IsEmpty());
  ASSERT_EQ(storage.stores.size(), before + 1);
  storage.Acknowledge(storage.stores.back());
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(1));
  EXPECT_THAT(client.unreadable[0], HasSubstr("ticket_hash"));
}

TEST(JsonTest, AVelocityLimitHoldsAcrossACrash) {
  World world(7, SignerOptions());
  Disk disk;
  world.Load(&disk);
  Host& client = world.Connect();
  client.stream->Send(TicketJson(400, 1));
  client.stream->Send(TicketJson(400, 2));
  client.stream->Send(TicketJson(400, 3));
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(3));
  EXPECT_THAT(client.unreadable[1], HasSubstr("ticket_hash"));
  EXPECT_THAT(client.unreadable[2],
              AllOf(HasSubstr("velocity_total"), HasSubstr("1000"), HasSubstr("400")));

  world.Start();
  world.Load(&disk);
  Host& again = world.Connect();
  again.stream->Send(TicketJson(400, 3));
  again.stream->Send(TicketJson(400, 1));  // counted already
  again.stream->Send(TicketJson(200, 4));
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(again.unreadable, SizeIs(3));
  EXPECT_THAT(again.unreadable[0], HasSubstr("velocity_total"));
  EXPECT_THAT(again.unreadable[1], HasSubstr("ticket_hash"));
  EXPECT_THAT(again.unreadable[2], HasSubstr("ticket_hash"));
  EXPECT_EQ(world.Status(again).refusals_by_rule().at("velocity_total"), 1u);

  // And ends with the window.
  world.Wait(absl::Seconds(3601));
  again.stream->Send(TicketJson(1000, 5));
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(again.unreadable.back(), HasSubstr("ticket_hash"));
}

TEST(JsonTest, TheLongestSilentConnectionMakesRoom) {
  enclave::EnclaveOptions options = World::Options();
  options.max_sessions = 3;
  World world(8, options);
  Disk disk;
  Host& storage = world.Load(&disk);
  Host& silent = world.Connect();
  Host& speaks = world.Connect();
  world.Status(speaks);
  Host& comes = world.Connect();
  world.Status(comes);
  EXPECT_TRUE(silent.closed);
  EXPECT_FALSE(speaks.closed);
  EXPECT_FALSE(storage.closed);
  EXPECT_EQ(world.enclave().gateway().sessions(), 3u);
}

TEST(JsonTest, ACredentialIsWipedAndTheAnswerSaysThatThereIsNoKms) {
  World world(9, WithoutStorage());
  Host& client = world.Connect();
  client.stream->Send(
      R"({"method":"provision","params":{"region":"eu-west-1","ciphertext_b64":"AAAA","aws_access_key_id":"AKIAEXAMPLE","aws_secret_access_key":"sesame","aws_session_token":"token"}})");
  client.stream->Send(R"({"method":"provision","params":{"region":"eu-west-1"}})");
  world.scheduler.RunUntilIdle();
  ASSERT_THAT(client.unreadable, SizeIs(2));
  EXPECT_THAT(client.unreadable[0],
              AllOf(HasSubstr("already provisioned"), HasSubstr("KMS is not configured"),
                    testing::Not(HasSubstr("sesame"))));
  EXPECT_THAT(client.unreadable[1],
              AllOf(HasSubstr("missing params"), HasSubstr("aws_secret_access_key")));
}

}  // namespace
}  // namespace coffer::test
