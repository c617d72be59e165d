// Randomness of the kernel, fit for keys.
#ifndef COFFER_RUNTIME_OS_RANDOM_H_
#define COFFER_RUNTIME_OS_RANDOM_H_

#include <string_view>

#include "absl/status/status.h"
#include "runtime/random.h"

namespace coffer::runtime {

// getrandom(2): blocks until the kernel's pool is seeded once after boot. Thread-safe. A kernel
// that refuses stops the process, because there is nothing safe to go on with.
class OsRandom final : public Random {
 public:
  void Fill(absl::Span<uint8_t> out) override;
};

// Mixes bytes into the kernel's pool. They count as no entropy, so that even bad ones do no harm.
// Unavailable when there is no pool to write to.
absl::Status OsMixRandom(std::string_view bytes);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_RANDOM_H_
