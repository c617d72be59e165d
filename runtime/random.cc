#include "runtime/random.h"

#include <algorithm>
#include <cstring>

#include "invariant/check.h"

namespace coffer::runtime {

uint64_t Random::NextUint64() {
  uint8_t bytes[8];
  Fill(absl::MakeSpan(bytes));
  uint64_t value = 0;
  for (uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

uint64_t Random::Below(uint64_t bound) {
  COFFER_CHECK(bound > 0, "Random::Below(0) has no answer");
  // The first `2^64 mod bound` values are thrown away, so that every remainder is equally likely.
  const uint64_t reject = (0 - bound) % bound;
  uint64_t value = NextUint64();
  while (value < reject) value = NextUint64();
  return value % bound;
}

void SeededRandom::Fill(absl::Span<uint8_t> out) {
  for (size_t at = 0; at < out.size(); at += 8) {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    for (size_t i = 0; i < std::min<size_t>(8, out.size() - at); ++i) {
      out[at + i] = static_cast<uint8_t>(z >> (56 - 8 * i));
    }
  }
}

}  // namespace coffer::runtime
