// Who makes attestation documents: the Nitro Secure Module (nsm.h), or, where there is no TEE, a
// development root (development.h).
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_ATTESTER_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_ATTESTER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::attestation {

// What the one who asks for a document may put into it. Empty: the field is left out.
struct Fields {
  std::string user_data;   // at most kMaxRequestedBytes (document.h)
  std::string nonce;       // the same
  std::string public_key;  // at most kMaxPublicKeyBytes; a DER SubjectPublicKeyInfo by custom
};

// InvalidArgument names the field that is too long, before any device is asked.
absl::Status CheckFields(const Fields& fields);

enum class Kind : uint8_t {
  kNitro,
  kDevelopment,  // proves nothing about a TEE, and whoever shows such a document says so
};

class Attester {
 public:
  virtual ~Attester() = default;
  virtual Kind kind() const = 0;
  // A document over these fields (document.h) as a COSE_Sign1 in CBOR (cose.h). Blocks for as long
  // as the device takes. InvalidArgument: a field is too long. Unavailable: the device has failed,
  // has refused, or has answered what is no answer.
  virtual absl::StatusOr<std::string> Attest(const Fields& fields) = 0;
};

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_ATTESTER_H_
