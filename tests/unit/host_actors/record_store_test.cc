// The store's files: what survives a crash at any operation, what is dropped, and what is refused.
#include "actors/host/record_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "actors/host/crc32c.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSegment = 8192;

uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "COFFER_TEST_SEED=" << seed << "\n";
  return seed;
}

// The sealed record of a sequence: repeatable, without zero bytes, 100 to 900 bytes long.
std::string Record(uint64_t sequence) {
  std::mt19937_64 random(sequence);
  std::string record(100 + random() % 800, '\0');
  for (char& c : record) c = static_cast<char>(1 + random() % 255);
  return record;
}

std::vector<std::string> Records(uint64_t first, size_t count) {
  std::vector<std::string> records;
  for (size_t i = 0; i < count; ++i) records.push_back(Record(first + i));
  return records;
}

std::string Chunk(uint64_t sequence, uint32_t index) { return Record(sequence * 1000 + index); }

absl::StatusOr<std::unique_ptr<RecordStore>> OpenStore(Disk& disk) {
  return RecordStore::Open(&disk, {.segment_bytes = kSegment});
}

// What a fresh enclave would be loaded with.
std::vector<std::string> ReadAll(const RecordStore& store) {
  std::vector<std::string> items;
  StoreReader reader = store.Read();
  while (true) {
    auto item = reader.Next();
    EXPECT_TRUE(item.ok()) << item.status();
    if (!item.ok() || !item->has_value()) return items;
    items.push_back(**item);
  }
}

std::vector<std::string> Expected(uint64_t snapshot, uint32_t chunks, uint64_t last) {
  std::vector<std::string> items;
  for (uint32_t i = 0; snapshot != 0 && i < chunks; ++i) items.push_back(Chunk(snapshot, i));
  for (uint64_t s = snapshot + 1; s <= last; ++s) items.push_back(Record(s));
  return items;
}

TEST(Crc32cTest, KnownAnswers) {  // RFC 3720, appendix B.4
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
}

TEST(RecordStoreTest, EmptyThenRecordsThenReopened) {
  FaultyDisk disk;
  {
    auto store = OpenStore(disk);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->last_sequence(), 0u);
    EXPECT_TRUE(ReadAll(**store).empty());
    ASSERT_TRUE((*store)->Append(Records(1, 3)).ok());
    ASSERT_TRUE((*store)->Append(Records(4, 1)).ok());
  }
  auto store = OpenStore(disk);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->last_sequence(), 4u);
  EXPECT_EQ((*store)->dropped(), "");
  EXPECT_EQ(ReadAll(**store), Expected(0, 0, 4));
  EXPECT_EQ((*store)->Digest(4), DigestOf(Record(4)));
  EXPECT_EQ((*store)->Digest(1), DigestOf(Record(1)));
  EXPECT_EQ((*store)->Digest(5), std::nullopt);
}

TEST(RecordStoreTest, OneGroupCostsOneSync) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  ASSERT_TRUE((*store)->Append(Records(1, 1)).ok());
  const uint64_t before = disk.syncs();
  ASSERT_TRUE((*store)->Append(Records(2, 5)).ok());
  EXPECT_EQ(disk.syncs(), before + 1);
}

TEST(RecordStoreTest, RotatesAndKeepsOrder) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  for (uint64_t s = 1; s <= 60; ++s) ASSERT_TRUE((*store)->Append(Records(s, 1)).ok());
  EXPECT_GT(disk.List()->size(), 3u);
  EXPECT_EQ(ReadAll(**store), Expected(0, 0, 60));
  auto again = OpenStore(disk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ReadAll(**again), Expected(0, 0, 60));
}

TEST(RecordStoreTest, AGroupLargerThanASegmentGetsOneOfItsOwn) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  ASSERT_TRUE((*store)->Append({std::string(5 * kSegment, 'x')}).ok());
  ASSERT_TRUE((*store)->Append(Records(2, 1)).ok());
  auto again = OpenStore(disk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->last_sequence(), 2u);
}

