// The door to the journal's files, which others write, rotate and truncate while we read.
// OsJournalFiles is the real one; tests and the simulator hand in a fake. Calls block, and are kept
// to small pieces.
#ifndef COFFER_ACTORS_HOST_JOURNAL_FILE_H_
#define COFFER_ACTORS_HOST_JOURNAL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coffer::host {

// Which file it is, whatever its name: st_dev and st_ino. May come again once the file was deleted.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

struct FileFacts {
  FileIdentity identity;
  uint64_t size = 0;           // bytes
  int64_t modified_nanos = 0;  // since 1970
};

class JournalFile {
 public:
  virtual ~JournalFile() = default;  // closes
  virtual absl::StatusOr<FileFacts> Facts() = 0;
  // Reads up to `size` bytes to `out`; fewer only where the file ends.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, char* out, size_t size) = 0;
};

struct RotatedFile {
  std::string path;
  FileFacts facts;
};

class JournalFiles {
 public:
  virtual ~JournalFiles() = default;
  // NotFound; anything but a regular file is FailedPrecondition.
  virtual absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& path) = 0;
  virtual absl::StatusOr<FileFacts> Facts(const std::string& path) = 0;
  // What `path` was renamed to by a rotation: files beside it named `path` + "." or "-" + digits
  // (logrotate's numbers and dates; compressed ones are not readable as a journal and not listed).
  // Oldest modification first.
  virtual std::vector<RotatedFile> Rotated(const std::string& path) = 0;
};

class OsJournalFiles final : public JournalFiles {
 public:
  absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& path) override;
  absl::StatusOr<FileFacts> Facts(const std::string& path) override;
  std::vector<RotatedFile> Rotated(const std::string& path) override;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_JOURNAL_FILE_H_
