// The operating system's clocks. Code reads time through Dispatcher; only dispatchers and mains
// call this (the lint on nondeterminism allows clocks in runtime/os_* alone).
#ifndef COFFER_RUNTIME_OS_CLOCK_H_
#define COFFER_RUNTIME_OS_CLOCK_H_

#include "absl/time/time.h"

namespace coffer::runtime {

// CLOCK_MONOTONIC, as an absl::Time whose zero has no meaning. Never goes back.
absl::Time OsMonotonicNow();

// CLOCK_REALTIME: the date as the machine claims it. Inside an enclave a claim of the host.
absl::Time OsWallNow();

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_CLOCK_H_
