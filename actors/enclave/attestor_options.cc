#include "actors/enclave/attestor_options.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/development.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/attestation/nsm.h"
#include "invariant/check.h"
#include "runtime/log.h"
#include "runtime/os_file.h"
#include "runtime/os_nsm.h"
#include "runtime/os_random.h"

namespace coffer::enclave {
namespace {

using attestation::Attester;
using runtime::Level;
using runtime::Log;

constexpr char kComponent[] = "attestor";
constexpr char kThisProgram[] = "/proc/self/exe";

// /dev/nsm as the pure code knows it.
class OpenDevice final : public attestation::NsmDevice {
 public:
  explicit OpenDevice(std::unique_ptr<runtime::OsNsm> device) : device_(std::move(device)) {}
  absl::StatusOr<std::string> Exchange(std::string_view request) override {
    return device_->Exchange(request, attestation::kMaxNsmAnswerBytes);
  }

 private:
  const std::unique_ptr<runtime::OsNsm> device_;
};

// The module, with the device that it is asked through.
class OpenNsm final : public Attester {
 public:
  explicit OpenNsm(std::unique_ptr<runtime::OsNsm> device)
      : device_(std::move(device)), nsm_(&device_) {}
  attestation::Kind kind() const override { return nsm_.kind(); }
  absl::StatusOr<std::string> Attest(const attestation::Fields& fields) override {
    return nsm_.Attest(fields);
  }
  attestation::Nsm& nsm() { return nsm_; }

 private:
  OpenDevice device_;
  attestation::Nsm nsm_;
};

// Of the kernel's pool and of OpenSSL's generator, which signs, seals and makes keys here. It can
// only add: neither counts what is mixed in as entropy of its own.
absl::Status MixRandomness(attestation::Nsm& nsm) {
  absl::StatusOr<std::string> random = nsm.GetRandom();
  if (!random.ok()) return random.status();
  absl::Status mixed = runtime::OsMixRandom(*random);
  RAND_add(random->data(), static_cast<int>(random->size()), 0);
  OPENSSL_cleanse(random->data(), random->size());
  return mixed;
}

absl::StatusOr<std::unique_ptr<Attester>> OpenModule() {
  absl::StatusOr<std::unique_ptr<runtime::OsNsm>> device = runtime::OsNsm::Open();
  if (!device.ok()) return device.status();
  auto opened = std::make_unique<OpenNsm>(*std::move(device));
  const absl::StatusOr<attestation::NsmDescription> about = opened->nsm().Describe();
  if (!about.ok()) return about.status();
  const absl::StatusOr<attestation::NsmPcr> pcr0 = opened->nsm().DescribePcr(0);
  if (!pcr0.ok()) return pcr0.status();
  if (absl::Status s = MixRandomness(opened->nsm()); !s.ok()) return s;
  Log(Level::kInfo, kComponent, "attests by the Nitro Secure Module",
      {{"module", about->module_id}, {"pcr0", absl::BytesToHexString(pcr0->value)}});
  if (pcr0->value.find_first_not_of('\0') == std::string::npos) {
    Log(Level::kWarn, kComponent,
        "INSECURE: PCR0 is zero: this enclave runs in debug mode, where the host reads its console "
        "and "
        "no image is measured; verifiers refuse its documents");
  }
  return opened;
}

absl::StatusOr<std::string> DigestOfThisProgram() {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  COFFER_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha384(), nullptr) == 1,
               "OpenSSL has SHA-384");
  const absl::Status read = runtime::OsReadPieces(kThisProgram, [&](std::string_view piece) {
    EVP_DigestUpdate(context.get(), piece.data(), piece.size());
  });
  if (!read.ok()) return read;
  std::string digest(attestation::kPcrBytes, '\0');
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

absl::StatusOr<std::unique_ptr<Attester>> OpenDevelopment(const std::string& root_file,
                                                          std::function<absl::Time()> clock) {
  if (root_file.empty()) {
    return absl::InvalidArgumentError(
        "--attestor dev needs --dev-root, the secret file that coffer dev-root has written");
  }
  attestation::DevelopmentAttester::Options options;
  absl::StatusOr<std::string> secret =
      runtime::OsReadSecretFile(root_file, attestation::kMaxDevelopmentRootBytes);
  if (!secret.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--dev-root: ", secret.status().message()));
  }
  absl::StatusOr<std::string> digest = DigestOfThisProgram();
  if (!digest.ok()) return digest.status();
  options.secret_pem = *std::move(secret);
  options.program_digest = *std::move(digest);
  options.clock = std::move(clock);
  const std::string pcr0 = absl::BytesToHexString(options.program_digest);
  absl::StatusOr<std::unique_ptr<attestation::DevelopmentAttester>> attester =
      attestation::DevelopmentAttester::Create(std::move(options));
  if (!attester.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--dev-root: ", attester.status().message()));
  }
  Log(Level::kWarn, kComponent,
      "INSECURE: attestation documents are development documents (--attestor dev): they prove "
      "nothing "
      "about a TEE, and a verifier takes them only with --root given by hand",
      {{"module", (*attester)->module_id()},
       {"root_sha256", (*attester)->root().Fingerprint()},
       {"pcr0", pcr0}});
  return *std::move(attester);
}

}  // namespace

void AddAttestorOptions(runtime::ConfigSpec* spec) {
  spec->Add({.name = "attestor",
             .default_text = "auto",
             .help = "Who makes attestation documents: /dev/nsm, a development root (which proves "
                     "nothing), or nobody; auto: nsm where it is.",
             .choices = {"auto", "nsm", "dev", "none"}})
      .Add({.name = "dev-root",
            .help =
                "With --attestor dev: the secret file of a root that coffer dev-root has made, of "
                "mode 0600."});
}

absl::StatusOr<std::unique_ptr<Attester>> AttesterFromOptions(const runtime::Config& config,
                                                              std::function<absl::Time()> clock) {
  const std::string& attestor = config.String("attestor");
  const std::string& root = config.String("dev-root");
  if (attestor == "dev") return OpenDevelopment(root, std::move(clock));
  if (!root.empty()) {
    return absl::InvalidArgumentError(
        "--dev-root is of --attestor dev, which was not asked for; leave it out");
  }
  if (attestor == "nsm" || (attestor == "auto" && runtime::OsNsm::Present())) return OpenModule();
  return nullptr;
}

}  // namespace coffer::enclave
