#include "enclave_core/audit/tiles.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

std::string EntryOf(size_t i) { return absl::StrCat("entry ", i, std::string(i % 50, 'x')); }

TEST(Tiles, Paths) {
  const struct {
    TileRef tile;
    const char* path;
  } kCases[] = {
      {{.level = 0, .index = 0}, "tile/0/000"},
      {{.level = 0, .index = 1234067}, "tile/0/x001/x234/067"},  // the specification's example
      {{.level = 2, .index = 999, .width = 1}, "tile/2/999.p/1"},
      {{.level = 63, .index = 1000, .width = 255}, "tile/63/x001/000.p/255"},
      {{.entries = true, .index = 273, .width = 112}, "tile/entries/273.p/112"},
      {{.entries = true, .index = 1000000}, "tile/entries/x001/x000/000"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(TilePath(test.tile), test.path);
    const absl::StatusOr<TileRef> parsed = ParseTilePath(test.path);
    ASSERT_TRUE(parsed.ok()) << test.path;
    EXPECT_EQ(*parsed, test.tile) << test.path;
  }
}

TEST(Tiles, RefusedPaths) {
  for (const char* path : {"",
                           "tile",
                           "tile/",
                           "/tile/0/000",
                           "tile/0",
                           "tile/0/",
                           "tile/0/0",
                           "tile/0/00",
                           "tile/00/000",
                           "tile/64/000",
                           "tile/-1/000",
                           "tile/0/0000",
                           "tile/0/x000/000",
                           "tile/0/x001/x000",
                           "tile/0/001/000",
                           "tile/0/x001/",
                           "tile/0/000.p",
                           "tile/0/000.p/",
                           "tile/0/000.p/0",
                           "tile/0/000.p/256",
                           "tile/0/000.p/01",
                           "tile/0/000.p/1/",
                           "tile/0/000/",
                           "tile/entries/../000",
                           "tile/0/../../x",
                           "tile/entry/000",
                           "tile/entries",
                           "tile/8/000 ",
                           "tile/0/x999/x999/x999/x999/x999/x999/999",
                           "tile/0/x010/x000/x000/x000/x000/x000/000"}) {
    EXPECT_FALSE(ParseTilePath(path).ok()) << path;
  }
}

// The example of the specification: a tree of 70,000.
TEST(Tiles, WidthsOfTheSpecificationsExample) {
  EXPECT_EQ(TileWidthAt(0, 272, 70'000), 256u);
  EXPECT_EQ(TileWidthAt(0, 273, 70'000), 112u);
  EXPECT_EQ(TileWidthAt(0, 274, 70'000), 0u);
  EXPECT_EQ(TileWidthAt(1, 0, 70'000), 256u);
  EXPECT_EQ(TileWidthAt(1, 1, 70'000), 17u);
  EXPECT_EQ(TileWidthAt(2, 0, 70'000), 1u);
  EXPECT_EQ(TileWidthAt(3, 0, 70'000), 0u);
  EXPECT_EQ(TileWidthAt(0, 0, 256), 256u);
  EXPECT_EQ(TileWidthAt(1, 0, 256), 1u);
  EXPECT_EQ(TileWidthAt(9, 0, kMaxTreeSize), 0u);
}

TEST(Tiles, ChangedTilesAreWhatTheWriterWrites) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 3; ++round) {
    TileWriter writer;
    uint64_t before = 0;
    while (before < 70'000) {
      const uint64_t after =
          before + random() % (random() % 3 == 0 ? 30'000 : 300);  // 0 is a batch as well
      for (uint64_t i = before; i < after; ++i) ASSERT_TRUE(writer.Append("e").ok());
      std::set<TileRef> written;
      for (const TileFile& file : writer.Take()) {
        EXPECT_TRUE(written.insert(file.tile).second);
        if (file.tile.entries) continue;
        EXPECT_EQ(file.content.size(), file.tile.width * 32u);
      }
      const auto changed = ChangedTiles(before, after).value();
      ASSERT_EQ(written, std::set<TileRef>(changed.begin(), changed.end()))
          << before << " " << after;
      before = after;
    }
  }
  EXPECT_FALSE(ChangedTiles(5, 4).ok());
  EXPECT_FALSE(ChangedTiles(0, kMaxTreeSize + 1).ok());
}

TEST(Tiles, FinalFilesDoNotDependOnTheBatches) {
  std::mt19937_64 random(TestSeed());
  constexpr size_t kSize = 66'000;  // level 2 begins
  std::map<std::string, std::string> expected;
  for (const size_t batch : {size_t{66'000}, size_t{1000}, size_t{256}, size_t{97}, size_t{0}}) {
    Files files;
    TileWriter writer;
    for (size_t i = 0; i < kSize;) {
      const size_t end = std::min(kSize, i + (batch == 0 ? random() % 5000 : batch));
      for (; i < end; ++i) ASSERT_TRUE(writer.Append(EntryOf(i)).ok());
      files.Put(writer.Take());
    }
    std::map<std::string, std::string> last;  // without the partial tiles of sizes in between
    const std::vector<TileRef> all = ChangedTiles(0, kSize).value();
    for (const TileRef& tile : all) {
      ASSERT_TRUE(files.Get(tile).ok()) << TilePath(tile);
      last[TilePath(tile)] = *files.Get(tile);
    }
    if (expected.empty()) expected = last;
    EXPECT_EQ(last, expected) << "batches of " << batch;
  }
}

TEST(Tiles, HashesAreTheTreesAndProofsComeOutOfThem) {
  std::mt19937_64 random(TestSeed());
  for (const size_t size : {1u, 2u, 255u, 256u, 257u, 1000u, 65'536u, 65'537u, 70'000u}) {
    Files files;
    TileWriter writer;
    Tree tree;
    std::vector<Hash> roots = {EmptyRoot()};
    std::vector<size_t> firsts = {1 + random() % size, 1 + random() % size, size, (size + 1) / 2};
    std::map<size_t, Hash> root_at;
    for (size_t i = 0; i < size; ++i) {
      ASSERT_TRUE(writer.Append(EntryOf(i)).ok());
      tree.Append(LeafHash(EntryOf(i)));
      root_at[i + 1] =
          std::find(firsts.begin(), firsts.end(), i + 1) != firsts.end() ? tree.Root() : Hash();
    }
    EXPECT_EQ(writer.Root(), tree.Root()) << size;
    files.Put(writer.Take());
    const auto fetch = [&](const TileRef& tile) { return files.Get(tile); };
    TileHashReader reader(size, fetch);
    EXPECT_EQ(RootFromHashes(size, reader).value(), tree.Root()) << size;
    for (const size_t first : firsts) {
      const Proof consistency = BuildConsistency(first, size, reader).value();
      EXPECT_TRUE(VerifyConsistency(first, size, root_at[first], tree.Root(), consistency).ok());
      const size_t index = first - 1;
      const Proof inclusion = BuildInclusion(index, size, reader).value();
      EXPECT_TRUE(
          VerifyInclusion(index, size, LeafHash(EntryOf(index)), inclusion, tree.Root()).ok());
    }
    EXPECT_TRUE(absl::IsNotFound(reader(0, size).status()));
    EXPECT_TRUE(absl::IsNotFound(reader(64, 0).status()));
  }
}

TEST(Tiles, AFullTileServesForAPartialOne) {
  Files files;
  TileWriter writer;
  for (size_t i = 0; i < 600; ++i) ASSERT_TRUE(writer.Append(EntryOf(i)).ok());
  files.Put(writer.Take());
  const auto fetch = [&](const TileRef& tile) {
    TileRef full = tile;
    full.width = kTileWidth;
    const auto found = files.Get(full);
    return found.ok() ? found : files.Get(tile);
  };
  TileHashReader reader(300, fetch);
  Tree tree;
  for (size_t i = 0; i < 300; ++i) tree.Append(LeafHash(EntryOf(i)));
  // Level 1 of a tree of 600 is wider than 300's; only its length differs, so it is refused.
  EXPECT_TRUE(absl::IsNotFound(RootFromHashes(300, reader).status()));
  files.by_path["tile/1/000.p/1"] = files.by_path["tile/1/000.p/2"].substr(0, 32);
  EXPECT_EQ(RootFromHashes(300, reader).value(), tree.Root());
}

TEST(Tiles, AlteredTilesDoNotProveAnything) {
  Files files;
  TileWriter writer;
  for (size_t i = 0; i < 600; ++i) ASSERT_TRUE(writer.Append(EntryOf(i)).ok());
  const Hash root = writer.Root();
  files.Put(writer.Take());
  files.by_path["tile/0/001"][40] ^= 1;
  const auto fetch = [&](const TileRef& tile) { return files.Get(tile); };
  TileHashReader reader(600, fetch);
  const Proof proof = BuildInclusion(256, 600, reader).value();
  EXPECT_FALSE(VerifyInclusion(256, 600, LeafHash(EntryOf(256)), proof, root).ok());
  files.by_path["tile/0/000"].pop_back();
  EXPECT_TRUE(absl::IsDataLoss(BuildInclusion(0, 600, reader).status()));
}

TEST(Tiles, WriterResumesFromItsFiles) {
  std::mt19937_64 random(TestSeed());
  Files one;
  Files other;
  TileWriter straight;
  TileWriter interrupted;
  const auto fetch = [&](const TileRef& tile) { return other.Get(tile); };
  for (size_t i = 0; i < 70'000; ++i) {
    ASSERT_TRUE(straight.Append(EntryOf(i)).ok());
    ASSERT_TRUE(interrupted.Append(EntryOf(i)).ok());
    if (random() % 3000 != 0 && i != 65'535 && i != 255) continue;
    one.Put(straight.Take());
    other.Put(interrupted.Take());
    absl::StatusOr<TileWriter> resumed = TileWriter::Resume(i + 1, fetch);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    interrupted = *std::move(resumed);
    ASSERT_EQ(interrupted.Root(), straight.Root());
    ASSERT_TRUE(interrupted.Take().empty());
  }
  one.Put(straight.Take());
  other.Put(interrupted.Take());
  EXPECT_EQ(one.by_path, other.by_path);
}

TEST(Tiles, WriterRefusesDamagedFiles) {
  Files files;
  TileWriter writer;
  for (size_t i = 0; i < 300; ++i) ASSERT_TRUE(writer.Append(EntryOf(i)).ok());
  files.Put(writer.Take());
  const auto fetch = [&](const TileRef& tile) { return files.Get(tile); };
  const Files whole = files;
  ASSERT_TRUE(TileWriter::Resume(300, fetch).ok());
  EXPECT_FALSE(TileWriter::Resume(301, fetch).ok());
  files.by_path["tile/0/001.p/44"][0] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(TileWriter::Resume(300, fetch).status()));
  files = whole;
  files.by_path["tile/entries/001.p/44"].pop_back();
  EXPECT_TRUE(absl::IsDataLoss(TileWriter::Resume(300, fetch).status()));
  files = whole;
  files.by_path.erase("tile/1/000.p/1");
  EXPECT_TRUE(absl::IsNotFound(TileWriter::Resume(300, fetch).status()));
}

TEST(Bundles, GoldenAndBack) {
  std::string bundle;
  ASSERT_TRUE(AppendToBundle("", &bundle).ok());
  ASSERT_TRUE(AppendToBundle("ab", &bundle).ok());
  ASSERT_TRUE(AppendToBundle(std::string(300, 'z'), &bundle).ok());
  EXPECT_EQ(bundle.substr(0, 8), std::string("\0\0\0\x02"
                                             "ab\x01\x2c",
                                             8));
  const auto entries = ParseBundle(bundle, 3);
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(*entries,
            (std::vector<std::string_view>{"", "ab", std::string_view(bundle).substr(8)}));
  EXPECT_FALSE(ParseBundle(bundle, 2).ok());
  EXPECT_FALSE(ParseBundle(bundle, 4).ok());
  EXPECT_FALSE(ParseBundle(bundle + '\0', 3).ok());
  for (size_t size = 0; size < bundle.size(); ++size) {
    EXPECT_FALSE(ParseBundle(std::string_view(bundle).substr(0, size), 3).ok()) << size;
  }
}

TEST(Bundles, EntriesHaveALimit) {
  std::string bundle;
  EXPECT_TRUE(AppendToBundle(std::string(kMaxEntryBytes, 'x'), &bundle).ok());
  const size_t size = bundle.size();
  EXPECT_FALSE(AppendToBundle(std::string(kMaxEntryBytes + 1, 'x'), &bundle).ok());
  EXPECT_EQ(bundle.size(), size);
  TileWriter writer;
  EXPECT_FALSE(writer.Append(std::string(kMaxEntryBytes + 1, 'x')).ok());
  EXPECT_EQ(writer.size(), 0u);
}

}  // namespace
}  // namespace coffer::audit
