#include "tools/witness_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::tools {

using runtime::ErrnoText;
using runtime::Fd;

namespace {

constexpr size_t kMaxFileBytes = 1024;

std::string NameOf(const std::string& origin) {
  return audit::Sha256(origin).ToHex().substr(2) + ".checkpoint";
}

// The checkpoint's text, and its SHA-256 in hex as a line of its own.
std::string Contents(const std::string& text) {
  return absl::StrCat(text, audit::Sha256(text).ToHex(), "\n");
}

absl::StatusOr<std::string> ReadAll(const Fd& fd) {
  std::string content(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = read(fd.get(), &content[size], content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnavailableError(ErrnoText(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  content.resize(size);
  return content;
}

absl::Status WriteAndSync(const Fd& fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError(ErrnoText(errno));
    content.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd.get()) != 0) return absl::UnavailableError(ErrnoText(errno));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WitnessStore> WitnessStore::Open(const std::string& folder) {
  const auto trouble = [&](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat("the folder ", folder, " ", what));
  };
  if (mkdir(folder.c_str(), 0700) == 0) {
    // Its own entry must survive a power cut too.
    const std::filesystem::path parent = std::filesystem::absolute(folder).parent_path();
    const Fd above(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!above.valid() || fsync(above.get()) != 0) return trouble("cannot be made durable");
  } else if (errno != EEXIST) {
    return trouble("cannot be made: " + ErrnoText(errno));
  }
  Fd directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return trouble("cannot be opened: " + ErrnoText(errno));
  Fd lock(openat(directory.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return trouble("cannot be written: " + ErrnoText(errno));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return trouble("is another witness's that runs: two with one key could cosign two histories");
  }
  return WitnessStore(folder, std::move(directory), std::move(lock));
}

absl::StatusOr<std::optional<audit::Checkpoint>> WitnessStore::Load(
    const std::string& origin) const {
  const std::string name = NameOf(origin);
  const Fd fd(openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::optional<audit::Checkpoint>();
  const absl::Status damaged = absl::DataLossError(
      absl::StrCat(folder_, "/", name, ", the latest checkpoint cosigned of ", origin,
                   ", is damaged: put the right one there; to remove it is to forget what was "
                   "cosigned"));
  if (!fd.valid()) return absl::UnavailableError(absl::StrCat(name, ": ", ErrnoText(errno)));
  const absl::StatusOr<std::string> content = ReadAll(fd);
  if (!content.ok()) return content.status();
  constexpr size_t kChecksumLine = 2 + 64 + 1;
  if (content->size() <= kChecksumLine || content->size() > kMaxFileBytes) return damaged;
  const std::string text = content->substr(0, content->size() - kChecksumLine);
  if (Contents(text) != *content) return damaged;
  absl::StatusOr<audit::Checkpoint> checkpoint = audit::ParseCheckpointText(text);
  if (!checkpoint.ok() || checkpoint->origin != origin) return damaged;
  return std::optional<audit::Checkpoint>(*std::move(checkpoint));
}

absl::Status WitnessStore::Save(const audit::Checkpoint& checkpoint) const {
  const std::string name = NameOf(checkpoint.origin);
  const std::string temporary = name + ".new";
  // What a log writes into extension lines is of no use here and can be long.
  const std::string text =
      audit::CheckpointText({checkpoint.origin, checkpoint.size, checkpoint.root, {}});
  const auto trouble = [&](const std::string& what) {
    return absl::UnavailableError(absl::StrCat(folder_, "/", name, " cannot be stored: ", what));
  };
  const Fd fd(
      openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return trouble(ErrnoText(errno));
  if (const absl::Status written = WriteAndSync(fd, Contents(text)); !written.ok()) {
    return trouble(std::string(written.message()));
  }
  if (renameat(directory_.get(), temporary.c_str(), directory_.get(), name.c_str()) != 0) {
    return trouble(ErrnoText(errno));
  }
  if (fsync(directory_.get()) != 0) return trouble(ErrnoText(errno));
  return absl::OkStatus();
}

}  // namespace coffer::tools
