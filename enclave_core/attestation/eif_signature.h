// The signature section of an enclave image. Source: aws/aws-nitro-enclaves-image-format, src/defs
// (PcrSignature, PcrInfo), and what QEMU's nitro-enclave machine reads.
//
// CBOR: an array of maps {"signing_certificate": PEM, "signature": COSE_Sign1}, of which the first
// counts. The signed payload is CBOR {"register_index": 0, "register_value": PCR0}. AWS's builder
// writes each of these byte strings as an array of small integers; both forms are read.
//
// A signature says who built an image, not whether it is to be trusted: that is PCR8's part, which
// is compared with what a verifier pinned. The certificate's own issuer and validity are not judged
// here, as the hypervisor, which measures it, does not ask for its issuer either.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_EIF_SIGNATURE_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_EIF_SIGNATURE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/attestation/eif.h"

namespace coffer::attestation {

struct EifSignature {
  std::string certificate_der;  // what PCR8 measures
  std::string subject;          // RFC 2253 text, as the certificate has it: a stranger's
  std::string cose_sign1;       // not looked at yet
};

// NotFound when the image is not signed; InvalidArgument says what is malformed.
absl::StatusOr<EifSignature> ReadEifSignature(const Eif& eif);

// OK when `signature` is one of its certificate's key (ES384, so a key on P-384) over this `pcr0`.
// InvalidArgument when it is malformed or of another algorithm, PermissionDenied when it is wrong.
absl::Status VerifyEifSignature(const EifSignature& signature, std::string_view pcr0);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_EIF_SIGNATURE_H_
