// The real Disk: a directory of the file system, locked for as long as this object lives.
#ifndef COFFER_ACTORS_HOST_OS_DISK_H_
#define COFFER_ACTORS_HOST_OS_DISK_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "actors/host/disk.h"

namespace coffer::host {

class OsDisk final : public Disk {
 public:
  // Makes the directory (mode 0700) if it is missing and takes its lock: flock(2) on the file LOCK,
  // which also holds the owner's process id. FailedPrecondition, naming that process, when another
  // one still has it after `patience` (a killed process holds it until the kernel is done with it).
  static absl::StatusOr<std::unique_ptr<OsDisk>> Open(
      const std::string& path, absl::Duration patience = absl::ZeroDuration());
  ~OsDisk() override;

  absl::StatusOr<std::unique_ptr<DiskFile>> Create(std::string_view name) override;
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(std::string_view name) override;
  absl::StatusOr<std::vector<std::string>> List() override;
  absl::Status Rename(std::string_view from, std::string_view to) override;
  absl::Status Remove(std::string_view name) override;
  absl::Status SyncDirectory() override;
  const std::string& path() const override { return path_; }

 private:
  OsDisk(std::string path, int directory_fd, int lock_fd)
      : path_(std::move(path)), directory_fd_(directory_fd), lock_fd_(lock_fd) {}

  const std::string path_;
  const int directory_fd_;
  const int lock_fd_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_OS_DISK_H_
