// Fixed-width little-endian integers of the store's file formats.
#ifndef COFFER_ACTORS_HOST_LITTLE_ENDIAN_H_
#define COFFER_ACTORS_HOST_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coffer::host {

template <typename Int>
void AppendLittleEndian(std::string& out, Int value) {
  for (size_t i = 0; i < sizeof(Int); ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

// `bytes` holds at least offset + sizeof(Int) bytes.
template <typename Int>
Int ReadLittleEndian(std::string_view bytes, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i);
  }
  return static_cast<Int>(value);
}

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LITTLE_ENDIAN_H_
