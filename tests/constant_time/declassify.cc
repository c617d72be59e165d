// What leaves a signing or a derivation is public: it is declared defined again where it does. The
// linker's
// --wrap puts these in front of the libraries' functions, so no code of ours knows of it. Each says
// why.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <valgrind/memcheck.h>

#include <string>
#include <string_view>

#include "enclave_core/ethereum/signature.h"

namespace {

template <typename T>
void Public(T* value) {
  VALGRIND_MAKE_MEM_DEFINED(value, sizeof *value);
}

}  // namespace

extern "C" {

// A public key is public; so is whether a key is one at all: what is not is refused aloud.
int __real_secp256k1_ec_pubkey_create(const secp256k1_context* context, secp256k1_pubkey* key,
                                      const unsigned char* secret);
int __wrap_secp256k1_ec_pubkey_create(const secp256k1_context* context, secp256k1_pubkey* key,
                                      const unsigned char* secret) {
  int result = __real_secp256k1_ec_pubkey_create(context, key, secret);
  Public(key);
  Public(&result);
  return result;
}

// A signature is public, its recovery id included.
int __real_secp256k1_ecdsa_sign_recoverable(const secp256k1_context* context,
                                            secp256k1_ecdsa_recoverable_signature* signature,
                                            const unsigned char* digest,
                                            const unsigned char* secret, secp256k1_nonce_function f,
                                            const void* data);
int __wrap_secp256k1_ecdsa_sign_recoverable(const secp256k1_context* context,
                                            secp256k1_ecdsa_recoverable_signature* signature,
                                            const unsigned char* digest,
                                            const unsigned char* secret, secp256k1_nonce_function f,
                                            const void* data) {
  int result = __real_secp256k1_ecdsa_sign_recoverable(context, signature, digest, secret, f, data);
  Public(signature);
  Public(&result);
  return result;
}

int __real_EVP_PKEY_get_raw_public_key(const EVP_PKEY* key, unsigned char* out, size_t* size);
int __wrap_EVP_PKEY_get_raw_public_key(const EVP_PKEY* key, unsigned char* out, size_t* size) {
  const int result = __real_EVP_PKEY_get_raw_public_key(key, out, size);
  if (out != nullptr) VALGRIND_MAKE_MEM_DEFINED(out, *size);
  return result;
}

int __real_EVP_DigestSign(EVP_MD_CTX* context, unsigned char* out, size_t* size,
                          const unsigned char* message, size_t message_size);
int __wrap_EVP_DigestSign(EVP_MD_CTX* context, unsigned char* out, size_t* size,
                          const unsigned char* message, size_t message_size) {
  const int result = __real_EVP_DigestSign(context, out, size, message, message_size);
  if (out != nullptr) VALGRIND_MAKE_MEM_DEFINED(out, *size);
  return result;
}

// Whether two secrets are equal is what is asked for; where they differ must not show.
int __real_CRYPTO_memcmp(const void* a, const void* b, size_t size);
int __wrap_CRYPTO_memcmp(const void* a, const void* b, size_t size) {
  int result = __real_CRYPTO_memcmp(a, b, size);
  Public(&result);
  return result;
}

}  // extern "C"

// PrivateKey::Derive gives the recipientRands, and nothing else: each is published in the calldata
// that redeems its ticket. (Keys come from DeriveSecret, which stays secret.) The names are the
// linker's, so that --wrap finds them.
namespace coffer::constant_time {
std::string RealDerive(const ethereum::PrivateKey* key, std::string_view label) asm(
    "__real__ZNK6coffer8ethereum10PrivateKey6DeriveB5cxx11ESt17basic_string_viewIcSt11char_"
    "traitsIcEE");
std::string WrapDerive(const ethereum::PrivateKey* key, std::string_view label) asm(
    "__wrap__ZNK6coffer8ethereum10PrivateKey6DeriveB5cxx11ESt17basic_string_viewIcSt11char_"
    "traitsIcEE");
std::string WrapDerive(const ethereum::PrivateKey* key, std::string_view label) {
  std::string secret = RealDerive(key, label);
  VALGRIND_MAKE_MEM_DEFINED(secret.data(), secret.size());
  return secret;
}
}  // namespace coffer::constant_time
