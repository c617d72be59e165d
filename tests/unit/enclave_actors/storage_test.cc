// Loading, attaching, I5, restarts and snapshots: what the enclave does with an untrusted storage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

TEST(LoadTest, BeforeAStateIsLoadedOnlyStatusAndLoading) {
  World world(1);
  Disk disk;
  Host& host = world.Connect(&disk);
  EXPECT_EQ(world.Status(host).phase(), v1::PHASE_EMPTY);
  ClientFrame get, record, end, begin, attach, credit;
  get.mutable_get_account()->set_id("a");
  record.mutable_load_record()->set_sealed("x");
  end.mutable_load_end();
  begin.mutable_load_begin();
  attach.mutable_attach_storage();
  *credit.mutable_apply_events()->add_events() = MakeEvent("e", "a", 1);
  for (const ClientFrame& frame : {get, record, end, attach, credit}) {
    EXPECT_EQ(world.Call(host, frame).error().code(), v1::ERROR_NOT_READY)
        << frame.ShortDebugString();
  }
  EXPECT_TRUE(world.Call(host, begin).has_load_begun());
  EXPECT_EQ(world.Status(host).phase(), v1::PHASE_LOADING);
  Host& other = world.Connect();
  EXPECT_EQ(world.Call(other, end).error().code(), v1::ERROR_NOT_READY) << "not its load";
  EXPECT_TRUE(world.Call(host, end).has_load_done());
  EXPECT_EQ(world.Status(host).phase(), v1::PHASE_READY);
  EXPECT_TRUE(world.Status(host).storage_attached());
  EXPECT_EQ(world.Call(other, begin).error().code(), v1::ERROR_ALREADY_LOADED);
}

