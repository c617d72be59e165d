// What lies in this process's memory, for tests that a secret was wiped.
#ifndef COFFER_TESTS_SUPPORT_OWN_MEMORY_H_
#define COFFER_TESTS_SUPPORT_OWN_MEMORY_H_

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <string>

namespace coffer::test_support {

// A text that is nowhere in memory until it is made: it is kept inverted.
class Planted {
 public:
  Planted() {
    std::random_device random;
    for (char& c : inverted_) c = static_cast<char>(~('a' + random() % 26));
  }
  // Too long for a string to hold it in itself; no copy is left but this one.
  std::string Make() const {
    std::string text;
    text.reserve(kBytes);
    for (const char c : inverted_) text.push_back(static_cast<char>(~c));
    return text;
  }
  // How often it is there, memory that was given back included: there, the allocator has written
  // over the beginning, so that the second half is looked for.
  size_t Count() const {
    constexpr size_t kMaxMapping = size_t{1} << 30;  // those of sanitizers are larger
    size_t count = 0;
    for (const char* line = ReadMaps(); line != nullptr; line = strchr(line, '\n')) {
      if (*line == '\n') ++line;
      // "7f00-7f10 rw-p ..."
      char* rest = nullptr;
      const uintptr_t from = strtoul(line, &rest, 16);
      if (*rest != '-') continue;
      const uintptr_t to = strtoul(rest + 1, &rest, 16);
      const char* const mode = rest + 1;
      if (mode[0] != 'r' || mode[1] != 'w' || to - from > kMaxMapping) continue;
      count += CountIn(reinterpret_cast<const char*>(from), reinterpret_cast<const char*>(to));
    }
    return count;
  }

 private:
  static constexpr size_t kBytes = 64;
  static constexpr size_t kHalf = kBytes / 2;

  // Without the heap: what is asked for there is what was just given back.
  static const char* ReadMaps() {
    static char text[size_t{1} << 20];
    const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < sizeof(text) - 1) {
      got = read(maps, text + size, sizeof(text) - 1 - size);
      if (got > 0) size += static_cast<size_t>(got);
    }
    close(maps);
    text[size] = '\0';
    return text;
  }

  // Compared where it lies: a copy would be found, too. What was freed is no mistake here.
#if defined(__clang__)
  __attribute__((no_sanitize("address", "thread")))
#else
  __attribute__((no_sanitize_address, no_sanitize_thread))
#endif
  size_t
  CountIn(const char* from, const char* to) const {
    size_t count = 0;
    for (const volatile char* at = from; at + kHalf <= to; ++at) {
      size_t same = 0;
      while (same < kHalf && at[same] == static_cast<char>(~inverted_[kHalf + same])) ++same;
      if (same == kHalf) ++count;
    }
    return count;
  }

  char inverted_[kBytes];
};

}  // namespace coffer::test_support

#endif  // COFFER_TESTS_SUPPORT_OWN_MEMORY_H_
