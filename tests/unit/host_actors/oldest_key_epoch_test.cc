// The oldest state key that what is stored is sealed under: the folder of keys asks before it gives
// one up.
#include <gtest/gtest.h>

#include <string>

#include "actors/host/record_entry.h"
#include "actors/host/record_store.h"
#include "enclave_core/sealing/record.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

std::string Record(uint32_t epoch, uint64_t sequence) {
  sealing::Header header;
  header.key_epoch = epoch;
  header.sequence = sequence;
  return sealing::EncodeHeader(header) + std::string(sealing::kTagBytes, 'x');
}

std::string Chunk(uint32_t epoch, uint32_t index, uint32_t count) {
  sealing::Header header;
  header.kind = sealing::Kind::kSnapshotChunk;
  header.key_epoch = epoch;
  header.sequence = 2;
  header.chunk_index = index;
  header.chunk_count = count;
  return sealing::EncodeHeader(header) + std::string(sealing::kTagBytes, 'x');
}

TEST(OldestKeyEpochTest, IsOfTheNewestWholeSnapshot) {
  FaultyDisk disk;
  auto store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  ASSERT_TRUE(store->Append({"record 1", "record 2"}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 0u) << "no record is sealed";
  ASSERT_TRUE(store->AppendChunks(2, 0, 1, {Chunk(1, 0, 1)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 1u);
  ASSERT_TRUE(store->AppendChunks(2, 0, 2, {Chunk(2, 0, 2)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 1u) << "the new one is not whole";
  EXPECT_EQ((*RecordStore::Open(&disk, {.segment_bytes = 8192}))->oldest_key_epoch(), 1u);
  store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  ASSERT_TRUE(store->AppendChunks(2, 0, 2, {Chunk(2, 0, 2)}).ok());
  ASSERT_TRUE(store->AppendChunks(2, 1, 2, {Chunk(2, 1, 2)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 2u);
  EXPECT_EQ((*RecordStore::Open(&disk, {.segment_bytes = 8192}))->oldest_key_epoch(), 2u)
      << "also when it is read back";
  ASSERT_TRUE(store->AppendChunks(2, 0, 1, {"not sealed by anybody"}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 0u);
}

// A state that was founded under a newer key has no snapshot and needs no older key.
TEST(OldestKeyEpochTest, WithoutASnapshotIsOfTheFirstRecord) {
  FaultyDisk disk;
  auto store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  EXPECT_EQ(store->oldest_key_epoch(), 0u) << "nothing is stored";
  ASSERT_TRUE(store->Append({EncodeEntry(Record(2, 1), "", 0)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 2u);
  ASSERT_TRUE(store->Append({EncodeEntry(Record(3, 2), "", 0), Record(3, 3)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 2u) << "the first is needed";
  store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  EXPECT_EQ(store->oldest_key_epoch(), 2u) << "also when it is read back";
  ASSERT_TRUE(store->AppendChunks(2, 0, 1, {Chunk(3, 0, 1)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 3u);
  ASSERT_TRUE(store->Append({Record(4, 4)}).ok());
  EXPECT_EQ(store->oldest_key_epoch(), 3u);
  EXPECT_EQ((*RecordStore::Open(&disk, {.segment_bytes = 8192}))->oldest_key_epoch(), 3u);
}

}  // namespace
}  // namespace coffer::host
