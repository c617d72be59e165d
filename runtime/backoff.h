// Exponential back-off with full jitter, for retries against something that may be down.
#ifndef COFFER_RUNTIME_BACKOFF_H_
#define COFFER_RUNTIME_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"
#include "runtime/random.h"

namespace coffer::runtime {

// The n-th wait is uniform in [ceiling/2, ceiling], ceiling = min(max, first * 2^n): half of it is
// kept so that a retry never comes at once, the other half spreads many clients apart.
class Backoff {
 public:
  // `random` must outlive this object.
  Backoff(absl::Duration first, absl::Duration max, Random* random)
      : first_(first), max_(max), random_(random), ceiling_(first) {}

  absl::Duration Next() {
    const absl::Duration half = ceiling_ / 2;
    const int64_t spread = std::max<int64_t>(1, absl::ToInt64Nanoseconds(ceiling_ - half) + 1);
    const absl::Duration wait =
        half + absl::Nanoseconds(random_->Below(static_cast<uint64_t>(spread)));
    ceiling_ = std::min(max_, ceiling_ * 2);
    ++attempts_;
    return wait;
  }

  // After a success.
  void Reset() {
    ceiling_ = first_;
    attempts_ = 0;
  }

  // Waits handed out since the last success.
  int attempts() const { return attempts_; }

 private:
  const absl::Duration first_;
  const absl::Duration max_;
  Random* const random_;
  absl::Duration ceiling_;
  int attempts_ = 0;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_BACKOFF_H_