TEST(RecordStoreTest, SnapshotReplacesWhatIsBelowIt) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  for (uint64_t s = 1; s <= 40; ++s) ASSERT_TRUE((*store)->Append(Records(s, 1)).ok());
  const size_t segments = disk.List()->size();
  ASSERT_TRUE((*store)->AppendChunks(30, 0, 3, {Chunk(30, 0), Chunk(30, 1)}).ok());
  EXPECT_EQ((*store)->snapshot_sequence(), 0u);
  EXPECT_TRUE(disk.Exists(SegmentName(1))) << "removed before the snapshot was complete";
  ASSERT_TRUE((*store)->AppendChunks(30, 2, 3, {Chunk(30, 2)}).ok());
  EXPECT_EQ((*store)->snapshot_sequence(), 30u);
  EXPECT_FALSE(disk.Exists(SegmentName(1)));
  EXPECT_LT(disk.List()->size(), segments);
  EXPECT_EQ(ReadAll(**store), Expected(30, 3, 40));
  ASSERT_TRUE((*store)->AppendChunks(40, 0, 1, {Chunk(40, 0)}).ok());
  EXPECT_FALSE(disk.Exists(SnapshotName(30)));
  auto again = OpenStore(disk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ReadAll(**again), Expected(40, 1, 40));
  EXPECT_EQ((*again)->Digest(40), DigestOf(Record(40))) << "needed to attach";
}

// After a state key was adopted the same state comes again, sealed under another key.
TEST(RecordStoreTest, ASnapshotOnTheSameRecordTakesThePlaceOfTheOldWhenItIsWhole) {
  for (uint64_t cut = 1; cut < 20; ++cut) {
    std::mt19937_64 random(cut);
    FaultyDisk disk;
    auto store = OpenStore(disk);
    ASSERT_TRUE((*store)->Append(Records(1, 5)).ok());
    ASSERT_TRUE((*store)->AppendChunks(5, 0, 1, {"old"}).ok());
    disk.CrashAt(disk.operations() + cut);
    const bool begun = (*store)->AppendChunks(5, 0, 2, {"new, 1"}).ok();
    const bool whole = begun && (*store)->AppendChunks(5, 1, 2, {"new, 2"}).ok();
    disk.Restart(random);
    auto again = OpenStore(disk);
    ASSERT_TRUE(again.ok()) << again.status();
    const std::vector<std::string> found = ReadAll(**again);
    const bool old = found.front() == "old";
    EXPECT_FALSE(whole && old) << cut;
    EXPECT_EQ(found.size(), old ? 1u : 2u) << cut;
    EXPECT_EQ((*again)->snapshot_sequence(), 5u);
    ASSERT_TRUE((*again)->AppendChunks(5, 0, 1, {"newest"}).ok());
    EXPECT_EQ(ReadAll(**again).front(), "newest");
    EXPECT_TRUE(disk.Exists(SnapshotName(5)));
  }
}

TEST(RecordStoreTest, ChunksOutOfOrderAreRefusedAndChangeNothing) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  ASSERT_TRUE((*store)->Append(Records(1, 5)).ok());
  ASSERT_TRUE((*store)->AppendChunks(5, 0, 3, {Chunk(5, 0)}).ok());
  struct Case {
    uint64_t sequence;
    uint32_t index, count;
  };
  for (const Case& c : {Case{5, 2, 3}, Case{4, 1, 3}, Case{5, 1, 4}, Case{5, 3, 3}, Case{6, 0, 1},
                        Case{5, 0, 0}, Case{0, 0, 1}, Case{5, 0, ~0u}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        (*store)->AppendChunks(c.sequence, c.index, c.count, {Chunk(5, 9)})))
        << c.sequence << " " << c.index << " " << c.count;
  }
  EXPECT_EQ((*store)->writing()->chunks(), 1u);
  ASSERT_TRUE((*store)->AppendChunks(5, 0, 1, {Chunk(5, 0)}).ok()) << "starting anew is allowed";
  EXPECT_EQ((*store)->snapshot_sequence(), 5u);
}

// ---- torn tails and damage
// -----------------------------------------------------------------------------------------

struct Prepared {
  FaultyDisk disk;
  uint64_t last_group = 0;  // offset of the last group in the last segment
  uint64_t group_bytes = 0;
};

// Records 1..4 in the groups 1, 2-3 and 4, all in one segment.
std::unique_ptr<Prepared> ThreeGroups() {
  auto prepared = std::make_unique<Prepared>();
  auto store = OpenStore(prepared->disk);
  EXPECT_TRUE((*store)->Append(Records(1, 1)).ok());
  EXPECT_TRUE((*store)->Append(Records(2, 2)).ok());
  EXPECT_TRUE((*store)->Append(Records(4, 1)).ok());
  prepared->last_group = kSectorBytes + AlignToSector(EncodeGroup(1, Records(1, 1)).size()) +
                         AlignToSector(EncodeGroup(2, Records(2, 2)).size());
  prepared->group_bytes = EncodeGroup(4, Records(4, 1)).size();
  return prepared;
}

