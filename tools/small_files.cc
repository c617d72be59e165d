#include "tools/small_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace coffer::tools {
namespace {

absl::Status Trouble(const std::string& path, const char* verb, int error) {
  return absl::UnavailableError(
      absl::StrCat(path, " cannot be ", verb, ": ", runtime::ErrnoText(error)));
}

absl::Status WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError(runtime::ErrnoText(errno));
    content.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status MakeFolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code made;
  if (!folder.empty()) std::filesystem::create_directories(folder, made);
  if (made) return Trouble(folder.string(), "made", made.value());
  return absl::OkStatus();
}

void SyncFolder(const std::string& folder) {
  const runtime::Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid()) fsync(fd.get());
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes) {
  const runtime::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat(path, " is missing"));
    }
    return Trouble(path, "opened", error);
  }
  struct stat about {};
  if (fstat(fd.get(), &about) != 0) return Trouble(path, "read", errno);
  if (!S_ISREG(about.st_mode)) return absl::UnavailableError(absl::StrCat(path, " is no file"));
  const auto size = static_cast<size_t>(about.st_size);
  if (size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has ", size, " bytes, more than the ", max_bytes, " that it may"));
  }
  std::string content(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n = read(fd.get(), content.data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Trouble(path, "read", errno);
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  content.resize(got);
  return content;
}

absl::Status ReplaceFile(const std::string& path, std::string_view content, Durability durability) {
  static std::atomic<uint64_t> counter{0};
  if (absl::Status status = MakeFolderOf(path); !status.ok()) return status;
  const std::string temporary =
      absl::StrCat(path, ".tmp-", static_cast<int>(getpid()), "-", ++counter);
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  const runtime::Fd fd(open(temporary.c_str(), flags, 0644));
  if (!fd.valid()) return Trouble(temporary, "made", errno);
  absl::Status written = WriteAll(fd.get(), content);
  const bool synced = durability == Durability::kRename || fsync(fd.get()) == 0;
  if (written.ok() && !synced) written = absl::UnavailableError(runtime::ErrnoText(errno));
  if (written.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    written = absl::UnavailableError(runtime::ErrnoText(errno));
  }
  if (!written.ok()) {
    unlink(temporary.c_str());
    return absl::UnavailableError(absl::StrCat(path, " cannot be written: ", written.message()));
  }
  if (durability == Durability::kSynced) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    SyncFolder(folder.empty() ? "." : folder);
  }
  return absl::OkStatus();
}

absl::StatusOr<runtime::Fd> LockPath(const std::string& path, WhenLocked when) {
  if (absl::Status status = MakeFolderOf(path); !status.ok()) return status;
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const int flags = folder ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT;
  runtime::Fd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd.valid()) return Trouble(path, "opened", errno);
  const int how = when == WhenLocked::kWait ? LOCK_EX : LOCK_EX | LOCK_NB;
  while (flock(fd.get(), how) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is in use by another program"));
    }
    return Trouble(path, "locked", errno);
  }
  return fd;
}

}  // namespace coffer::tools
