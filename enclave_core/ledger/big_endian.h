// Integers of eight bytes as they are hashed and kept: most significant byte first.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_BIG_ENDIAN_H_
#define COFFER_ENCLAVE_CORE_LEDGER_BIG_ENDIAN_H_

#include <cstdint>

#include "enclave_core/ledger/wei.h"

namespace coffer::ledger {

// `p` has room for eight bytes. Returns where the next ones go.
inline char* StoreBigEndian(uint64_t value, char* p) {
  for (int i = 0; i < 8; ++i) p[i] = static_cast<char>(value >> (56 - 8 * i));
  return p + 8;
}
inline char* StoreBigEndian(Wei value, char* p) {  // sixteen
  return StoreBigEndian(absl::Uint128Low64(value), StoreBigEndian(absl::Uint128High64(value), p));
}

inline uint64_t LoadBigEndian(const char* p) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | static_cast<uint8_t>(p[i]);
  return value;
}
inline Wei LoadBigEndianWei(const char* p) {
  return absl::MakeUint128(LoadBigEndian(p), LoadBigEndian(p + 8));
}

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_BIG_ENDIAN_H_
