// How far a long reading is, on stderr: every second on a terminal, every ten otherwise.
#ifndef COFFER_TOOLS_SCAN_PROGRESS_H_
#define COFFER_TOOLS_SCAN_PROGRESS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace coffer::tools {

class ScanProgress {
 public:
  ScanProgress();
  ~ScanProgress();  // ends the terminal's line
  // Leaves. One thread.
  void operator()(uint64_t done, uint64_t total);

 private:
  const bool terminal_;
  const absl::Time start_;
  absl::Time next_;
  bool shown_ = false;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_SCAN_PROGRESS_H_
