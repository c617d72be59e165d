// X.509 certificates of an attestation document: the chain from a root that the verifier trusts
// down to the certificate that signs the document. No network; revocation lists are AWS's own
// business, none is published to verifiers.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_CERTIFICATES_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_CERTIFICATES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::attestation {

// One certificate, parsed. Moved, not copied.
class Certificate {
 public:
  // DER without trailing bytes, of at most kMaxCertificateBytes (document.h). InvalidArgument.
  static absl::StatusOr<Certificate> FromDer(std::string_view der);
  // The one certificate of a PEM text (-----BEGIN CERTIFICATE-----). InvalidArgument.
  static absl::StatusOr<Certificate> FromPem(std::string_view pem);

  const std::string& der() const { return der_; }
  // SHA-256 of the DER, 64 hex digits in upper case, as `openssl x509 -fingerprint -sha256` has
  // them without the colons.
  std::string Fingerprint() const;
  // RFC 2253 text, at most a few hundred bytes; a stranger's words.
  std::string subject() const;
  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }
  X509* get() const { return x509_.get(); }
  // The subject's key; null when OpenSSL can't read it.
  EVP_PKEY* key() const;

 private:
  Certificate() = default;
  std::string der_;
  Owned<X509> x509_;
  absl::Time not_before_, not_after_;
};

// AWS's root for Nitro Enclaves, "AWS_NitroEnclaves_Root-G1": CN=aws.nitro-enclaves, P-384,
// 2019-10-28 to 2049-10-28. Its SHA-256 fingerprint, as AWS publishes it:
// 641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B
inline constexpr std::string_view kAwsRootFingerprint =
    "641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B";
const Certificate& AwsNitroRoot();

// A path, root first, the signer of the document last; two at least.
using Path = absl::Span<const Certificate>;

// Each check below takes the path as it is: nothing is reordered, left out or looked for elsewhere.
// They answer OK, or FailedPrecondition with a sentence that names the certificate by its place.

// Every certificate is issued by the one before it: names, key identifiers, signature (ECDSA with
// SHA-384 by a key on P-384); and OpenSSL's own verification from path[0] agrees (critical
// extensions).
absl::Status CheckChain(Path path);
// As sentences have times: "2026-01-31T12:00:00Z".
std::string UtcText(absl::Time time);

// All certificates are valid at `time`, both ends included.
absl::Status CheckValidity(Path path, absl::Time time);
// CA certificates: basicConstraints CA:TRUE, pathLenConstraint kept, keyUsage keyCertSign. The
// last: no CA, keyUsage digitalSignature (RFC 5280, sections 4.2.1.3, 4.2.1.9).
absl::Status CheckUsage(Path path);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_CERTIFICATES_H_
