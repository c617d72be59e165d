#include "tools/log_block.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"
#include "tools/event_ids.h"

namespace coffer::tools {

using audit::Hash;
using audit::kTileWidth;
using audit::TileRef;

namespace {

void Reset(uint64_t index, uint32_t width, LogBlock& block) {
  block.index = index;
  block.width = width;
  block.source = absl::OkStatus();
  block.tile_problems.clear();
  block.leaf_problems.clear();
  block.bad_files.clear();
  block.readable = false;
  block.hashes.clear();
  block.undecided.clear();
  block.leaves.clear();
  block.event_hashes.clear();
  block.bytes = 0;
}

// The content, or nothing with the reason noted.
std::optional<std::string> ReadInto(LogSource& source, const TileRef& ref, LogBlock& block) {
  absl::StatusOr<std::string> content = ReadTile(source, ref);
  if (content.ok()) {
    block.bytes += content->size();
    return *std::move(content);
  }
  if (IsLogsFault(content.status())) {
    block.tile_problems.emplace_back(content.status().message());
    block.bad_files.push_back(audit::TilePath(ref));
  } else {
    block.source = content.status();
  }
  return std::nullopt;
}

void ParseLeaves(const std::vector<std::string_view>& entries, LogBlock& block) {
  const uint64_t first = block.index * kTileWidth;
  block.readable = true;
  block.leaves.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint64_t at = first + i;
    absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(entries[i]);
    if (!leaf.ok()) {
      block.leaf_problems.push_back(
          absl::StrCat("leaf ", at, " is no leaf of this format: ", leaf.status().message()));
      block.readable = false;
      continue;
    }
    if (leaf->sequence != at) {
      block.leaf_problems.push_back(absl::StrCat("leaf ", at, " says that it is number ",
                                                 leaf->sequence,
                                                 ": leaves were reordered, dropped or put in"));
    }
    if ((leaf->kind == audit::LeafKind::kGenesis) != (at == 0)) {
      block.leaf_problems.push_back(
          at == 0 ? absl::StrCat("leaf 0 is a ", std::string(audit::KindName(leaf->kind)),
                                 " and not the genesis that every log begins with")
                  : absl::StrCat("leaf ", at, " is a second genesis: another log begins here"));
    }
    block.event_hashes.push_back(leaf->event_id.empty() ? 0 : EventHash(leaf->event_id));
    block.leaves.push_back(*std::move(leaf));
  }
}

// The tile is the signed tree's: which leaves are not?
void NameAlteredLeaves(std::string_view tile, LogBlock& block) {
  const uint64_t first = block.index * kTileWidth;
  for (uint64_t i = 0; i < block.width; ++i) {
    const Hash is = TileHash(block.hashes, i);
    if (is == TileHash(tile, i)) continue;
    std::string what = absl::StrCat("leaf ", first + i,
                                    " was altered: its bytes do not hash to "
                                    "what the signed tree has there");
    for (uint64_t j = 0; j < block.width; ++j) {
      if (j != i && is == TileHash(tile, j)) {
        what = absl::StrCat("leaf ", first + i, " is not in its place: what is there is leaf ",
                            first + j, " of the signed tree");
      }
    }
    block.tile_problems.push_back(std::move(what));
  }
}

void NameAlteredHash(std::string_view tile, const std::string& path, LogBlock& block) {
  for (uint64_t i = 0; i < block.width; ++i) {
    if (TileHash(tile, i) == TileHash(block.hashes, i)) continue;
    block.tile_problems.push_back(absl::StrCat("tile ", path, " was altered: its hash number ", i,
                                               " is not that of leaf ",
                                               block.index * kTileWidth + i));
    return;
  }
}

// What the signed tree has for this block: a root, or for the last one all its hashes.
struct Expected {
  std::optional<Hash> root;
  std::optional<std::string> hashes;
};

void Compare(const Expected& expected, const std::string& tile, const TileRef& ref,
             const TileRef& bundle, LogBlock& block) {
  const bool leaves_right = expected.root ? block.root == *expected.root
                                          : expected.hashes && block.hashes == *expected.hashes;
  const bool tile_right = expected.root ? FullTileRoot(tile) == *expected.root
                                        : expected.hashes && tile == *expected.hashes;
  if (leaves_right && tile_right) return;
  if (!leaves_right) block.readable = false;
  if (leaves_right) {
    NameAlteredHash(tile, audit::TilePath(ref), block);
    block.bad_files.push_back(audit::TilePath(ref));
  } else if (tile_right) {
    NameAlteredLeaves(tile, block);
    block.bad_files.push_back(audit::TilePath(bundle));
  } else {
    block.tile_problems.push_back(absl::StrCat(
        "leaves ", block.index * kTileWidth, " to ", block.index * kTileWidth + block.width - 1,
        " and tile ", audit::TilePath(ref), " were altered: neither is what the signed tree has"));
    block.bad_files.push_back(audit::TilePath(ref));
    block.bad_files.push_back(audit::TilePath(bundle));
  }
}

}  // namespace

bool IsLogsFault(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsDataLoss(status);
}

void ReadBlock(LogSource& source, VerifiedTiles& tiles, bool trusted, uint64_t index,
               uint32_t width, LogBlock& block) {
  Reset(index, width, block);
  const TileRef bundle{.entries = true, .index = index, .width = width};
  const TileRef ref{.index = index, .width = width};
  const std::optional<std::string> tile = ReadInto(source, ref, block);
  const std::optional<std::string> content = ReadInto(source, bundle, block);
  if (!content) return;
  const auto entries = audit::ParseBundle(*content, width);
  if (!entries.ok()) {
    block.tile_problems.push_back(
        absl::StrCat("bundle ", audit::TilePath(bundle),
                     " was cut off or altered: ", entries.status().message()));
    block.bad_files.push_back(audit::TilePath(bundle));
    return;
  }
  audit::Tree tree;
  for (const std::string_view entry : *entries) {
    const Hash hash = audit::LeafHash(entry);
    block.hashes.append(hash.view());
    tree.Append(hash);
  }
  block.root = tree.Root();
  ParseLeaves(*entries, block);
  Expected expected;
  if (trusted && width == kTileWidth) {
    const absl::StatusOr<Hash> root = tiles.RootOfFullTile(index);
    if (root.ok()) {
      expected.root = *root;
    } else if (!IsLogsFault(root.status())) {
      block.source = root.status();
      return;
    }
  } else if (trusted) {
    const absl::StatusOr<std::string> edge = tiles.Fetch(ref);
    if (edge.ok()) expected.hashes = *edge;
  }
  if (expected.root || expected.hashes) {
    if (tile) return Compare(expected, *tile, ref, bundle, block);
    // The tile is missing, which is reported; the leaves can still be held against the tree.
    if (expected.root ? block.root != *expected.root : block.hashes != *expected.hashes) {
      block.readable = false;
      block.bad_files.push_back(audit::TilePath(bundle));
      block.tile_problems.push_back(absl::StrCat("leaves ", index * kTileWidth, " to ",
                                                 index * kTileWidth + width - 1,
                                                 " are not what the signed tree has"));
    }
  } else if (tile && *tile != block.hashes) {
    block.undecided = audit::TilePath(ref);
  }
}

}  // namespace coffer::tools
