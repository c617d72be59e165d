// A fuzzer's bytes, taken piece by piece; where they end, everything is empty or zero.
#ifndef COFFER_TESTS_FUZZ_INPUT_H_
#define COFFER_TESTS_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coffer::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  explicit Input(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  std::string_view Take(size_t n) {
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(out.size());
    return out;
  }
  uint8_t Byte() {
    const std::string_view out = Take(1);
    return out.empty() ? uint8_t{0} : static_cast<uint8_t>(out[0]);
  }
  // 0 .. bound - 1, from one byte.
  size_t Below(size_t bound) { return Byte() % bound; }
  uint64_t Number(size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | Byte();
    return value;
  }
  // A length of one byte, and so many bytes.
  std::string_view Text() { return Take(Byte()); }
  // Up to the next newline, which is taken as well.
  std::string_view Line() {
    const size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }

 private:
  std::string_view rest_;
};

}  // namespace coffer::fuzz

#endif  // COFFER_TESTS_FUZZ_INPUT_H_
