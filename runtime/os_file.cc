#include "runtime/os_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {
namespace {

constexpr size_t kPieceBytes = 1u << 18;

absl::Status Trouble(const std::string& path, const char* verb, int error) {
  const std::string sentence =
      absl::StrCat("the file ", path, " cannot be ", verb, ": ", ErrnoText(error));
  return error == ENOENT ? absl::NotFoundError(sentence) : absl::UnavailableError(sentence);
}

// read(2), until something comes, the end (0) or an error (-1).
ssize_t ReadSome(int fd, char* out, size_t size) {
  for (;;) {
    const ssize_t got = read(fd, out, size);
    if (got >= 0 || errno != EINTR) return got;
  }
}

}  // namespace

absl::Status OsReadPieces(const std::string& path, absl::FunctionRef<void(std::string_view)> take) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Trouble(path, "opened", errno);
  std::vector<char> piece(kPieceBytes);
  for (;;) {
    const ssize_t got = ReadSome(fd.get(), piece.data(), piece.size());
    if (got < 0) return Trouble(path, "read", errno);
    if (got == 0) return absl::OkStatus();
    take({piece.data(), static_cast<size_t>(got)});
  }
}

absl::StatusOr<std::string> OsReadSecretFile(const std::string& path, size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Trouble(path, "opened", errno);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return Trouble(path, "read", errno);
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("the file ", path,
                     " can be read by others; chmod 600 it (and consider what is in it known)"));
  }
  // One byte more than it may have, so that a longer one is seen. Reserved once: a string that grew
  // would leave copies behind.
  std::string text(max_bytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ReadSome(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) return Trouble(path, "read", errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the file ", path, " has more than the ",
                                                   max_bytes, " bytes that it may have"));
  }
  text.resize(size);
  return text;
}

void OsCloseInBackground(int fd) {
  try {
    std::thread([fd] { close(fd); }).detach();
  } catch (const std::system_error&) {  // no more threads: whoever calls waits
    close(fd);
  }
}

}  // namespace coffer::runtime
