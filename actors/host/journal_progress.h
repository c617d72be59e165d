// Says once a second how a long reading of the journal goes: lines, MB/s, time left.
#ifndef COFFER_ACTORS_HOST_JOURNAL_PROGRESS_H_
#define COFFER_ACTORS_HOST_JOURNAL_PROGRESS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "runtime/log.h"

namespace coffer::host {

class JournalProgress {
 public:
  // `lines` and `bytes` so far, `left` bytes to go. Quiet unless there is much left.
  void Report(absl::Time now, uint64_t lines, uint64_t bytes, uint64_t left) {
    constexpr uint64_t kMuch = 4 << 20;
    if (now - last_ < absl::Seconds(1)) return;
    const double seconds = absl::ToDoubleSeconds(now - last_);
    const bool first = last_ == absl::InfinitePast();
    const double rate = first ? 0 : static_cast<double>(bytes - bytes_) / seconds;
    if (left >= kMuch && rate > 0) {
      runtime::Log(runtime::Level::kInfo, "journal", "reading",
                   {{"lines", lines},
                    {"lines_per_second",
                     static_cast<uint64_t>(static_cast<double>(lines - lines_) / seconds)},
                    {"mb_per_second", rate / 1e6},
                    {"mb_left", left / 1'000'000},
                    {"seconds_left", static_cast<uint64_t>(static_cast<double>(left) / rate)}});
    }
    last_ = now;
    lines_ = lines;
    bytes_ = bytes;
  }

 private:
  absl::Time last_ = absl::InfinitePast();
  uint64_t lines_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_JOURNAL_PROGRESS_H_
