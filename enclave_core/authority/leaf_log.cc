#include "enclave_core/authority/leaf_log.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

constexpr size_t kLengthBytes = 2;

}  // namespace

audit::Leaf& LeafLog::Begin(audit::LeafKind kind) {
  // Everything anew but the strings' memory.
  std::string event_id = std::move(leaf_.event_id);
  std::string account = std::move(leaf_.account);
  event_id.clear();
  account.clear();
  leaf_ = audit::Leaf();
  leaf_.event_id = std::move(event_id);
  leaf_.account = std::move(account);
  leaf_.kind = kind;
  leaf_.sequence = tree_.size();
  leaf_.claimed_time = claimed_time_;
  return leaf_;
}

void LeafLog::Append() {
  const size_t begin = bundle_.size();
  if (begin == 0) bundle_.reserve(expected_);
  bundle_.append(kLengthBytes, '\0');
  const absl::Status encoded = audit::AppendLeaf(leaf_, &bundle_);
  COFFER_CHECK(encoded.ok(), "I9: what has happened cannot be written as a leaf");
  last_ = begin + kLengthBytes;
  const size_t length = bundle_.size() - last_;
  bundle_[begin] = static_cast<char>(length >> 8);
  bundle_[begin + 1] = static_cast<char>(length);
  head_ = audit::LeafHash(last());
  tree_.Append(head_);
}

NewLeaves LeafLog::Take() {
  NewLeaves out;
  if (bundle_.empty()) return out;
  out.bundle = std::exchange(bundle_, {});
  expected_ = out.bundle.size();
  last_ = 0;
  taken_size_ = tree_.size();
  out.tree_size = tree_.size();
  out.tree = tree_.Serialize();
  out.head = std::string(head_.view());
  return out;
}

void LeafLog::ForEachSince(
    uint64_t size, absl::FunctionRef<void(uint64_t index, std::string_view leaf)> visit) const {
  COFFER_CHECK(size >= taken_size_ && size <= tree_.size(), "leaves that were taken are gone");
  const auto length_at = [this](size_t at) {
    return size_t{static_cast<uint8_t>(bundle_[at])} << 8 | static_cast<uint8_t>(bundle_[at + 1]);
  };
  uint64_t index = taken_size_;
  for (size_t at = 0; at < bundle_.size(); at += kLengthBytes + length_at(at), ++index) {
    if (index < size) continue;
    visit(index, std::string_view(bundle_).substr(at + kLengthBytes, length_at(at)));
  }
}

absl::Status LeafLog::Restore(std::string_view tree, std::string_view head) {
  absl::StatusOr<audit::Tree> parsed = audit::Tree::Parse(tree);
  if (!parsed.ok()) return parsed.status();
  if (head.size() != audit::Hash::kSize) {
    return absl::DataLossError("the last leaf's hash does not have 32 bytes");
  }
  tree_ = *std::move(parsed);
  taken_size_ = tree_.size();
  std::copy(head.begin(), head.end(), head_.bytes.begin());
  return absl::OkStatus();
}

}  // namespace coffer::authority
