// Hostile frames: each is answered, changes nothing, and the same connection is still served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

TEST(GatewayTest, MalformedFramesAreAnsweredAndTheConnectionServesOn) {
  World world(1);
  Disk disk;
  world.Load(&disk);
  Host& host = world.Connect();
  ClientFrame no_id, many, no_events, no_body;
  no_id.mutable_status();
  many.set_request_id(7);
  for (int i = 0; i < 10'001; ++i) many.mutable_apply_events()->add_events();
  no_events.set_request_id(8);
  no_events.mutable_apply_events();
  no_body.set_request_id(9);
  std::string unknown_body = no_body.SerializeAsString();
  unknown_body += std::string("\xa2\x06\x00", 3);  // field 100, empty
  ClientFrame not_utf8;
  not_utf8.set_request_id(10);
  not_utf8.mutable_get_account()->set_id("x");
  std::string bad_text = not_utf8.SerializeAsString();
  bad_text.back() = '\xff';
  struct Row {
    const char* name;
    std::string frame;
    uint64_t id;
    v1::ErrorCode code;
  };
  const Row rows[] = {
      {"noise", std::string("\xff\xff\xff\xff", 4), 0, v1::ERROR_MALFORMED},
      {"cut off", no_events.SerializeAsString().substr(0, 3), 0, v1::ERROR_MALFORMED},
      {"not UTF-8", bad_text, 0, v1::ERROR_MALFORMED},
      {"no id", no_id.SerializeAsString(), 0, v1::ERROR_MALFORMED},
      {"no body", no_body.SerializeAsString(), 9, v1::ERROR_UNKNOWN_METHOD},
      {"unknown body", unknown_body, 9, v1::ERROR_UNKNOWN_METHOD},
      {"10,001 events", many.SerializeAsString(), 7, v1::ERROR_MALFORMED},
      {"no events", no_events.SerializeAsString(), 8, v1::ERROR_MALFORMED},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    host.answers.clear();
    host.stream->Send(row.frame);
    world.scheduler.RunUntilIdle();
    EXPECT_EQ(host.Code(row.id), row.code);
    EXPECT_EQ(world.Status(host).phase(), v1::PHASE_READY);
  }
  host.stream->Send(R"({"method":"status"})");
  world.scheduler.RunUntilIdle();
  ASSERT_EQ(host.unreadable.size(), 1u);
  EXPECT_THAT(host.unreadable[0], HasSubstr("result"));
  const v1::Status status = world.Status(host);
  EXPECT_EQ(status.events(), 0u);
  EXPECT_EQ(status.errors().at(v1::ERROR_MALFORMED), 6u);
  EXPECT_FALSE(host.closed);
}

// What a refusal repeats of a request must leave it a frame.
TEST(GatewayTest, NamesAsLongAsAFrameAreRefusedInAShortSentence) {
  World world(2);
  Disk disk;
  Host& host = world.Load(&disk);
  const std::string name(runtime::kMaxFrameBytes - 600, 'n');
  ClientFrame get, pay, record;
  get.mutable_get_account()->set_id(name);
  *pay.mutable_prepare_payout() = MakePayout({{name}});
  record.mutable_load_record()->set_sealed(name);
  for (const ClientFrame& frame : {get, pay, record}) {
    const ServerFrame answer = world.Call(host, frame);
    EXPECT_TRUE(answer.has_error());
    EXPECT_LT(answer.ByteSizeLong(), 1000u);
  }
}

TEST(GatewayTest, AnIdInFlightCannotBeUsedTwice) {
  World world(3);
  Disk disk;
  Host& host = world.Load(&disk);
  world.scheduler.RunUntilIdle();
  host.silent = true;
  const uint64_t id = host.AskCredit("e", "a", 1);
  --host.last_id;
  EXPECT_EQ(host.AskCredit("f", "a", 1), id);
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.Code(id), v1::ERROR_MALFORMED);
  host.Acknowledge(host.stores.back());
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.answers[id].events_applied().applied(), 1u);
  EXPECT_EQ(world.enclave().state()->event_ids().size(), 1u);
}

