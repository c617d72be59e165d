// Certificates of a stranger, as DER or PEM, in a chain with proper ones: no path that ends in a
// certificate of the stranger's own is a chain from the root.
#include <openssl/x509.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "enclave_core/attestation/certificates.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tests/support/nitro.h"

namespace {

namespace attestation = coffer::attestation;

void CheckPath(const std::vector<attestation::Certificate>& path) {
  (void)attestation::CheckValidity(path, attestation::Made());
  (void)attestation::CheckUsage(path);
  if (!attestation::CheckChain(path).ok()) return;
  for (size_t i = 1; i < path.size(); ++i) {
    COFFER_CHECK(X509_verify(path[i].get(), path[i - 1].key()) == 1, "each is signed by the last");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  const size_t place = input.Below(5);
  const bool pem = (input.Byte() & 1) != 0;
  auto certificate = pem ? attestation::Certificate::FromPem(input.rest())
                         : attestation::Certificate::FromDer(input.rest());
  if (!certificate.ok()) return 0;
  if (!pem) COFFER_CHECK(certificate->der() == input.rest(), "the DER is what was given");
  COFFER_CHECK(certificate->Fingerprint().size() == 64, "SHA-256 in hex");
  (void)certificate->subject();
  std::vector<attestation::Certificate> path;
  for (size_t i = 0; i < 5; ++i) path.push_back(attestation::NitroChain()[i].certificate());
  path[place] = *std::move(certificate);
  CheckPath(path);
  return 0;
}
