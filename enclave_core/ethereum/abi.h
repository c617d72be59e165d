// The pieces of the contract ABI that Coffer's few calls and events need (Solidity's "Contract ABI
// Specification"): everything is made of 32-byte words. Readers are strict: exact sizes, zero
// padding, canonical offsets.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_ABI_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_ABI_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum::abi {

inline constexpr size_t kWord = 32;  // bytes

// The first four bytes of keccak-256 of a function's signature, such as "unlock()".
std::string Selector(std::string_view signature);

void AppendUint(const U256& value, std::string& out);
void AppendHash(const Hash& value, std::string& out);
void AppendAddress(const Address& value, std::string& out);  // 12 zero bytes in front
// A dynamic `bytes` in its tail: the length, the bytes, zeros up to the next word.
void AppendBytes(std::string_view bytes, std::string& out);
// What AppendBytes appends, in bytes.
constexpr size_t BytesSize(size_t length) { return kWord + (length + kWord - 1) / kWord * kWord; }

// One word as a value. Errors: not 32 bytes, or padding that is not zero.
absl::StatusOr<U256> ReadUint(std::string_view word);
absl::StatusOr<uint64_t> ReadUint64(std::string_view word);  // also an error from 2^64 on
absl::StatusOr<bool> ReadBool(std::string_view word);
absl::StatusOr<Address> ReadAddress(std::string_view word);
absl::StatusOr<Hash> ReadHash(std::string_view word);

}  // namespace coffer::ethereum::abi

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_ABI_H_
