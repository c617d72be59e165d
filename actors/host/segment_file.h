// Segments: the files that hold sealed records, append-only, in sequence, as few writes as
// possible.
//
//   segment-<first sequence, 20 digits>.log
//   header, 512 bytes: magic "COFFSEG1", u64 first sequence, u32 CRC-32C of these 16 bytes, zeros
//   groups, each starting at a multiple of 512 bytes; zeros in between and after the last
//
//   group = what one write and one fdatasync made durable:
//     u32 body length, u32 record count, u64 sequence of the first record, u32 CRC-32C of the body,
//     u32 CRC-32C of these 20 bytes, 8 bytes magic
//     body: record count times (u32 length, sealed bytes)
//     8 bytes end mark
//
// Integers are little-endian. Why groups and not single entries: the next group is written only
// after this one is durable, so a damaged group that has a good one after it was damaged later and
// is an error, while a damaged one at the end may be what a crash left of an unacknowledged write.
// Why 512: a disk sector that holds durable bytes is never written again.
//
// The space is allocated beforehand and reads as zeros, because fdatasync is ten times cheaper when
// the file's length stays. Hence the rule for the last group of the last segment: with a whole
// sector of it zero, or its end mark not fully there, or the file ending before it does, it was
// never completely written (so never acknowledged) and is dropped. Complete and yet wrong, it is a
// changed bit, which is an error. No byte of a magic or an end mark is zero or one bit from it.
#ifndef COFFER_ACTORS_HOST_SEGMENT_FILE_H_
#define COFFER_ACTORS_HOST_SEGMENT_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "actors/host/disk.h"

namespace coffer::host {

inline constexpr uint64_t kSectorBytes = 512;
inline constexpr uint64_t kMaxSealedBytes = 16u << 20;  // a boundary frame's limit
// A body is larger than this only when it is one record.
inline constexpr uint64_t kMaxGroupBytes = 16u << 20;

std::string SegmentName(uint64_t first_sequence);
// The first sequence, if `name` is a segment's.
std::optional<uint64_t> ParseSegmentName(std::string_view name);

// The 512 bytes at the start of a segment.
std::string EncodeSegmentHeader(uint64_t first_sequence);
// One group, without the zeros after it. At least one record, none empty.
std::string EncodeGroup(uint64_t first_sequence, absl::Span<const std::string> records);
// `offset` rounded up to a sector.
uint64_t AlignToSector(uint64_t offset);

// Reads a segment from its start, group by group, holding one group in memory at a time.
class SegmentReader {
 public:
  struct Group {
    uint64_t first_sequence = 0;
    uint64_t offset = 0;
    std::vector<std::string> records;
  };

  // `last`: whether no segment follows, so that the end may be torn. An error names the file.
  static absl::StatusOr<SegmentReader> Open(Disk& disk, uint64_t first_sequence, bool last);

  // The next group; none at the end. DataLoss names file, offset and sequence.
  absl::StatusOr<std::optional<Group>> Next();

  // The sequence that the next record has.
  uint64_t next_sequence() const { return next_sequence_; }
  // Where the next group begins or would be written.
  uint64_t offset() const { return offset_; }
  // After the end: a sentence about what a crash left there, or empty.
  const std::string& torn() const { return torn_; }

 private:
  SegmentReader(std::string path, std::unique_ptr<DiskFile> file, uint64_t size,
                uint64_t first_sequence, bool last)
      : path_(std::move(path)),
        file_(std::move(file)),
        size_(size),
        next_sequence_(first_sequence),
        last_(last) {}

  absl::Status Damaged(absl::string_view what) const;
  absl::StatusOr<std::string> Bytes(uint64_t offset, uint64_t size);
  // No good group is at offset_: tells an end from a torn end from damage.
  absl::Status EndHere(absl::string_view what);
  absl::Status FindLaterGroup(bool* all_zero);

  std::string path_;
  std::unique_ptr<DiskFile> file_;
  uint64_t size_;
  uint64_t next_sequence_;
  bool last_;
  uint64_t offset_ = kSectorBytes;
  bool ended_ = false;
  std::string torn_;
  std::string window_;  // bytes of the file from window_offset_ on
  uint64_t window_offset_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_SEGMENT_FILE_H_
