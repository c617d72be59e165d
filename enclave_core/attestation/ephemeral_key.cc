#include "enclave_core/attestation/ephemeral_key.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <utility>

namespace coffer::attestation {

absl::StatusOr<EphemeralKey> EphemeralKey::Make(Type type) {
  constexpr unsigned int kRsaBits = 2048;
  Owned<EVP_PKEY> key(type == Type::kRsa2048 ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-384"));
  if (key == nullptr) return absl::InternalError("OpenSSL made no ephemeral key");
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return absl::InternalError("OpenSSL gave no public half of an ephemeral key");
  std::string public_der(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return EphemeralKey(std::move(key), std::move(public_der));
}

}  // namespace coffer::attestation
