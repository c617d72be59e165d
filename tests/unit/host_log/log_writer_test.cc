// The writer beside the store, in virtual time: leaves from records to tiles, restarts, and every
// way in which the log's disk can fail while payments go on.
#include "actors/host/log/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "actors/host/state_store.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/faulty_log_files.h"
#include "tests/unit/host_log/support.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSegment = 8192;

template <typename Message>
struct Collector final : runtime::Actor<Message> {
  void Receive(Message message) override { got.push_back(std::move(message)); }
  std::vector<Message> got;
};

// One life of the host's storage half.
struct Host {
  Host(runtime::TestScheduler& scheduler, FaultyDisk& disk, FaultyLogFiles& files,
       LogWriter::Options options)
      : main(scheduler.NewDispatcher("main")),
        thread(scheduler.NewDispatcher("store")),
        to_store(thread, "store", 1 << 14),
        from_store(main, "link", 1 << 14),
        to_writer(thread, "writer", 16),
        from_writer(main, "publisher", 16) {
    auto opened = RecordStore::Open(&disk, {.segment_bytes = kSegment, .hold_segments = true});
    COFFER_CHECK(opened.ok(), "the records can be read");
    records = opened->get();
    writer = std::make_unique<LogWriter>(options, thread, &files, records, &from_writer);
    store = std::make_unique<StateStore>(StateStore::Options{}, thread, *std::move(opened),
                                         &from_store, writer.get());
    to_store.Bind(store.get());
    from_store.Bind(&stored);
    to_writer.Bind(writer.get());
    from_writer.Bind(&events);
    writer->Start();
  }
  ~Host() {
    main->Crash();
    thread->Crash();
  }

  runtime::TestDispatcher* main;
  runtime::TestDispatcher* thread;
  runtime::Mailbox<StoreMessage> to_store;
  runtime::Mailbox<StoreEvent> from_store;
  runtime::Mailbox<LogCommand> to_writer;
  runtime::Mailbox<LogEvent> from_writer;
  Collector<StoreEvent> stored;
  Collector<LogEvent> events;
  const RecordStore* records;
  std::unique_ptr<LogWriter> writer;
  std::unique_ptr<StateStore> store;
};

class LogWriterTest : public ::testing::Test {
 protected:
  LogWriterTest() : scheduler_(5) { options_.slice_bytes = 4096; }
  void Start() {
    host_.reset();
    host_ = std::make_unique<Host>(scheduler_, *disk_, *files_, options_);
    Settle();
  }
  void Reset() {
    host_.reset();
    disk_ = std::make_unique<FaultyDisk>();
    files_ = std::make_unique<FaultyLogFiles>();
    sequence_ = size_ = 0;
  }
  void Settle(absl::Duration time = absl::Milliseconds(100)) { scheduler_.Advance(time); }
  // Sends records of `leaves` leaves each.
  void Store(int count, uint64_t leaves = 20) {
    for (int i = 0; i < count; ++i) {
      host_->to_store.Send(StoreRecord{++sequence_, absl::StrCat("CFR1 sealed ", sequence_),
                                       Leaves(size_, size_ + leaves), size_ + leaves});
      size_ += leaves;
      Settle(absl::Milliseconds(1));  // a group each, so that there are many segments
    }
    Settle();
  }
  void Snapshot() {
    host_->to_store.Send(StoreChunk{sequence_, 0, 1, "chunk"});
    Settle();
  }
  absl::Status Cut(uint64_t size, const audit::Hash& root) {
    host_->to_writer.Send(CutLog{size, root});
    Settle();
    return std::get<LogCut>(host_->events.got.back()).status;
  }
  absl::Status Publish(uint64_t size) {
    if (absl::Status s = Cut(size, RootOf(size)); !s.ok()) return s;
    host_->to_writer.Send(PublishLog{size, NoteOf(size, RootOf(size))});
    Settle();
    return std::get<LogPublished>(host_->events.got.back()).status;
  }
  // What happened to the log has not held up a record.
  void ExpectAcknowledged() {
    EXPECT_EQ(host_->store->status().last_sequence, sequence_);
    EXPECT_EQ(host_->store->status().trouble, "");
  }
  LogWriter::Status status() const { return host_->writer->status(); }
  // After it all the log is what it must be.
  void ExpectWhole() {
    ASSERT_TRUE(Publish(size_).ok());
    ExpectHolds(files_->All(), Reference(size_));
    EXPECT_EQ(status().trouble, "");
    EXPECT_EQ(status().alarm, "");
  }

