#include "actors/host/log/log_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/audit/leaf.h"
#include "runtime/socket_address.h"

namespace coffer::host {
namespace {

// The longest that a tile of this log can be; Coffer's leaves are far below what a bundle allows.
constexpr size_t kMaxTileFileBytes = audit::kTileWidth * (2 + audit::kMaxLeafBytes);

absl::StatusOr<runtime::Fd> OpenFile(const std::string& path) {
  runtime::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.valid()) return fd;
  const int error = errno;
  // ENOTDIR: a file is where a folder of a longer path would be.
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError("no such file: " + path);
  return absl::DataLossError(absl::StrCat("cannot open ", path, ": ", runtime::ErrnoText(error)));
}

absl::StatusOr<struct stat> Look(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) == 0) return info;
  return absl::DataLossError(
      absl::StrCat("cannot look at ", path, ": ", runtime::ErrnoText(errno)));
}

// All of a file of at most `most` bytes. Files are never written in place, so the size holds.
absl::StatusOr<std::string> ReadAll(int fd, const std::string& path, size_t most) {
  const absl::StatusOr<struct stat> info = Look(fd, path);
  if (!info.ok()) return info.status();
  if (!S_ISREG(info->st_mode) || info->st_size < 0 || static_cast<size_t>(info->st_size) > most) {
    return absl::DataLossError(absl::StrCat(path, " is no file of at most ", most, " bytes"));
  }
  std::string bytes(static_cast<size_t>(info->st_size), 0);
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t n = read(fd, bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return absl::DataLossError(
          absl::StrCat("cannot read ", path, ": ", runtime::ErrnoText(errno)));
    }
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  bytes.resize(size);
  return bytes;
}

absl::Status CheckTile(const audit::TileRef& tile, std::string_view content) {
  if (tile.entries) return audit::ParseBundle(content, tile.width).status();
  if (content.size() == tile.width * audit::Hash::kSize) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("it has ", content.size(), " bytes, not ", tile.width * audit::Hash::kSize));
}

// The first `width` entries or hashes of a wider tile.
absl::StatusOr<std::string> Cut(const audit::TileRef& wide, std::string content, uint32_t width) {
  if (!wide.entries) {
    content.resize(width * audit::Hash::kSize);
    return content;
  }
  const absl::StatusOr<std::vector<std::string_view>> entries =
      audit::ParseBundle(content, wide.width);
  if (!entries.ok()) return entries.status();
  size_t bytes = 0;
  for (uint32_t i = 0; i < width; ++i) bytes += 2 + (*entries)[i].size();
  content.resize(bytes);
  return content;
}

}  // namespace

absl::StatusOr<PublishedHead> ParsePublishedHead(std::string note) {
  absl::StatusOr<audit::SignedCheckpoint> parsed = audit::ParseCheckpoint(note);
  if (!parsed.ok()) {
    return absl::DataLossError(
        absl::StrCat("the published checkpoint is none: ", parsed.status().message()));
  }
  PublishedHead head;
  for (const audit::NoteSignature& line : parsed->note.signatures) {
    if (line.name == parsed->checkpoint.origin && head.log_key_id.empty()) {
      head.log_key_id = absl::StrFormat("%s+%08x", line.name, line.key_id);
    } else if (line.name != parsed->checkpoint.origin) {
      head.cosigners.push_back(line.name);
    }
  }
  if (head.log_key_id.empty()) {
    return absl::DataLossError("the published checkpoint has no signature of its own log");
  }
  head.note = std::move(note);
  head.checkpoint = std::move(parsed->checkpoint);
  return head;
}

absl::StatusOr<std::shared_ptr<const PublishedHead>> LogFolder::Published() {
  const std::string path = folder_ + "/checkpoint";
  const absl::StatusOr<runtime::Fd> fd = OpenFile(path);
  if (!fd.ok()) {
    if (absl::IsNotFound(fd.status())) {
      return absl::NotFoundError("no checkpoint of the log is published yet");
    }
    return fd.status();
  }
  const absl::StatusOr<struct stat> info = Look(fd->get(), path);
  if (!info.ok()) return info.status();
  const Version version{info->st_ino,
                        int64_t{info->st_mtim.tv_sec} * 1'000'000'000 + info->st_mtim.tv_nsec,
                        info->st_size};
  if (head_ != nullptr && version == version_) return head_;
  absl::StatusOr<std::string> note = ReadAll(fd->get(), path, audit::kMaxNoteBytes);
  if (!note.ok()) return note.status();
  absl::StatusOr<PublishedHead> head = ParsePublishedHead(*std::move(note));
  if (!head.ok()) return head.status();
  head->written = absl::TimeFromTimespec(info->st_mtim);
  head_ = std::make_shared<const PublishedHead>(*std::move(head));
  version_ = version;
  return head_;
}

absl::StatusOr<std::string> LogFolder::Read(const audit::TileRef& tile) const {
  const std::string path = absl::StrCat(folder_, "/", audit::TilePath(tile));
  const absl::StatusOr<runtime::Fd> fd = OpenFile(path);
  if (absl::IsNotFound(fd.status()) && tile.width < audit::kTileWidth) return ReadWider(tile);
  if (!fd.ok()) return fd.status();
  absl::StatusOr<std::string> content = ReadAll(fd->get(), path, kMaxTileFileBytes);
  if (!content.ok()) return content.status();
  if (const absl::Status status = CheckTile(tile, *content); !status.ok()) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: ", status.message()));
  }
  return content;
}

absl::StatusOr<std::string> LogFolder::ReadWider(const audit::TileRef& tile) const {
  audit::TileRef wide = tile;
  wide.width = audit::kTileWidth;
  absl::StatusOr<std::string> content = Read(wide);
  if (absl::IsNotFound(content.status())) {
    // The narrowest of the wider partial ones.
    const std::string folder = absl::StrCat(folder_, "/", audit::TilePath(wide), ".p");
    DIR* const entries = opendir(folder.c_str());
    if (entries == nullptr) return content.status();
    while (const dirent* entry = readdir(entries)) {
      uint32_t width = 0;
      if (!absl::SimpleAtoi(entry->d_name, &width) || absl::StrCat(width) != entry->d_name) {
        continue;
      }
      if (width > tile.width && width < wide.width) wide.width = width;
    }
    closedir(entries);
    if (wide.width == audit::kTileWidth) return content.status();
    content = Read(wide);
  }
  if (!content.ok()) return content.status();
  return Cut(wide, *std::move(content), tile.width);
}

}  // namespace coffer::host
