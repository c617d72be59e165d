// A copy of a log in a folder: what is missing is downloaded, everything is held against the signed
// head, and only then the head is put in place. Any web server can serve the folder.
#ifndef COFFER_TOOLS_LOG_MIRROR_H_
#define COFFER_TOOLS_LOG_MIRROR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tools/log_source.h"
#include "tools/log_trust.h"
#include "tools/verify_report.h"

namespace coffer::tools {

// The folder first, then what was downloaded before, then the other source. What comes from there
// waits in <folder>/.incoming until it is known to be the signed tree's: nothing that a stranger
// sends takes the place of what was verified.
class MirrorSource final : public LogSource {
 public:
  MirrorSource(LogSource* from, std::string folder)
      : from_(from),
        folder_(std::move(folder)),
        incoming_(folder_ + "/.incoming"),
        local_(folder_),
        staged_(incoming_) {}
  // Thread-safe; the rest is not.
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override;
  std::string name() const override { return from_->name(); }

  // Forgets what was downloaded, and from now on takes these files from the other source.
  void StartAgain(const std::vector<std::string>& distrusted);
  // Puts what was downloaded in place. Unavailable when a file cannot be moved.
  absl::Status Commit();

  uint64_t downloaded() const { return downloaded_; }  // files
  uint64_t bytes() const { return bytes_; }            // of those

 private:
  LogSource* const from_;
  const std::string folder_;
  const std::string incoming_;
  FolderSource local_, staged_;
  std::set<std::string> distrusted_;
  std::atomic<uint64_t> downloaded_{0}, bytes_{0};
};

struct MirrorOptions {
  // Without a state file the folder's own checkpoint is what was seen before.
  TrustOptions trust;
  unsigned threads = 8;
  std::function<void(uint64_t done, uint64_t total)> on_progress;
};

// The checks of its report: checkpoint, signature, witnesses, consistency, tiles, mirror. Run again
// after an interruption, it goes on where it was.
Report MirrorLog(LogSource& from, const std::string& folder, const MirrorOptions& options);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_MIRROR_H_
