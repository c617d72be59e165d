// Makes KMS's envelopes (enclave_core/kms/cms.h) byte by byte, without OpenSSL's ASN.1: a second
// hand, and one that can make every mistake. Only RSA and AES are OpenSSL's.
#ifndef COFFER_TESTS_UNIT_KMS_ENVELOPE_H_
#define COFFER_TESTS_UNIT_KMS_ENVELOPE_H_

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "invariant/check.h"

namespace coffer::kms {

inline std::string Octets(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}

// Tag, length, content (X.690, 8.1), with the shortest length.
inline std::string Tlv(int tag, const std::string& content) {
  std::string out = Octets({tag});
  const auto size = static_cast<int>(content.size());
  if (size < 128) {
    out += Octets({size});
  } else if (size < 256) {
    out += Octets({0x81, size});
  } else {
    out += Octets({0x82, size >> 8, size & 255});
  }
  return out + content;
}
// The same with an indefinite length (X.690, 8.1.3.6).
inline std::string Open(int tag, const std::string& content) {
  return Octets({tag, 0x80}) + content + Octets({0, 0});
}

inline constexpr int kSequence = 0x30, kSet = 0x31, kInteger = 0x02, kOctetString = 0x04,
                     kOid = 0x06, kContext0 = 0xa0, kContext1 = 0xa1, kContext2 = 0xa2;
inline const std::string kNull = Octets({0x05, 0x00});

// Object identifiers, with their tag: 1.2.840.113549.1.7.3, ...1.7.1, ...1.1.7, ...1.1.8, ...1.1.9,
// ...1.1.1, 2.16.840.1.101.3.4.2.1, 1.3.14.3.2.26, 2.16.840.1.101.3.4.1.42, ...1.2.
inline const std::string kRsadsi = Octets({0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01});
inline const std::string kEnvelopedData = Tlv(kOid, kRsadsi + Octets({7, 3}));
inline const std::string kData = Tlv(kOid, kRsadsi + Octets({7, 1}));
inline const std::string kSignedData = Tlv(kOid, kRsadsi + Octets({7, 2}));
inline const std::string kOaep = Tlv(kOid, kRsadsi + Octets({1, 7}));
inline const std::string kMgf1 = Tlv(kOid, kRsadsi + Octets({1, 8}));
inline const std::string kSpecified = Tlv(kOid, kRsadsi + Octets({1, 9}));
inline const std::string kRsaEncryption = Tlv(kOid, kRsadsi + Octets({1, 1}));
inline const std::string kNist = Octets({0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04});
inline const std::string kSha256 = Tlv(kOid, kNist + Octets({2, 1}));
inline const std::string kSha1 = Tlv(kOid, Octets({0x2b, 0x0e, 0x03, 0x02, 0x1a}));
inline const std::string kAes256Cbc = Tlv(kOid, kNist + Octets({1, 0x2a}));
inline const std::string kAes128Cbc = Tlv(kOid, kNist + Octets({1, 2}));

inline std::string Algorithm(const std::string& oid, const std::string& parameters) {
  return Tlv(kSequence, oid + parameters);
}
inline std::string OaepParameters(const std::string& hash, const std::string& mask_hash,
                                  const std::string& more = "") {
  return Tlv(kSequence, Tlv(kContext0, Algorithm(hash, kNull)) +
                            Tlv(kContext1, Algorithm(kMgf1, Algorithm(mask_hash, kNull))) + more);
}

inline std::string RsaOaep(EVP_PKEY* key, std::string_view secret,
                           const EVP_MD* md = EVP_sha256()) {
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
      EVP_PKEY_CTX_new(key, nullptr), EVP_PKEY_CTX_free);
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
  size_t size = out.size();
  COFFER_CHECK(EVP_PKEY_encrypt_init(context.get()) == 1 &&
                   EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), md) == 1 &&
                   EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md) == 1 &&
                   EVP_PKEY_encrypt(context.get(), reinterpret_cast<unsigned char*>(out.data()),
                                    &size, reinterpret_cast<const unsigned char*>(secret.data()),
                                    secret.size()) == 1,
               "RSA-OAEP");
  return out;
}

// `padded`: with PKCS#7's padding; without it the plaintext has whole blocks.
inline std::string Aes256Cbc(const std::string& key, const std::string& iv,
                             std::string_view plaintext, bool padded = true) {
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  std::string out(plaintext.size() + 16, '\0');
  auto* const to = reinterpret_cast<unsigned char*>(out.data());
  int size = 0, last = 0;
  COFFER_CHECK(EVP_EncryptInit_ex(context.get(), EVP_aes_256_cbc(), nullptr,
                                  reinterpret_cast<const unsigned char*>(key.data()),
                                  reinterpret_cast<const unsigned char*>(iv.data())) == 1 &&
                   EVP_CIPHER_CTX_set_padding(context.get(), padded ? 1 : 0) == 1 &&
                   EVP_EncryptUpdate(context.get(), to, &size,
                                     reinterpret_cast<const unsigned char*>(plaintext.data()),
                                     static_cast<int>(plaintext.size())) == 1 &&
                   EVP_EncryptFinal_ex(context.get(), to + size, &last) == 1,
               "AES-256-CBC");
  out.resize(static_cast<size_t>(size) + static_cast<size_t>(last));
  return out;
}

// An envelope in its parts, each of which a test may replace. `indefinite`: BER as KMS writes it;
// otherwise DER.
struct Envelope {
  Envelope(EVP_PKEY* key, std::string_view plaintext)
      : encrypted_key(RsaOaep(key, content_key)),
        encrypted(Aes256Cbc(content_key, iv, plaintext)) {}

  std::string content_key = std::string(32, 'K');
  std::string iv = std::string(16, 'I');

  std::string type = kEnvelopedData;
  int version = 2;
  std::string originator;  // before the recipients
  int recipient_version = 2;
  std::string identifier = Tlv(0x80, std::string(32, '\x5a'));
  std::string key_algorithm = Algorithm(kOaep, OaepParameters(kSha256, kSha256));
  std::string encrypted_key;
  size_t recipients = 1;
  std::string content_type = kData;
  std::string content_algorithm = Algorithm(kAes256Cbc, Tlv(kOctetString, iv));
  std::string encrypted;
  size_t piece = 1024;     // bytes of the content in one octet string
  std::string attributes;  // after the content
  std::string trailer;     // after everything
  bool indefinite = true;

  std::string Recipient() const {
    return Tlv(kSequence, Tlv(kInteger, Octets({recipient_version})) + identifier + key_algorithm +
                              Tlv(kOctetString, encrypted_key));
  }
  std::string Content() const {
    if (!indefinite) return Tlv(kSequence, content_type + content_algorithm + Tlv(0x80, encrypted));
    std::string pieces;
    for (size_t at = 0; at < encrypted.size(); at += piece) {
      pieces += Tlv(kOctetString, encrypted.substr(at, piece));
    }
    return kms::Open(kSequence, content_type + content_algorithm + kms::Open(kContext0, pieces));
  }
  std::string Bytes() const {
    std::string set;
    for (size_t i = 0; i < recipients; ++i) set += Recipient();
    const std::string inner =
        Tlv(kInteger, Octets({version})) + originator + Tlv(kSet, set) + Content() + attributes;
    if (!indefinite) {
      return Tlv(kSequence, type + Tlv(kContext0, Tlv(kSequence, inner))) + trailer;
    }
    return kms::Open(kSequence, type + kms::Open(kContext0, kms::Open(kSequence, inner))) + trailer;
  }
};

}  // namespace coffer::kms

#endif  // COFFER_TESTS_UNIT_KMS_ENVELOPE_H_
