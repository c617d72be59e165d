// What a segment holds of a record, and the public parts that come out of a store again.
#include "actors/host/record_entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "actors/host/little_endian.h"
#include "actors/host/record_store.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSmallSegment = 4096;

std::string Sealed(uint64_t sequence) {
  return absl::StrCat("CFR1 sealed ", sequence, std::string(100, 's'));
}
// One leaf of some bytes.
std::string Bundle(uint64_t sequence) {
  const std::string leaf = absl::StrCat("leaf of ", sequence);
  return absl::StrCat(std::string({'\0', static_cast<char>(leaf.size())}), leaf);
}
// The record with this sequence, with one leaf; its tree size is its sequence.
std::string Entry(uint64_t sequence) {
  return EncodeEntry(Sealed(sequence), Bundle(sequence), sequence);
}

std::unique_ptr<RecordStore> Open(Disk& disk, bool hold = true) {
  auto store = RecordStore::Open(&disk, {.segment_bytes = kSmallSegment, .hold_segments = hold});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

void Append(RecordStore& store, uint64_t last) {
  while (store.last_sequence() < last) {
    ASSERT_TRUE(store.Append({Entry(store.last_sequence() + 1)}).ok());
  }
}

// Sequences of the public parts from a tree size on.
std::vector<uint64_t> PublicFrom(const RecordStore& store, uint64_t tree_size,
                                 std::string* skipped = nullptr) {
  std::vector<uint64_t> out;
  PublicReader reader = store.ReadPublic(tree_size);
  while (true) {
    const auto part = reader.Next();
    EXPECT_TRUE(part.ok()) << part.status();
    if (!part.ok() || !part->has_value()) break;
    EXPECT_EQ((*part)->leaves, Bundle((*part)->sequence));
    EXPECT_EQ((*part)->tree_size, (*part)->sequence);
    out.push_back((*part)->sequence);
  }
  if (skipped != nullptr) *skipped = reader.skipped();
  return out;
}

std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> out;
  for (uint64_t s = first; s <= last; ++s) out.push_back(s);
  return out;
}

TEST(RecordEntryTest, RoundTrips) {
  struct Case {
    std::string sealed, leaves;
    uint64_t tree_size;
    bool container;
  };
  for (const Case& c : {Case{"CFR1x", "", 0, false}, Case{"CFR1x", "", 7, true},
                        Case{"CFR1x", "leaves", 7, true}, Case{"CFR1x", "leaves", 0, true},
                        Case{"CFE1 looks like one", "", 0, true}, Case{"C", "", 0, false},
                        Case{std::string(5000, 'x'), std::string(9000, 'y'), ~0ull, true}}) {
    const std::string entry = EncodeEntry(c.sealed, c.leaves, c.tree_size);
    EXPECT_EQ(entry.size() > c.sealed.size() + c.leaves.size(), c.container);
    const auto parsed = ParseEntry(entry);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->sealed, c.sealed);
    EXPECT_EQ(parsed->leaves, c.leaves);
    EXPECT_EQ(parsed->tree_size, c.tree_size);
  }
}

TEST(RecordEntryTest, TheBytesAreWhatTheHeaderSays) {
  EXPECT_EQ(EncodeEntry("abc", "de", 258), std::string("CFE1\x03\0\0\0\x02\x01\0\0\0\0\0\0"
                                                       "abcde",
                                                       21));
}

TEST(RecordEntryTest, LengthsThatDoNotFitAreRefused) {
  const std::string good = EncodeEntry("sealed", "leaves", 3);
  for (size_t keep = 4; keep < kEntryHeaderBytes + 6; ++keep) {
    EXPECT_FALSE(ParseEntry(good.substr(0, keep)).ok()) << keep;
  }
  for (const uint32_t length : {0u, 13u, 0xffffffffu}) {
    std::string bytes;
    AppendLittleEndian(bytes, length);
    std::string changed = good;
    changed.replace(4, 4, bytes);
    EXPECT_TRUE(absl::IsDataLoss(ParseEntry(changed).status())) << length;
  }
}

TEST(RecordEntryTest, LeavesAreCounted) {
  EXPECT_EQ(CountLeaves(""), 0u);
  EXPECT_EQ(CountLeaves(Bundle(1) + Bundle(2)), 2u);
  EXPECT_EQ(CountLeaves(std::string("\0\0\0\0", 4)), 2u);
  EXPECT_EQ(CountLeaves(std::string("\0", 1)), std::nullopt);
  EXPECT_EQ(CountLeaves(Bundle(1) + "\x01"), std::nullopt);
  EXPECT_EQ(CountLeaves(std::string("\0\x03"
                                    "ab",
                                    4)),
            std::nullopt);
}

