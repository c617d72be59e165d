// A stand-in for the Nitro Secure Module where there is no TEE: documents of the same format, under
// a root that somebody made for themselves. They prove that whoever made them had that root's key,
// and nothing about a machine or an image. Everything that shows one says so, and the verifier
// takes one only with its root given by hand (verify.h).
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_DEVELOPMENT_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_DEVELOPMENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/attestation/attester.h"
#include "enclave_core/attestation/certificates.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::attestation {

inline constexpr char kDevelopmentRootName[] = "Coffer development root, not for production";
// Of every development document's module_id.
inline constexpr char kDevelopmentModulePrefix[] = "dev-";
// No root file is longer.
inline constexpr size_t kMaxDevelopmentRootBytes = 8192;

struct DevelopmentRootFiles {
  std::string certificate_pem;  // for verifiers: coffer verify attestation --root
  std::string secret_pem;       // its private key, then the certificate: for --dev-root
};
// A new root, P-384, valid from `now` for `days`. Internal when OpenSSL fails.
absl::StatusOr<DevelopmentRootFiles> MakeDevelopmentRoot(absl::Time now, int days);

// What a development document says of the program: PCR0 is the SHA-384 of its file, as sha384sum
// has it, so that pinning can be practised; PCR1 and PCR2 are SHA384(PCR0 || 1) and SHA384(PCR0 ||
// 2), one byte each, so that none stands in for another. The others are zero.
class DevelopmentAttester final : public Attester {
 public:
  struct Options {
    std::string secret_pem;      // DevelopmentRootFiles::secret_pem
    std::string program_digest;  // 48 bytes
    std::function<absl::Time()> clock;
  };
  // Certificates of the document's key live this long, as Nitro's do, and are renewed before.
  static constexpr absl::Duration kLeafLife = absl::Hours(3);
  static constexpr absl::Duration kRenewBefore = absl::Minutes(30);

  // InvalidArgument: the text is not the key and the certificate of a development root; the
  // sentence has nothing of the key. FailedPrecondition: the root is not valid now.
  static absl::StatusOr<std::unique_ptr<DevelopmentAttester>> Create(Options options);

  Kind kind() const override { return Kind::kDevelopment; }
  absl::StatusOr<std::string> Attest(const Fields& fields) override;

  const Certificate& root() const { return root_; }
  const std::string& module_id() const { return module_id_; }

 private:
  DevelopmentAttester(Owned<EVP_PKEY> root_key, Certificate root, Options options)
      : root_key_(std::move(root_key)), root_(std::move(root)), options_(std::move(options)) {}
  // A key and a certificate for it that is good for a while.
  absl::Status Renew(absl::Time now);

  const Owned<EVP_PKEY> root_key_;
  const Certificate root_;
  const Options options_;
  std::string module_id_;  // "dev-" and 16 hex digits, another in every run
  Owned<EVP_PKEY> leaf_key_;
  std::string leaf_;  // DER
  absl::Time good_from_ = absl::InfiniteFuture();
  absl::Time renew_at_ = absl::InfinitePast();
};

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_DEVELOPMENT_H_
