// How far a journal was taken in, durably. Losing it costs time and no money: ids make reading
// again harmless.
#ifndef COFFER_ACTORS_HOST_CURSOR_H_
#define COFFER_ACTORS_HOST_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/disk.h"
#include "actors/host/journal_file.h"
#include "actors/host/sha256.h"

namespace coffer::host {

// Bytes of a file by which it is recognised as still having the content it had.
struct Fingerprint {
  static constexpr size_t kMaxBytes = 4096;
  uint64_t length = 0;
  Sha256Digest sha256{};
  bool operator==(const Fingerprint&) const = default;
};

// Of [offset, offset + length); an error when the file has no such bytes (OutOfRange) or cannot be
// read.
absl::StatusOr<Fingerprint> TakeFingerprint(JournalFile& file, uint64_t offset, uint64_t length);

struct Cursor {
  std::string path;  // the journal's name when this was saved; empty when there was no file yet
  FileIdentity file;
  uint64_t generation =
      0;  // counts the files, and the contents of one file, that were begun from 0
  uint64_t offset =
      0;  // every line before it is applied durably, skipped by rule, or in the dead letters
  Fingerprint head;  // the file's first bytes, at most 4 KiB
  Fingerprint tail;  // the bytes before `offset`, at most 4 KiB
  // Place in the dead-letter file, bytes: letters from there on may be of lines that come again.
  uint64_t dead_letters = 0;
  // Rotated files last modified before this were finished before `file` was begun (Unix time,
  // nanoseconds). None in cursors of older versions of Coffer.
  std::optional<int64_t> done_before_nanos;
};

// One small JSON file, replaced atomically; durable when this returns OK.
absl::Status SaveCursor(Disk& disk, std::string_view name, const Cursor& cursor);
// NotFound when there is none; DataLoss when it is not a cursor of this version.
absl::StatusOr<Cursor> LoadCursor(Disk& disk, std::string_view name);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CURSOR_H_
