// Snapshots: one file each, whole or not there.
//
//   snapshot-<sequence of the record it stands on, 20 digits>.tmp while it is written, .snap once
//   it is complete header, 32 bytes: magic "COFFSNP1", u64 sequence, u32 chunk count, u32 CRC-32C
//   of these 20 bytes, 8 zeros chunks in order: u32 length, u32 CRC-32C of (u32 index || sealed
//   bytes), sealed bytes 8 bytes end mark
//
// Integers are little-endian. The name .snap is given only after everything is durable, so whatever
// is wrong in such a file is damage and never the trace of a crash.
#ifndef COFFER_ACTORS_HOST_SNAPSHOT_FILE_H_
#define COFFER_ACTORS_HOST_SNAPSHOT_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "actors/host/disk.h"

namespace coffer::host {

inline constexpr uint32_t kMaxSnapshotChunks = 1u << 20;

std::string SnapshotName(uint64_t sequence);
// The record it stands on, if `name` is a complete snapshot's.
std::optional<uint64_t> ParseSnapshotName(std::string_view name);

class SnapshotWriter {
 public:
  // Starts over if such a snapshot was begun before.
  static absl::StatusOr<SnapshotWriter> Create(Disk& disk, uint64_t sequence, uint32_t chunk_count);

  // Writes the next chunks and makes them durable. With the last one the snapshot becomes complete
  // under its final name. After ResourceExhausted nothing has happened and the same call may be
  // repeated.
  absl::Status Append(absl::Span<const std::string> chunks);

  uint64_t sequence() const { return sequence_; }
  uint32_t chunk_count() const { return chunk_count_; }
  // Chunks that are durable.
  uint32_t chunks() const { return chunks_; }
  bool complete() const { return chunks_ == chunk_count_; }

 private:
  SnapshotWriter(Disk* disk, std::unique_ptr<DiskFile> file, uint64_t sequence,
                 uint32_t chunk_count, uint64_t offset)
      : disk_(disk),
        file_(std::move(file)),
        sequence_(sequence),
        chunk_count_(chunk_count),
        offset_(offset) {}

  Disk* disk_;
  std::unique_ptr<DiskFile> file_;
  uint64_t sequence_;
  uint32_t chunk_count_;
  uint64_t offset_;
  uint32_t chunks_ = 0;
};

// Reads a complete snapshot chunk by chunk.
class SnapshotReader {
 public:
  static absl::StatusOr<SnapshotReader> Open(Disk& disk, uint64_t sequence);
  // The next chunk; none after the last. DataLoss names file, chunk and offset.
  absl::StatusOr<std::optional<std::string>> Next();
  uint32_t chunk_count() const { return chunk_count_; }

 private:
  SnapshotReader(std::string path, std::unique_ptr<DiskFile> file, uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), size_(size) {}
  absl::Status Damaged(absl::string_view what) const;

  std::string path_;
  std::unique_ptr<DiskFile> file_;
  uint64_t size_;
  uint64_t offset_ = 0;
  uint32_t chunk_count_ = 0;
  uint32_t index_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_SNAPSHOT_FILE_H_
