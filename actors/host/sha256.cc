#include "actors/host/sha256.h"

#include <openssl/evp.h>

#include "invariant/check.h"

namespace coffer::host {

Sha256::Sha256()
    : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  COFFER_CHECK(algorithm_ != nullptr && context_ != nullptr, "OpenSSL has no SHA-256");
  COFFER_CHECK(EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1, "SHA-256 does not start");
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

void Sha256::Update(std::string_view bytes) {
  COFFER_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1, "SHA-256 failed");
}

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  COFFER_CHECK(EVP_DigestFinal_ex(context_, digest.data(), nullptr) == 1, "SHA-256 failed");
  COFFER_CHECK(EVP_DigestInit_ex2(context_, nullptr, nullptr) == 1, "SHA-256 does not restart");
  return digest;
}

void WriteHex(const Sha256Digest& digest, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const uint8_t byte : digest) {
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
}

std::string ToHex(const Sha256Digest& digest) {
  std::string hex(2 * digest.size(), '\0');
  WriteHex(digest, hex.data());
  return hex;
}

}  // namespace coffer::host
