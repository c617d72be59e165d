// What the enclave asks of AWS KMS, as its caller sees it. The real one (remote_client.h) signs its
// requests, attests each of them, and opens the answers, which KMS encrypts to the enclave.
#ifndef COFFER_ENCLAVE_CORE_KMS_CLIENT_H_
#define COFFER_ENCLAVE_CORE_KMS_CLIENT_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::kms {

// A CiphertextBlob at most (KMS API reference, Decrypt: 6,144 bytes).
inline constexpr size_t kMaxCiphertextBytes = 6144;

// Authenticated and not secret: what is encrypted with one decrypts only with the same (KMS
// developer guide, "Encryption context").
using EncryptionContext = std::map<std::string, std::string>;

// What AWS lets in. Secrets are the secret access key and, as far as it opens anything, the token,
// which goes with temporary credentials and may be empty: it travels in a header, so it is no
// locked memory, and is wiped where the heap takes it back (enclave_core/wiped_heap.cc).
struct Credentials {
  std::string region;  // "us-east-2"
  std::string access_key_id;
  ethereum::SecretBytes secret_access_key;
  std::string session_token;
};

struct OpenedKey {
  ethereum::SecretBytes plaintext;
  std::string ciphertext;  // GenerateDataKey: the plaintext as KMS encrypted it; Decrypt: empty
  std::string key_id;      // the ARN of the KMS key
};

// Calls block, for seconds. Errors: FailedPrecondition when KMS refused, with its own name of the
// error ("AccessDeniedException: ..."); DataLoss when its answer is not what was asked for, or does
// not open; Unavailable when it was not reached, or its server not trusted; InvalidArgument for a
// parameter. No sentence holds a secret.
class Client {
 public:
  virtual ~Client() = default;
  // `key_id` and `algorithm` may be empty: KMS finds the key by the ciphertext, and takes
  // SYMMETRIC_DEFAULT.
  virtual absl::StatusOr<OpenedKey> Decrypt(std::string_view ciphertext, std::string_view key_id,
                                            std::string_view algorithm,
                                            const EncryptionContext& context) = 0;
  // 32 fresh bytes (AES_256).
  virtual absl::StatusOr<OpenedKey> GenerateDataKey(std::string_view key_id,
                                                    const EncryptionContext& context) = 0;
  // 1..1024 bytes of KMS's randomness.
  virtual absl::StatusOr<ethereum::SecretBytes> GenerateRandom(size_t bytes) = 0;
};

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_CLIENT_H_
