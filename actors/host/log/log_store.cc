#include "actors/host/log/log_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "actors/host/record_entry.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/audit/text.h"

namespace coffer::host {
namespace {

using audit::Hash;
using audit::TileRef;

constexpr std::string_view kMarkTag = "coffer-log-durable:v1";

// The partial tiles, bundle included, of a tree of this size.
std::vector<TileRef> PartialTiles(uint64_t size) {
  std::vector<TileRef> out;
  for (uint8_t level = 0; level < audit::kTileLevels; ++level) {
    // In two steps: a tile of the last level would be shifted by all 64 bits.
    const uint64_t index = (size >> (audit::kTileHeight * level)) / audit::kTileWidth;
    const uint32_t width = audit::TileWidthAt(level, index, size);
    if (width == 0) continue;
    if (level == 0) out.push_back({.entries = true, .index = index, .width = width});
    out.push_back({.level = level, .index = index, .width = width});
  }
  return out;
}

std::string FullPath(TileRef tile) {
  tile.width = audit::kTileWidth;
  return audit::TilePath(tile);
}

// The size of the smallest tree in which this tile is full; no tree fills one of the last level.
uint64_t FullAt(const TileRef& tile) {
  if (tile.level + 1 >= audit::kTileLevels) return ~uint64_t{0};
  return (tile.index + 1) << (audit::kTileHeight * (tile.level + 1));
}

}  // namespace

std::string FormatDurableMark(const DurableMark& mark) {
  const std::string lines = absl::StrCat(std::string(kMarkTag), "\n", mark.size, "\n",
                                         audit::EncodeBase64(mark.root.view()), "\n");
  return absl::StrCat(lines, audit::EncodeBase64(audit::Sha256(lines).view()), "\n");
}

absl::StatusOr<DurableMark> ParseDurableMark(std::string_view text) {
  std::string_view rest = text;
  const auto tag = audit::TakeLine(rest);
  const auto size_line = tag.has_value() ? audit::TakeLine(rest) : std::nullopt;
  const auto root_line = size_line.has_value() ? audit::TakeLine(rest) : std::nullopt;
  if (root_line.has_value()) {
    const std::optional<uint64_t> size = audit::ParseDecimal(*size_line);
    const std::optional<Hash> root = audit::DecodeHash(*root_line);
    if (size.has_value() && root.has_value() && *size <= audit::kMaxTreeSize) {
      const DurableMark mark{*size, *root};
      if (FormatDurableMark(mark) == text) return mark;
    }
  }
  return absl::DataLossError(
      "the file that says how much of the log is durable is damaged or of another format");
}

// ---- recovery
// ------------------------------------------------------------------------------------------------------

LogStore::LogStore(LogFiles* files) : files_(files) {
  const absl::StatusOr<std::string> note = files_->Read(kCheckpointFile);
  if (!note.ok()) return;
  absl::StatusOr<audit::SignedCheckpoint> parsed = audit::ParseCheckpoint(*note);
  if (!parsed.ok()) return;
  published_ = std::move(parsed->checkpoint);
  published_before_ = published_.size;
}

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Open(LogFiles* files) {
  std::unique_ptr<LogStore> store(new LogStore(files));
  const absl::StatusOr<std::string> text = files->Read(kDurableFile);
  if (absl::IsNotFound(text.status())) return store;
  if (!text.ok()) return text.status();
  store->marked_ = true;
  const absl::StatusOr<DurableMark> mark = ParseDurableMark(*text);
  if (!mark.ok()) {
    return absl::DataLossError(
        absl::StrCat(files->path(), "/", kDurableFile, ": ", mark.status().message()));
  }
  absl::StatusOr<audit::TileWriter> tiles = audit::TileWriter::Resume(
      mark->size, [&](const TileRef& tile) -> absl::StatusOr<std::string> {
        absl::StatusOr<std::string> content = files->Read(audit::TilePath(tile));
        return absl::IsNotFound(content.status()) ? files->Read(FullPath(tile)) : content;
      });
  if (!tiles.ok()) {
    // What the disk may get over is told apart from what is gone.
    if (!absl::IsNotFound(tiles.status()) && !absl::IsDataLoss(tiles.status())) {
      return tiles.status();
    }
    return absl::DataLossError(absl::StrCat(files->path(), ": a tile of the log of size ",
                                            mark->size,
                                            " is lost or damaged: ", tiles.status().message()));
  }
  if (tiles->Root() != mark->root) {
    return absl::DataLossError(
        absl::StrCat(files->path(), ": the tiles of the log of size ", mark->size,
                     " do not lead to the root that was written down when they were made durable: "
                     "one of them was altered"));
  }
  store->tiles_ = *std::move(tiles);
  store->durable_size_ = mark->size;
  return store;
}

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Fresh(LogFiles* files) {
  // Before any tile below it is written again: a crash in between must not find it.
  const absl::Status status =
      files->WriteDurably(kDurableFile, FormatDurableMark({0, audit::EmptyRoot()}));
  if (!status.ok()) return status;
  std::unique_ptr<LogStore> store(new LogStore(files));
  store->marked_ = true;
  return store;
}

std::unique_ptr<LogStore> LogStore::Adopted(LogFiles* files, audit::TileWriter tiles) {
  std::unique_ptr<LogStore> store(new LogStore(files));
  store->tiles_ = std::move(tiles);
  (void)store->tiles_.TakeFull();
  return store;
}

absl::Status LogStore::RestorePublished() {
  if (published_.size == 0 || published_.size > size()) return absl::OkStatus();
  return Cut(published_.size, published_.root);
}

// ---- writing
// -------------------------------------------------------------------------------------------------------

absl::Status LogStore::Append(uint64_t tree_size, std::string_view leaves) {
  if (absl::Status s = Flush(); !s.ok()) return s;
  const std::optional<uint64_t> count = CountLeaves(leaves);
  if (!count.has_value() || *count > tree_size || tree_size > audit::kMaxTreeSize) {
    return absl::DataLossError(absl::StrCat("the public part of a record, ", leaves.size(),
                                            " bytes that should be the leaves before index ",
                                            tree_size, " of the log, cannot be read"));
  }
  uint64_t index = tree_size - *count;
  if (tree_size <= size()) return absl::OkStatus();
  if (index > size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the log ends at leaf ", size(), " and the records go on at leaf ", index));
  }
  for (; !leaves.empty(); ++index) {
    const size_t bytes =
        static_cast<size_t>(static_cast<uint8_t>(leaves[0])) << 8 | static_cast<uint8_t>(leaves[1]);
    if (index >= size()) {
      if (absl::Status s = tiles_.Append(leaves.substr(2, bytes)); !s.ok()) return s;
      if (size() % audit::kTileWidth == 0) {
        if (absl::Status s = Flush(); !s.ok()) return s;
      }
    }
    leaves.remove_prefix(2 + bytes);
  }
  return absl::OkStatus();
}

absl::Status LogStore::Flush() {
  if (broken_) return absl::InternalError("the log's disk failed");
  for (audit::TileFile& file : tiles_.TakeFull()) full_.push_back(std::move(file));
  while (!full_.empty()) {
    audit::TileFile& file = full_.front();
    if (absl::Status s = files_->Write(audit::TilePath(file.tile), file.content); !s.ok()) return s;
    // Before a crash it may have been partial when something was published.
    if (file.tile.index << (audit::kTileHeight * (file.tile.level + 1)) < published_before_) {
      RememberPartial(file.tile);
    }
    full_.erase(full_.begin());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> LogStore::Fetch(const TileRef& tile) const {
  if (std::optional<std::string> open = tiles_.FromOpen(tile)) return *std::move(open);
  absl::StatusOr<std::string> content = files_->Read(FullPath(tile));
  if (absl::IsNotFound(content.status())) {
    return absl::DataLossError(
        absl::StrCat(files_->path(), "/", FullPath(tile), " of the log is gone"));
  }
  if (!content.ok()) return content.status();
  if (!tile.entries) {
    if (content->size() != audit::kTileWidth * Hash::kSize) {
      return absl::DataLossError(absl::StrCat(FullPath(tile), " has ", content->size(), " bytes"));
    }
    content->resize(size_t{tile.width} * Hash::kSize);
    return content;
  }
  const absl::StatusOr<std::vector<std::string_view>> entries =
      audit::ParseBundle(*content, audit::kTileWidth);
  if (!entries.ok()) return entries.status();
  size_t bytes = 0;
  for (uint32_t i = 0; i < tile.width; ++i) bytes += 2 + (*entries)[i].size();
  content->resize(bytes);
  return content;
}

absl::StatusOr<Hash> LogStore::RootAt(uint64_t size) const {
  if (size == tiles_.size()) return tiles_.Root();
  if (size == 0) return audit::EmptyRoot();
  const auto fetch = [this](const TileRef& tile) { return Fetch(tile); };
  const audit::TileHashReader reader(size, fetch);
  return audit::RootFromHashes(size, reader);
}

absl::Status LogStore::WritePartials(uint64_t size) {
  // Those that `durable` stands on are never replaced by bytes that a crash could still take.
  // Whether others are there is not asked: after a failed sync what is read may never reach the
  // disk.
  std::vector<TileRef> there = PartialTiles(durable_size_);
  there.insert(there.end(), written_.begin(), written_.end());
  const std::vector<TileRef> tiles = PartialTiles(size);
  for (const TileRef& tile : tiles) {
    if (std::find(there.begin(), there.end(), tile) != there.end()) continue;
    const absl::StatusOr<std::string> content = Fetch(tile);
    if (!content.ok()) return content.status();
    if (absl::Status s = files_->Write(audit::TilePath(tile), *content); !s.ok()) return s;
    RememberPartial(tile);
  }
  written_ = tiles;
  return absl::OkStatus();
}

absl::Status LogStore::Cut(uint64_t size, const Hash& root) {
  if (size > tiles_.size()) {
    return absl::UnavailableError(
        absl::StrCat("the log has ", tiles_.size(), " leaves here yet, of ", size));
  }
  if (absl::Status s = Flush(); !s.ok()) return s;
  const absl::StatusOr<Hash> ours = RootAt(size);
  if (!ours.ok()) return ours.status();
  if (*ours != root) {
    return absl::DataLossError(absl::StrCat(
        "the log in ", files_->path(), " is not the one that the enclave signed: at size ", size,
        " its root is ", audit::EncodeBase64(ours->view()), ", and the signed one is ",
        audit::EncodeBase64(root.view()),
        "; keep the folder and the records as evidence, and compare both with the witnesses'"));
  }
  if (absl::Status s = WritePartials(size); !s.ok()) return s;
  cut_.size = size;
  cut_.root = root;
  return absl::OkStatus();
}

absl::Status LogStore::Publish(uint64_t size, std::string_view note) {
  if (size != cut_.size || size < published_.size) {
    return absl::FailedPreconditionError(
        absl::StrCat("a checkpoint of size ", size, " was to be published after one of size ",
                     published_.size, ", with the tiles of size ", cut_.size));
  }
  // A checkpoint without `durable` is taken for a copy, so never let one be there first.
  if (durable_size_ == 0 && size > 0) {
    if (absl::Status s = Sync(); !s.ok()) return s;
  }
  if (absl::Status s = files_->WriteDurably(kCheckpointFile, note); !s.ok()) return s;
  published_ = cut_;
  RemovePartials();
  return absl::OkStatus();
}

absl::Status LogStore::Sync() {
  if (absl::Status s = Flush(); !s.ok()) return s;
  if (size() == durable_size_) return absl::OkStatus();
  if (absl::Status s = WritePartials(size()); !s.ok()) return s;
  absl::Status status = files_->SyncAll();
  if (!status.ok()) {
    broken_ = true;
    return status;
  }
  status = files_->WriteDurably(kDurableFile, FormatDurableMark({size(), tiles_.Root()}));
  if (!status.ok()) return status;
  durable_size_ = size();
  RemovePartials();
  return absl::OkStatus();
}

void LogStore::RememberPartial(TileRef tile) {
  tile.width = audit::kTileWidth;
  partials_.emplace(FullAt(tile), tile);
  if (partials_.size() > kMaxPartials) partials_.erase(partials_.begin());
}

void LogStore::RemovePartials() {
  const uint64_t safe = std::min(durable_size_, published_.size);
  while (!partials_.empty() && partials_.begin()->first <= safe) {
    // One that stays because of an error takes some space and harms nobody.
    (void)files_->RemoveFolder(absl::StrCat(FullPath(partials_.begin()->second), ".p"));
    partials_.erase(partials_.begin());
  }
}

}  // namespace coffer::host
