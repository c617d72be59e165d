// What is durable of the enclave's state: the newest snapshot and the sealed records, in a Disk.
// Knows the files and the order of operations on them, nothing of threads; StateStore is the actor
// around it. Calls block.
//
// Order that crashes cannot break: a record is reported after its fdatasync; a snapshot after its
// rename is durable, and only then are older snapshots and the segments wholly below its record
// removed. The record that a snapshot stands on always stays, because attaching to a living enclave
// needs its hash. Where a transparency log is made from the records (Options::hold_segments), the
// segments also stay until the log's owner says that it needs them no more.
//
// A record is an entry (record_entry.h): sealed bytes and what is public beside them.
#ifndef COFFER_ACTORS_HOST_RECORD_STORE_H_
#define COFFER_ACTORS_HOST_RECORD_STORE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "actors/host/disk.h"
#include "actors/host/public_reader.h"
#include "actors/host/segment_file.h"
#include "actors/host/snapshot_file.h"

namespace coffer::host {

using RecordDigest = std::array<uint8_t, 32>;  // SHA-256 of a record's sealed bytes alone
RecordDigest DigestOf(std::string_view sealed);

// Streams what a fresh enclave is loaded with: the newest snapshot's chunks, then the sealed bytes
// of every record after it.
class StoreReader {
 public:
  // The next item; none at the end.
  absl::StatusOr<std::optional<std::string>> Next();

 private:
  friend class RecordStore;
  StoreReader(Disk* disk, uint64_t snapshot, uint64_t last, std::vector<uint64_t> segments)
      : disk_(disk), after_(snapshot), last_(last), segments_(std::move(segments)) {}

  Disk* disk_;
  uint64_t after_;  // items up to this sequence are in the snapshot
  uint64_t last_;   // records beyond this came later
  std::vector<uint64_t> segments_;
  size_t next_segment_ = 0;
  std::optional<SnapshotReader> snapshot_;
  std::optional<SegmentReader> segment_;
  SegmentReader::Group group_;
  size_t next_record_ = 0;
};

class RecordStore {
 public:
  struct Options {
    uint64_t segment_bytes = 64u << 20;  // space allocated at a time
    // Segments below a snapshot stay until RemoveHeld().
    bool hold_segments = false;
  };
  // Digests kept of the newest records, to tell a repetition from a contradiction.
  static constexpr size_t kDigests = 4096;

  // Recovers: checks every byte, drops a torn tail durably, makes durable what it keeps, finishes
  // an interrupted removal.
  // DataLoss names what is damaged; nothing was changed then. `disk` must outlive this object.
  static absl::StatusOr<std::unique_ptr<RecordStore>> Open(Disk* disk, Options options);

  // Makes `records` (entries), the first of which has sequence last_sequence() + 1, durable with
  // one write and one sync. After ResourceExhausted the same call, with the same records, may be
  // repeated; after any other error the store takes no more writes until the process is restarted.
  absl::Status Append(absl::Span<const std::string> records);

  // Makes the next chunks of the snapshot on record `sequence` durable. Index 0 starts it (anew);
  // one on the very record of the newest takes its place when it is whole: the state is the same,
  // and the key that it is sealed under may be another.
  // InvalidArgument: not the chunks that come next. Other errors as for Append.
  absl::Status AppendChunks(uint64_t sequence, uint32_t index, uint32_t count,
                            absl::Span<const std::string> chunks);

  uint64_t last_sequence() const { return last_sequence_; }
  uint64_t snapshot_sequence() const { return snapshot_; }  // 0: none
  // The epoch of the oldest state key that an enclave needs for what Read() gives it: the newest
  // whole snapshot's or, without one, record 1's, as its own clear header says (keys only get newer
  // from record to record). 0: nothing is stored, or that is not sealed.
  uint32_t oldest_key_epoch() const { return oldest_key_epoch_; }
  // Of the snapshot that is being written; nothing otherwise.
  const std::optional<SnapshotWriter>& writing() const { return writing_; }
  // Of a record up to last_sequence(); nothing if it is too old to be kept.
  std::optional<RecordDigest> Digest(uint64_t sequence) const;
  // What recovery dropped, a sentence; empty for nothing.
  const std::string& dropped() const { return dropped_; }
  // Clean-up that failed and is tried again at the next snapshot or start; empty for none.
  const std::string& cleanup_error() const { return cleanup_error_; }

  // With Options::hold_segments: whether there are segments that are only held, and their removal
  // once they are no longer needed.
  bool holds_segments() const { return options_.hold_segments; }
  bool removal_due() const;
  void RemoveHeld() { RemoveOlder(true); }

  // Of the log after the newest record that says it; 0 when none does.
  uint64_t tree_size() const { return tree_size_; }
  StoreReader Read() const;
  // The public parts of all stored records that may have leaves from index `tree_size` on.
  PublicReader ReadPublic(uint64_t tree_size) const;

 private:
  struct Segment {
    uint64_t first = 0;  // sequence
    // Of the log after the last record; nothing of a segment that recovery had no need to read.
    std::optional<uint64_t> tree_size;
  };

  RecordStore(Disk* disk, Options options) : disk_(disk), options_(options) {}

  absl::Status Recover();
  absl::Status CheckSnapshot(uint64_t sequence);
  absl::Status ScanSegments();
  // `last_group`: where it begins, or the end when there is none.
  absl::Status OpenForAppending(const SegmentReader& end, uint64_t last_group);
  absl::Status WriteAgain(uint64_t from, uint64_t to);
  absl::Status StartSegment(uint64_t first_sequence, uint64_t group_bytes);
  void RemoveOlder(bool segments_too);
  // Of an entry that is stored in the last of segments_.
  absl::Status Remember(std::string_view entry);

  Disk* const disk_;
  const Options options_;
  uint64_t last_sequence_ = 0;
  uint64_t snapshot_ = 0;
  uint32_t oldest_key_epoch_ = 0;
  uint32_t writing_key_epoch_ = 0;  // of writing_
  std::vector<uint64_t>
      snapshots_;  // complete ones, ascending; more than one only until the older are removed
  std::vector<Segment> segments_;     // ascending
  std::unique_ptr<DiskFile> file_;    // the last segment
  uint64_t file_offset_ = 0;          // where the next group goes
  uint64_t file_bytes_ = 0;           // allocated
  std::deque<RecordDigest> digests_;  // of the newest records, ending with last_sequence_
  uint64_t tree_size_ = 0;            // of the log after the newest record that says it
  // Of the log before the first record that was read here; nothing when none says it.
  std::optional<uint64_t> first_tree_size_;
  std::optional<SnapshotWriter> writing_;
  std::string dropped_;
  std::string cleanup_error_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_RECORD_STORE_H_
