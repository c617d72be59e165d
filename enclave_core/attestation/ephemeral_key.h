// A key pair that lives as long as the process, so that somebody who has seen its public half in an
// attestation document can encrypt to this very enclave (KMS does, docs/architecture.md).
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_EPHEMERAL_KEY_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_EPHEMERAL_KEY_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::attestation {

class EphemeralKey {
 public:
  enum class Type : uint8_t {
    kRsa2048,  // what KMS takes as a recipient (RSAES_OAEP_SHA_256)
    kP384,
  };
  // By OpenSSL's generator; RSA takes a tenth of a second or more. Internal: it has failed.
  static absl::StatusOr<EphemeralKey> Make(Type type);

  // DER SubjectPublicKeyInfo, as a document's public_key has it: 294 bytes (RSA) or 120 (P-384).
  const std::string& public_der() const { return public_der_; }
  // For whoever decrypts. Never leaves the process.
  EVP_PKEY* key() const { return key_.get(); }

 private:
  EphemeralKey(Owned<EVP_PKEY> key, std::string public_der)
      : key_(std::move(key)), public_der_(std::move(public_der)) {}
  Owned<EVP_PKEY> key_;
  std::string public_der_;
};

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_EPHEMERAL_KEY_H_
