// The Nitro Secure Module: what is asked of it and what it answers, in CBOR. Pure; the device
// itself is handed in (runtime/os_nsm.h is the real one). Source: aws/aws-nitro-enclaves-nsm-api,
// whose Rust types name the requests and fields.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_NSM_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_NSM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/attestation/attester.h"

namespace coffer::attestation {

// The driver's bounds.
inline constexpr size_t kMaxNsmRequestBytes = 0x1000;
inline constexpr size_t kMaxNsmAnswerBytes = 0x3000;

class NsmDevice {
 public:
  virtual ~NsmDevice() = default;
  // One request of at most kMaxNsmRequestBytes, one answer of at most kMaxNsmAnswerBytes. Blocks.
  virtual absl::StatusOr<std::string> Exchange(std::string_view request) = 0;
};

struct NsmDescription {
  uint64_t version_major = 0, version_minor = 0, version_patch = 0;
  std::string module_id;  // "i-0123456789abcdef0-enc0123456789abcdef"
  uint64_t max_pcrs = 0;  // 32
  std::vector<uint64_t> locked_pcrs;
  std::string digest;  // "SHA384"
};

struct NsmPcr {
  bool locked = false;
  std::string value;  // 48 bytes (32 or 64 with another digest)
};

namespace nsm {

// ---- Requests. The two that take bytes of any length answer InvalidArgument when these are too
// many.
std::string EncodeDescribeNsm();
std::string EncodeGetRandom();
std::string EncodeDescribePcr(uint16_t index);
absl::StatusOr<std::string> EncodeExtendPcr(uint16_t index, std::string_view data);
std::string EncodeLockPcr(uint16_t index);
std::string EncodeLockPcrs(uint16_t range);
absl::StatusOr<std::string> EncodeAttestation(const Fields& fields);

// ---- Answers. What a refusal or an answer of another kind says is in the error, which is always
// Unavailable. Fields that are not known are passed over, so that a newer module is understood; one
// that is missing, there twice or out of its bounds is an error.
absl::StatusOr<NsmDescription> ParseDescribeNsm(std::string_view answer);
absl::StatusOr<std::string> ParseGetRandom(std::string_view answer);  // 1..256 bytes
absl::StatusOr<NsmPcr> ParseDescribePcr(std::string_view answer);
absl::StatusOr<std::string> ParseExtendPcr(std::string_view answer);  // the new value
absl::Status ParseLockPcr(std::string_view answer);
absl::Status ParseLockPcrs(std::string_view answer);
absl::StatusOr<std::string> ParseAttestation(std::string_view answer);  // the document

}  // namespace nsm

// The module, asked. Every call is one exchange; errors are the device's, or those above.
class Nsm final : public Attester {
 public:
  // `device` outlives this object.
  explicit Nsm(NsmDevice* device) : device_(device) {}

  absl::StatusOr<NsmDescription> Describe();
  absl::StatusOr<std::string> GetRandom();
  absl::StatusOr<NsmPcr> DescribePcr(uint16_t index);
  // PCR' = SHA384(PCR || data). The application's are 16..31; those below are locked at boot.
  absl::StatusOr<std::string> ExtendPcr(uint16_t index, std::string_view data);
  absl::Status LockPcr(uint16_t index);
  absl::Status LockPcrs(uint16_t range);  // all below `range`

  Kind kind() const override { return Kind::kNitro; }
  absl::StatusOr<std::string> Attest(const Fields& fields) override;

 private:
  absl::StatusOr<std::string> Exchange(std::string_view request);
  NsmDevice* const device_;
};

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_NSM_H_
