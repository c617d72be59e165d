#include "actors/host/log/log_tree.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coffer::host {

using audit::TileRef;

absl::Status LogTree::Damaged(const absl::Status& why) const {
  // What is wrong with the question stays so.
  if (absl::IsInvalidArgument(why) || absl::IsOutOfRange(why)) return why;
  constexpr absl::string_view kBegin = "the log's files are not those that were signed";
  if (absl::StartsWith(why.message(), kBegin)) return why;
  return absl::DataLossError(
      absl::StrCat(kBegin, " (published size ", size(), "): ", why.message(),
                   ". A tile was altered or lost: put tile/ back from a mirror or a backup"));
}

absl::StatusOr<std::string> LogTree::Fetch(const TileRef& tile) const {
  absl::StatusOr<std::string> content = files_->Read(tile);
  if (absl::IsNotFound(content.status())) {
    return absl::DataLossError(
        absl::StrCat(audit::TilePath(tile), " is missing: ", content.status().message()));
  }
  return content;
}

absl::StatusOr<std::vector<LogLeaf>> LogTree::Leaves(uint64_t first, uint64_t count) const {
  if (first > size()) {
    return absl::OutOfRangeError(absl::StrCat("the published log has ", size(), " leaves"));
  }
  const uint64_t end = first + std::min(count, size() - first);
  std::vector<LogLeaf> leaves;
  leaves.reserve(end - first);
  for (uint64_t at = first; at < end;) {
    const uint64_t index = at / audit::kTileWidth;
    const TileRef hashes{.index = index, .width = audit::TileWidthAt(0, index, size())};
    const TileRef bundle{.entries = true, .index = index, .width = hashes.width};
    const absl::StatusOr<std::string> tile = Fetch(hashes);
    if (!tile.ok()) return Damaged(tile.status());
    const absl::StatusOr<std::string> content = Fetch(bundle);
    if (!content.ok()) return Damaged(content.status());
    const auto entries = audit::ParseBundle(*content, bundle.width);
    if (!entries.ok()) return Damaged(entries.status());
    for (; at < end && at / audit::kTileWidth == index; ++at) {
      const size_t slot = at % audit::kTileWidth;
      const std::string_view entry = (*entries)[slot];
      if (audit::LeafHash(entry).view() !=
          std::string_view(*tile).substr(slot * audit::Hash::kSize, audit::Hash::kSize)) {
        return Damaged(
            absl::DataLossError(absl::StrCat("leaf ", at, " in ", audit::TilePath(bundle),
                                             " is not the one that its tile has the "
                                             "hash of")));
      }
      absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(entry);
      if (!leaf.ok()) return Damaged(leaf.status());
      if (leaf->sequence != at) {
        return Damaged(absl::DataLossError(
            absl::StrCat("leaf ", at, " says that it is leaf ", leaf->sequence)));
      }
      leaves.push_back({at, std::string(entry), *std::move(leaf)});
    }
  }
  return leaves;
}

absl::Status LogTree::CheckFile(const TileRef& tile, std::string_view content) const {
  if (!tile.entries && tile.width < audit::kTileWidth) return absl::OkStatus();
  const uint8_t level = tile.entries ? tile.level : static_cast<uint8_t>(tile.level + 1);
  const uint64_t index = tile.entries ? tile.index : tile.index / audit::kTileWidth;
  const TileRef above{
      .level = level, .index = index, .width = audit::TileWidthAt(level, index, size())};
  const absl::StatusOr<std::string> hashes = Fetch(above);
  if (!hashes.ok()) return Damaged(hashes.status());
  std::string expected;
  std::string found;
  if (tile.entries) {
    const auto entries = audit::ParseBundle(content, tile.width);
    if (!entries.ok()) return Damaged(entries.status());
    for (const std::string_view entry : *entries) found.append(audit::LeafHash(entry).view());
    expected = hashes->substr(0, found.size());
  } else {
    audit::Tree tree;
    for (size_t at = 0; at < content.size(); at += audit::Hash::kSize) {
      audit::Hash hash;
      std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(at), audit::Hash::kSize,
                  hash.bytes.begin());
      tree.Append(hash);
    }
    found = std::string(tree.Root().view());
    expected = hashes->substr(tile.index % audit::kTileWidth * audit::Hash::kSize, found.size());
  }
  if (found == expected) return absl::OkStatus();
  return Damaged(absl::DataLossError(absl::StrCat(audit::TilePath(tile), " is not what ",
                                                  audit::TilePath(above), " has the hash of")));
}

absl::StatusOr<LogLeaf> LogTree::LeafAt(uint64_t index) const {
  if (index >= size()) {
    return absl::OutOfRangeError(
        absl::StrCat("leaf ", index, " is not in the published log of ", size(), " leaves"));
  }
  absl::StatusOr<std::vector<LogLeaf>> leaves = Leaves(index, 1);
  if (!leaves.ok()) return leaves.status();
  return std::move(leaves->front());
}

absl::StatusOr<audit::Proof> LogTree::Inclusion(const LogLeaf& leaf) const {
  const auto fetch = [this](const TileRef& tile) { return Fetch(tile); };
  const audit::TileHashReader reader(size(), fetch);
  absl::StatusOr<audit::Proof> proof = audit::BuildInclusion(leaf.index, size(), reader);
  if (!proof.ok()) return Damaged(proof.status());
  const absl::Status verified = audit::VerifyInclusion(
      leaf.index, size(), audit::LeafHash(leaf.bytes), *proof, head_->checkpoint.root);
  if (!verified.ok()) return Damaged(absl::DataLossError(verified.message()));
  return proof;
}

absl::StatusOr<audit::Hash> LogTree::RootAt(uint64_t at) const {
  const auto fetch = [this](const TileRef& tile) { return Fetch(tile); };
  const audit::TileHashReader reader(size(), fetch);
  return audit::RootFromHashes(at, reader);
}

absl::StatusOr<audit::Proof> LogTree::Consistency(uint64_t first, uint64_t second) const {
  if (first > second) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no consistency proof from size ", first, " down to ", second));
  }
  if (second > size()) {
    return absl::OutOfRangeError(absl::StrCat(
        "size ", second, " is not published yet: the published log has ", size(), " leaves"));
  }
  if (first == 0) return audit::Proof();  // every tree begins with the empty one
  const auto fetch = [this](const TileRef& tile) { return Fetch(tile); };
  const audit::TileHashReader reader(size(), fetch);
  // One after the other, so that each root is confirmed by the one that was signed.
  audit::Hash root = head_->checkpoint.root;
  audit::Proof proof;
  for (const auto& [from, to] : {std::pair(second, size()), std::pair(first, second)}) {
    const absl::StatusOr<audit::Hash> from_root =
        from == size() ? root : audit::RootFromHashes(from, reader);
    if (!from_root.ok()) return Damaged(from_root.status());
    absl::StatusOr<audit::Proof> built = audit::BuildConsistency(from, to, reader);
    if (!built.ok()) return Damaged(built.status());
    const absl::Status verified = audit::VerifyConsistency(from, to, *from_root, root, *built);
    if (!verified.ok()) return Damaged(absl::DataLossError(verified.message()));
    proof = *std::move(built);
    root = *from_root;
  }
  return proof;
}

}  // namespace coffer::host
