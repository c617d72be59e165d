#include "tools/scan_progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_format.h"
#include "runtime/os_clock.h"

namespace coffer::tools {

ScanProgress::ScanProgress()
    : terminal_(isatty(STDERR_FILENO) == 1),
      start_(runtime::OsMonotonicNow()),
      next_(start_ + (terminal_ ? absl::Seconds(1) : absl::Seconds(10))) {}

ScanProgress::~ScanProgress() {
  if (shown_ && terminal_) std::cerr << "\n";
}

void ScanProgress::operator()(uint64_t done, uint64_t total) {
  const absl::Time now = runtime::OsMonotonicNow();
  if (now < next_) return;
  next_ = now + (terminal_ ? absl::Seconds(1) : absl::Seconds(10));
  const double rate = static_cast<double>(done) / absl::ToDoubleSeconds(now - start_);
  const double left = static_cast<double>(total - done) / std::max(rate, 1.0);
  const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(total);
  std::cerr << (terminal_ ? "\r" : "")
            << absl::StrFormat("%d of %d leaves (%.1f %%), %.0f a second, %.0f s left", done, total,
                               percent, rate, left)
            << (terminal_ ? "   " : "\n") << std::flush;
  shown_ = true;
}

}  // namespace coffer::tools
