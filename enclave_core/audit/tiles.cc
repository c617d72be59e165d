#include "enclave_core/audit/tiles.h"

#include <algorithm>
#include <array>
#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "invariant/check.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kPrefix = "tile/";
constexpr std::string_view kEntries = "entries";

// How many hashes level L has in a tree of this size.
uint64_t CountAt(uint8_t level, uint64_t size) {
  const uint32_t shift = kTileHeight * level;
  return shift >= 64 ? 0 : size >> shift;
}

Hash HashAt(std::string_view tile, uint64_t at) {
  Hash hash;
  std::copy_n(tile.begin() + static_cast<ptrdiff_t>(at * Hash::kSize), Hash::kSize,
              hash.bytes.begin());
  return hash;
}

// The root of the 2^height hashes of a tile that begin at `first`.
Hash SubtreeHash(std::string_view tile, uint64_t first, uint32_t height) {
  std::array<Hash, kTileWidth> row;
  const size_t width = size_t{1} << height;
  for (size_t i = 0; i < width; ++i) row[i] = HashAt(tile, first + i);
  for (size_t count = width; count > 1; count /= 2) {
    for (size_t i = 0; i < count / 2; ++i) row[i] = NodeHash(row[2 * i], row[2 * i + 1]);
  }
  return row[0];
}

// Takes a number off the front: digits without a leading zero, at most `max`.
bool TakeNumber(std::string_view& text, uint64_t max, uint64_t& out) {
  size_t digits = 0;
  out = 0;
  while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') {
    out = out * 10 + static_cast<uint64_t>(text[digits++] - '0');
  }
  if (digits == 0 || out > max || (digits > 1 && text[0] == '0')) return false;
  text.remove_prefix(digits);
  return true;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// N: groups of three digits. TilePath writes no group more than it needs, so the caller compares.
bool TakeIndex(std::string_view& text, uint64_t& out) {
  out = 0;
  for (int groups = 0; groups < 7; ++groups) {
    const bool more = TakePrefix(text, "x");
    if (text.size() < 3) return false;
    uint64_t group = 0;
    for (const char c : text.substr(0, 3)) {
      if (c < '0' || c > '9') return false;
      group = group * 10 + static_cast<uint64_t>(c - '0');
    }
    if (out > (kMaxTreeSize - group) / 1000) return false;
    out = out * 1000 + group;
    text.remove_prefix(3);
    if (!more) return true;
    if (!TakePrefix(text, "/")) return false;
  }
  return false;
}

absl::Status CheckLength(const TileRef& tile, std::string& content) {
  const size_t want = tile.width * Hash::kSize;
  if (content.size() == kTileWidth * Hash::kSize) content.resize(want);
  if (content.size() == want) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(TilePath(tile), " has ", content.size(), " bytes, not ", want));
}

}  // namespace

std::string TilePath(const TileRef& tile) {
  std::string index = absl::StrFormat("%03d", tile.index % 1000);
  for (uint64_t rest = tile.index / 1000; rest > 0; rest /= 1000) {
    index.insert(0, absl::StrFormat("x%03d/", rest % 1000));
  }
  std::string path(kPrefix);
  absl::StrAppend(&path, tile.entries ? std::string(kEntries) : absl::StrCat(tile.level), "/",
                  index);
  if (tile.width < kTileWidth) absl::StrAppend(&path, ".p/", tile.width);
  return path;
}

absl::StatusOr<TileRef> ParseTilePath(std::string_view path) {
  TileRef tile;
  std::string_view rest = path;
  uint64_t level = 0;
  uint64_t width = kTileWidth;
  bool ok = path.size() <= 64 && TakePrefix(rest, kPrefix);
  if (ok) {
    tile.entries = TakePrefix(rest, kEntries);
    ok = (tile.entries || TakeNumber(rest, 63, level)) && TakePrefix(rest, "/") &&
         TakeIndex(rest, tile.index);
  }
  if (ok && TakePrefix(rest, ".p/")) ok = TakeNumber(rest, kTileWidth - 1, width) && width > 0;
  tile.level = static_cast<uint8_t>(level);
  tile.width = static_cast<uint32_t>(width);
  if (!ok || !rest.empty() || TilePath(tile) != path) {
    return absl::InvalidArgumentError(
        "not the path of a tile: want tile/<level>/<index>[.p/<width>] or tile/entries/...");
  }
  return tile;
}