  runtime::TestScheduler scheduler_;
  std::unique_ptr<FaultyDisk> disk_ = std::make_unique<FaultyDisk>();
  std::unique_ptr<FaultyLogFiles> files_ = std::make_unique<FaultyLogFiles>();
  LogWriter::Options options_;
  std::unique_ptr<Host> host_;
  uint64_t sequence_ = 0;
  uint64_t size_ = 0;
};

TEST_F(LogWriterTest, LeavesBecomeTilesAndAHeadIsPublished) {
  Start();
  EXPECT_FALSE(status().recovering);
  Store(30);
  ASSERT_TRUE(Publish(size_).ok());
  EXPECT_EQ(status().size, 600u);
  EXPECT_EQ(status().published_size, 600u);
  ExpectHolds(files_->All(), Reference(600));
  EXPECT_TRUE(absl::IsUnavailable(Cut(601, RootOf(601))));
  Store(3, 0);
  ExpectAcknowledged();
  EXPECT_EQ(status().size, 600u) << "records without leaves";
  ExpectWhole();
}

TEST_F(LogWriterTest, ARestartGoesOnFromWhereItWasDurable) {
  Start();
  Store(100);
  ASSERT_TRUE(Publish(size_).ok());
  const uint64_t durable = status().durable_size;
  EXPECT_EQ(durable, 2000u) << "the first publication makes it durable";
  Store(100);
  ASSERT_TRUE(Publish(size_).ok());
  EXPECT_EQ(status().durable_size, durable) << "and later ones at intervals";
  std::mt19937_64 random(3);  // NOLINT(cert-msc51-cpp): the same faults each time
  files_->Restart(random);
  Start();
  EXPECT_EQ(status().size, size_);
  EXPECT_FALSE(status().recovering);
  ExpectHolds(files_->All(), Reference(size_));
  Store(10);
  ExpectWhole();
}

TEST_F(LogWriterTest, TheFirstPublicationAfterTheIntervalMakesItDurable) {
  Start();
  Store(1);
  ASSERT_TRUE(Publish(size_).ok());
  Store(10);
  ASSERT_TRUE(Publish(size_).ok());
  EXPECT_EQ(status().durable_size, 20u);
  EXPECT_EQ(files_->syncs_begun(), 1u) << "so that the next sync has less to wait for";
  Settle(options_.sync_interval);
  Store(10);
  ASSERT_TRUE(Publish(size_).ok());
  EXPECT_EQ(status().durable_size, size_);
  EXPECT_EQ(files_->syncs_begun(), 1u);
}

TEST_F(LogWriterTest, SegmentsGoOnlyOnceTheLogIsDurable) {
  Start();
  Store(40);
  ASSERT_TRUE(disk_->Exists(SegmentName(1)));
  files_->FailSync(absl::InternalError("EIO"));
  Snapshot();
  EXPECT_TRUE(disk_->Exists(SegmentName(1))) << "its leaves may be lost";
  EXPECT_THAT(host_->store->status().cleanup, HasSubstr("the records below the snapshot stay"));
  EXPECT_THAT(status().trouble, HasSubstr("tried again"));
  Store(5);
  ExpectAcknowledged();
  Settle(absl::Seconds(15));
  EXPECT_EQ(status().trouble, "");
  EXPECT_EQ(host_->store->status().cleanup, "");
  EXPECT_FALSE(disk_->Exists(SegmentName(1)));
  std::mt19937_64 random(4);  // NOLINT(cert-msc51-cpp): the same faults each time
  for (int i = 0; i < 5; ++i) files_->Restart(random);
  Start();
  ExpectWhole();
}

