#include "actors/host/log/log_indexer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

// Damage of the tiles is no reason to begin the index anew: DataLoss here means the index.
absl::Status OfTiles(const absl::Status& why) {
  return absl::FailedPreconditionError(why.message());
}

}  // namespace

uint64_t LogIndexer::Step(const LogTree& tree, uint64_t most, absl::Time now) {
  if (now < try_again_) return 0;
  uint64_t added = 0;
  absl::Status status = Prepare(tree);
  if (status.ok()) status = Add(tree, most, &added);
  if (!status.ok()) {
    Trouble(status);
    // A damaged index is begun anew at once; what else fails is tried again later.
    if (!absl::IsDataLoss(status)) try_again_ = now + options_.rest;
    return 0;
  }
  trouble_.clear();
  if (added > 0) began_ = std::min(began_, now);
  CommitIfDue(tree, now);
  return added;
}

absl::Status LogIndexer::Prepare(const LogTree& tree) {
  if (index_ == nullptr) {
    absl::StatusOr<std::unique_ptr<LogIndex>> index = LogIndex::Open(path_, ThisBoot());
    if (!index.ok()) return index.status();
    index_ = *std::move(index);
    checked_ = false;
    if (index_->replaced()) {
      runtime::Log(runtime::Level::kWarn, "log",
                   "the index was damaged or of another version and is made again");
      ++rebuilds_;
    }
  }
  const std::string& log = tree.head()->log_key_id;
  if (checked_ && log == log_ && index_->size() <= tree.size()) return absl::OkStatus();
  const LogIndex::Position& at = index_->committed();
  bool ours = at.size == 0 || (at.log == log && at.size <= tree.size());
  if (ours && at.size > 0) {
    const absl::StatusOr<audit::Hash> root = tree.RootAt(at.size);
    if (!root.ok()) return OfTiles(root.status());
    ours = *root == at.root;
  }
  // Leaves that were added and not committed may be of another log as well.
  if (ours && index_->size() > at.size && (log != log_ || index_->size() > tree.size())) {
    ours = false;
  }
  if (!ours) {
    runtime::Log(runtime::Level::kWarn, "log",
                 "the index is of another log or of another history and is made again",
                 {{"indexed", at.size}, {"published", tree.size()}});
    ++rebuilds_;
    began_ = absl::InfiniteFuture();
    if (absl::Status s = index_->Clear(); !s.ok()) return s;
  }
  log_ = log;
  checked_ = true;
  return absl::OkStatus();
}

absl::Status LogIndexer::Add(const LogTree& tree, uint64_t most, uint64_t* added) {
  const uint64_t first = index_->size();
  if (first >= tree.size()) return absl::OkStatus();
  // To the end of a bundle, so that none is read twice.
  const uint64_t end = (first + most) / audit::kTileWidth * audit::kTileWidth;
  const absl::StatusOr<std::vector<LogLeaf>> leaves =
      tree.Leaves(first, end > first ? end - first : most);
  if (!leaves.ok()) return OfTiles(leaves.status());
  for (const LogLeaf& leaf : *leaves) {
    if (absl::Status s = index_->Add(leaf.leaf); !s.ok()) return s;
  }
  *added = leaves->size();
  return absl::OkStatus();
}

void LogIndexer::CommitIfDue(const LogTree& tree, absl::Time now) {
  if (index_ == nullptr || index_->size() == index_->committed().size) return;
  if (index_->size() - index_->committed().size >= options_.transaction_leaves ||
      now - began_ >= options_.transaction_time) {
    Commit(tree);
  }
}

void LogIndexer::Commit(const LogTree& tree) {
  if (index_ == nullptr || index_->size() == index_->committed().size) return;
  const absl::StatusOr<audit::Hash> root = tree.RootAt(index_->size());
  if (!root.ok()) return Trouble(OfTiles(root.status()));
  began_ = absl::InfiniteFuture();
  if (absl::Status s = index_->Commit(log_, *root); !s.ok()) Trouble(s);
}

void LogIndexer::Trouble(const absl::Status& why) {
  if (trouble_ != why.message()) {
    runtime::Log(runtime::Level::kWarn, "log", "the index does not go on", {{"why", why}});
  }
  trouble_ = std::string(why.message());
  if (index_ == nullptr || !absl::IsDataLoss(why)) return;
  ++rebuilds_;
  began_ = absl::InfiniteFuture();
  if (!index_->Clear().ok()) index_.reset();
}

}  // namespace coffer::host
