// The door to the disk: one directory, owned by this process alone. OsDisk is the real one; tests
// and the simulator hand in one that fails, fills up and loses what was not synced.
//
// Calls block; whoever uses this has a thread for it. Errors: ResourceExhausted = no space is left
// (worth trying again later), NotFound, and DataLoss or Internal for all else (the file must not be
// trusted with anything more).
#ifndef COFFER_ACTORS_HOST_DISK_H_
#define COFFER_ACTORS_HOST_DISK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::host {

class DiskFile {
 public:
  virtual ~DiskFile() = default;  // closes
  // All of `bytes` at `offset`. After an error any part of it may have been written. Durable only
  // after Sync().
  virtual absl::Status Write(uint64_t offset, std::string_view bytes) = 0;
  // Up to `size` bytes; fewer only where the file ends.
  virtual absl::StatusOr<std::string> Read(uint64_t offset, size_t size) = 0;
  // Everything written before is on stable storage when this returns OK (fdatasync). After an error
  // other than ResourceExhausted what was written since the last success may be gone although a
  // later Sync says OK: never retried.
  virtual absl::Status Sync() = 0;
  // Makes the file `size` bytes long, the new part reading as zeros and its space reserved.
  virtual absl::Status Allocate(uint64_t size) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  // A new, empty file; one of that name is replaced.
  virtual absl::StatusOr<std::unique_ptr<DiskFile>> Create(std::string_view name) = 0;
  // An existing file, for reading and writing.
  virtual absl::StatusOr<std::unique_ptr<DiskFile>> Open(std::string_view name) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  // Atomic; replaces `to`. Durable after SyncDirectory(), as are Create and Remove.
  virtual absl::Status Rename(std::string_view from, std::string_view to) = 0;
  virtual absl::Status Remove(std::string_view name) = 0;
  virtual absl::Status SyncDirectory() = 0;
  // For messages: the directory's path.
  virtual const std::string& path() const = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_DISK_H_
