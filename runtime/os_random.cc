#include "runtime/os_random.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {

void OsRandom::Fill(absl::Span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    COFFER_CHECK(got > 0, "getrandom(2) failed");
    out.remove_prefix(static_cast<size_t>(got));
  }
}

absl::Status OsMixRandom(std::string_view bytes) {
  const Fd pool(open("/dev/urandom", O_WRONLY | O_CLOEXEC));
  while (pool.valid() && !bytes.empty()) {
    const ssize_t put = write(pool.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  if (pool.valid() && bytes.empty()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("nothing can be mixed into /dev/urandom: ", ErrnoText(errno)));
}

}  // namespace coffer::runtime