TEST(LoadTest, ALoadThatIsCutOffOrRefusedCanBeBegunAgain) {
  World world(2);
  Disk disk;
  Host& first = world.Load(&disk);
  first.AskCredit("e", "a", 5);
  world.scheduler.RunUntilIdle();
  world.Start();
  Host& cut = world.Connect();
  ClientFrame begin;
  begin.mutable_load_begin();
  world.Call(cut, begin);
  cut.stream.reset();
  world.scheduler.RunUntilIdle();
  Host& bad = world.Connect();
  std::vector<std::string> altered = disk.Everything();
  altered.back().back() = static_cast<char>(altered.back().back() ^ 1);
  const uint64_t refused = bad.AskLoad(altered);
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(bad.Code(refused - 1), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(bad.answers[refused - 1].error().message(), HasSubstr("record 2"));
  EXPECT_EQ(bad.Code(refused), v1::ERROR_NOT_READY);
  EXPECT_EQ(world.Status(world.Load(&disk)).totals().available().low(), 5u);
}

TEST(LoadTest, AnotherKeysStateAndAnotherPolicyAreRefused) {
  World world(3);
  Disk disk;
  world.Load(&disk);
  world.scheduler.RunUntilIdle();
  world.Start(0x12);
  Host& host = world.Connect();
  const uint64_t foreign = host.AskLoad(disk.Everything());
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.Code(foreign - 1), v1::ERROR_STATE_REFUSED);
  world.options.policy.max_tickets = 9;
  world.Start();
  Host& again = world.Connect();
  const uint64_t policy = again.AskLoad(disk.Everything());
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(again.Code(policy), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(again.answers[policy].error().message(), HasSubstr("max_tickets"));
  world.options.accept_policy_change = true;
  world.Start();
  EXPECT_EQ(world.Status(world.Load(&disk)).policy().max_tickets(), 9u);
}

TEST(I5Test, NoAnswerLeavesBeforeItsRecordIsStored) {
  World world(4);
  Disk disk;
  Host& storage = world.Load(&disk);
  storage.silent = true;
  const uint64_t credit = storage.AskCredit("e", "a", 50);
  ClientFrame get, pay;
  get.mutable_get_account()->set_id("a");
  *pay.mutable_prepare_payout() = MakePayout({{"a"}});
  const uint64_t read = storage.Ask(get);
  const uint64_t payout = storage.Ask(pay);
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(storage.Has(credit));
  EXPECT_FALSE(storage.Has(read)) << "what is read may not be durable yet";
  EXPECT_FALSE(storage.Has(payout));
  // Acknowledged one by one, each answer leaves no sooner than all that it depends on.
  for (size_t i = 1; i < storage.stores.size(); ++i) {
    storage.Acknowledge(storage.stores[i]);
    world.scheduler.RunUntilIdle();
    if (storage.Has(payout)) {
      EXPECT_EQ(i + 1, storage.stores.size()) << "the signature is in the last record";
    }
  }
  EXPECT_TRUE(storage.Has(credit) && storage.Has(read) && storage.Has(payout));
  EXPECT_FALSE(storage.answers[payout].payout().attempts(0).raw_tx().empty());
}

// Four records on their way, a question behind them, and one report for all of them.
TEST(I5Test, AnAnswerThatWaitedBehindTheLastRecordLeavesWithIt) {
  World world(5);
  Disk disk;
  Host& storage = world.Load(&disk);
  storage.silent = true;
  for (int i = 0; i < 4; ++i) {
    storage.AskCredit(absl::StrCat("e", i), "a", 1);
    world.scheduler.RunUntilIdle();
  }
  ClientFrame get;
  get.mutable_get_account()->set_id("a");
  const uint64_t read = storage.Ask(get);
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(storage.Has(read));
  storage.Acknowledge(storage.stores.back());
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(storage.Has(read));
}

TEST(AttachTest, WhatWasNotAcknowledgedIsSentAgain) {
  World world(6);
  Disk disk, lost;
  Host& storage = world.Load(&disk);
  world.scheduler.RunUntilIdle();
  storage.disk = &lost;  // from here on, nothing reaches the disk
  storage.silent = true;
  Host& client = world.Connect();
  const uint64_t credit = client.AskCredit("e", "a", 50);
  world.scheduler.RunUntilIdle();
  storage.stream.reset();
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(client.Has(credit));
  EXPECT_EQ(client.Code(client.AskCredit("f", "a", 1)), static_cast<v1::ErrorCode>(-1));
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(client.Code(client.last_id), v1::ERROR_NOT_READY) << "no storage, no acknowledgement";
  // A host that comes back hears at once what it is to do.
  Host& back = world.Connect(&disk);
  EXPECT_EQ(world.Status(back).phase(), v1::PHASE_READY);
  ClientFrame begin;
  begin.mutable_load_begin();
  EXPECT_EQ(world.Call(back, begin).error().code(), v1::ERROR_ALREADY_LOADED);
  const uint64_t attach =
      back.AskAttach(disk.last(), sealing::RecordHash(disk.Everything().back()).view());
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(back.answers[attach].has_storage_attached());
  EXPECT_TRUE(client.Has(credit));
  EXPECT_EQ(disk.Everything().size(), 2u);
  world.Start();
  EXPECT_EQ(world.Status(world.Load(&disk)).totals().available().low(), 50u);
}

TEST(AttachTest, Refusals) {
  World world(7);
  Disk disk;
  Host& storage = world.Load(&disk);
  for (int i = 0; i < 3; ++i) {
    storage.AskCredit(absl::StrCat("e", i), "a", 1);
    world.scheduler.RunUntilIdle();
  }
  const std::vector<std::string> all = disk.Everything();
  ASSERT_EQ(all.size(), 4u);
  const std::string head(sealing::RecordHash(all[3]).view());
  struct Row {
    uint64_t sequence;
    std::string hash;
    v1::ErrorCode code;
  };
  const Row rows[] = {
      {0, "", v1::ERROR_STORAGE_BEHIND},
      {3, std::string(sealing::RecordHash(all[2]).view()), v1::ERROR_STORAGE_BEHIND},
      {5, head, v1::ERROR_STATE_REFUSED},
      {UINT64_MAX, head, v1::ERROR_STATE_REFUSED},
      {4, Bytes32(1), v1::ERROR_STATE_REFUSED},
      {4, "", v1::ERROR_STATE_REFUSED},
      {4, std::string(1u << 20, 'h'), v1::ERROR_STATE_REFUSED},
      {4, head, v1::ERROR_UNSPECIFIED},
  };
  Host& other = world.Connect();
  for (const Row& row : rows) {
    const uint64_t id = other.AskAttach(row.sequence, row.hash);
    world.scheduler.RunUntilIdle();
    EXPECT_EQ(other.Code(id), row.code) << row.sequence;
  }
  // The newest storage wins: the old one has no say any more.
  other.silent = true;
  const uint64_t credit = other.AskCredit("x", "a", 1);
  world.scheduler.RunUntilIdle();
  ASSERT_EQ(other.stores.size(), 1u);
  storage.Acknowledge(other.stores[0]);
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(other.Has(credit));
  other.Acknowledge(other.stores[0]);
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(other.Has(credit));
}

TEST(StoredTest, HostileReportsReleaseOnlyWhatExists) {
  World world(8);
  Disk disk;
  Host& storage = world.Load(&disk);
  ClientFrame lie;
  lie.mutable_stored()->set_sequence(UINT64_MAX);
  lie.mutable_stored()->set_snapshot_sequence(UINT64_MAX);
  lie.mutable_stored()->set_snapshot_chunks(UINT32_MAX);
  storage.stream->Send(lie.SerializeAsString());
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.Status(storage).stored_sequence(), 1u);
  EXPECT_EQ(world.Status(storage).snapshot_sequence(), 0u);
  storage.silent = true;
  Host& stranger = world.Connect();
  const uint64_t credit = storage.AskCredit("e", "a", 1);
  world.scheduler.RunUntilIdle();
  stranger.stream->Send(lie.SerializeAsString());
  world.scheduler.RunUntilIdle();
  EXPECT_FALSE(storage.Has(credit)) << "a connection that is not the storage has no say";
  for (int i = 0; i < 1000; ++i) stranger.stream->Send(lie.SerializeAsString());
  storage.Acknowledge(storage.stores.back());
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(storage.Has(credit));
}

