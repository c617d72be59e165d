// The bodies of KMS's API (AWS JSON 1.1): what is asked, and what is answered, read strictly.
// Source: KMS API reference; a Recipient stands in every request, so that no answer holds a
// plaintext.
#ifndef COFFER_ENCLAVE_CORE_KMS_REQUESTS_H_
#define COFFER_ENCLAVE_CORE_KMS_REQUESTS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "enclave_core/kms/client.h"

namespace coffer::kms {

inline constexpr absl::string_view kContentType = "application/x-amz-json-1.1";
// X-Amz-Target.
inline constexpr absl::string_view kDecryptTarget = "TrentService.Decrypt";
inline constexpr absl::string_view kGenerateDataKeyTarget = "TrentService.GenerateDataKey";
inline constexpr absl::string_view kGenerateRandomTarget = "TrentService.GenerateRandom";

inline constexpr absl::string_view kDefaultAlgorithm = "SYMMETRIC_DEFAULT";
inline constexpr size_t kMaxKeyIdBytes = 2048;
inline constexpr size_t kMaxContextBytes = 8192;  // as JSON
inline constexpr size_t kMaxRandomBytes = 1024;

// `document` is a fresh attestation document (COSE_Sign1) whose public_key KMS is to encrypt to.
// InvalidArgument names the parameter that KMS would not take.
absl::StatusOr<std::string> DecryptBody(std::string_view ciphertext, std::string_view key_id,
                                        std::string_view algorithm,
                                        const EncryptionContext& context,
                                        std::string_view document);
absl::StatusOr<std::string> GenerateDataKeyBody(std::string_view key_id,
                                                const EncryptionContext& context,
                                                std::string_view document);
absl::StatusOr<std::string> GenerateRandomBody(size_t bytes, std::string_view document);

struct Answer {
  std::string envelope;    // CiphertextForRecipient (cms.h)
  std::string ciphertext;  // CiphertextBlob: GenerateDataKey
  std::string key_id;      // KeyId: Decrypt, GenerateDataKey
};

// DataLoss says what the answer lacks, or that it holds what was not asked for: no JSON object, a
// name that is there twice, a Plaintext, another encryption algorithm than `algorithm` (Decrypt;
// empty: kDefaultAlgorithm). Members that KMS may add are passed over.
absl::StatusOr<Answer> ParseDecrypt(std::string_view body, std::string_view algorithm);
absl::StatusOr<Answer> ParseGenerateDataKey(std::string_view body);
absl::StatusOr<Answer> ParseGenerateRandom(std::string_view body);

// What KMS says when it refuses.
struct ServiceError {
  std::string name;     // "AccessDeniedException"; letters and digits, or "HTTP 502"
  std::string message;  // KMS's words, bounded and printable; may be empty
};
// Never fails: an answer that is no error of KMS's gives its status alone.
ServiceError ParseServiceError(int http_status, std::string_view body);

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_REQUESTS_H_
