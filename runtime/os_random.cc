#include "runtime/os_random.h"

#include <errno.h>
#include <sys/random.h>

#include "invariant/check.h"

namespace coffer::runtime {

void OsRandom::Fill(absl::Span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    COFFER_CHECK(got > 0, "getrandom(2) failed");
    out.remove_prefix(static_cast<size_t>(got));
  }
}

}  // namespace coffer::runtime
