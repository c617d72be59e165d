// Owners of OpenSSL's objects, as attestation uses them.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_OPENSSL_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_OPENSSL_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

namespace coffer::attestation {

struct OpensslFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
template <typename T>
using Owned = std::unique_ptr<T, OpensslFree>;

// Bytes as OpenSSL wants them.
inline const unsigned char* Data(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Whether the key is on P-384 (secp384r1), the one curve that Nitro's chains and documents use.
bool IsP384(const EVP_PKEY* key);

// OpenSSL keeps a queue of what went wrong, by thread. Ours is never asked, so that it must not
// grow or show up in somebody else's error: cleared when one of these goes.
class QuietErrors {
 public:
  QuietErrors() = default;
  ~QuietErrors();
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_OPENSSL_H_