TEST_F(LogWriterTest, SegmentsThatWereHeldGoAfterARestart) {
  Start();
  Store(40);
  files_->FailNext(1000, absl::ResourceExhaustedError("no space"));
  Snapshot();
  EXPECT_TRUE(disk_->Exists(SegmentName(1)));
  files_->FailNext(0, absl::OkStatus());
  Start();
  Settle(absl::Seconds(11));
  EXPECT_FALSE(disk_->Exists(SegmentName(1)));
  ExpectWhole();
}

TEST_F(LogWriterTest, AFullDiskHoldsTheLogUpAndNoPayment) {
  Start();
  Store(10);
  ASSERT_TRUE(Publish(size_).ok());
  files_->set_capacity(1);
  Store(50);
  ExpectAcknowledged();
  EXPECT_THAT(status().trouble, HasSubstr("disk is full"));
  EXPECT_TRUE(absl::IsUnavailable(Publish(size_)));
  Settle(absl::Minutes(2));
  Store(10);
  ExpectAcknowledged();
  files_->set_capacity(~uint64_t{0});
  Settle(absl::Seconds(2));
  ExpectWhole();
}

TEST_F(LogWriterTest, ADiskThatFailsForAWhileIsGotOver) {
  Start();
  Store(10);
  files_->FailNext(30, absl::InternalError("EIO"));
  Store(50);
  ExpectAcknowledged();
  EXPECT_THAT(status().trouble, HasSubstr("failed"));
  Settle(absl::Minutes(40));
  ExpectWhole();
}

TEST_F(LogWriterTest, ALostFolderIsMadeAgainWhileTheRecordsAreAllThere) {
  Start();
  Store(60);
  ASSERT_TRUE(Publish(size_).ok());
  files_->Clear();
  Start();
  EXPECT_EQ(status().size, size_);
  ExpectWhole();
}

TEST_F(LogWriterTest, ADamagedTileOrMarkIsMadeAgainWhileTheRecordsAreAllThere) {
  for (const std::string path : {"durable", "tile/0/004.p/176", "tile/1/000.p/4"}) {
    Reset();
    Start();
    Store(60);
    ASSERT_TRUE(Publish(size_).ok());
    files_->Put(path, "damaged");
    Start();
    ExpectWhole();
    EXPECT_NE(files_->All().at(path), "damaged");
  }
}

class LostFolderTest : public LogWriterTest {
 protected:
  // The first records are gone, as the log was durable; then the folder is lost.
  void Lose() {
    Start();
    Store(60);
    ASSERT_TRUE(Publish(size_).ok());
    Snapshot();
    ASSERT_FALSE(disk_->Exists(SegmentName(1)));
    Store(10);
    ASSERT_TRUE(Publish(size_).ok());
    files_->Clear();
  }
};

TEST_F(LostFolderTest, TheLogStopsWithASentenceAndPaymentsGoOn) {
  Lose();
  Start();
  EXPECT_THAT(status().trouble, HasSubstr("coffer log mirror"));
  EXPECT_THAT(status().trouble, HasSubstr("leaf"));
  Store(100);
  ExpectAcknowledged();
  Snapshot();
  Settle(absl::Minutes(5));
  EXPECT_TRUE(files_->All().empty()) << "nothing wrong is ever written";
  EXPECT_TRUE(absl::IsFailedPrecondition(Cut(size_, RootOf(size_)))) << "not two histories";
  EXPECT_THAT(host_->store->status().cleanup, HasSubstr("stay"));
  const uint64_t oldest = host_->records->ReadPublic(0).Next().value()->sequence;
  Store(100);
  EXPECT_EQ(host_->records->ReadPublic(0).Next().value()->sequence, oldest) << "records are kept";
}

TEST_F(LostFolderTest, ACopyFromAPeerIsTaken) {
  Lose();
  const uint64_t copied = size_ - 100;  // the peer is a little behind
  const Reference copy(copied);
  for (const auto& [path, content] : copy.files) files_->Put(path, content);
  files_->Put("checkpoint", NoteOf(copied, copy.root));
  Start();
  EXPECT_EQ(status().size, size_);
  // The records that it overlaps stay until a head of the enclave has confirmed the copy.
  EXPECT_TRUE(absl::IsFailedPrecondition(host_->writer->Sync()));
  ExpectWhole();
  EXPECT_TRUE(host_->writer->Sync().ok());
  Start();
  ExpectWhole();
}

