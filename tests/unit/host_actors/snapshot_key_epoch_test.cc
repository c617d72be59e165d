// Which state key the newest whole snapshot is sealed under: the folder of keys asks before it
// gives an older one up.
#include <gtest/gtest.h>

#include <string>

#include "actors/host/record_store.h"
#include "enclave_core/sealing/record.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

std::string Chunk(uint32_t epoch, uint32_t index, uint32_t count) {
  sealing::Header header;
  header.kind = sealing::Kind::kSnapshotChunk;
  header.key_epoch = epoch;
  header.sequence = 2;
  header.chunk_index = index;
  header.chunk_count = count;
  return sealing::EncodeHeader(header) + std::string(sealing::kTagBytes, 'x');
}

TEST(SnapshotKeyEpochTest, IsOfTheNewestWholeOne) {
  FaultyDisk disk;
  auto store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  ASSERT_TRUE(store->Append({"record 1", "record 2"}).ok());
  EXPECT_EQ(store->snapshot_key_epoch(), 0u) << "there is none";
  ASSERT_TRUE(store->AppendChunks(2, 0, 1, {Chunk(1, 0, 1)}).ok());
  EXPECT_EQ(store->snapshot_key_epoch(), 1u);
  ASSERT_TRUE(store->AppendChunks(2, 0, 2, {Chunk(2, 0, 2)}).ok());
  EXPECT_EQ(store->snapshot_key_epoch(), 1u) << "the new one is not whole";
  EXPECT_EQ((*RecordStore::Open(&disk, {.segment_bytes = 8192}))->snapshot_key_epoch(), 1u);
  store = *RecordStore::Open(&disk, {.segment_bytes = 8192});
  ASSERT_TRUE(store->AppendChunks(2, 0, 2, {Chunk(2, 0, 2)}).ok());
  ASSERT_TRUE(store->AppendChunks(2, 1, 2, {Chunk(2, 1, 2)}).ok());
  EXPECT_EQ(store->snapshot_key_epoch(), 2u);
  EXPECT_EQ((*RecordStore::Open(&disk, {.segment_bytes = 8192}))->snapshot_key_epoch(), 2u)
      << "also when it is read back";
  ASSERT_TRUE(store->AppendChunks(2, 0, 1, {"not sealed by anybody"}).ok());
  EXPECT_EQ(store->snapshot_key_epoch(), 0u);
}

}  // namespace
}  // namespace coffer::host
