#include "tools/log_scan.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/tree.h"
#include "tools/log_block.h"
#include "tools/verified_tiles.h"

namespace coffer::tools {

using audit::Hash;
using audit::kTileWidth;

namespace {

// After so many blocks with something wrong, in their files or their leaves, the rest says nothing
// new.
constexpr uint64_t kMaxBadBlocks = 1000;

// Blocks are read by several threads and taken in order by one.
class BlockPipe {
 public:
  BlockPipe(LogSource& source, VerifiedTiles& tiles, bool trusted, uint64_t size, unsigned threads)
      : source_(source),
        tiles_(tiles),
        trusted_(trusted),
        size_(size),
        blocks_((size + kTileWidth - 1) / kTileWidth),
        slots_(size_t{threads} * 2) {
    for (unsigned i = 0; i < threads; ++i) workers_.emplace_back([this] { Work(); });
  }
  ~BlockPipe() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  uint64_t blocks() const { return blocks_; }

  // The next block; valid until the next call.
  LogBlock& Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (taken_ > 0) {
      slots_[(taken_ - 1) % slots_.size()].ready = false;
      freed_ = taken_;
      room_.notify_one();
    }
    Slot& slot = slots_[taken_ % slots_.size()];
    ready_.wait(lock, [&] { return slot.ready; });
    ++taken_;
    return slot.block;
  }

 private:
  struct Slot {
    LogBlock block;
    bool ready = false;
  };

  void Work() {
    for (;;) {
      uint64_t index = 0;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        room_.wait(lock, [&] {
          return stopped_ || claimed_ == blocks_ || claimed_ < freed_ + slots_.size();
        });
        if (stopped_ || claimed_ == blocks_) return;
        index = claimed_++;
      }
      Slot& slot = slots_[index % slots_.size()];
      const uint32_t width = audit::TileWidthAt(0, index, size_);
      ReadBlock(source_, tiles_, trusted_, index, width, slot.block);
      const std::lock_guard<std::mutex> lock(mutex_);
      slot.ready = true;
      ready_.notify_one();
    }
  }

  LogSource& source_;
  VerifiedTiles& tiles_;
  const bool trusted_;
  const uint64_t size_;
  const uint64_t blocks_;
  std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::vector<Slot> slots_;
  uint64_t claimed_ = 0, taken_ = 0, freed_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> workers_;  // last: they use the rest
};

// The tiles above level 0, made from the leaves again and compared with the files.
class UpperTiles {
 public:
  explicit UpperTiles(LogSource& source) : source_(source) {}

