#include "tools/verified_tiles.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::tools {

using audit::Hash;
using audit::kTileWidth;
using audit::TileRef;

namespace {

// The root of the 2^height hashes that begin at `first`.
Hash SubtreeRoot(std::string_view tile, uint64_t first, uint32_t height) {
  std::array<Hash, kTileWidth> row;
  const size_t width = size_t{1} << height;
  for (size_t i = 0; i < width; ++i) row[i] = TileHash(tile, first + i);
  for (size_t count = width; count > 1; count /= 2) {
    for (size_t i = 0; i < count / 2; ++i) row[i] = audit::NodeHash(row[2 * i], row[2 * i + 1]);
  }
  return row[0];
}

absl::Status WrongLength(const TileRef& tile, size_t bytes) {
  return absl::DataLossError(absl::StrCat(audit::TilePath(tile), " has ", bytes, " bytes and not ",
                                          tile.width * Hash::kSize,
                                          ": it was cut off or is another file"));
}

}  // namespace

Hash TileHash(std::string_view tile, uint64_t at) {
  Hash hash;
  std::copy_n(tile.begin() + static_cast<ptrdiff_t>(at * Hash::kSize), Hash::kSize,
              hash.bytes.begin());
  return hash;
}

Hash FullTileRoot(std::string_view tile) { return SubtreeRoot(tile, 0, audit::kTileHeight); }

absl::StatusOr<std::string> ReadTile(LogSource& source, const TileRef& tile) {
  const size_t hashes = tile.width * Hash::kSize;
  const size_t full_bytes = kTileWidth * Hash::kSize;
  const size_t most = tile.entries ? kMaxLogFileBytes : full_bytes;
  absl::StatusOr<std::string> content = source.Read(audit::TilePath(tile), most);
  if (absl::IsNotFound(content.status()) && tile.width < kTileWidth) {
    TileRef full = tile;
    full.width = kTileWidth;
    content = source.Read(audit::TilePath(full), most);
    if (content.ok() && tile.entries) {
      const auto entries = audit::ParseBundle(*content, kTileWidth);
      if (!entries.ok()) return absl::DataLossError(entries.status().message());
      const std::string_view last = (*entries)[tile.width - 1];
      content->resize(static_cast<size_t>(last.data() + last.size() - content->data()));
    } else if (content.ok() && content->size() == full_bytes) {
      content->resize(hashes);
    }
  }
  if (absl::IsNotFound(content.status())) {
    return absl::NotFoundError(absl::StrCat("tile ", audit::TilePath(tile), " is missing"));
  }
  if (absl::IsResourceExhausted(content.status())) {
    return absl::DataLossError(
        absl::StrCat(audit::TilePath(tile), " is larger than a tile can be: it is another file"));
  }
  if (!content.ok()) return content;
  if (!tile.entries && content->size() != hashes) return WrongLength(tile, content->size());
  return content;
}

absl::Status VerifiedTiles::LoadEdge() {
  bool any = false;
  Hash root = audit::EmptyRoot();
  for (uint8_t level = 0; level < audit::kTileLevels; ++level) {
    const uint64_t count = size_ >> (audit::kTileHeight * level);
    const auto width = static_cast<uint32_t>(count % kTileWidth);
    if (count == 0) break;
    if (width == 0) continue;
    absl::StatusOr<std::string> tile =
        ReadTile(*source_, {.level = level, .index = count / kTileWidth, .width = width});
    if (!tile.ok()) return tile.status();
    for (uint64_t end = width; end > 0;) {
      const auto height = static_cast<uint32_t>(std::countr_zero(end));
      end -= uint64_t{1} << height;
      const Hash left = SubtreeRoot(*tile, end, height);
      root = any ? audit::NodeHash(left, root) : left;
      any = true;
    }
    edge_[level] = *std::move(tile);
  }
  if (root == root_) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the last tiles of each level do not make up the root that was signed for size ",
                   size_, ": one of them was altered, or the head is another tree's"));
}

absl::StatusOr<Hash> VerifiedTiles::ExpectedLocked(uint8_t level, uint64_t index) {
  const auto above = static_cast<uint8_t>(level + 1);
  const absl::StatusOr<std::string> parent = FetchLocked(above, index / kTileWidth);
  if (!parent.ok()) return parent.status();
  return TileHash(*parent, index % kTileWidth);
}

absl::StatusOr<std::string> VerifiedTiles::FetchLocked(uint8_t level, uint64_t index) {
  const uint32_t width = audit::TileWidthAt(level, index, size_);
  COFFER_CHECK(level < audit::kTileLevels && width > 0,
               "the tree has the tiles that are asked for");
  if (width < kTileWidth) return edge_[level];
  Cached& slot = cache_[level][index % 2];
  if (slot.valid && slot.index == index) return slot.content;
  const absl::StatusOr<Hash> expected = ExpectedLocked(level, index);
  if (!expected.ok()) return expected.status();
  const TileRef ref{.level = level, .index = index};
  absl::StatusOr<std::string> content = ReadTile(*source_, ref);
  if (!content.ok()) return content.status();
  if (FullTileRoot(*content) != *expected) {
    return absl::DataLossError(absl::StrCat("tile ", audit::TilePath(ref),
                                            " was altered: its hashes do not make up the one that "
                                            "the tile above it has"));
  }
  slot = {true, index, *content};
  return content;
}

absl::StatusOr<std::string> VerifiedTiles::Fetch(const TileRef& tile) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return FetchLocked(tile.level, tile.index);
}

absl::StatusOr<Hash> VerifiedTiles::RootOfFullTile(uint64_t index) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint8_t above = 1;
  const uint64_t at = index / kTileWidth;
  // Without a copy of the tile above in the case that counts.
  const Cached& slot = cache_[above][at % 2];
  if (slot.valid && slot.index == at) return TileHash(slot.content, index % kTileWidth);
  return ExpectedLocked(0, index);
}

}  // namespace coffer::tools
