#include "enclave_core/kms/cms.h"

#include <openssl/asn1.h>
#include <openssl/asn1t.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::kms {
namespace {

constexpr int kVersion = 2;  // of EnvelopedData and of KeyTransRecipientInfo (RFC 5652, 6.1, 6.2.1)
constexpr size_t kAesKeyBytes = 32;
constexpr size_t kAesBlockBytes = 16;
constexpr size_t kMaxIdentifierBytes = 64;

// The structures, for OpenSSL's ASN.1 reader. OpenSSL's own CMS_decrypt is not used: it takes
// envelopes of many more kinds, and leaves plaintext in memory that is not wiped.
struct Recipient {
  int32_t version;
  ASN1_OCTET_STRING* key_identifier;
  X509_ALGOR* algorithm;
  ASN1_OCTET_STRING* encrypted_key;
};
struct Content {
  ASN1_OBJECT* type;
  X509_ALGOR* algorithm;
  ASN1_OCTET_STRING* encrypted;
};
struct Enveloped {
  int32_t version;
  OPENSSL_STACK* recipients;
  Content* content;
};
struct Message {
  ASN1_OBJECT* type;
  Enveloped* enveloped;
};

// NOLINTBEGIN: OpenSSL's macros.
ASN1_SEQUENCE(Recipient) =
    {
        ASN1_EMBED(Recipient, version, INT32),
        ASN1_IMP(Recipient, key_identifier, ASN1_OCTET_STRING, 0),
        ASN1_SIMPLE(Recipient, algorithm, X509_ALGOR),
        ASN1_SIMPLE(Recipient, encrypted_key, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(Recipient)

        ASN1_SEQUENCE(Content) =
            {
                ASN1_SIMPLE(Content, type, ASN1_OBJECT),
                ASN1_SIMPLE(Content, algorithm, X509_ALGOR),
                ASN1_IMP(Content, encrypted, ASN1_OCTET_STRING, 0),
} static_ASN1_SEQUENCE_END(Content)

                ASN1_SEQUENCE(Enveloped) =
                    {
                        ASN1_EMBED(Enveloped, version, INT32),
                        ASN1_SET_OF(Enveloped, recipients, Recipient),
                        ASN1_SIMPLE(Enveloped, content, Content),
} static_ASN1_SEQUENCE_END(Enveloped)

                        ASN1_SEQUENCE(Message) =
                            {
                                ASN1_SIMPLE(Message, type, ASN1_OBJECT),
                                ASN1_EXP(Message, enveloped, Enveloped, 0),
} static_ASN1_SEQUENCE_END(Message)
    // NOLINTEND

    struct Free {
  void operator()(Message* message) const {
    ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(message), ASN1_ITEM_rptr(Message));
  }
  void operator()(RSA_OAEP_PARAMS* params) const { RSA_OAEP_PARAMS_free(params); }
  void operator()(X509_ALGOR* algorithm) const { X509_ALGOR_free(algorithm); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
template <typename T>
using Freed = std::unique_ptr<T, Free>;

absl::Status Wrong(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("KMS's envelope (CMS): ", what));
}

absl::Status DoesNotOpen() { return Wrong("does not open with the key that was attested"); }

std::string_view View(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

bool IsAlgorithm(const X509_ALGOR* algorithm, int nid) {
  return algorithm != nullptr && OBJ_obj2nid(algorithm->algorithm) == nid;
}

// Without parameters, or with NULL for them: both are in use (RFC 8017, A.2.1).
bool IsSha256(const X509_ALGOR* algorithm) {
  return IsAlgorithm(algorithm, NID_sha256) &&
         (algorithm->parameter == nullptr || algorithm->parameter->type == V_ASN1_NULL);
}

// The algorithm's parameters, when they are the sequence that `item` describes.
void* UnpackParameters(const X509_ALGOR* algorithm, const ASN1_ITEM* item) {
  const ASN1_TYPE* const parameter = algorithm->parameter;
  if (parameter == nullptr || parameter->type != V_ASN1_SEQUENCE) return nullptr;
  return ASN1_item_unpack(parameter->value.sequence, item);
}

// RFC 8017, A.2.1. What is left out would mean SHA-1, so both hashes must be there.
bool IsOaepSha256(const X509_ALGOR* algorithm) {
  if (!IsAlgorithm(algorithm, NID_rsaesOaep)) return false;
  const Freed<RSA_OAEP_PARAMS> params(
      static_cast<RSA_OAEP_PARAMS*>(UnpackParameters(algorithm, ASN1_ITEM_rptr(RSA_OAEP_PARAMS))));
  if (params == nullptr || !IsSha256(params->hashFunc) ||
      !IsAlgorithm(params->maskGenFunc, NID_mgf1)) {
    return false;
  }
  const Freed<X509_ALGOR> mask_hash(
      static_cast<X509_ALGOR*>(UnpackParameters(params->maskGenFunc, ASN1_ITEM_rptr(X509_ALGOR))));
  if (!IsSha256(mask_hash.get())) return false;
  if (params->pSourceFunc == nullptr) return true;
  const ASN1_TYPE* const label = params->pSourceFunc->parameter;
  return IsAlgorithm(params->pSourceFunc, NID_pSpecified) && label != nullptr &&
         label->type == V_ASN1_OCTET_STRING && View(label->value.octet_string).empty();
}

absl::Status CheckRecipient(const Recipient& recipient, EVP_PKEY* key) {
  if (recipient.version != kVersion) return Wrong("its recipient is not of version 2");
  const size_t identifier = View(recipient.key_identifier).size();
  if (identifier == 0 || identifier > kMaxIdentifierBytes) {
    return Wrong("its recipient's key identifier is none");
  }
  if (!IsOaepSha256(recipient.algorithm)) {
    return Wrong("its key is not encrypted with RSAES-OAEP and SHA-256");
  }
  if (View(recipient.encrypted_key).size() != static_cast<size_t>(EVP_PKEY_get_size(key))) {
    return Wrong("its encrypted key has not the size of the key that was attested");
  }
  return absl::OkStatus();
}

absl::Status CheckContent(const Content& content) {
  if (OBJ_obj2nid(content.type) != NID_pkcs7_data) return Wrong("its content is not data");
  const ASN1_TYPE* const iv = content.algorithm->parameter;
  if (!IsAlgorithm(content.algorithm, NID_aes_256_cbc) || iv == nullptr ||
      iv->type != V_ASN1_OCTET_STRING || View(iv->value.octet_string).size() != kAesBlockBytes) {
    return Wrong("its content is not encrypted with AES-256-CBC");
  }
  const size_t size = View(content.encrypted).size();
  if (size == 0 || size % kAesBlockBytes != 0 || size > kMaxPlaintextBytes + kAesBlockBytes) {
    return Wrong("its content has a length that is none of KMS's");
  }
  return absl::OkStatus();
}

absl::StatusOr<Freed<Message>> Read(std::string_view ber, EVP_PKEY* key) {
  if (ber.empty() || ber.size() > kMaxEnvelopeBytes) return Wrong("its size is none of KMS's");
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
    return absl::InvalidArgumentError("the key to open KMS's envelope with is not an RSA key");
  }
  const unsigned char* in = attestation::Data(ber);
  Freed<Message> message(reinterpret_cast<Message*>(
      ASN1_item_d2i(nullptr, &in, static_cast<long>(ber.size()), ASN1_ITEM_rptr(Message))));
  if (message == nullptr) return Wrong("has not the structure of one for an attested key");
  if (in != attestation::Data(ber) + ber.size()) return Wrong("bytes follow its end");
  if (OBJ_obj2nid(message->type) != NID_pkcs7_enveloped) return Wrong("is not EnvelopedData");
  const Enveloped& enveloped = *message->enveloped;
  if (enveloped.version != kVersion) return Wrong("is not of version 2");
  if (OPENSSL_sk_num(enveloped.recipients) != 1) return Wrong("has not exactly one recipient");
  const auto* const recipient =
      static_cast<const Recipient*>(OPENSSL_sk_value(enveloped.recipients, 0));
  if (absl::Status status = CheckRecipient(*recipient, key); !status.ok()) return status;
  if (absl::Status status = CheckContent(*enveloped.content); !status.ok()) return status;
  return message;
}

// RSAES-OAEP (RFC 8017, 7.1.2) of the key that the content is encrypted with.
absl::StatusOr<ethereum::SecretBytes> DecryptKey(std::string_view encrypted, EVP_PKEY* key) {
  const Freed<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key, nullptr));
  // OpenSSL wants room for a whole modulus.
  absl::StatusOr<ethereum::SecretBytes> room = ethereum::SecretBytes::Create(encrypted.size());
  if (!room.ok()) return room;
  size_t size = room->size();
  if (context == nullptr || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_decrypt(context.get(), room->data().data(), &size, attestation::Data(encrypted),
                       encrypted.size()) != 1 ||
      size != kAesKeyBytes) {
    return DoesNotOpen();
  }
  return ethereum::SecretBytes::CopyOf(room->view().substr(0, size));
}

absl::StatusOr<ethereum::SecretBytes> DecryptContent(std::string_view encrypted,
                                                     std::string_view iv,
                                                     const ethereum::SecretBytes& key) {
  const Freed<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  absl::StatusOr<ethereum::SecretBytes> room =
      ethereum::SecretBytes::Create(encrypted.size() + kAesBlockBytes);
  if (!room.ok()) return room;
  unsigned char* const out = room->data().data();
  int size = 0, last = 0;
  if (context == nullptr ||
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_cbc(), nullptr, key.data().data(),
                         attestation::Data(iv)) != 1 ||
      EVP_DecryptUpdate(context.get(), out, &size, attestation::Data(encrypted),
                        static_cast<int>(encrypted.size())) != 1 ||
      EVP_DecryptFinal_ex(context.get(), out + size, &last) != 1 || size + last == 0) {
    return DoesNotOpen();
  }
  const size_t whole = static_cast<size_t>(size) + static_cast<size_t>(last);
  return ethereum::SecretBytes::CopyOf(room->view().substr(0, whole));
}

}  // namespace

absl::StatusOr<ethereum::SecretBytes> OpenEnvelope(std::string_view ber, EVP_PKEY* key) {
  const attestation::QuietErrors quiet;
  const absl::StatusOr<Freed<Message>> message = Read(ber, key);
  if (!message.ok()) return message.status();
  const Enveloped& enveloped = *(*message)->enveloped;
  const auto* const recipient =
      static_cast<const Recipient*>(OPENSSL_sk_value(enveloped.recipients, 0));
  const absl::StatusOr<ethereum::SecretBytes> content_key =
      DecryptKey(View(recipient->encrypted_key), key);
  if (!content_key.ok()) return content_key.status();
  const Content& content = *enveloped.content;
  return DecryptContent(View(content.encrypted),
                        View(content.algorithm->parameter->value.octet_string), *content_key);
}

}  // namespace coffer::kms
