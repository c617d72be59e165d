// The writing end of the transparency log (I9): leaves in, what has to be sealed and published out.
//
// Leaves are made by commands, with the event that they tell of, and never by the fold: recovery
// takes the tree from the sealed records, and the leaves are with the host by then.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_LEAF_LOG_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_LEAF_LOG_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tree.h"

namespace coffer::authority {

// What the commands since the last one added to the log.
struct NewLeaves {
  std::string bundle;      // each leaf behind its length, 2 bytes big-endian
  uint64_t tree_size = 0;  // of the log after them
  std::string tree;        // audit::Tree::Serialize after them
  std::string head;        // 32 bytes: the last leaf's hash
  bool empty() const { return bundle.empty(); }
};

class LeafLog {
 public:
  // Milliseconds since 1970, for the leaves that follow. One that goes back is held where it was.
  void SetClaimedTime(uint64_t milliseconds) {
    claimed_time_ = std::max(claimed_time_, milliseconds);
  }

  // A leaf to fill in, of this kind, with sequence and time; then Append. One at a time.
  audit::Leaf& Begin(audit::LeafKind kind);
  // Encodes it and adds it to the tree. Its fields are the caller's own and must fit the kind.
  void Append();

  uint64_t size() const { return tree_.size(); }
  audit::Hash Root() const { return tree_.Root(); }
  // The last leaf's hash; zeros while there is none.
  const audit::Hash& head() const { return head_; }
  std::string SerializedTree() const { return tree_.Serialize(); }
  // The last leaf's bytes, until the next Take.
  std::string_view last() const { return std::string_view(bundle_).substr(last_); }

  // What was appended since the last call.
  NewLeaves Take();
  // The leaves since the log had `size`, none of which was taken yet, in order.
  void ForEachSince(uint64_t size,
                    absl::FunctionRef<void(uint64_t index, std::string_view leaf)> visit) const;

  // As sealed. DataLoss when that is no tree.
  absl::Status Restore(std::string_view tree, std::string_view head);

 private:
  audit::Tree tree_;
  audit::Hash head_;
  uint64_t claimed_time_ = 0;
  audit::Leaf leaf_;         // kept for the capacity of its strings
  uint64_t taken_size_ = 0;  // of the log at the last Take
  std::string bundle_;       // not taken yet
  size_t expected_ = 0;      // bytes of what was taken last: room for as much is made at once
  size_t last_ = 0;          // where the last leaf begins in it
};

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_LEAF_LOG_H_
