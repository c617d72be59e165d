// ECDSA over secp256k1 as Ethereum uses it, on libsecp256k1.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_SIGNATURE_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_SIGNATURE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum {

// r and s below the group order, s in its low half (EIP-2). parity: 0 or 1, whether R.y is odd.
struct Signature {
  Hash r;
  Hash s;
  uint8_t parity = 0;
  // r || s || (27 + parity): what contracts and EIP-191 expect. 65 bytes.
  std::string ToBytes65() const;
  // v of 27, 28, 0 or 1; high s and out-of-range values are errors.
  static absl::StatusOr<Signature> FromBytes65(std::string_view bytes);
  // r and s in 1..n-1, s in the low half, parity 0 or 1; anything else is an error. Every parser
  // ends here.
  static absl::StatusOr<Signature> FromParts(const Hash& r, const Hash& s, uint8_t parity);
  bool operator==(const Signature&) const = default;
};

// A private key. Lives in locked memory that core dumps leave out, is wiped when destroyed (I8),
// never copied.
class PrivateKey {
 public:
  // 32 bytes, 1..n-1. The error never shows them. The caller wipes its own copy. ResourceExhausted
  // when no page can be locked for it (RLIMIT_MEMLOCK).
  static absl::StatusOr<PrivateKey> FromBytes(std::string_view secret32);
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  const Address& address() const;
  // Deterministic (RFC 6979, SHA-256) and low-s. Equal input gives equal output, always.
  Signature Sign(const Hash& digest) const;
  // HMAC-SHA-256(key, "coffer:derive:" || label): 32 bytes of secret for a purpose that the label
  // names. Only for what must be reproducible from this key (ticket preimages; the development
  // state key).
  std::string Derive(std::string_view label) const;
  // The same bytes in locked memory, for keys that live long.
  absl::StatusOr<SecretBytes> DeriveSecret(std::string_view label) const;

 private:
  struct Secret;
  explicit PrivateKey(std::unique_ptr<Secret> secret);
  std::unique_ptr<Secret> secret_;
};

// The address whose key made `signature` over `digest`.
absl::StatusOr<Address> RecoverAddress(const Hash& digest, const Signature& signature);

// keccak-256("\x19Ethereum Signed Message:\n" || decimal length || message), EIP-191 version 0x45.
Hash Eip191Hash(std::string_view message);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_SIGNATURE_H_
