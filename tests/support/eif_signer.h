// Signs enclave images as AWS's builder does, with a key and a certificate of the test's own.
#ifndef COFFER_TESTS_SUPPORT_EIF_SIGNER_H_
#define COFFER_TESTS_SUPPORT_EIF_SIGNER_H_

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>
#include <utility>

#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/openssl.h"
#include "invariant/check.h"

namespace coffer::attestation {

// How a byte string is written: as one, or as Rust's serde writes a vector of bytes.
enum class ByteForm { kBytes, kIntegers };

inline void WriteBytes(cbor::Writer& writer, std::string_view bytes, ByteForm form) {
  if (form == ByteForm::kBytes) {
    writer.Bytes(bytes);
    return;
  }
  writer.Array(bytes.size());
  for (const char c : bytes) writer.Unsigned(static_cast<uint8_t>(c));
}

class EifSigner {
 public:
  explicit EifSigner(const char* name, const char* curve = "P-384") : key_(EVP_EC_gen(curve)) {
    const Owned<X509> x509(X509_new());
    X509_set_version(x509.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
    ASN1_TIME_set(X509_getm_notBefore(x509.get()), 0);
    ASN1_TIME_set(X509_getm_notAfter(x509.get()), 1);  // long over: nobody asks here
    X509_set_pubkey(x509.get(), key_.get());
    X509_NAME* const subject = X509_get_subject_name(x509.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, Data(name), -1, -1, 0);
    X509_set_issuer_name(x509.get(), subject);
    COFFER_CHECK(X509_sign(x509.get(), key_.get(), EVP_sha384()) > 0, "a certificate is signed");
    unsigned char* der = nullptr;
    const int size = i2d_X509(x509.get(), &der);
    COFFER_CHECK(size > 0, "a certificate has a DER form");
    der_.assign(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    BIO* const text = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(text, x509.get());
    char* data = nullptr;
    const long length = BIO_get_mem_data(text, &data);
    pem_.assign(data, static_cast<size_t>(length));
    BIO_free(text);
  }

  const std::string& der() const { return der_; }
  const std::string& pem() const { return pem_; }

  // What is signed: {"register_index": index, "register_value": value}.
  static std::string Payload(uint64_t index, std::string_view value, ByteForm form) {
    cbor::Writer writer;
    writer.Map(2).Text("register_index").Unsigned(index).Text("register_value");
    WriteBytes(writer, value, form);
    return writer.Take();
  }
  std::string Sign(std::string_view payload) const {
    return EncodeSign1(SignSign1(payload, key_.get()).value());
  }
  // The data of a signature section with this certificate and message.
  static std::string Section(std::string_view pem, std::string_view cose_sign1, ByteForm form) {
    cbor::Writer writer;
    writer.Array(1).Map(2).Text("signing_certificate");
    WriteBytes(writer, pem, form);
    writer.Text("signature");
    WriteBytes(writer, cose_sign1, form);
    return writer.Take();
  }
  std::string SectionFor(std::string_view pcr0, ByteForm form) const {
    return Section(pem_, Sign(Payload(0, pcr0, form)), form);
  }

 private:
  Owned<EVP_PKEY> key_;
  std::string der_, pem_;
};

}  // namespace coffer::attestation

#endif  // COFFER_TESTS_SUPPORT_EIF_SIGNER_H_
