// AWS Signature Version 4: who sends a request, and that nobody changed it on the way. Every header
// that a request has is signed. Source: AWS Identity and Access Management User Guide, "Create a
// signed AWS API request"; the rules of every service but S3.
#ifndef COFFER_ENCLAVE_CORE_KMS_SIGV4_H_
#define COFFER_ENCLAVE_CORE_KMS_SIGV4_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/kms/client.h"
#include "enclave_core/kms/http.h"

namespace coffer::kms {

inline constexpr absl::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr absl::string_view kTerminator = "aws4_request";
inline constexpr size_t kMaxSecretAccessKeyBytes = 256;  // AWS's have 40

// What a signature is good for: this service in this region on this day (UTC).
struct CredentialScope {
  std::string region;
  std::string service;  // "kms"
  absl::Time time;      // whole seconds are signed
};

// The steps, one by one, as AWS names them. The path is normalised and encoded once more than the
// request line has it; queries are sorted; names of headers are sorted and in lower case, values
// folded, and those of one name joined by commas.
std::string CanonicalRequest(const HttpRequest& request);
std::string StringToSign(const std::string& canonical_request, const CredentialScope& scope);
// 32 bytes. InvalidArgument: no key, or one that is too long. ResourceExhausted: no locked memory.
absl::StatusOr<ethereum::SecretBytes> SigningKey(const ethereum::SecretBytes& secret_access_key,
                                                 const CredentialScope& scope);

// Adds x-amz-date, x-amz-security-token (when the credentials have a token) and authorization.
// InvalidArgument: one of them is there already, there is no host header, or the credentials are
// not what AWS gives out (the sentence does not repeat them).
absl::Status SignRequest(const Credentials& credentials, std::string_view service, absl::Time now,
                         HttpRequest* request);

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_SIGV4_H_
