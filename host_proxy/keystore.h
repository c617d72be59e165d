// Keys in version 3 of the Web3 Secret Storage format, as geth, ethers and other wallets write them
// (ethereum.org, "Web3 secret storage definition").
#ifndef COFFER_HOST_PROXY_KEYSTORE_H_
#define COFFER_HOST_PROXY_KEYSTORE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::host_proxy {

inline constexpr size_t kMaxKeystoreBytes = 64u << 10;
// What scrypt may take: n = 2^18 with r = 8, the format's own default, needs half of it.
inline constexpr uint64_t kMaxScryptBytes = 512u << 20;
inline constexpr uint64_t kMaxPbkdf2Rounds = 10'000'000;

// The 32 bytes of the private key. `json`: strict JSON of at most kMaxKeystoreBytes; scrypt or
// pbkdf2 with hmac-sha256, aes-128-ctr. Takes about a second for usual files, and so is for
// start-up. InvalidArgument names the field that is wrong; PermissionDenied when the password does
// not fit. No error shows the password, the key, or a field's value.
absl::StatusOr<ethereum::SecretBytes> OpenKeystore(std::string_view json,
                                                   std::string_view password);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_KEYSTORE_H_