TEST(GatewayTest, TheStorageIsToldWhenTooMuchIsInFlight) {
  World world(4);
  Disk disk;
  Host& host = world.Load(&disk);
  world.scheduler.RunUntilIdle();
  host.silent = true;
  const uint64_t before = host.last_id;
  for (size_t i = 0; i < enclave::kMaxRequestsOfSession + 50; ++i) {
    host.AskCredit(absl::StrCat("e", i), "a", 1);
  }
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.Code(before + enclave::kMaxRequestsOfSession + 1), v1::ERROR_OVERLOADED);
  EXPECT_FALSE(host.Has(before + enclave::kMaxRequestsOfSession));
  host.silent = false;
  host.Acknowledge(host.stores.back());
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(host.Has(before + enclave::kMaxRequestsOfSession));
  EXPECT_EQ(world.enclave().gateway().requests_in_flight(), 0u);
  EXPECT_EQ(world.Status(host).events(), enclave::kMaxRequestsOfSession);
}

// Connections that come, ask and go leave their requests in the mailboxes: those count until they
// are done, or the mailboxes would overflow. And a host can always come back to be the storage.
TEST(GatewayTest, RequestsOfClosedConnectionsStayCounted) {
  World world(5);
  Disk disk, nothing;
  Host& storage = world.Load(&disk);
  world.scheduler.RunUntilIdle();
  storage.silent = true;
  storage.disk = &nothing;
  for (int i = 0; i < 30; ++i) {
    Host& client = world.Connect();
    for (int k = 0; k < 600; ++k) client.AskCredit(absl::StrCat(i, "-", k), "a", 1);
    world.scheduler.RunUntilIdle();
    client.stream.reset();
    world.scheduler.RunUntilIdle();
  }
  EXPECT_GT(world.enclave().gateway().requests_in_flight(), 1000u);
  EXPECT_LE(world.enclave().gateway().requests_in_flight(), enclave::kMaxRequestsInFlight);
  storage.stream.reset();
  world.scheduler.RunUntilIdle();
  Host& back = world.Connect(&disk);
  EXPECT_EQ(world.Status(back).phase(), v1::PHASE_READY);
  const uint64_t attach =
      back.AskAttach(disk.last(), sealing::RecordHash(disk.Everything().back()).view());
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(back.answers[attach].has_storage_attached());
  EXPECT_EQ(world.enclave().gateway().requests_in_flight(), 0u);
}

TEST(GatewayTest, AClientThatReadsNothingIsNotRead) {
  World world(6);
  Disk disk;
  world.Load(&disk);
  Host& host = world.Connect();
  host.stream->PauseReading();
  ClientFrame bad;
  bad.mutable_status();  // no id: a refusal for each
  for (int i = 0; i < 200'000; ++i) host.stream->Send(bad.SerializeAsString());
  world.scheduler.RunUntilIdle();
  EXPECT_GT(host.stream->PendingOutput(), 0u) << "back-pressure reaches the client";
  host.stream->ResumeReading();
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.order.size(), 200'000u);
}

TEST(GatewayTest, ManyConnectionsUpToTheBoundOfBusyOnes) {
  enclave::EnclaveOptions options = World::Options();
  options.max_sessions = 200;
  World world(7, options);
  Disk disk;
  Host& storage = world.Load(&disk);
  storage.silent = true;
  std::vector<Host*> hosts;
  for (size_t i = 1; i < options.max_sessions; ++i) {
    hosts.push_back(&world.Connect());
    hosts.back()->AskCredit(absl::StrCat("e", i), "a", 1);
  }
  world.scheduler.RunUntilIdle();
  Host& one_more = world.Connect();
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(one_more.closed) << "all others wait for an answer";
  EXPECT_EQ(world.enclave().gateway().sessions(), options.max_sessions);
  storage.silent = false;
  for (size_t i = 0; i < storage.stores.size(); ++i) {
    storage.Acknowledge(storage.stores[i]);
    world.scheduler.RunUntilIdle();
  }
  for (Host* host : hosts) EXPECT_EQ(host->answers[1].events_applied().applied(), 1u);
}

TEST(GatewayTest, RandomBytesNeverStopIt) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    Disk disk;
    world.Load(&disk);
    Host& host = world.Connect();
    runtime::SeededRandom random(seed);
    for (int i = 0; i < 200; ++i) {
      std::string frame(1 + random.Below(60), '\0');
      random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(frame.data()), frame.size()));
      host.stream->Send(frame);
    }
    world.scheduler.RunUntilIdle();
    EXPECT_EQ(world.Status(world.Connect()).phase(), v1::PHASE_READY);
  }
}

}  // namespace
}  // namespace coffer::test
