#include "actors/host/os_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "actors/host/disk_error.h"
#include "runtime/os_file.h"

namespace coffer::host {
namespace {

class OsFile final : public DiskFile {
 public:
  OsFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~OsFile() override { close(fd_); }

  absl::Status Write(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return DiskError("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override {
    std::string out(size, '\0');
    size_t got = 0;
    while (got < size) {
      const ssize_t n = pread(fd_, out.data() + got, size - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return DiskError("read", path_, errno);
      if (n == 0) break;
      got += static_cast<size_t>(n);
    }
    out.resize(got);
    return out;
  }

  absl::Status Sync() override {
    // Never repeated after an error: the kernel drops the dirty pages and a second call would claim
    // success.
    if (fdatasync(fd_) != 0) return DiskError("fdatasync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Allocate(uint64_t size) override {
    // Unlike fallocate(2), this writes the zeros itself on a file system that cannot reserve space.
    int error = EINTR;
    while (error == EINTR) error = posix_fallocate(fd_, 0, static_cast<off_t>(size));
    if (error != 0) return DiskError("allocation of space", path_, error);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return DiskError("truncation", path_, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat info {};
    if (fstat(fd_, &info) != 0) return DiskError("stat", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const int fd_;
};

// The process id that the lock's owner wrote, or "unknown".
std::string OwnerOf(int lock_fd) {
  char text[32] = {};
  const ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);
  const std::string owner(
      absl::StripAsciiWhitespace(absl::string_view(text, n > 0 ? static_cast<size_t>(n) : 0)));
  return owner.empty() ? "unknown" : owner;
}

absl::StatusOr<int> Lock(int directory_fd, const std::string& path, absl::Duration patience) {
  const int fd = openat(directory_fd, "LOCK", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return DiskError("opening", path + "/LOCK", errno);
  constexpr useconds_t kPauseMicros = 20'000;
  int64_t tries = patience / absl::Microseconds(kPauseMicros);
  int error = 0;
  while ((error = flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0) == EWOULDBLOCK && tries-- > 0) {
    usleep(kPauseMicros);
  }
  if (error != 0) {
    absl::Status status =
        error == EWOULDBLOCK
            ? absl::FailedPreconditionError(
                  absl::StrCat("the data directory ", path, " is in use by process ", OwnerOf(fd),
                               ": stop that one first, or give this one another directory"))
            : DiskError("locking", path + "/LOCK", error);
    close(fd);
    return status;
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // The lock holds all the same; on a full disk only the pid in it is missing.
    return fd;
  }
  return fd;
}

// A descriptor of a file that takes the kernel long to give back, so that its last reference is not
// the name that is removed; -1 for any other, and when there is no descriptor to be had.
int OpenIfLarge(int directory_fd, const std::string& file) {
  constexpr off_t kLargeBytes = 16 << 20;
  struct stat info {};
  if (fstatat(directory_fd, file.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(info.st_mode) || info.st_size < kLargeBytes) {
    return -1;
  }
  return openat(directory_fd, file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

}  // namespace

absl::StatusOr<std::unique_ptr<OsDisk>> OsDisk::Open(const std::string& path,
                                                     absl::Duration patience) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return DiskError("making the data directory", path, errno);
  }
  const int directory_fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return DiskError("opening the data directory", path, errno);
  absl::StatusOr<int> lock_fd = Lock(directory_fd, path, patience);
  if (!lock_fd.ok()) {
    close(directory_fd);
    return lock_fd.status();
  }
  return std::unique_ptr<OsDisk>(new OsDisk(path, directory_fd, *lock_fd));
}

OsDisk::~OsDisk() {
  close(lock_fd_);
  close(directory_fd_);
}

absl::StatusOr<std::unique_ptr<DiskFile>> OsDisk::Create(std::string_view name) {
  const std::string file(name);
  const int fd = openat(directory_fd_, file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return DiskError("creation", path_ + "/" + file, errno);
  return std::make_unique<OsFile>(path_ + "/" + file, fd);
}

absl::StatusOr<std::unique_ptr<DiskFile>> OsDisk::Open(std::string_view name) {
  const std::string file(name);
  const int fd = openat(directory_fd_, file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return DiskError("opening", path_ + "/" + file, errno);
  return std::make_unique<OsFile>(path_ + "/" + file, fd);
}

absl::StatusOr<std::vector<std::string>> OsDisk::List() {
  DIR* directory = opendir(path_.c_str());
  if (directory == nullptr) return DiskError("listing", path_, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory)) names.emplace_back(entry->d_name);
  const int error = errno;
  closedir(directory);
  if (error != 0) return DiskError("listing", path_, error);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status OsDisk::Rename(std::string_view from, std::string_view to) {
  if (renameat(directory_fd_, std::string(from).c_str(), directory_fd_, std::string(to).c_str()) !=
      0) {
    return DiskError("renaming", path_ + "/" + std::string(from), errno);
  }
  return absl::OkStatus();
}

absl::Status OsDisk::Remove(std::string_view name) {
  const std::string file(name);
  const int held = OpenIfLarge(directory_fd_, file);
  const int error = unlinkat(directory_fd_, file.c_str(), 0) == 0 ? 0 : errno;
  if (held >= 0) runtime::OsCloseInBackground(held);
  return error == 0 ? absl::OkStatus() : DiskError("removal", path_ + "/" + file, error);
}

absl::Status OsDisk::SyncDirectory() {
  if (fsync(directory_fd_) != 0) return DiskError("fsync", path_, errno);
  return absl::OkStatus();
}

}  // namespace coffer::host
