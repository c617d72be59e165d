// Keeps the index (log_index.h) in step with the published log, a slice at a time.
//
// A slice is read from the tiles and checked against their hashes. A transaction is open over many
// slices: random ids touch the same pages again and again, and each page is written once a
// transaction. The index at its position must be of this log: same key, same root; otherwise it is
// begun anew, as when it is damaged.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_INDEXER_H_
#define COFFER_ACTORS_HOST_LOG_LOG_INDEXER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/log/log_index.h"
#include "actors/host/log/log_tree.h"

namespace coffer::host {

class LogIndexer {
 public:
  struct Options {
    uint64_t transaction_leaves = 8192;
    absl::Duration transaction_time = absl::Seconds(1);
    absl::Duration rest = absl::Seconds(10);  // after trouble
  };
  LogIndexer(Options options, std::string path) : options_(options), path_(std::move(path)) {}

  // Adds at most `most` leaves of this head; how many it added. `now`: monotonic.
  uint64_t Step(const LogTree& tree, uint64_t most, absl::Time now);
  // Ends the transaction when it is time. Step does it as well.
  void CommitIfDue(const LogTree& tree, absl::Time now);
  void Commit(const LogTree& tree);

  // Null while the file cannot be opened.
  LogIndex* index() const { return index_.get(); }
  uint64_t size() const { return index_ == nullptr ? 0 : index_->size(); }
  // After an error of `index()`: it is said, and a damaged one (DataLoss) is begun anew.
  void Trouble(const absl::Status& why);
  // Why the index does not go on; empty when it does.
  const std::string& trouble() const { return trouble_; }
  uint64_t rebuilds() const { return rebuilds_; }

 private:
  absl::Status Prepare(const LogTree& tree);
  absl::Status Add(const LogTree& tree, uint64_t most, uint64_t* added);

  const Options options_;
  const std::string path_;
  std::unique_ptr<LogIndex> index_;
  bool checked_ = false;  // against the log, at its position
  std::string log_;
  absl::Time began_ = absl::InfiniteFuture();  // of the open transaction
  absl::Time try_again_ = absl::InfinitePast();
  std::string trouble_;
  uint64_t rebuilds_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_INDEXER_H_
