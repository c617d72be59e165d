// What an enclave image is measured to be: the registers that the Nitro hypervisor will report.
#include <openssl/evp.h>

#include <memory>

#include "enclave_core/attestation/eif.h"
#include "enclave_core/attestation/eif_signature.h"
#include "invariant/check.h"

namespace coffer::attestation {
namespace {

std::string Sha384Of(const std::vector<std::string_view>& parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  COFFER_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha384(), nullptr) == 1,
               "OpenSSL has SHA-384");
  for (const std::string_view part : parts) {
    COFFER_CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1,
                 "SHA-384 takes any bytes");
  }
  std::string digest(kPcrBytes, '\0');
  COFFER_CHECK(
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<uint8_t*>(digest.data()), nullptr) == 1,
      "SHA-384 ends");
  return digest;
}

}  // namespace

std::string Sha384(std::string_view bytes) { return Sha384Of({bytes}); }

std::string ExtendedOnce(const std::vector<std::string_view>& parts) {
  const std::string before(kPcrBytes, '\0'), measured = Sha384Of(parts);
  return Sha384Of({before, measured});
}

absl::StatusOr<ImagePcrs> MeasureEif(const Eif& eif) {
  std::vector<std::string_view> all, boot, application;
  for (const EifSection& section : eif.sections) {
    const bool ramdisk = section.type == EifSectionType::kRamdisk;
    if (!ramdisk && section.type != EifSectionType::kKernel &&
        section.type != EifSectionType::kCmdline) {
      continue;
    }
    // Kernel, cmdline and the first ramdisk are the first three, in this order.
    (all.size() < 3 ? boot : application).push_back(section.data);
    all.push_back(section.data);
  }
  ImagePcrs pcrs{ExtendedOnce(all), ExtendedOnce(boot), ExtendedOnce(application), {}};
  if (eif.Find(EifSectionType::kSignature) == nullptr) return pcrs;
  const absl::StatusOr<EifSignature> signature = ReadEifSignature(eif);
  if (!signature.ok()) return signature.status();
  pcrs.pcr8 = ExtendedOnce({signature->certificate_der});
  return pcrs;
}

}  // namespace coffer::attestation
