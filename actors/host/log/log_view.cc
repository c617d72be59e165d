#include "actors/host/log/log_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/receipt.h"

namespace coffer::host {
namespace {

constexpr uint64_t kMaxPayoutLeaves = 100;

}  // namespace

template <typename T>
absl::StatusOr<T> LogView::Count(absl::StatusOr<T> result) {
  if (absl::IsDataLoss(result.status())) failures_->fetch_add(1, std::memory_order_relaxed);
  return result;
}

absl::StatusOr<std::shared_ptr<const PublishedHead>> LogView::Published() {
  absl::StatusOr<std::shared_ptr<const PublishedHead>> head = files_->Published();
  if (absl::IsNotFound(head.status())) return absl::OutOfRangeError(head.status().message());
  return Count(std::move(head));
}

absl::StatusOr<LogTree> LogView::Tree() {
  absl::StatusOr<std::shared_ptr<const PublishedHead>> head = Published();
  if (!head.ok()) return head.status();
  return LogTree(files_, *std::move(head));
}

absl::StatusOr<std::string> LogView::Tile(const audit::TileRef& tile) {
  const absl::StatusOr<std::shared_ptr<const PublishedHead>> head = Published();
  if (!head.ok()) return head.status();
  const uint64_t size = (*head)->checkpoint.size;
  if (audit::TileWidthAt(tile.level, tile.index, size) < tile.width) {
    return absl::OutOfRangeError(
        absl::StrCat("the published log of ", size, " leaves has no ", audit::TilePath(tile)));
  }
  absl::StatusOr<std::string> content = files_->Read(tile);
  if (absl::IsNotFound(content.status())) {
    content = absl::DataLossError(absl::StrCat(audit::TilePath(tile), " of the published log of ",
                                               size, " leaves is lost here"));
  }
  if (content.ok()) {
    const absl::Status checked = LogTree(files_, *head).CheckFile(tile, *content);
    if (!checked.ok()) content = checked;
  }
  return Count(std::move(content));
}

absl::Status LogView::Missing(const LogTree& tree, const std::string& what) const {
  if (indexer_->size() >= tree.size()) {
    return absl::NotFoundError(
        absl::StrCat(what, " is not in the published log of ", tree.size(), " leaves"));
  }
  const std::string& trouble = indexer_->trouble();
  return absl::FailedPreconditionError(absl::StrCat(
      what, " is not in the first ", indexer_->size(), " leaves, and the rest of the ", tree.size(),
      " that are published is not indexed yet", trouble.empty() ? "" : ": ", trouble));
}

absl::Status LogView::IndexTrouble(const absl::Status& why) {
  indexer_->Trouble(why);
  return absl::FailedPreconditionError(
      absl::StrCat("the index failed and is repaired, ask again: ", why.message()));
}

absl::StatusOr<LogLeaf> LogView::FindEvent(const LogTree& tree, const std::string& id) {
  if (LogIndex* const index = indexer_->index(); index != nullptr) {
    const absl::StatusOr<std::vector<uint64_t>> hits = index->Event(id);
    if (!hits.ok()) return IndexTrouble(hits.status());
    for (const uint64_t hit : *hits) {
      if (hit >= tree.size()) continue;
      absl::StatusOr<LogLeaf> leaf = tree.LeafAt(hit);
      if (!leaf.ok() || leaf->leaf.event_id == id) return leaf;
    }
  }
  return Missing(tree, "this event id");
}

absl::StatusOr<LogLeaf> LogView::FindPayout(const LogTree& tree, uint64_t id,
                                            std::vector<uint64_t>* leaves) {
  LogIndex* const index = indexer_->index();
  if (index == nullptr) return Missing(tree, "this payout");
  const std::string text = absl::StrCat(id);
  const absl::StatusOr<uint64_t> count = index->Count(LogIndex::List::kPayout, text);
  if (!count.ok()) return IndexTrouble(count.status());
  const uint64_t first = *count - std::min(*count, kMaxPayoutLeaves);
  const absl::StatusOr<std::vector<uint64_t>> hits =
      index->Page(LogIndex::List::kPayout, text, first, kMaxPayoutLeaves);
  if (!hits.ok()) return IndexTrouble(hits.status());
  absl::StatusOr<LogLeaf> newest = absl::NotFoundError("");
  for (const uint64_t hit : *hits) {
    if (hit >= tree.size()) break;
    absl::StatusOr<LogLeaf> leaf = tree.LeafAt(hit);
    if (!leaf.ok()) return leaf;
    if (leaf->leaf.payout != id) continue;
    if (leaves != nullptr) leaves->push_back(hit);
    newest = std::move(leaf);
  }
  if (!newest.ok()) return Missing(tree, "this payout");
  return newest;
}

absl::StatusOr<LogLeaf> LogView::Find(const LogTree& tree, const LeafName& name,
                                      std::vector<uint64_t>* leaves) {
  if (const auto* at = std::get_if<LeafIndex>(&name)) return tree.LeafAt(at->index);
  if (const auto* event = std::get_if<EventName>(&name)) return FindEvent(tree, event->id);
  return FindPayout(tree, std::get<PayoutName>(name).id, leaves);
}

absl::StatusOr<LogLeaf> LogView::Leaf(const LeafName& name) {
  const absl::StatusOr<LogTree> tree = Tree();
  if (!tree.ok()) return tree.status();
  return Count(Find(*tree, name, nullptr));
}

absl::StatusOr<ProvenLeaf> LogView::Prove(const LeafName& name) {
  const absl::StatusOr<LogTree> tree = Tree();
  if (!tree.ok()) return tree.status();
  ProvenLeaf proven;
  absl::StatusOr<LogLeaf> leaf = Count(Find(*tree, name, &proven.leaves));
  if (!leaf.ok()) return leaf.status();
  absl::StatusOr<audit::Proof> proof = Count(tree->Inclusion(*leaf));
  if (!proof.ok()) return proof.status();
  proven.head = tree->head();
  proven.leaf = *std::move(leaf);
  proven.proof = *std::move(proof);
  return proven;
}

absl::StatusOr<audit::Proof> LogView::Consistency(uint64_t first, uint64_t second) {
  const absl::StatusOr<LogTree> tree = Tree();
  if (!tree.ok()) return tree.status();
  return Count(tree->Consistency(first, second));
}

absl::StatusOr<LeafPage> LogView::Page(const LeafQuery& query) {
  const uint64_t most = query.account.empty() ? kMaxLogPage : kMaxAccountPage;
  if (query.limit == 0 || query.limit > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(query.account.empty() ? "a page" : "a page of one account", " has 1 to ", most,
                     " leaves, not ", query.limit));
  }
  const absl::StatusOr<LogTree> tree = Tree();
  if (!tree.ok()) return tree.status();
  if (!query.account.empty()) return Count(PageOfAccount(*tree, query));
  LeafPage page{tree->head(), {}, tree->size(), indexed()};
  const uint64_t offset = std::min(query.offset, page.total);
  const uint64_t count = std::min(query.limit, page.total - offset);
  const uint64_t first = query.newest_first ? page.total - offset - count : offset;
  absl::StatusOr<std::vector<LogLeaf>> leaves = Count(tree->Leaves(first, count));
  if (!leaves.ok()) return leaves.status();
  page.leaves = *std::move(leaves);
  if (query.newest_first) std::reverse(page.leaves.begin(), page.leaves.end());
  return page;
}

