// The store and its LeafSink: what is handed on, when, and what a sink that fails holds back.
#include "actors/host/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

struct FakeSink final : LeafSink {
  void Append(uint64_t tree_size, std::string_view leaves) override {
    got.emplace_back(tree_size, leaves);
    if (on_append) on_append();
  }
  absl::Status Sync() override {
    ++syncs;
    return status;
  }
  std::vector<std::pair<uint64_t, std::string>> got;
  std::function<void()> on_append;
  absl::Status status;
  int syncs = 0;
};

struct Events final : runtime::Actor<StoreEvent> {
  void Receive(StoreEvent event) override { got.push_back(std::move(event)); }
  std::vector<StoreEvent> got;
};

// Whose clock is further at each look.
struct HurriedDispatcher final : runtime::Dispatcher {
  explicit HurriedDispatcher(runtime::Dispatcher* real) : real_(real) {}
  void Post(runtime::Task task) override { real_->Post(std::move(task)); }
  std::unique_ptr<runtime::Timer> After(absl::Duration delay, runtime::Task task) override {
    return real_->After(delay, std::move(task));
  }
  absl::Time Now() const override { return now_ += step; }
  absl::Time WallNow() const override { return real_->WallNow(); }

  absl::Duration step = absl::ZeroDuration();

 private:
  runtime::Dispatcher* const real_;
  mutable absl::Time now_ = absl::UnixEpoch();
};

class StateStoreTest : public ::testing::Test {
 protected:
  StateStoreTest()
      : scheduler_(3),
        main_(scheduler_.NewDispatcher("main")),
        thread_(scheduler_.NewDispatcher("store")),
        hurried_(thread_),
        to_store_(thread_, "store", 4096),
        from_store_(main_, "link", 4096) {
    from_store_.Bind(&events_);
    store_ = std::make_unique<StateStore>(
        StateStore::Options{}, &hurried_,
        *RecordStore::Open(&disk_, {.segment_bytes = 4096, .hold_segments = true}), &from_store_,
        &sink_);
    to_store_.Bind(store_.get());
    scheduler_.RunUntilIdle();
  }
  void TearDown() override {
    main_->Crash();
    thread_->Crash();
  }
  void Send(uint64_t sequence, const std::string& leaves) {
    to_store_.Send(StoreRecord{sequence, absl::StrCat("CFR1 ", sequence, std::string(200, 's')),
                               leaves, sequence * 10});
  }
  void Run() { scheduler_.Advance(absl::Milliseconds(10)); }

