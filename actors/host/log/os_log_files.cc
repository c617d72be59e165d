#include "actors/host/log/os_log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/disk_error.h"

namespace coffer::host {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// The folder's part and the name's; the folder is empty for a file of the root.
std::pair<std::string_view, std::string> Split(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(path)};
  return {path.substr(0, slash), std::string(path.substr(slash + 1))};
}

int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

}  // namespace

// Shared with the thread that syncs, which may still be at it when the log's files are closed.
struct OsLogFiles::EarlySync {
  explicit EarlySync(int folder) : root(folder) {}
  EarlySync(const EarlySync&) = delete;
  EarlySync& operator=(const EarlySync&) = delete;
  ~EarlySync() { close(root); }
  const int root;
  std::atomic<bool> under_way = false;
};

absl::StatusOr<std::unique_ptr<OsLogFiles>> OsLogFiles::Open(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return DiskError("making the log's folder", path, errno);
  }
  // The folder itself may be a link that the operator made to another disk.
  const int root = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return DiskError("opening the log's folder", path, errno);
  const int parent = openat(root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent >= 0) {
    // Its own name; not worth refusing to start for.
    (void)fsync(parent);
    close(parent);
  }
  return std::unique_ptr<OsLogFiles>(new OsLogFiles(path, root));
}

OsLogFiles::~OsLogFiles() {
  CloseFolders();
  close(root_);
}

void OsLogFiles::CloseFolders() {
  for (const auto& [path, fd] : folders_) close(fd);
  folders_.clear();
}

std::string OsLogFiles::Where(std::string_view path) const {
  return absl::StrCat(path_, "/", std::string(path));
}

absl::StatusOr<int> OsLogFiles::Folder(std::string_view path, bool make) {
  if (path.empty()) return root_;
  if (const auto found = folders_.find(path); found != folders_.end()) return found->second;
  int fd = -1;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string name(path.substr(at, slash - at));
    const int above = fd < 0 ? root_ : fd;
    int error = 0;
    if (make) {
      // The name of a new folder has to be as durable as what is durable in it.
      const bool made = mkdirat(above, name.c_str(), 0755) == 0;
      if (made ? fsync(above) != 0 : errno != EEXIST) error = errno;
    }
    const int next = error != 0 ? -1 : openat(above, name.c_str(), kFolderFlags);
    if (error == 0 && next < 0) error = errno;
    if (fd >= 0) close(fd);
    if (error != 0) return DiskError("opening the folder", Where(path.substr(0, slash)), error);
    fd = next;
    at = slash + 1;
  }
  if (folders_.size() >= kOpenFolders) CloseFolders();
  folders_.emplace(path, fd);
  return fd;
}

absl::Status OsLogFiles::Put(std::string_view path, std::string_view content, bool durably) {
  if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
  const auto [folder, name] = Split(path);
  const absl::StatusOr<int> in = Folder(folder, true);
  if (!in.ok()) return in.status();
  const std::string temporary = name + ".tmp";
  const int fd =
      openat(*in, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return DiskError("creation", Where(path), errno);
  int error = WriteAll(fd, content);
  if (error == 0 && durably && fsync(fd) != 0) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  if (error != 0) {
    (void)unlinkat(*in, temporary.c_str(), 0);
    return DiskError("write", Where(path), error);
  }
  if (renameat(*in, temporary.c_str(), *in, name.c_str()) != 0) {
    return DiskError("renaming", Where(path), errno);
  }
  if (durably && fsync(*in) != 0) return DiskError("fsync of the folder", Where(path), errno);
  return absl::OkStatus();
}

absl::Status OsLogFiles::Write(std::string_view path, std::string_view content) {
  return Put(path, content, false);
}

absl::Status OsLogFiles::WriteDurably(std::string_view path, std::string_view content) {
  return Put(path, content, true);
}

absl::StatusOr<std::string> OsLogFiles::Read(std::string_view path) {
  if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
  const auto [folder, name] = Split(path);
  const absl::StatusOr<int> in = Folder(folder, false);
  if (!in.ok()) return in.status();
  const int fd = openat(*in, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return DiskError("opening", Where(path), errno);
  struct stat info {};
  int error = fstat(fd, &info) != 0 ? errno : S_ISREG(info.st_mode) ? 0 : EISDIR;
  std::string out;
  const bool large = error == 0 && static_cast<uint64_t>(info.st_size) > kMaxLogFileBytes;
  if (error == 0 && !large) out.resize(static_cast<size_t>(info.st_size));
  size_t got = 0;
  while (error == 0 && got < out.size()) {
    const ssize_t n = read(fd, out.data() + got, out.size() - got);
    if (n < 0 && errno != EINTR) error = errno;
    if (n == 0) break;
    if (n > 0) got += static_cast<size_t>(n);
  }
  close(fd);
  if (error != 0) return DiskError("reading", Where(path), error);
  if (large)
    return absl::DataLossError(absl::StrCat(Where(path), " is too large for a log's file"));
  out.resize(got);
  return out;
}

absl::Status OsLogFiles::RemoveFolder(std::string_view path) {
  if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
  const auto [parent, name] = Split(path);
  const absl::StatusOr<int> in = Folder(parent, false);
  if (absl::IsNotFound(in.status())) return absl::OkStatus();
  if (!in.ok()) return in.status();
  const int fd = openat(*in, name.c_str(), kFolderFlags);
  if (fd < 0) return errno == ENOENT ? absl::OkStatus() : DiskError("opening", Where(path), errno);
  DIR* const listing = fdopendir(fd);
  if (listing == nullptr) {
    const int error = errno;
    close(fd);
    return DiskError("listing", Where(path), error);
  }
  int error = 0;
  while (const dirent* entry = readdir(listing)) {
    const std::string_view file = entry->d_name;
    if (file == "." || file == "..") continue;
    if (unlinkat(fd, entry->d_name, 0) != 0 && errno != ENOENT) error = errno;
  }
  closedir(listing);
  if (error == 0 && unlinkat(*in, name.c_str(), AT_REMOVEDIR) != 0) error = errno;
  // A descriptor of a removed folder would take files that nobody finds.
  if (const auto open = folders_.find(path); open != folders_.end()) {
    close(open->second);
    folders_.erase(open);
  }
  return error == 0 ? absl::OkStatus() : DiskError("removal", Where(path), error);
}

absl::Status OsLogFiles::SyncAll() {
  if (syncfs(root_) != 0) return DiskError("syncfs", path_, errno);
  return absl::OkStatus();
}

void OsLogFiles::BeginSync() {
  if (background_ == nullptr) return;
  if (early_ == nullptr) {
    // Opened anew: the kernel tells of a failure once to each opening (syncfs(2)), and the one that
    // SyncAll() asks must hear of it.
    const int root = openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return;
    early_ = std::make_shared<EarlySync>(root);
  }
  if (early_->under_way.exchange(true)) return;
  background_->Post([early = early_] {
    (void)syncfs(early->root);
    early->under_way = false;
  });
}

}  // namespace coffer::host