absl::StatusOr<LeafPage> LogView::PageOfAccount(const LogTree& tree, const LeafQuery& query) {
  LeafPage page{tree.head(), {}, 0, indexed()};
  LogIndex* const index = indexer_->index();
  if (index == nullptr) return Missing(tree, "this account");
  const absl::StatusOr<uint64_t> total = index->Count(LogIndex::List::kAccount, query.account);
  if (!total.ok()) return IndexTrouble(total.status());
  page.total = *total;
  const uint64_t offset = std::min(query.offset, page.total);
  const uint64_t count = std::min(query.limit, page.total - offset);
  const uint64_t first = query.newest_first ? page.total - offset - count : offset;
  const absl::StatusOr<std::vector<uint64_t>> hits =
      index->Page(LogIndex::List::kAccount, query.account, first, count);
  if (!hits.ok()) return IndexTrouble(hits.status());
  // Leaves of one account often lie side by side: a bundle is read once for those in it.
  for (size_t at = 0; at < hits->size();) {
    const uint64_t begin = (*hits)[at];
    if (begin >= tree.size()) break;
    size_t last = at;
    while (last + 1 < hits->size() &&
           (*hits)[last + 1] / audit::kTileWidth == begin / audit::kTileWidth) {
      ++last;
    }
    absl::StatusOr<std::vector<LogLeaf>> leaves = tree.Leaves(begin, (*hits)[last] - begin + 1);
    if (!leaves.ok()) return leaves.status();
    for (; at <= last; ++at) {
      const uint64_t slot = (*hits)[at] - begin;
      if (slot < leaves->size() && (*leaves)[slot].leaf.account == query.account) {
        page.leaves.push_back((*leaves)[slot]);
      }
    }
  }
  if (query.newest_first) std::reverse(page.leaves.begin(), page.leaves.end());
  return page;
}

absl::StatusOr<std::string> FormatLogReceipt(const ProvenLeaf& proven, std::string attestation) {
  return audit::FormatReceipt({.leaf = proven.leaf.bytes,
                               .index = proven.leaf.index,
                               .proof = proven.proof,
                               .checkpoint = proven.head->note,
                               .attestation = std::move(attestation)});
}

}  // namespace coffer::host
