// Streams the public parts of stored records: the leaves from which the transparency log can be
// made again (RecordStore::ReadPublic). Calls block.
#ifndef COFFER_ACTORS_HOST_PUBLIC_READER_H_
#define COFFER_ACTORS_HOST_PUBLIC_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/host/disk.h"
#include "actors/host/segment_file.h"

namespace coffer::host {

struct PublicPart {
  uint64_t sequence = 0;   // of the record
  uint64_t tree_size = 0;  // of the log after these leaves
  std::string leaves;      // an entry bundle, not empty; not looked at yet
};

class PublicReader {
 public:
  // The next record that has leaves; none at the end. An error names the file.
  absl::StatusOr<std::optional<PublicPart>> Next();
  // All records up to this one are read.
  uint64_t last_sequence() const { return last_; }
  // Segments that lie wholly below the snapshot may be damaged, or missing between others, without
  // harm to the state. Those are passed over, and this says why; the log's sizes tell whether
  // leaves are missing for it.
  const std::string& skipped() const { return skipped_; }

 private:
  friend class RecordStore;
  // Of `segments` the first `optional` may be damaged.
  PublicReader(Disk* disk, uint64_t last, std::vector<uint64_t> segments, size_t optional)
      : disk_(disk), last_(last), segments_(std::move(segments)), optional_(optional) {}

  // The next group of this segment; an empty one at its end.
  absl::StatusOr<SegmentReader::Group> NextGroup();

  Disk* disk_;
  uint64_t last_;
  std::vector<uint64_t> segments_;
  size_t optional_;
  size_t next_segment_ = 0;
  std::optional<SegmentReader> segment_;
  SegmentReader::Group group_;
  size_t next_record_ = 0;
  std::string skipped_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PUBLIC_READER_H_
