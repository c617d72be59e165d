// COSE_Sign1 (RFC 9052, section 4.2) as AWS Nitro writes it: ES384 (RFC 9053), the protected header
// is {1: -35} and nothing else, the unprotected one is empty, the payload is attached.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_COSE_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_COSE_H_

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::attestation {

inline constexpr uint64_t kSign1Tag = 18;
inline constexpr int64_t kEs384 = -35;
inline constexpr size_t kEs384Bytes = 96;            // r and s, 48 bytes each
inline constexpr size_t kMaxPayloadBytes = 16384;    // AWS: attestation_process.md
inline constexpr size_t kMaxSign1Bytes = 20 * 1024;  // payload, signature and what is around them
inline constexpr size_t kMaxProtectedBytes = 64;

struct Sign1 {
  std::string protected_header;  // the bytes that are signed, not decoded
  std::string payload;           // 1..kMaxPayloadBytes
  std::string signature;         // r || s
  bool tagged = false;           // had tag 18 in front
  bool operator==(const Sign1&) const = default;
};

// The structure alone: an array of four, with or without tag 18, no trailing bytes, an unprotected
// header that is empty (what is in it would be signed by nobody), a signature of kEs384Bytes.
// Neither the algorithm nor the signature is looked at. InvalidArgument with a sentence.
absl::StatusOr<Sign1> ParseSign1(std::string_view bytes);
std::string EncodeSign1(const Sign1& message);

// OK when the protected header is a map of exactly {1: -35}; InvalidArgument says what it is.
absl::Status CheckEs384Header(std::string_view protected_header);

// What is signed: ["Signature1", protected header, h'', payload] (RFC 9052, section 4.4).
std::string SignedBytes(const Sign1& message);

// OK when the signature is one of `key`, which must be on P-384. PermissionDenied when it is not.
absl::Status VerifySign1(const Sign1& message, EVP_PKEY* key);

// An untagged message over `payload`. `key`: a private key on P-384. For the development attestor
// and tests: a Nitro module signs for itself. Internal when OpenSSL fails.
absl::StatusOr<Sign1> SignSign1(std::string_view payload, EVP_PKEY* key);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_COSE_H_
