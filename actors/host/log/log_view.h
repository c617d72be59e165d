// What can be asked of the log, on the reader's thread (log_reader.h). Calls block on the disk for
// a few tiles each.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_VIEW_H_
#define COFFER_ACTORS_HOST_LOG_LOG_VIEW_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/host/log/log_folder.h"
#include "actors/host/log/log_indexer.h"
#include "actors/host/log/log_tree.h"

namespace coffer::host {

inline constexpr uint64_t kMaxLogPage = 1000;
// Of one account, whose leaves may each lie in a file of their own.
inline constexpr uint64_t kMaxAccountPage = 200;

// How a leaf is named. A payout has several: its newest is meant, the others are told.
struct EventName {
  std::string id;
};
struct PayoutName {
  uint64_t id = 0;
};
struct LeafIndex {
  uint64_t index = 0;
};
using LeafName = std::variant<LeafIndex, EventName, PayoutName>;

struct ProvenLeaf {
  std::shared_ptr<const PublishedHead> head;
  LogLeaf leaf;
  audit::Proof proof;            // leads to the head's root; verified
  std::vector<uint64_t> leaves;  // of the payout, in order, the newest 100 at most
};

struct LeafQuery {
  uint64_t offset = 0;  // from the end that comes first
  uint64_t limit = 50;  // 1..kMaxLogPage, or kMaxAccountPage
  bool newest_first = false;
  std::string account{};  // empty: all leaves
};
struct LeafPage {
  std::shared_ptr<const PublishedHead> head;
  std::vector<LogLeaf> leaves;
  uint64_t total = 0;    // that there are to be paged through
  uint64_t indexed = 0;  // leaves that the index has; a page by account knows of no more
};

// Errors of all calls:
//   InvalidArgument     the question makes no sense
//   OutOfRange          not published (yet), or nothing is published yet
//   NotFound            the whole published log was looked through, it is not in it
//   FailedPrecondition  not in the part that is indexed so far, the sentence says how far
//   DataLoss            the files here are not those that were signed
class LogView {
 public:
  // Both outlive the view. `failures` is counted up at each DataLoss.
  LogView(LogFolder* files, LogIndexer* indexer, std::atomic<uint64_t>* failures)
      : files_(files), indexer_(indexer), failures_(failures) {}

  absl::StatusOr<std::shared_ptr<const PublishedHead>> Published();
  // The bytes of a tile or bundle that the published size has.
  absl::StatusOr<std::string> Tile(const audit::TileRef& tile);
  absl::StatusOr<LogLeaf> Leaf(const LeafName& name);
  absl::StatusOr<ProvenLeaf> Prove(const LeafName& name);
  absl::StatusOr<audit::Proof> Consistency(uint64_t first, uint64_t second);
  absl::StatusOr<LeafPage> Page(const LeafQuery& query);
  uint64_t indexed() const { return indexer_->size(); }

 private:
  template <typename T>
  absl::StatusOr<T> Count(absl::StatusOr<T> result);
  absl::StatusOr<LogTree> Tree();
  absl::StatusOr<LogLeaf> Find(const LogTree& tree, const LeafName& name,
                               std::vector<uint64_t>* leaves);
  absl::StatusOr<LogLeaf> FindEvent(const LogTree& tree, const std::string& id);
  absl::StatusOr<LogLeaf> FindPayout(const LogTree& tree, uint64_t id,
                                     std::vector<uint64_t>* leaves);
  absl::StatusOr<LeafPage> PageOfAccount(const LogTree& tree, const LeafQuery& query);
  absl::Status Missing(const LogTree& tree, const std::string& what) const;
  absl::Status IndexTrouble(const absl::Status& why);

  LogFolder* const files_;
  LogIndexer* const indexer_;
  std::atomic<uint64_t>* const failures_;
};

// The offline receipt (enclave_core/audit/receipt.h). `attestation`: where to look for what binds
// the log's key, or empty.
absl::StatusOr<std::string> FormatLogReceipt(const ProvenLeaf& proven, std::string attestation);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_VIEW_H_
