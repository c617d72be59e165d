#include "enclave_core/ethereum/eip712.h"

#include "enclave_core/ethereum/abi.h"

namespace coffer::ethereum::eip712 {

StructHasher::StructHasher(std::string_view encode_type) {
  abi::AppendHash(Keccak256(encode_type), encoded_);
}

StructHasher& StructHasher::Uint(const U256& value) {
  abi::AppendUint(value, encoded_);
  return *this;
}

StructHasher& StructHasher::Address(const ethereum::Address& value) {
  abi::AppendAddress(value, encoded_);
  return *this;
}

StructHasher& StructHasher::Text(std::string_view value) {
  abi::AppendHash(Keccak256(value), encoded_);
  return *this;
}

StructHasher& StructHasher::Struct(const Hash& hash) {
  abi::AppendHash(hash, encoded_);
  return *this;
}

StructHasher& StructHasher::Addresses(absl::Span<const ethereum::Address> values) {
  std::string words;
  words.reserve(values.size() * abi::kWord);
  for (const ethereum::Address& value : values) abi::AppendAddress(value, words);
  abi::AppendHash(Keccak256(words), encoded_);
  return *this;
}

Hash StructHasher::Finish() const { return Keccak256(encoded_); }

Hash SigningDigest(const Hash& domain_separator, const Hash& message) {
  std::string packed("\x19\x01");
  abi::AppendHash(domain_separator, packed);
  abi::AppendHash(message, packed);
  return Keccak256(packed);
}

}  // namespace coffer::ethereum::eip712