void ExpectTornAndUsable(FaultyDisk& disk, const std::string& what) {
  auto store = OpenStore(disk);
  ASSERT_TRUE(store.ok()) << what << ": " << store.status();
  EXPECT_EQ((*store)->last_sequence(), 3u) << what;
  EXPECT_EQ(ReadAll(**store), Expected(0, 0, 3)) << what;
  ASSERT_TRUE((*store)->Append(Records(4, 2)).ok()) << what;
  auto again = OpenStore(disk);
  ASSERT_TRUE(again.ok()) << what << ": " << again.status();
  EXPECT_EQ((*again)->dropped(), "") << what;
  EXPECT_EQ(ReadAll(**again), Expected(0, 0, 5)) << what;
}

TEST(TornTailTest, ZerosFromAnyByteOfTheLastGroupOn) {
  const auto prepared = ThreeGroups();
  for (uint64_t keep = 0; keep < prepared->group_bytes; ++keep) {
    auto disk = prepared->disk.Clone();
    std::string& bytes = disk->Contents(SegmentName(1));
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(prepared->last_group + keep), bytes.end(), 0);
    ExpectTornAndUsable(*disk, absl::StrCat("kept ", keep));
  }
}

TEST(TornTailTest, FileEndsAtAnyByteOfTheLastGroup) {
  const auto prepared = ThreeGroups();
  for (uint64_t keep = 0; keep < prepared->group_bytes; ++keep) {
    auto disk = prepared->disk.Clone();
    disk->Contents(SegmentName(1)).resize(prepared->last_group + keep);
    ExpectTornAndUsable(*disk, absl::StrCat("kept ", keep));
  }
}

TEST(TornTailTest, AnySectorThatWasNeverWrittenIsSaid) {
  FaultyDisk original;
  auto first = OpenStore(original);
  ASSERT_TRUE((*first)->Append(Records(1, 1)).ok());
  const uint64_t start = kSectorBytes + AlignToSector(EncodeGroup(1, Records(1, 1)).size());
  ASSERT_TRUE((*first)->Append(Records(2, 5)).ok());
  const uint64_t end = start + EncodeGroup(2, Records(2, 5)).size();
  for (uint64_t at = start; at < end; at += kSectorBytes) {
    auto disk = original.Clone();
    disk->Contents(SegmentName(1)).replace(at, 512, std::string(512, '\0'));
    auto store = OpenStore(*disk);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->last_sequence(), 1u);
    EXPECT_THAT((*store)->dropped(), HasSubstr("record 2"));
    EXPECT_THAT((*store)->dropped(), HasSubstr(SegmentName(1)));
    EXPECT_THAT((*store)->dropped(), HasSubstr(absl::StrCat("offset ", start)));
  }
}

TEST(DamageTest, AnyBitFlippedInWhatIsStoredIsRefused) {
  const auto prepared = ThreeGroups();
  const uint64_t end = prepared->last_group + prepared->group_bytes;
  for (uint64_t at = 0; at < end; ++at) {
    const int bit = static_cast<int>(at % 8);
    auto disk = prepared->disk.Clone();
    std::string& bytes = disk->Contents(SegmentName(1));
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    auto store = OpenStore(*disk);
    ASSERT_FALSE(store.ok()) << "byte " << at << " bit " << bit;
    EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(store.status().message()), HasSubstr(SegmentName(1)));
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("offset "));
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("record "));
  }
}

TEST(DamageTest, AFlippedBitInUnusedSpaceLosesNothing) {
  const auto prepared = ThreeGroups();
  const uint64_t end = AlignToSector(prepared->last_group + prepared->group_bytes);
  for (uint64_t at = end; at < end + 1100; ++at) {
    auto disk = prepared->disk.Clone();
    disk->Contents(SegmentName(1))[at] ^= 1;
    auto store = OpenStore(*disk);
    ASSERT_TRUE(store.ok()) << at << ": " << store.status();
    EXPECT_EQ((*store)->last_sequence(), 4u);
    EXPECT_NE((*store)->dropped(), "");
  }
}

