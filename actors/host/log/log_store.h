// The transparency log as files: tiles of what was appended, and the published checkpoint. Pure
// blocking logic on LogFiles; LogWriter is the actor around it.
//
//   checkpoint   the published note
//   tile/...     C2SP tlog-tiles (enclave_core/audit/tiles.h)
//   durable      the size up to which everything is on stable storage, and the root there:
//                "coffer-log-durable:v1", size, root in base64, base64 of the SHA-256 of the three
//                lines before; a line each
//
// Full tiles are written as they fill, without waiting for the disk. Sync() makes all of it durable
// and says so in `durable`. After a crash the log goes on from there: whatever the crash left of
// later tiles is written again from the stored records' leaves, and a record is only removed after
// a Sync(). So a crash can lose nothing, and no tile that a reader may know ever changes.
//
// A folder with a checkpoint and tiles but no `durable` is a copy that somebody put here (a mirror
// of a peer). LogAdoption (log_adoption.h) checks it entry by entry before it is used.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_STORE_H_
#define COFFER_ACTORS_HOST_LOG_LOG_STORE_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/log/log_files.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::host {

inline constexpr char kCheckpointFile[] = "checkpoint";
inline constexpr char kDurableFile[] = "durable";

struct DurableMark {
  uint64_t size = 0;
  audit::Hash root;
};
std::string FormatDurableMark(const DurableMark& mark);
// DataLoss with a sentence unless it is what FormatDurableMark makes.
absl::StatusOr<DurableMark> ParseDurableMark(std::string_view text);

class LogStore {
 public:
  // Goes on from `durable`, or from the start when there is none. DataLoss with a sentence when the
  // mark, or one of the tiles that are open at its size, is damaged; then Fresh() is what is left,
  // if the records hold all leaves. `files` must outlive this object.
  static absl::StatusOr<std::unique_ptr<LogStore>> Open(LogFiles* files);
  // From leaf 0 on, whatever the folder holds: all of it is written again. `durable` is taken back
  // first.
  static absl::StatusOr<std::unique_ptr<LogStore>> Fresh(LogFiles* files);
  // From a writer whose every full tile is in the folder.
  static std::unique_ptr<LogStore> Adopted(LogFiles* files, audit::TileWriter tiles);

  // The leaves of a record, as LeafSink has them. What is here already is passed over.
  // FailedPrecondition: leaves before these are missing. DataLoss: not an entry bundle. Other
  // errors are the disk's; a part may have been appended, and the same call may be repeated.
  absl::Status Append(uint64_t tree_size, std::string_view leaves);

  // Writes the partial tiles of `size`, which may be below size(). Unavailable when it is above;
  // DataLoss when the root there is another one.
  absl::Status Cut(uint64_t size, const audit::Hash& root);
  // Puts the note in place of `checkpoint`, durably. Only for a size that was cut, and never a
  // smaller one than before: FailedPrecondition.
  absl::Status Publish(uint64_t size, std::string_view note);
  // Everything up to size() is durable when this returns OK. After an error of the disk this object
  // is broken(): what it wrote since the last Sync may be lost, so open the folder again.
  absl::Status Sync();
  // Cuts what is published, so that its partial tiles are there whatever a crash took.
  absl::Status RestorePublished();

  uint64_t size() const { return tiles_.size(); }
  uint64_t durable_size() const { return durable_size_; }
  // Whether `durable` was there; without it a checkpoint that is there came from elsewhere.
  bool marked() const { return marked_; }
  uint64_t published_size() const { return published_.size; }  // 0 for none
  bool broken() const { return broken_; }
  audit::Hash Root() const { return tiles_.Root(); }
  const audit::Checkpoint& published() const { return published_; }

 private:
  // Reads `checkpoint`; a damaged one is as good as none, because the next one replaces it.
  explicit LogStore(LogFiles* files);

  // Writes the files that are full. Bounded: called at least once a tile.
  absl::Status Flush();
  absl::Status WritePartials(uint64_t size);
  // A tile or bundle as it is in a tree of `size`, open here or on the disk.
  absl::StatusOr<std::string> Fetch(const audit::TileRef& tile) const;
  absl::StatusOr<audit::Hash> RootAt(uint64_t size) const;
  void RemovePartials();
  void RememberPartial(audit::TileRef tile);

  // More of them are forgotten: what stays then takes some space and harms nobody.
  static constexpr size_t kMaxPartials = 1u << 16;

  LogFiles* const files_;
  audit::TileWriter tiles_;
  std::vector<audit::TileFile> full_;  // not written yet
  uint64_t durable_size_ = 0;
  bool marked_ = false;
  audit::Checkpoint cut_;  // the size that was cut last, and its root
  audit::Checkpoint published_;
  uint64_t published_before_ = 0;  // this object was made
  bool broken_ = false;
  std::vector<audit::TileRef> written_;  // the partial tiles that were written last
  // The full tiles, by the size at which each is full, beside which partial ones may be there.
  std::set<std::pair<uint64_t, audit::TileRef>> partials_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_STORE_H_