TEST_F(LostFolderTest, ACopyThatIsTooOldOrWrongIsNot) {
  Lose();
  const Reference old(100);
  for (const auto& [path, content] : old.files) files_->Put(path, content);
  files_->Put("checkpoint", NoteOf(100, old.root));
  Start();
  EXPECT_THAT(status().trouble, HasSubstr("coffer log mirror"));
  const Reference newer(size_);  // put over it: the mark of the old one is still there
  for (const auto& [path, content] : newer.files) files_->Put(path, content);
  files_->Put("checkpoint", NoteOf(size_, newer.root));
  Start();
  ExpectWhole();
  files_->Clear();
  const Reference copy(size_);
  for (const auto& [path, content] : copy.files) files_->Put(path, content);
  files_->Put("checkpoint", NoteOf(size_, copy.root));
  std::string bundle = files_->All().at("tile/entries/002");
  bundle[5] ^= 1;
  files_->Put("tile/entries/002", bundle);
  const auto before = files_->All();
  Start();
  EXPECT_THAT(status().trouble, HasSubstr("tile/0/002"));
  EXPECT_TRUE(files_->All() == before) << "nothing is written";
  Store(5);
  ExpectAcknowledged();
}

TEST_F(LogWriterTest, RecordsOlderThanTheLogStopIt) {
  Start();
  Store(20);
  auto old = disk_->Clone();
  Store(20);
  ASSERT_TRUE(Publish(size_).ok());
  host_.reset();
  disk_ = std::move(old);
  Start();
  EXPECT_THAT(status().trouble, HasSubstr("older than the log"));
}

TEST_F(LogWriterTest, AnotherRootIsAnAlarmAndTheRecordsStay) {
  Start();
  Store(40);
  const absl::Status cut = Cut(size_, RootOf(size_ - 1));
  EXPECT_TRUE(absl::IsDataLoss(cut));
  EXPECT_THAT(status().alarm, HasSubstr("not the one that the enclave signed"));
  Snapshot();
  EXPECT_TRUE(disk_->Exists(SegmentName(1)));
  Store(1);
  ExpectAcknowledged();
  EXPECT_NE(status().alarm, "") << "it stays";
}

TEST_F(LogWriterTest, LeavesThatDoNotGoOnFromTheEndStopTheLog) {
  for (const uint64_t tree_size : {uint64_t{210}, uint64_t{240}, uint64_t{5}}) {
    Reset();
    Start();
    Store(10);
    host_->to_store.Send(StoreRecord{++sequence_, "CFR1", Leaves(200, 220), tree_size});
    Settle();
    ExpectAcknowledged();
    EXPECT_THAT(status().trouble, HasSubstr("do not begin at the end"));
  }
}

TEST_F(LogWriterTest, OldRecordsWithoutLeavesAreNoTrouble) {
  Start();
  for (int i = 0; i < 50; ++i) {
    host_->to_store.Send(StoreRecord{++sequence_, absl::StrCat("CFR1 ", sequence_), "", 0});
  }
  Settle();
  Start();
  Store(20);
  ExpectWhole();
  Start();
  ExpectWhole();
}

TEST_F(LogWriterTest, RandomLivesOfBothDisks) {
  const uint64_t seed = Seed();
  for (uint64_t run = 0; run < 60; ++run) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " run ", run));
    std::mt19937_64 random(seed + run);
    Reset();
    uint64_t published = 0;
    for (int life = 0; life < 4; ++life) {
      Start();
      files_->CrashAt(1 + random() % 80);
      for (int step = 0; step < 12; ++step) {
        Store(1 + static_cast<int>(random() % 6), random() % 90);
        if (random() % 3 == 0) Snapshot();
        if (random() % 2 == 0 && size_ > published && Publish(size_).ok()) published = size_;
      }
      ExpectAcknowledged();
      files_->Restart(random);
    }
    Start();
    Settle(absl::Minutes(1));
    EXPECT_GE(status().published_size, published);
    if (size_ > 0) ExpectWhole();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace coffer::host