TEST(DamageTest, AHoleInTheMiddleIsRefusedEvenIfItIsZeros) {
  const auto prepared = ThreeGroups();
  for (uint64_t sector = 1; sector * 512 < prepared->last_group; ++sector) {
    auto disk = prepared->disk.Clone();
    disk->Contents(SegmentName(1)).replace(sector * 512, 512, std::string(512, '\0'));
    auto store = OpenStore(*disk);
    EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << "sector " << sector;
  }
}

TEST(DamageTest, MissingFilesAreNamed) {
  FaultyDisk original;
  auto store = OpenStore(original);
  for (uint64_t s = 1; s <= 60; ++s) ASSERT_TRUE((*store)->Append(Records(s, 1)).ok());
  const std::vector<std::string> names = *original.List();
  ASSERT_GE(names.size(), 3u);
  for (size_t i = 0; i + 1 < names.size();
       ++i) {  // a missing last one is the enclave's to find out
    auto disk = original.Clone();
    ASSERT_TRUE(disk->Remove(names[i]).ok());
    auto opened = OpenStore(*disk);
    ASSERT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << names[i];
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr("missing"));
  }
  auto cut = original.Clone();
  cut->Contents(names[1]).resize(kSectorBytes + 100);  // a torn end, but not the last segment
  EXPECT_EQ(OpenStore(*cut).status().code(), absl::StatusCode::kDataLoss);
}

TEST(DamageTest, AnyBitOfASnapshot) {
  FaultyDisk original;
  auto store = OpenStore(original);
  ASSERT_TRUE((*store)->Append(Records(1, 2)).ok());
  ASSERT_TRUE((*store)->AppendChunks(2, 0, 2, {Chunk(2, 0), Chunk(2, 1)}).ok());
  const size_t size = original.Contents(SnapshotName(2)).size();
  for (size_t at = 0; at < size; ++at) {
    auto disk = original.Clone();
    disk->Contents(SnapshotName(2))[at] ^= static_cast<char>(1 << (at % 8));
    EXPECT_EQ(OpenStore(*disk).status().code(), absl::StatusCode::kDataLoss) << at;
  }
  for (size_t keep = 0; keep < size; ++keep) {
    auto disk = original.Clone();
    disk->Contents(SnapshotName(2)).resize(keep);
    EXPECT_EQ(OpenStore(*disk).status().code(), absl::StatusCode::kDataLoss) << keep;
  }
  auto disk = original.Clone();
  ASSERT_TRUE(disk->Remove(SegmentName(1)).ok());
  EXPECT_EQ(OpenStore(*disk).status().code(), absl::StatusCode::kDataLoss);
}

// ---- faults
// --------------------------------------------------------------------------------------------------------

TEST(FaultTest, AFullDiskAcknowledgesNothingAndGoesOnWhenThereIsSpace) {
  FaultyDisk disk;
  auto store = OpenStore(disk);
  ASSERT_TRUE((*store)->Append(Records(1, 1)).ok());
  disk.set_capacity(kSegment + 100);
  uint64_t s = 2;
  absl::Status status;
  while ((status = (*store)->Append(Records(s, 1))).ok()) ++s;
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::IsResourceExhausted((*store)->AppendChunks(1, 0, 1, {Chunk(1, 0)})));
  EXPECT_EQ((*store)->last_sequence(), s - 1);
  EXPECT_EQ((*store)->snapshot_sequence(), 0u);
  disk.set_capacity(~uint64_t{0});
  ASSERT_TRUE((*store)->Append(Records(s, 1)).ok());
  ASSERT_TRUE((*store)->AppendChunks(s, 0, 1, {Chunk(s, 0)}).ok());
  auto again = OpenStore(disk);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ReadAll(**again), Expected(s, 1, s));
}

// What the workload was told is durable.
struct Acknowledged {
  uint64_t last = 0;
  uint64_t snapshot = 0;
  uint32_t chunks = 0;
};

