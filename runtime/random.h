// Randomness as a port: whoever needs it is handed a Random, so that a test can seed it.
#ifndef COFFER_RUNTIME_RANDOM_H_
#define COFFER_RUNTIME_RANDOM_H_

#include <cstdint>

#include "absl/types/span.h"

namespace coffer::runtime {

class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(absl::Span<uint8_t> out) = 0;

  uint64_t NextUint64();
  // Uniform in [0, bound); `bound` must not be zero.
  uint64_t Below(uint64_t bound);
};

// Repeatable and not secret: for tests and the simulator. SplitMix64 (Steele, Lea, Flood: "Fast
// splittable pseudorandom number generators", 2014), because the standard library's distributions
// differ by platform.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  void Fill(absl::Span<uint8_t> out) override;

 private:
  uint64_t state_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_RANDOM_H_