// The gateway alone, with its neighbours' mailboxes read by the test.
template <typename Message>
struct Inbox : runtime::Actor<Message> {
  void Receive(Message message) override { messages.push_back(std::move(message)); }
  std::vector<Message> messages;
};

// Found by the adversary of tests/sim: a report that came before its record was handed out counted
// when the record was sealed meanwhile.
TEST(StoredTest, AReportThatCameBeforeItsRecordSaysNothing) {
  runtime::TestScheduler scheduler(1);
  runtime::MemoryNetwork wire(&scheduler);
  runtime::TestDispatcher* inside = scheduler.NewDispatcher("enclave");
  runtime::TestDispatcher* outside = scheduler.NewDispatcher("host");
  const std::unique_ptr<runtime::Network> enclave_node = wire.NewNode(inside);
  const std::unique_ptr<runtime::Network> host_node = wire.NewNode(outside);
  enclave::AuthorityMailbox authority(inside, "authority", 100);
  enclave::SealerMailbox sealer(inside, "sealer", 100);
  Inbox<enclave::AuthorityMessage> requests;
  Inbox<enclave::SealerMessage> reports;
  authority.Bind(&requests);
  sealer.Bind(&reports);
  enclave::Gateway gateway(&authority, &sealer, {});
  const auto endpoint = runtime::Endpoint::Parse("vsock://16:5000").value();
  const auto listener = enclave_node->Listen(
      endpoint, [&](std::unique_ptr<runtime::FramedStream> s) { gateway.Accept(std::move(s)); });
  ASSERT_TRUE(listener.ok()) << listener.status();
  Host host;
  host_node->Connect(endpoint, [&host](auto made) { host.stream = *std::move(made); });
  scheduler.RunUntilIdle();
  ASSERT_NE(host.stream, nullptr);
  gateway.Receive(enclave::StorageIs{1});

  ClientFrame lie;
  lie.mutable_stored()->set_sequence(UINT64_MAX);
  const auto reported = [&] {
    reports.messages.clear();
    host.stream->Send(lie.SerializeAsString());
    scheduler.RunUntilIdle();
    COFFER_CHECK(reports.messages.size() == 1, "one report comes to the sealer");
    return std::get<enclave::StoredReport>(reports.messages[0]).stored.sequence();
  };
  EXPECT_EQ(reported(), 0u) << "nothing was handed out";
  for (const uint64_t sequence : {1, 2}) {
    auto frame = std::make_unique<ServerFrame>();
    frame->mutable_store()->set_kind(v1::Store::KIND_RECORD);
    frame->mutable_store()->set_sequence(sequence);
    gateway.Receive(enclave::StoreOut{1, std::move(frame)});
    EXPECT_EQ(reported(), sequence);
  }
  gateway.Receive(enclave::StorageIs{1});
  EXPECT_EQ(reported(), 0u) << "a storage that attaches is handed its records again";
  gateway.Shutdown();
}