TEST(PublicPartTest, LoadingAndDigestsSeeTheSealedBytesAlone) {
  FaultyDisk disk;
  auto store = Open(disk);
  ASSERT_TRUE(store->Append({Sealed(1)}).ok()) << "as older versions wrote it";
  Append(*store, 30);
  for (int i = 0; i < 2; ++i) {
    StoreReader reader = store->Read();
    for (uint64_t s = 1; s <= 30; ++s) EXPECT_EQ(**reader.Next(), Sealed(s));
    EXPECT_FALSE(reader.Next()->has_value());
    EXPECT_EQ(store->Digest(1), DigestOf(Sealed(1)));
    EXPECT_EQ(store->Digest(30), DigestOf(Sealed(30)));
    EXPECT_EQ(store->tree_size(), 30u);
    EXPECT_EQ(PublicFrom(*store, 0), Range(2, 30));
    store = Open(disk);
  }
}

TEST(PublicPartTest, OnlySegmentsThatAreNeededAreRead) {
  FaultyDisk disk;
  auto store = Open(disk);
  Append(*store, 60);
  ASSERT_GT(disk.List()->size(), 5u);
  for (int i = 0; i < 2; ++i) {
    const std::vector<uint64_t> late = PublicFrom(*store, 50);
    EXPECT_LE(late.front(), 51u);
    EXPECT_GT(late.front(), 40u);
    EXPECT_EQ(late.back(), 60u);
    EXPECT_EQ(PublicFrom(*store, 60), Range(1, 0));
    store = Open(disk);
  }
}

TEST(PublicPartTest, AReaderEndsWhereTheStoreEndedWhenItWasMade) {
  FaultyDisk disk;
  auto store = Open(disk);
  Append(*store, 3);
  PublicReader reader = store->ReadPublic(0);
  ASSERT_TRUE(reader.Next()->has_value());
  Append(*store, 40);
  EXPECT_EQ((*reader.Next())->sequence, 2u);
  EXPECT_EQ((*reader.Next())->sequence, 3u);
  EXPECT_FALSE(reader.Next()->has_value());
  EXPECT_EQ(reader.last_sequence(), 3u);
}

TEST(HeldSegmentsTest, StayUntilTheyAreReleasedAlsoOverARestart) {
  FaultyDisk disk;
  auto store = Open(disk);
  Append(*store, 40);
  EXPECT_FALSE(store->removal_due());
  ASSERT_TRUE(store->AppendChunks(40, 0, 1, {"chunk"}).ok());
  EXPECT_TRUE(store->removal_due());
  store = Open(disk);
  EXPECT_TRUE(store->removal_due());
  EXPECT_EQ(PublicFrom(*store, 0), Range(1, 40));
  EXPECT_EQ(**store->Read().Next(), "chunk") << "what is only held is not loaded";
  Append(*store, 60);
  store->RemoveHeld();
  EXPECT_FALSE(store->removal_due());
  EXPECT_FALSE(disk.Exists(SegmentName(1)));
  EXPECT_GT(PublicFrom(*store, 0).front(), 30u);
  EXPECT_EQ(Open(disk)->last_sequence(), 60u);
}

TEST(HeldSegmentsTest, DamageToWhatIsOnlyHeldIsPassedOverAndSaid) {
  FaultyDisk disk;
  auto store = Open(disk);
  Append(*store, 40);
  ASSERT_TRUE(store->AppendChunks(40, 0, 1, {"chunk"}).ok());
  disk.Contents(SegmentName(1))[700] ^= 1;
  store = Open(disk);
  ASSERT_NE(store, nullptr) << "the state is whole";
  std::string skipped;
  const std::vector<uint64_t> parts = PublicFrom(*store, 0, &skipped);
  EXPECT_GT(parts.front(), 1u);
  EXPECT_EQ(parts.back(), 40u);
  EXPECT_THAT(skipped, HasSubstr(SegmentName(1)));
}

TEST(HeldSegmentsTest, WithoutTheOptionTheyGoAtOnce) {
  FaultyDisk disk;
  auto store = Open(disk, false);
  Append(*store, 40);
  ASSERT_TRUE(store->AppendChunks(40, 0, 1, {"chunk"}).ok());
  EXPECT_FALSE(disk.Exists(SegmentName(1)));
}

TEST(PublicPartTest, AnEntryThatDoesNotDivideIsNamed) {
  FaultyDisk disk;
  {
    auto store = Open(disk);
    Append(*store, 2);
  }
  // A group whose checks are right and whose entry is not.
  const std::string group = EncodeGroup(3, {std::string("CFE1 but nothing more")});
  std::string& bytes = disk.Contents(SegmentName(1));
  const size_t at = kSectorBytes + AlignToSector(EncodeGroup(1, {Entry(1)}).size()) +
                    AlignToSector(EncodeGroup(2, {Entry(2)}).size());
  bytes.replace(at, group.size(), group);
  const auto opened = RecordStore::Open(&disk, {.segment_bytes = kSmallSegment});
  EXPECT_TRUE(absl::IsDataLoss(opened.status()));
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("record 3"));
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr(SegmentName(1)));
}

}  // namespace
}  // namespace coffer::host
