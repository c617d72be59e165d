// Files that are read and replaced as a whole.
#ifndef COFFER_TOOLS_SMALL_FILES_H_
#define COFFER_TOOLS_SMALL_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/socket_address.h"

namespace coffer::tools {

// NotFound when there is none; ResourceExhausted when it is larger; Unavailable for anything else.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes);

enum class Durability {
  kRename,  // readers see the old file or the new one, never half of it
  kSynced,  // and after a power cut too
};
// By way of a temporary file beside it, whose folder is made when it is missing. Unavailable with
// the path and the reason.
absl::Status ReplaceFile(const std::string& path, std::string_view content, Durability durability);

enum class WhenLocked { kWait, kRefuse };
// The lock of a file, which is made when it is missing, or of a folder; other programs' too. Held
// until what is returned is closed. FailedPrecondition when another has it and it is not to be
// waited for; Unavailable with the path and the reason.
absl::StatusOr<runtime::Fd> LockPath(const std::string& path, WhenLocked when);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_SMALL_FILES_H_
