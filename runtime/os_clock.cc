#include "runtime/os_clock.h"

#include <time.h>

namespace coffer::runtime {
namespace {

absl::Time Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);  // cannot fail for these two clocks
  return absl::TimeFromTimespec(now);
}

}  // namespace

absl::Time OsMonotonicNow() { return Read(CLOCK_MONOTONIC); }

absl::Time OsWallNow() { return Read(CLOCK_REALTIME); }

}  // namespace coffer::runtime
