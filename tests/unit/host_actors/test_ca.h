// Certificates made on the spot: an authority, and a server's key and certificate under it.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_TEST_CA_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_TEST_CA_H_

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>

#include "invariant/check.h"

namespace coffer::host {

struct KeyAndCertificate {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> certificate;
};

inline void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  COFFER_CHECK(extension != nullptr, "a certificate's extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `issuer` null: self-signed, an authority. `names` as in "IP:127.0.0.1,DNS:localhost".
// `valid_seconds` from now, may be negative: then it is over already.
inline KeyAndCertificate MakeCertificate(const std::string& name, const KeyAndCertificate* issuer,
                                         const std::string& names, long valid_seconds = 3600) {
  KeyAndCertificate made;
  made.key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
  made.certificate.reset(X509_new(), X509_free);
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
  X509_gmtime_adj(X509_getm_notAfter(certificate), valid_seconds);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* parent = issuer == nullptr ? certificate : issuer->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(parent));
  if (issuer == nullptr) {
    AddExtension(certificate, parent, NID_basic_constraints, "critical,CA:TRUE");
    AddExtension(certificate, parent, NID_key_usage, "critical,keyCertSign");
  } else {
    AddExtension(certificate, parent, NID_subject_alt_name, names.c_str());
  }
  EVP_PKEY* signer = issuer == nullptr ? made.key.get() : issuer->key.get();
  COFFER_CHECK(X509_sign(certificate, signer, EVP_sha256()) > 0, "a certificate's signature");
  return made;
}

inline void WritePem(const KeyAndCertificate& from, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  COFFER_CHECK(file != nullptr, "a file for a certificate");
  PEM_write_X509(file, from.certificate.get());
  std::fclose(file);
}

inline std::shared_ptr<SSL_CTX> ServerContext(const KeyAndCertificate& own, int max_version) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), own.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), own.key.get());
  if (max_version != 0) {
    // What OpenSSL refuses at its own default level must not decide the test.
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), max_version);
  }
  return context;
}

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_TEST_CA_H_
