// The attestation document of AWS Nitro: the payload of its COSE_Sign1. Fields and limits are those
// of aws-nitro-enclaves-nsm-api, docs/attestation_process.md.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_DOCUMENT_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_DOCUMENT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/attestation/pcrs.h"

namespace coffer::attestation {

inline constexpr uint32_t kMaxPcrs = 32;              // indices 0..31
inline constexpr size_t kMaxModuleIdBytes = 256;      // 64 or so are seen
inline constexpr size_t kMaxCertificateBytes = 1024;  // each
inline constexpr size_t kMaxBundle = 16;              // certificates; four are seen
inline constexpr size_t kMaxPublicKeyBytes = 1024;
// AWS's text says 512 in one place and 1024 in another: no more than the first is asked for, and up
// to the second is accepted.
inline constexpr size_t kMaxRequestedBytes = 512;  // user_data and nonce, each
inline constexpr size_t kMaxAcceptedBytes = 1024;

struct Document {
  std::string module_id;
  std::string digest = "SHA384";
  uint64_t timestamp_ms = 0;             // since 1970, by the module's clock
  std::map<uint32_t, std::string> pcrs;  // raw bytes: 32, 48 or 64
  std::string certificate;               // DER; its key signs the document
  std::vector<std::string> cabundle;  // DER, ROOT FIRST, then down to the issuer of `certificate`
  std::optional<std::string> public_key;  // 1..1024 bytes; a DER SubjectPublicKeyInfo by custom
  std::optional<std::string> user_data;
  std::optional<std::string> nonce;
  bool operator==(const Document&) const = default;

  // One of PCR0, PCR1 and PCR2 is all zero: the enclave was started in debug mode, in which the
  // host reads its console and AWS writes zeros for all three.
  bool IsDebug() const;
};

// Reads a payload. The map may be of definite or indefinite length, its keys in any order; the
// optional fields may be absent or null. An unknown or repeated key, a length out of bounds,
// trailing bytes: InvalidArgument with a sentence that names the field.
absl::StatusOr<Document> ParseDocument(std::string_view payload);

// The payload, as a Nitro module orders it: a map of nine pairs of definite length, null for what
// is absent. InvalidArgument for a document that ParseDocument would refuse.
absl::StatusOr<std::string> EncodeDocument(const Document& document);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_DOCUMENT_H_
