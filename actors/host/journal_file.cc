#include "actors/host/journal_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"

namespace coffer::host {
namespace {

FileFacts ToFacts(const struct stat& stat) {
  return {.identity = {.device = stat.st_dev, .inode = stat.st_ino},
          .size = static_cast<uint64_t>(stat.st_size),
          .modified_nanos = int64_t{stat.st_mtim.tv_sec} * 1'000'000'000 + stat.st_mtim.tv_nsec};
}

class OsJournalFile final : public JournalFile {
 public:
  OsJournalFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~OsJournalFile() override { close(fd_); }

  absl::StatusOr<FileFacts> Facts() override {
    struct stat stat;
    if (fstat(fd_, &stat) != 0) return absl::ErrnoToStatus(errno, "cannot stat " + path_);
    return ToFacts(stat);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, char* out, size_t size) override {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = pread(fd_, out + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return absl::ErrnoToStatus(errno, "cannot read " + path_);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

 private:
  const int fd_;
  const std::string path_;
};

bool IsRotationSuffix(std::string_view suffix) {
  return suffix.size() >= 2 && (suffix[0] == '.' || suffix[0] == '-') &&
         std::all_of(suffix.begin() + 1, suffix.end(), [](char c) {
           return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
         });
}

}  // namespace

absl::StatusOr<std::unique_ptr<JournalFile>> OsJournalFiles::Open(const std::string& path) {
  // Not blocking, so that a FIFO put in the journal's place cannot stop the process.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot open " + path);
  auto file = std::make_unique<OsJournalFile>(fd, path);
  struct stat stat;
  if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
    return absl::FailedPreconditionError(path + " is not a regular file");
  }
  return file;
}

absl::StatusOr<FileFacts> OsJournalFiles::Facts(const std::string& path) {
  struct stat stat_buffer;
  if (stat(path.c_str(), &stat_buffer) != 0) {
    return absl::ErrnoToStatus(errno, "cannot stat " + path);
  }
  return ToFacts(stat_buffer);
}

std::vector<RotatedFile> OsJournalFiles::Rotated(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string name = whole.filename();
  std::vector<RotatedFile> found;
  std::error_code error;
  const std::filesystem::path directory = whole.has_parent_path() ? whole.parent_path() : ".";
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string other = it->path().filename();
    if (other.rfind(name, 0) != 0 ||
        !IsRotationSuffix(std::string_view(other).substr(name.size()))) {
      continue;
    }
    const auto facts = Facts(it->path());
    if (facts.ok()) found.push_back({it->path(), *facts});
  }
  std::sort(found.begin(), found.end(), [](const RotatedFile& a, const RotatedFile& b) {
    return a.facts.modified_nanos != b.facts.modified_nanos
               ? a.facts.modified_nanos < b.facts.modified_nanos
               : a.path < b.path;
  });
  return found;
}

}  // namespace coffer::host
