// Keys as people keep them: hex digits, read without a branch or an address that depends on them.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_HEX_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_HEX_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::ethereum {

// Exactly 2 * `size` hex digits in any case, or "0x" and these. InvalidArgument says nothing about
// the text but its length; ResourceExhausted as SecretBytes::Create.
absl::StatusOr<SecretBytes> SecretFromHex(std::string_view hex, size_t size);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_HEX_H_
