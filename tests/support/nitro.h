// Attestation documents like those of AWS, made on the spot under a root of the test's own: the
// same five certificates (root, region, zone, instance, enclave), the same fields.
#ifndef COFFER_TESTS_SUPPORT_NITRO_H_
#define COFFER_TESTS_SUPPORT_NITRO_H_

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "enclave_core/attestation/certificates.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/document.h"
#include "invariant/check.h"

namespace coffer::attestation {

// 2026-01-02T03:04:05.678Z.
inline constexpr int64_t kMadeMs = 1767323045678;
inline absl::Time Made() { return absl::FromUnixMillis(kMadeMs); }

struct CertificateOptions {
  std::string name;
  std::string constraints = "critical,CA:TRUE";
  std::string usage = "critical,keyCertSign,cRLSign";
  absl::Duration before = absl::Hours(24);  // its validity, around kMadeMs
  absl::Duration after = absl::Hours(24);
  const char* curve = "P-384";
  const EVP_MD* digest = EVP_sha384();
  std::string critical_extension;  // the value of an extension that nobody knows
  long version = 2;                // 3, as X.509 counts
};

struct Issued {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> x509;

  std::string der() const {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(x509.get(), &bytes);
    COFFER_CHECK(size > 0, "a certificate's DER");
    std::string out(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    return out;
  }
  Certificate certificate() const { return *Certificate::FromDer(der()); }
};

inline void AddExtension(X509* x509, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  COFFER_CHECK(extension != nullptr, "a certificate's extension");
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

// One that OpenSSL knows no meaning of, critical.
inline void AddUnknownExtension(X509* x509, const std::string& value) {
  if (value.empty()) return;
  ASN1_OCTET_STRING* octets = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(octets, Data(value), static_cast<int>(value.size()));
  ASN1_OBJECT* object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
  X509_EXTENSION* extension = X509_EXTENSION_create_by_OBJ(nullptr, object, 1, octets);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OBJECT_free(object);
  ASN1_OCTET_STRING_free(octets);
}

// `issuer` null: self-signed.
inline Issued Issue(const CertificateOptions& options, const Issued* issuer) {
  static long serial = 0;
  Issued made;
  made.key.reset(EVP_EC_gen(options.curve), EVP_PKEY_free);
  made.x509.reset(X509_new(), X509_free);
  X509* const x509 = made.x509.get();
  X509* const parent = issuer == nullptr ? x509 : issuer->x509.get();
  X509_set_version(x509, options.version);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(x509), absl::ToUnixSeconds(Made() - options.before));
  ASN1_TIME_set(X509_getm_notAfter(x509), absl::ToUnixSeconds(Made() + options.after));
  X509_set_pubkey(x509, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, Data(options.name),
                             -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(parent));
  if (options.version == 2) {
    AddExtension(x509, parent, NID_basic_constraints, options.constraints);
    AddExtension(x509, parent, NID_key_usage, options.usage);
    AddUnknownExtension(x509, options.critical_extension);
  }
  EVP_PKEY* const signer = issuer == nullptr ? made.key.get() : issuer->key.get();
  COFFER_CHECK(X509_sign(x509, signer, options.digest) > 0, "a certificate's signature");
  return made;
}

// The options of AWS's five, root first.
inline std::vector<CertificateOptions> NitroOptions() {
  std::vector<CertificateOptions> options(5);
  options[0].name = "test.nitro-enclaves";
  options[0].before = options[0].after = absl::Hours(24 * 365);
  options[1].name = "region.test.nitro-enclaves";
  options[1].constraints = "critical,CA:TRUE,pathlen:2";
  options[2].name = "zone.region.test.nitro-enclaves";
  options[2].constraints = "critical,CA:TRUE,pathlen:1";
  options[3].name = "i-0123456789abcdef0.test.nitro-enclaves";
  options[3].constraints = "critical,CA:TRUE,pathlen:0";
  options[3].usage = "critical,keyCertSign";
  options[4].name = "i-0123456789abcdef0-enc0123456789abcdef.test";
  options[4].constraints = "critical,CA:FALSE";
  options[4].usage = "digitalSignature,nonRepudiation";
  options[4].before = absl::Seconds(3);
  options[4].after = absl::Hours(3);
  return options;
}

// Certificates, each under the one before it.
inline std::vector<Issued> IssueAll(const std::vector<CertificateOptions>& options) {
  std::vector<Issued> chain;
  for (const CertificateOptions& one : options) {
    const Issued made = Issue(one, chain.empty() ? nullptr : &chain.back());
    chain.push_back(made);
  }
  return chain;
}

// The chain that most tests use; made once.
inline const std::vector<Issued>& NitroChain() {
  static const auto* const chain = new std::vector<Issued>(IssueAll(NitroOptions()));
  return *chain;
}

inline std::vector<Certificate> PathOf(const std::vector<Issued>& chain) {
  std::vector<Certificate> path;
  for (const Issued& one : chain) path.push_back(one.certificate());
  return path;
}

inline Document NitroDocument(const std::vector<Issued>& chain = NitroChain()) {
  Document document;
  document.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
  document.timestamp_ms = kMadeMs;
  for (uint32_t i = 0; i < 16; ++i) {
    document.pcrs[i] = std::string(kPcrBytes, static_cast<char>(i < 5 ? 0xa0 + i : 0));
  }
  for (size_t i = 0; i + 1 < chain.size(); ++i) document.cabundle.push_back(chain[i].der());
  document.certificate = chain.back().der();
  document.user_data = "payments-signer:0x00112233445566778899aabbccddeeff00112233";
  document.nonce = "nonce of the test";
  return document;
}

// The document as a module hands it out, signed by the chain's last key.
inline std::string SignPayload(const std::string& payload,
                               const std::vector<Issued>& chain = NitroChain()) {
  return EncodeSign1(*SignSign1(payload, chain.back().key.get()));
}
inline std::string SignDocument(const Document& document,
                                const std::vector<Issued>& chain = NitroChain()) {
  return SignPayload(*EncodeDocument(document), chain);
}

}  // namespace coffer::attestation

#endif  // COFFER_TESTS_SUPPORT_NITRO_H_
