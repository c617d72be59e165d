// The log at one published head: leaves and proofs out of its tiles, each checked before it is
// handed out. A file that was altered or lost becomes an error, never a wrong proof.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_TREE_H_
#define COFFER_ACTORS_HOST_LOG_LOG_TREE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/host/log/log_folder.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/proof.h"

namespace coffer::host {

struct LogLeaf {
  uint64_t index = 0;
  std::string bytes;
  audit::Leaf leaf;
};

// For one query. Errors: InvalidArgument and OutOfRange = the question asks for what the head does
// not have; DataLoss = the files here are not those that the head was signed for.
class LogTree {
 public:
  LogTree(const LogFolder* files, std::shared_ptr<const PublishedHead> head)
      : files_(files), head_(std::move(head)) {}

  const std::shared_ptr<const PublishedHead>& head() const { return head_; }
  uint64_t size() const { return head_->checkpoint.size; }

  // [first, first + count), cut at the size. Each is the one that its tile has the hash of.
  absl::StatusOr<std::vector<LogLeaf>> Leaves(uint64_t first, uint64_t count) const;
  absl::StatusOr<LogLeaf> LeafAt(uint64_t index) const;
  // Leads from this leaf to the published root.
  absl::StatusOr<audit::Proof> Inclusion(const LogLeaf& leaf) const;
  // From `first` to `second` of at most size(), both of which the published root confirms. The
  // empty tree needs no proof.
  absl::StatusOr<audit::Proof> Consistency(uint64_t first, uint64_t second) const;
  // Whether a file of the log is the one that the tiles above it have the hash of. A partial tile
  // of hashes has none above it, and passes. The content has the tile's width.
  absl::Status CheckFile(const audit::TileRef& tile, std::string_view content) const;
  // As the tiles say; not checked.
  absl::StatusOr<audit::Hash> RootAt(uint64_t size) const;

 private:
  absl::StatusOr<std::string> Fetch(const audit::TileRef& tile) const;
  absl::Status Damaged(const absl::Status& why) const;

  const LogFolder* const files_;
  const std::shared_ptr<const PublishedHead> head_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_TREE_H_
