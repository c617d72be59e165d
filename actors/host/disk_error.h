// What the system said of a file, as the status that the stores go by.
#ifndef COFFER_ACTORS_HOST_DISK_ERROR_H_
#define COFFER_ACTORS_HOST_DISK_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace coffer::host {

// ResourceExhausted for no space, Unavailable when there are too many open files (both pass),
// NotFound, Internal for all else that a disk can do (DataLoss is for content that is wrong):
// "write of /data/x failed: No space left on device". `error` is an errno.
absl::Status DiskError(const char* what, const std::string& where, int error);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_DISK_ERROR_H_
