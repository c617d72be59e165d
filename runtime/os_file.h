// Files of the operating system: read once, at start; let go of without waiting.
#ifndef COFFER_RUNTIME_OS_FILE_H_
#define COFFER_RUNTIME_OS_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::runtime {

// Hands the file to `take` piece by piece, in order. The error names the path and the reason.
absl::Status OsReadPieces(const std::string& path, absl::FunctionRef<void(std::string_view)> take);

// A file with something secret in it, of at most `max_bytes`. PermissionDenied when its mode lets
// others read it; InvalidArgument when it is longer. No error has anything of the content.
absl::StatusOr<std::string> OsReadSecretFile(const std::string& path, size_t max_bytes);

// Closes the file on a thread of its own. For one that has no name any more: the kernel gives its
// pages and blocks back when the last descriptor is closed, which takes 0.2 s for 800 MB.
void OsCloseInBackground(int fd);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_FILE_H_