  absl::Status AddBlockRoot(const Hash& root) { return Add(1, root); }
  // The partial ones.
  absl::Status Finish() {
    for (uint8_t level = 1; level < audit::kTileLevels; ++level) {
      if (open_[level].empty()) continue;
      if (absl::Status status = CompareTile(level); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  absl::Status Add(uint8_t level, const Hash& hash) {
    open_[level].append(hash.view());
    if (open_[level].size() < kTileWidth * Hash::kSize) return absl::OkStatus();
    const Hash root = FullTileRoot(open_[level]);
    if (absl::Status status = CompareTile(level); !status.ok()) return status;
    return Add(static_cast<uint8_t>(level + 1), root);
  }

  absl::Status CompareTile(uint8_t level) {
    const std::string want = std::exchange(open_[level], {});
    const uint64_t index = done_[level]++;
    const auto width = static_cast<uint32_t>(want.size() / Hash::kSize);
    const audit::TileRef ref{.level = level, .index = index, .width = width};
    const absl::StatusOr<std::string> is = ReadTile(source_, ref);
    if (!is.ok() && !IsLogsFault(is.status())) return is.status();
    if (!is.ok() || *is != want) wrong_.push_back(audit::TilePath(ref));
    return absl::OkStatus();
  }

  LogSource& source_;
  std::array<std::string, audit::kTileLevels + 1> open_;
  std::array<uint64_t, audit::kTileLevels + 1> done_{};
  std::vector<std::string> wrong_;
};

class Scan {
 public:
  Scan(LogSource& source, const audit::Checkpoint& head, const ScanOptions& options)
      : source_(source),
        head_(head),
        options_(options),
        tiles_(&source, head.size, head.root),
        upper_(source) {}

  ScanResult Run() {
    const absl::Status edge = tiles_.LoadEdge();
    if (!edge.ok() && !IsLogsFault(edge)) {
      result_.source = edge;
      return std::move(result_);
    }
    BlockPipe pipe(source_, tiles_, edge.ok(), head_.size, std::max(1u, options_.threads));
    uint64_t bad_blocks = 0;
    for (uint64_t i = 0; i < pipe.blocks(); ++i) {
      if (bad_blocks == kMaxBadBlocks) {
        result_.source = absl::ResourceExhaustedError(
            absl::StrCat("given up before leaf ", i * kTileWidth, ", after ", kMaxBadBlocks,
                         " blocks of leaves with something wrong"));
        return std::move(result_);
      }
      const LogBlock& block = pipe.Take();
      if (!block.source.ok()) {
        result_.source = block.source;
        return std::move(result_);
      }
      if (!Take(block)) return std::move(result_);
      if (!block.tile_problems.empty() || !block.leaf_problems.empty()) ++bad_blocks;
      if (options_.on_progress) {
        options_.on_progress(std::min(head_.size, (i + 1) * kTileWidth), head_.size);
      }
    }
    if (absl::Status status = upper_.Finish(); !status.ok()) {
      result_.source = status;
      return std::move(result_);
    }
    Judge(edge);
    return std::move(result_);
  }

 private:
  bool Take(const LogBlock& block) {
    for (const std::string& problem : block.tile_problems) result_.tiles.Add(problem);
    for (const std::string& problem : block.leaf_problems) result_.leaves.Add(problem);
    for (const std::string& file : block.bad_files) result_.bad_files.push_back(file);
    if (!block.undecided.empty()) undecided_.push_back(block.undecided);
    result_.bytes += block.bytes;
    complete_ = complete_ && block.hashes.size() == block.width * Hash::kSize;
    if (complete_) {
      blocks_.Append(block.root);
      if (block.width == kTileWidth) {
        if (absl::Status status = upper_.AddBlockRoot(block.root); !status.ok()) {
          result_.source = status;
          return false;
        }
      }
    }
    going_ = going_ && block.readable;
    if (going_) {
      result_.read += block.width;
      if (options_.on_leaves) {
        options_.on_leaves(block.index * kTileWidth, block.leaves, block.event_hashes);
      }
    }
    return true;
  }

  // The root of the leaves themselves decides who was wrong where a tile and what is below it
  // differ.
  void Judge(const absl::Status& edge) {
    // A tree over whole blocks and the last one has the root of the tree over their leaves.
    if (complete_ && blocks_.Root() == head_.root) {
      std::vector<std::string> wrong = upper_.wrong();
      wrong.insert(wrong.end(), undecided_.begin(), undecided_.end());
      for (const std::string& path : wrong) {
        result_.tiles.Add(absl::StrCat("tile ", path,
                                       " was altered or is missing: it is not what the leaves "
                                       "below it, which are those of the signed tree, make"));
        result_.bad_files.push_back(path);
      }
      return;
    }
    if (!edge.ok()) result_.tiles.Add(std::string(edge.message()));
    if (complete_) {
      for (const std::string& path : undecided_) {
        result_.tiles.Add(absl::StrCat("tile ", path, " does not have the hashes of its leaves"));
        result_.bad_files.push_back(path);
      }
      result_.tiles.Add(absl::StrCat("the leaves do not make up the root that was signed for size ",
                                     head_.size, ": at least one of them was altered"));
    }
  }

  LogSource& source_;
  const audit::Checkpoint& head_;
  const ScanOptions& options_;
  VerifiedTiles tiles_;
  UpperTiles upper_;
  audit::Tree blocks_;
  bool complete_ = true;  // no leaf was missing so far
  bool going_ = true;     // on_leaves has had every leaf so far
  std::vector<std::string> undecided_;
  ScanResult result_;
};

}  // namespace

ScanResult ScanLog(LogSource& source, const audit::Checkpoint& head, const ScanOptions& options) {
  return Scan(source, head, options).Run();
}

}  // namespace coffer::tools
