// EIP-712, "Typed structured data hashing and signing": the pieces that Coffer's few types need.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_EIP712_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_EIP712_H_

#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum::eip712 {

// hashStruct: keccak-256(typeHash || encodeData). The fields are appended in the type's order; each
// is one word.
class StructHasher {
 public:
  // encodeType: the struct's own type and, behind it, those that it refers to in alphabetical
  // order.
  explicit StructHasher(std::string_view encode_type);
  StructHasher& Uint(const U256& value);  // also bool and every uintN
  StructHasher& Address(const ethereum::Address& value);
  StructHasher& Text(std::string_view value);                           // string
  StructHasher& Struct(const Hash& hash);                               // hashStruct of a member
  StructHasher& Addresses(absl::Span<const ethereum::Address> values);  // address[]
  Hash Finish() const;

 private:
  std::string encoded_;
};

// keccak-256(0x1901 || domainSeparator || hashStruct(message)): what is signed.
Hash SigningDigest(const Hash& domain_separator, const Hash& message);

}  // namespace coffer::ethereum::eip712

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_EIP712_H_