uint32_t TileWidthAt(uint8_t level, uint64_t index, uint64_t size) {
  const uint64_t count = CountAt(level, size);
  if (index < count / kTileWidth) return kTileWidth;
  return index == count / kTileWidth ? static_cast<uint32_t>(count % kTileWidth) : 0;
}

absl::StatusOr<std::vector<TileRef>> ChangedTiles(uint64_t old_size, uint64_t new_size) {
  if (old_size > new_size || new_size > kMaxTreeSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a log does not grow from size ", old_size, " to ", new_size));
  }
  std::vector<TileRef> out;
  for (uint8_t level = 0; level < kTileLevels; ++level) {
    const uint64_t before = CountAt(level, old_size);
    const uint64_t after = CountAt(level, new_size);
    if (before == after) break;
    for (uint64_t index = before / kTileWidth; index * kTileWidth < after; ++index) {
      const uint32_t width = TileWidthAt(level, index, new_size);
      if (level == 0) out.push_back({.entries = true, .index = index, .width = width});
      out.push_back({.level = level, .index = index, .width = width});
    }
  }
  return out;
}

absl::Status AppendToBundle(std::string_view entry, std::string* bundle) {
  if (entry.size() > kMaxEntryBytes) {
    return absl::InvalidArgumentError(absl::StrCat("an entry of ", entry.size(),
                                                   " bytes does not fit a bundle: the most is ",
                                                   kMaxEntryBytes));
  }
  bundle->push_back(static_cast<char>(entry.size() >> 8));
  bundle->push_back(static_cast<char>(entry.size()));
  bundle->append(entry);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string_view>> ParseBundle(std::string_view bundle, uint32_t width) {
  std::vector<std::string_view> entries;
  entries.reserve(std::min(width, kTileWidth));
  while (!bundle.empty()) {
    if (entries.size() == width || bundle.size() < 2) {
      return absl::DataLossError(
          absl::StrCat("an entry bundle of ", width, " entries has bytes after the last of them"));
    }
    const size_t size =
        static_cast<size_t>(static_cast<uint8_t>(bundle[0])) << 8 | static_cast<uint8_t>(bundle[1]);
    if (bundle.size() - 2 < size) {
      return absl::DataLossError(
          absl::StrCat("entry ", entries.size(), " of an entry bundle is cut off"));
    }
    entries.push_back(bundle.substr(2, size));
    bundle.remove_prefix(2 + size);
  }
  if (entries.size() != width) {
    return absl::DataLossError(
        absl::StrCat("an entry bundle has ", entries.size(), " entries, not ", width));
  }
  return entries;
}

absl::StatusOr<TileWriter> TileWriter::Resume(uint64_t size, TileFetch fetch) {
  if (size > kMaxTreeSize) return absl::InvalidArgumentError("a log has at most 2^62 - 1 leaves");
  TileWriter writer;
  writer.size_ = writer.taken_ = size;
  writer.levels_.clear();
  for (uint8_t level = 0; level == 0 || CountAt(level, size) > 0; ++level) {
    const uint64_t index = CountAt(level, size) / kTileWidth;
    const TileRef tile{.level = level, .index = index, .width = TileWidthAt(level, index, size)};
    std::string& open = writer.levels_.emplace_back();
    if (tile.width == 0) continue;
    absl::StatusOr<std::string> content = fetch(tile);
    if (!content.ok()) return content.status();
    if (absl::Status status = CheckLength(tile, *content); !status.ok()) return status;
    open = *std::move(content);
  }
  const TileRef bundle{.entries = true,
                       .index = size / kTileWidth,
                       .width = TileWidthAt(0, size / kTileWidth, size)};
  if (bundle.width == 0) return writer;
  const absl::StatusOr<std::string> content = fetch(bundle);
  if (!content.ok()) return content.status();
  absl::StatusOr<std::vector<std::string_view>> entries = ParseBundle(*content, bundle.width);
  if (!entries.ok()) entries = ParseBundle(*content, kTileWidth);
  if (!entries.ok()) return entries.status();
  for (uint32_t i = 0; i < bundle.width; ++i) {
    if (LeafHash((*entries)[i]) != HashAt(writer.levels_[0], i)) {
      return absl::DataLossError(absl::StrCat("entry ", i, " of ", TilePath(bundle),
                                              " is not the one that its tile has the hash of"));
    }
    if (absl::Status status = AppendToBundle((*entries)[i], &writer.bundle_); !status.ok()) {
      return status;
    }
  }
  return writer;
}

void TileWriter::AddHash(uint8_t level, const Hash& hash) {
  if (levels_.size() == level) levels_.emplace_back();
  std::string& open = levels_[level];
  open.append(hash.view());
  if (open.size() < kTileWidth * Hash::kSize) return;
  const uint64_t index = (size_ + 1) / kTileWidth - 1;
  const TileRef tile{.level = level, .index = index >> (kTileHeight * level)};
  done_.push_back({tile, std::move(open)});
  open.clear();
  // By index: the recursion may move the levels.
  AddHash(static_cast<uint8_t>(level + 1), SubtreeHash(done_.back().content, 0, kTileHeight));
}

absl::Status TileWriter::Append(std::string_view entry) {
  COFFER_CHECK(size_ < kMaxTreeSize, "the log has room for a leaf");
  if (absl::Status status = AppendToBundle(entry, &bundle_); !status.ok()) return status;
  if (size_ % kTileWidth == kTileWidth - 1) {
    done_.push_back({{.entries = true, .index = size_ / kTileWidth}, std::move(bundle_)});
    bundle_.clear();
  }
  AddHash(0, LeafHash(entry));
  ++size_;
  return absl::OkStatus();
}

std::vector<TileFile> TileWriter::Take() {
  std::vector<TileFile> out = std::move(done_);
  done_.clear();
  for (size_t i = 0; i < levels_.size(); ++i) {
    const auto level = static_cast<uint8_t>(i);
    const uint64_t count = CountAt(level, size_);
    const auto width = static_cast<uint32_t>(count % kTileWidth);
    if (width == 0 || count == CountAt(level, taken_)) continue;
    out.push_back({{.level = level, .index = count / kTileWidth, .width = width}, levels_[level]});
    if (level == 0) {
      out.push_back({{.entries = true, .index = count / kTileWidth, .width = width}, bundle_});
    }
  }
  taken_ = size_;
  return out;
}

std::optional<std::string> TileWriter::FromOpen(const TileRef& tile) const {
  const uint64_t count = CountAt(tile.level, size_);
  if (tile.level >= levels_.size() || tile.index != count / kTileWidth ||
      tile.width > count % kTileWidth) {
    return std::nullopt;
  }
  if (!tile.entries) return levels_[tile.level].substr(0, size_t{tile.width} * Hash::kSize);
  size_t end = 0;
  for (uint32_t i = 0; i < tile.width; ++i) {
    end += 2 + (static_cast<size_t>(static_cast<uint8_t>(bundle_[end])) << 8 |
                static_cast<uint8_t>(bundle_[end + 1]));
  }
  return bundle_.substr(0, end);
}

Hash TileWriter::Root() const {
  if (size_ == 0) return EmptyRoot();
  // From the right: within a tile's open hashes the complete subtrees, then the level above.
  bool any = false;
  Hash root;
  for (const std::string& open : levels_) {
    uint64_t end = open.size() / Hash::kSize;
    while (end > 0) {
      const auto height = static_cast<uint32_t>(std::countr_zero(end));
      end -= uint64_t{1} << height;
      const Hash left = SubtreeHash(open, end, height);
      root = any ? NodeHash(left, root) : left;
      any = true;
    }
  }
  return root;
}

absl::StatusOr<const std::string*> TileHashReader::Load(uint8_t level, uint64_t index) const {
  const auto found = tiles_.find({level, index});
  if (found != tiles_.end()) return &found->second;
  const TileRef tile{.level = level, .index = index, .width = TileWidthAt(level, index, size_)};
  if (tile.width == 0) return absl::NotFoundError("the tree has no such tile");
  absl::StatusOr<std::string> content = fetch_(tile);
  if (!content.ok()) return content.status();
  if (absl::Status status = CheckLength(tile, *content); !status.ok()) return status;
  return &(tiles_[{level, index}] = *std::move(content));
}

absl::StatusOr<Hash> TileHashReader::operator()(uint32_t level, uint64_t index) const {
  if (level >= 64 || index >= size_ >> level) {
    return absl::NotFoundError(absl::StrCat("a tree of size ", size_, " has no complete subtree ",
                                            index, " at level ", level));
  }
  const auto tile_level = static_cast<uint8_t>(level / kTileHeight);
  const uint32_t height = level % kTileHeight;
  const uint64_t first = index << height;  // below 2^63: index < size >> level
  const absl::StatusOr<const std::string*> tile = Load(tile_level, first / kTileWidth);
  if (!tile.ok()) return tile.status();
  return SubtreeHash(**tile, first % kTileWidth, height);
}

}  // namespace coffer::audit
