// The door to the log's folder: the files of a transparency log, served as they are by anybody.
// OsLogFiles is the real one; tests hand in one that fails, fills up and loses what was not synced.
//
// Paths are relative: components of letters, digits, ".", "_" and "-" behind one "/" each, none of
// them "." or "..", at most kMaxLogPath bytes; anything else is InvalidArgument. Calls block.
// Errors: ResourceExhausted = no space is left (worth trying again later), NotFound, and Internal
// for all else that a disk can do.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_FILES_H_
#define COFFER_ACTORS_HOST_LOG_LOG_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::host {

inline constexpr size_t kMaxLogPath = 128;
// 256 entries of 65,535 bytes behind their lengths; no file of a log is larger.
inline constexpr size_t kMaxLogFileBytes = 256 * 65'537;

// OK for a path as above.
absl::Status CheckLogPath(std::string_view path);

class LogFiles {
 public:
  virtual ~LogFiles() = default;
  // Puts the file there whole (a temporary name, then a rename), replacing one of that name, and
  // makes its folders. Durable only after SyncAll(): a crash before may leave the old file, the new
  // one, none, or one that is cut short.
  virtual absl::Status Write(std::string_view path, std::string_view content) = 0;
  // The same, durable when it returns OK: after a crash it is the old file or the new one.
  virtual absl::Status WriteDurably(std::string_view path, std::string_view content) = 0;
  // The whole file. DataLoss when it has more than kMaxLogFileBytes.
  virtual absl::StatusOr<std::string> Read(std::string_view path) = 0;
  // Removes a folder and the files in it; OK when there is none. Not durable before SyncAll().
  virtual absl::Status RemoveFolder(std::string_view path) = 0;
  // Everything done before is on stable storage when this returns OK. After an error what was done
  // since the last success may be gone although a later call says OK: do it again.
  virtual absl::Status SyncAll() = 0;
  // Begins what SyncAll() does, on another thread where there is one, so that there is less left
  // for it to wait for. Promises nothing, and a failure is SyncAll()'s to see.
  virtual void BeginSync() {}
  // For messages: the folder's path.
  virtual const std::string& path() const = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_FILES_H_
