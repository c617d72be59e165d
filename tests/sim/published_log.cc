#include "tests/sim/published_log.h"

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::sim {

void PublishedLog::Wrong(const std::string& sentence) {
  if (broken_.empty()) broken_ = absl::StrCat("I9: ", sentence);
}

void PublishedLog::OnRefused(const absl::Status& status) {
  Wrong(absl::StrCat("a head is refused: ", status.message()));
}

void PublishedLog::OnPublished(const host::LogPublisher::Published& published) {
  if (published.size < sums_.tree().size()) {
    return Wrong(absl::StrCat("a log of ", published.size, " leaves is published after one of ",
                              sums_.tree().size()));
  }
  while (sums_.tree().size() < published.size) {
    const uint64_t next = sums_.tree().size();
    audit::TileRef bundle;
    bundle.entries = true;
    bundle.index = next / audit::kTileWidth;
    bundle.width = audit::TileWidthAt(0, bundle.index, published.size);
    const absl::StatusOr<std::string> bytes = files_->Read(audit::TilePath(bundle));
    if (!bytes.ok()) return Wrong(std::string(bytes.status().message()));
    const auto leaves = audit::ParseBundle(*bytes, bundle.width);
    if (!leaves.ok()) return Wrong(std::string(leaves.status().message()));
    for (size_t i = next % audit::kTileWidth; i < leaves->size(); ++i) {
      if (std::string broken = sums_.Add((*leaves)[i]); !broken.empty()) return Wrong(broken);
      const absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf((*leaves)[i]);
      if (leaf.ok() && !leaf->event_id.empty()) events_[leaf->event_id] = *leaf;
    }
  }
  if (sums_.tree().Root() != published.root) {
    return Wrong(absl::StrCat("the leaves of the log of size ", published.size,
                              " do not make the root that was signed"));
  }
  // What anybody gets who asks for the newest head.
  const absl::StatusOr<std::string> note = files_->Read("checkpoint");
  if (!note.ok()) return Wrong(std::string(note.status().message()));
  const absl::StatusOr<audit::SignedCheckpoint> shown = audit::ParseCheckpoint(*note);
  if (!shown.ok()) return Wrong(std::string(shown.status().message()));
  if (shown->checkpoint.size != published.size || shown->checkpoint.root != published.root) {
    Wrong(absl::StrCat("a head of size ", shown->checkpoint.size,
                       " is published with the tiles of ", published.size));
  }
}

}  // namespace coffer::sim
