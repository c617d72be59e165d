// The roots that AWS's services have their certificates from: the only ones that a KMS is believed
// under. Source: Amazon Trust Services, https://www.amazontrust.com/repository/.
#ifndef COFFER_ENCLAVE_CORE_KMS_AMAZON_ROOTS_H_
#define COFFER_ENCLAVE_CORE_KMS_AMAZON_ROOTS_H_

#include <array>
#include <string_view>

namespace coffer::kms {

struct PinnedRoot {
  std::string_view name;         // the subject's common name
  std::string_view fingerprint;  // SHA-256 of the DER, 64 hex digits in upper case
  std::string_view pem;
};

// Amazon Root CA 1 to 4, and Starfield Services Root Certificate Authority - G2, under which Amazon
// Root CA 1 is cross-signed for older clients.
const std::array<PinnedRoot, 5>& AmazonRoots();

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_AMAZON_ROOTS_H_
