// CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds bytes that a disk lost or changed. It is no
// protection against a host that forges them; that is the sealing's.
#ifndef COFFER_ACTORS_HOST_CRC32C_H_
#define COFFER_ACTORS_HOST_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace coffer::host {

// `before` is the CRC of the bytes that came before, 0 for none.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CRC32C_H_
