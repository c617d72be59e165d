// Where the files of a transparency log are read from (C2SP tlog-tiles): a folder, a web server, or
// a test's memory. Nothing that comes out of a source is believed before it was checked against a
// signed head.
#ifndef COFFER_TOOLS_LOG_SOURCE_H_
#define COFFER_TOOLS_LOG_SOURCE_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace coffer::tools {

// Nothing of a log is larger: a bundle has at most 256 entries, each behind two bytes of length.
inline constexpr size_t kMaxLogFileBytes = 256 * (2 + 65'535);

class LogSource {
 public:
  virtual ~LogSource() = default;
  // The whole file: "checkpoint", or a tile's path. From several threads at once; blocks.
  // NotFound: the source says that there is no such file. ResourceExhausted: it is larger than
  // `max_bytes`. Anything else: the source could not be asked, which says nothing about the log.
  virtual absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) = 0;
  // For people: the folder or the address.
  virtual std::string name() const = 0;
};

// A log's folder: `checkpoint` and tile/... below it.
class FolderSource final : public LogSource {
 public:
  explicit FolderSource(std::string folder) : folder_(std::move(folder)) {}
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override;
  std::string name() const override { return folder_; }

 private:
  const std::string folder_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_SOURCE_H_