void Work(RecordStore& store, std::mt19937_64& random, Acknowledged& acknowledged, int steps) {
  for (int i = 0; i < steps; ++i) {
    const uint64_t last = store.last_sequence();
    if (random() % 6 == 0 && last > store.snapshot_sequence()) {
      // The count is a function of the sequence, so that what is read back can be checked.
      const uint32_t count = 1 + static_cast<uint32_t>(last % 3);
      for (uint32_t index = 0; index < count; ++index) {
        if (!store.AppendChunks(last, index, count, {Chunk(last, index)}).ok()) return;
      }
      acknowledged.snapshot = last;
    } else {
      const size_t count = 1 + random() % 4;
      if (!store.Append(Records(last + 1, count)).ok()) return;
      acknowledged.last = last + count;
    }
  }
}

void CheckRecovered(RecordStore& store, const Acknowledged& acknowledged) {
  ASSERT_GE(store.last_sequence(), acknowledged.last);
  ASSERT_GE(store.snapshot_sequence(), acknowledged.snapshot);
  const uint64_t snapshot = store.snapshot_sequence();
  EXPECT_EQ(ReadAll(store),
            Expected(snapshot, 1 + static_cast<uint32_t>(snapshot % 3), store.last_sequence()));
}

TEST(FaultTest, PowerFailsAtEveryOperationAndAgainDuringRecovery) {
  const uint64_t seed = Seed();
  for (uint64_t crash = 1; crash < 400; ++crash) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " crash at ", crash));
    std::mt19937_64 random(seed + crash);
    FaultyDisk disk;
    Acknowledged acknowledged;
    disk.CrashAt(crash);
    if (auto store = OpenStore(disk); store.ok()) Work(**store, random, acknowledged, 100);
    if (!disk.crashed()) break;
    for (uint64_t second = 1;; ++second) {
      disk.Restart(random);
      disk.CrashAt(1 + random() % 12);
      auto store = OpenStore(disk);
      if (store.ok()) {
        CheckRecovered(**store, acknowledged);
        Work(**store, random, acknowledged, 10);
      }
      ASSERT_TRUE(disk.crashed() || store.ok()) << store.status();
      if (second == 3) break;
    }
    disk.Restart(random);
    auto store = OpenStore(disk);
    ASSERT_TRUE(store.ok()) << store.status();
    CheckRecovered(**store, acknowledged);
    if (HasFailure()) return;
  }
}

// What recovery shows was acknowledged to an enclave a moment later: the power may fail after that.
TEST(FaultTest, WhatRecoveryShowsSurvivesThePowerFailure) {
  std::mt19937_64 random(Seed());
  enum { kDiedBeforeTheSync, kSyncFailed };
  for (const auto how : {kDiedBeforeTheSync, kSyncFailed}) {
    for (int i = 0; i < 50; ++i) {
      FaultyDisk disk;
      {
        auto store = OpenStore(disk);
        ASSERT_TRUE(store.ok() && (*store)->Append(Records(1, 3)).ok());
        if (how == kSyncFailed) {
          disk.LoseNextSync();
        } else {
          disk.FailAt(disk.operations() + 2, absl::InternalError("killed"));
        }
        ASSERT_FALSE((*store)->Append(Records(4, 2)).ok());
      }
      {
        auto store = OpenStore(disk);
        ASSERT_TRUE(store.ok()) << store.status();
        ASSERT_EQ((*store)->last_sequence(), 5u);
      }
      disk.Restart(random);
      auto store = OpenStore(disk);
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_EQ((*store)->last_sequence(), 5u);
    }
  }
}

TEST(FaultTest, NoSpaceAtAnyOperationThenTheSameCallsAgain) {
  for (uint64_t at = 1; at < 120; ++at) {
    SCOPED_TRACE(at);
    FaultyDisk disk;
    auto store = OpenStore(disk);
    disk.FailAt(at, absl::ResourceExhaustedError("no space"), 1 + at % 3);
    const auto insist = [](auto call) {
      for (int tries = 0; tries < 5; ++tries) {
        if (call().ok()) return true;
      }
      return false;
    };
    for (uint64_t s = 1; s <= 30; ++s) {
      ASSERT_TRUE(insist([&] { return (*store)->Append(Records(s, 1)); }));
      if (s % 10 != 0) continue;
      for (uint32_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(insist([&] { return (*store)->AppendChunks(s, i, 2, {Chunk(s, i)}); }));
      }
    }
    auto again = OpenStore(disk);
    ASSERT_TRUE(insist([&] {
      if (!again.ok()) again = OpenStore(disk);
      return again.status();
    }));
    EXPECT_EQ(ReadAll(**again), Expected(30, 2, 30));
  }
}

}  // namespace
}  // namespace coffer::host