TEST(SnapshotTest, ACutUnderLoadIsEnoughToRecoverFrom) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    enclave::EnclaveOptions options = World::Options();
    options.min_snapshot_interval_bytes = 500;
    World world(seed, options);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(9));
    Disk disk;
    Host& storage = world.Connect(&disk);
    storage.AskLoad({});
    world.scheduler.Advance(absl::Seconds(1));
    for (int i = 0; i < 200; ++i) {
      storage.AskCredit(absl::StrCat("e", i), absl::StrCat("a", i % 7), 1);
      if (i % 5 == 0) world.scheduler.Advance(absl::Milliseconds(3));
    }
    world.scheduler.Advance(absl::Seconds(5));
    EXPECT_GT(disk.base, 1u) << "seed " << seed;
    EXPECT_EQ(storage.answers.size(), 202u);
    world.Start();
    Host& again = world.Connect(&disk);
    const uint64_t load = again.AskLoad(disk.Everything());
    world.scheduler.Advance(absl::Seconds(5));
    ASSERT_TRUE(again.answers[load].has_load_done())
        << "seed " << seed << again.answers[load].ShortDebugString();
    EXPECT_EQ(world.enclave().state()->ledger().totals().available, 200u);
    EXPECT_EQ(world.enclave().state()->event_ids().size(), 200u);
  }
}

// The enclave dies at a random step under load, again and again, and once in a while the host with
// it; a host only ever acknowledges what its disk has. What was answered is never lost.
TEST(RestartTest, NothingAcknowledgedIsLostWhereverTheEnclaveDies) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 40;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("COFFER_TEST_SEED=", seed));
    enclave::EnclaveOptions options = World::Options();
    options.min_snapshot_interval_bytes = 1500;
    World world(seed, options);
    runtime::SeededRandom random(seed);
    Disk disk;
    int sent = 0;
    std::map<int, bool> acknowledged;
    std::map<uint64_t, std::string> transactions;  // payout -> raw, once answered
    for (int run = 0; run < 6; ++run) {
      if (run > 0) world.Start();
      Host& host = world.Load(&disk);
      std::map<uint64_t, int> asked;
      for (int i = 0; i < 15; ++i, ++sent) {
        asked[host.AskCredit(absl::StrCat("e", sent), absl::StrCat("a", sent % 3), 10)] = sent;
        if (random.Below(4) != 0) continue;
        ClientFrame pay;
        *pay.mutable_prepare_payout() = MakePayout({{absl::StrCat("a", sent % 3), 1}});
        host.Ask(pay);
      }
      const uint64_t steps = random.Below(120);
      for (uint64_t step = 0; step < steps && world.scheduler.Step(); ++step) {
      }
      world.Kill();
      world.scheduler.RunUntilIdle();
      for (const auto& [id, event] : asked) {
        if (host.answers[id].events_applied().applied() == 1) acknowledged[event] = true;
      }
      for (const auto& [id, answer] : host.answers) {
        if (!answer.has_payout()) continue;
        const std::string& raw = answer.payout().attempts(0).raw_tx();
        EXPECT_EQ(transactions.try_emplace(answer.payout().id(), raw).first->second, raw) << "I3";
      }
    }
    world.Start();
    Host& host = world.Load(&disk);
    world.scheduler.RunUntilIdle();
    uint64_t duplicates = 0;
    for (const auto& [event, yes] : acknowledged) {
      const uint64_t id =
          host.AskCredit(absl::StrCat("e", event), absl::StrCat("a", event % 3), 10);
      world.scheduler.RunUntilIdle();
      duplicates += static_cast<uint64_t>(host.answers[id].events_applied().duplicates_size());
    }
    EXPECT_EQ(duplicates, acknowledged.size());
    for (const auto& [id, raw] : transactions) {
      v1::Payout payout;
      ASSERT_TRUE(world.enclave().state()->GetPayout(id, true, &payout).ok()) << id;
      EXPECT_EQ(payout.attempts(0).raw_tx(), raw);
    }
  }
}

}  // namespace
}  // namespace coffer::test
