// What KMS encrypts to an enclave (CiphertextForRecipient): CMS EnvelopedData (RFC 5652) in the one
// shape that KMS gives it, and no other.
//
//   ContentInfo: envelopedData
//     version 2, one recipient, no originatorInfo, no unprotectedAttrs
//     recipient: KeyTransRecipientInfo version 2, by subjectKeyIdentifier (the SHA-256 of the DER
//       SubjectPublicKeyInfo that was attested, as seen; who can open it decides, not this),
//       RSAES-OAEP with SHA-256 and MGF1 with SHA-256, empty label (RFC 8017)
//     content: data, AES-256-CBC with PKCS#7 padding (RFC 3565)
//
// KMS writes BER with indefinite lengths and the content in pieces; DER is taken as well.
#ifndef COFFER_ENCLAVE_CORE_KMS_CMS_H_
#define COFFER_ENCLAVE_CORE_KMS_CMS_H_

#include <openssl/evp.h>

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::kms {

inline constexpr size_t kMaxEnvelopeBytes = 16 * 1024;
inline constexpr size_t kMaxPlaintextBytes = 4096;  // KMS API reference, Decrypt

// The content. `key` is the RSA private key whose public half was attested. DataLoss: another
// shape, with a sentence that says where; or it does not open, and then the sentence is one and the
// same whichever step failed, so that it tells nothing about the plaintext.
absl::StatusOr<ethereum::SecretBytes> OpenEnvelope(std::string_view ber, EVP_PKEY* key);

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_CMS_H_
