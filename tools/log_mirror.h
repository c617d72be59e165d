// A copy of a log in a folder: what is missing is downloaded, everything is held against the signed
// head, and only then the head is put in place. Any web server can serve the folder.
#ifndef COFFER_TOOLS_LOG_MIRROR_H_
#define COFFER_TOOLS_LOG_MIRROR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "tools/log_source.h"
#include "tools/log_trust.h"
#include "tools/verify_report.h"

namespace coffer::tools {

// The folder first, then the other source, of which it keeps what it got. Thread-safe.
class MirrorSource final : public LogSource {
 public:
  MirrorSource(LogSource* from, std::string folder)
      : from_(from), folder_(std::move(folder)), local_(folder_) {}
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override;
  std::string name() const override { return from_->name(); }

  uint64_t downloaded() const { return downloaded_; }  // files
  uint64_t bytes() const { return bytes_; }            // of those

 private:
  LogSource* const from_;
  const std::string folder_;
  FolderSource local_;
  std::atomic<uint64_t> downloaded_{0}, bytes_{0};
};

struct MirrorOptions {
  // Without a state file the folder's own checkpoint is what was seen before.
  TrustOptions trust;
  unsigned threads = 8;
  std::function<void(uint64_t done, uint64_t total)> on_progress;
};

// The checks of its report: checkpoint, signature, witnesses, consistency, tiles, mirror. Run again
// after an interruption, it goes on where it was: a file in the folder is whole or not there.
Report MirrorLog(LogSource& from, const std::string& folder, const MirrorOptions& options);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_MIRROR_H_
