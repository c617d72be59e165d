// Randomness of the kernel, fit for keys.
#ifndef COFFER_RUNTIME_OS_RANDOM_H_
#define COFFER_RUNTIME_OS_RANDOM_H_

#include "runtime/random.h"

namespace coffer::runtime {

// getrandom(2): blocks until the kernel's pool is seeded once after boot. Thread-safe. A kernel
// that refuses stops the process, because there is nothing safe to go on with.
class OsRandom final : public Random {
 public:
  void Fill(absl::Span<uint8_t> out) override;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_RANDOM_H_