  runtime::TestScheduler scheduler_;
  runtime::TestDispatcher* main_;
  runtime::TestDispatcher* thread_;
  HurriedDispatcher hurried_;
  FaultyDisk disk_;
  runtime::Mailbox<StoreMessage> to_store_;
  runtime::Mailbox<StoreEvent> from_store_;
  Events events_;
  FakeSink sink_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(StateStoreTest, LeavesAreHandedOnInOrderOnceTheyAreDurable) {
  sink_.on_append = [&] {
    const std::unique_ptr<FaultyDisk> copy = disk_.Clone();
    const auto stored = RecordStore::Open(copy.get(), {.segment_bytes = 4096});
    EXPECT_GE((*stored)->tree_size(), sink_.got.back().first) << "handed on before it was stored";
  };
  for (uint64_t s = 1; s <= 9; ++s) Send(s, s % 3 == 0 ? "" : absl::StrCat("leaves ", s));
  Run();
  std::vector<std::pair<uint64_t, std::string>> expected;
  for (const uint64_t s : {1, 2, 4, 5, 7, 8})
    expected.emplace_back(s * 10, absl::StrCat("leaves ", s));
  EXPECT_EQ(sink_.got, expected);
  size_t messages = 0, bytes = 0;
  for (const StoreEvent& event : events_.got) {
    messages += std::get<StoredUpTo>(event).messages;
    bytes += std::get<StoredUpTo>(event).bytes;
  }
  EXPECT_EQ(messages, 9u);
  EXPECT_EQ(bytes, 9 * 206 + 6 * 8u) << "sealed bytes and leaves, and nothing of the disk's";
}

TEST_F(StateStoreTest, OfARecordSentAgainTheFirstLeavesStay) {
  Send(1, "first");
  Run();
  Send(1, "second and longer");
  Run();
  ASSERT_EQ(events_.got.size(), 2u);
  EXPECT_EQ(std::get<StoredUpTo>(events_.got[1]).bytes, 206u + 17u);
  EXPECT_EQ(sink_.got.size(), 1u);
  EXPECT_EQ(sink_.got[0].second, "first");
}

TEST_F(StateStoreTest, WritesThatTakeLongAreCounted) {
  hurried_.step = absl::Milliseconds(900);
  Send(1, "leaves");
  Run();
  EXPECT_EQ(store_->status().slow_writes, 0u);
  hurried_.step = absl::Milliseconds(1100);
  Send(2, "leaves");
  Run();
  EXPECT_EQ(store_->status().slow_writes, 1u);
  to_store_.Send(StoreChunk{2, 0, 1, "chunk"});
  Run();
  EXPECT_EQ(store_->status().slow_writes, 2u);
  EXPECT_EQ(store_->status().snapshots, 1u) << "slow, and done all the same";
}

TEST_F(StateStoreTest, NothingIsHandedOnWhileTheDiskIsFull) {
  disk_.set_capacity(10);
  Send(1, "leaves");
  Run();
  EXPECT_TRUE(sink_.got.empty());
  disk_.set_capacity(~uint64_t{0});
  scheduler_.Advance(absl::Seconds(2));
  EXPECT_EQ(sink_.got.size(), 1u);
}

// Found by the simulation: a fresh enclave went on from what was sure, and after the host's restart
// there was another record of the same number.
TEST_F(StateStoreTest, ADiskThatFailedLoadsNoEnclave) {
  Send(1, "leaves");
  Run();
  disk_.LoseNextSync();
  Send(2, "leaves");
  to_store_.Send(StartReading{});
  Run();
  ASSERT_EQ(events_.got.size(), 2u);
  const auto* read = std::get_if<ReadBatch>(&events_.got[1]);
  ASSERT_NE(read, nullptr);
  EXPECT_TRUE(absl::IsDataLoss(read->status)) << read->status;
  EXPECT_TRUE(read->items.empty());
}

TEST_F(StateStoreTest, SegmentsStayUntilTheSinkIsDurable) {
  for (uint64_t s = 1; s <= 40; ++s) {
    Send(s, "leaves");
    Run();
  }
  sink_.status = absl::UnavailableError("the log's disk is full");
  to_store_.Send(StoreChunk{40, 0, 1, "chunk"});
  Run();
  EXPECT_TRUE(disk_.Exists(SegmentName(1)));
  EXPECT_THAT(store_->status().cleanup, HasSubstr("the log's disk is full"));
  EXPECT_EQ(store_->status().trouble, "") << "records are acknowledged all the same";
  EXPECT_EQ(store_->status().snapshot_sequence, 40u);
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_TRUE(disk_.Exists(SegmentName(1)));
  sink_.status = absl::OkStatus();
  scheduler_.Advance(absl::Seconds(11));
  EXPECT_FALSE(disk_.Exists(SegmentName(1)));
  EXPECT_EQ(store_->status().cleanup, "");
  const int syncs = sink_.syncs;
  scheduler_.Advance(absl::Minutes(5));
  EXPECT_EQ(sink_.syncs, syncs) << "nothing is left to be removed";
}

TEST_F(StateStoreTest, AFlushMakesTheLogDurable) {
  Send(1, "leaves");
  to_store_.Send(Flush{});
  Run();
  EXPECT_EQ(sink_.syncs, 1);
  EXPECT_TRUE(std::holds_alternative<Flushed>(events_.got.back()));
}

TEST_F(StateStoreTest, ARecordLargerThanAnEntryIsRefused) {
  to_store_.Send(StoreRecord{1, std::string(9u << 20, 's'), std::string(8u << 20, 'l'), 10});
  Run();
  ASSERT_EQ(events_.got.size(), 1u);
  const auto& refused = std::get<StoreContradiction>(events_.got[0]);
  EXPECT_EQ(refused.bytes, 17u << 20);
  EXPECT_EQ(store_->status().last_sequence, 0u);
}

}  // namespace
}  // namespace coffer::host
