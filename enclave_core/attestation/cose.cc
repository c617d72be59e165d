#include "enclave_core/attestation/cose.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::attestation {
namespace {

constexpr size_t kScalarBytes = kEs384Bytes / 2;
constexpr int64_t kAlgorithmLabel = 1;  // RFC 9052, section 3.1

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("COSE_Sign1: ", what));
}
absl::Status Wrong(absl::string_view part, const absl::Status& status) {
  return Wrong(absl::StrCat(part, ": ", status.message()));
}

struct FreeSignature {
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, FreeSignature>;

// r || s as the DER that OpenSSL wants; empty when it has no memory.
std::string ToDer(std::string_view raw) {
  BIGNUM* const r = BN_bin2bn(Data(raw), kScalarBytes, nullptr);
  BIGNUM* const s = BN_bin2bn(Data(raw.substr(kScalarBytes)), kScalarBytes, nullptr);
  const EcdsaSignature signature(ECDSA_SIG_new());
  if (r == nullptr || s == nullptr || signature == nullptr ||
      ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return "";
  }
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) return "";
  std::string der(static_cast<size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(signature.get(), &out);
  return der;
}

// The DER of an ECDSA signature as r || s; empty when it is none.
std::string ToRaw(std::string_view der) {
  const unsigned char* in = Data(der);
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size())));
  if (signature == nullptr) return "";
  std::string raw(kEs384Bytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  const int size = static_cast<int>(kScalarBytes);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, size) != size ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kScalarBytes, size) != size) {
    return "";
  }
  return raw;
}

}  // namespace

absl::StatusOr<Sign1> ParseSign1(std::string_view bytes) {
  if (bytes.size() > kMaxSign1Bytes) {
    return Wrong(absl::StrCat(bytes.size(), " bytes; at most ", kMaxSign1Bytes, " are read"));
  }
  cbor::Reader reader(bytes);
  Sign1 message;
  const absl::StatusOr<cbor::Type> first = reader.Peek();
  if (!first.ok()) return Wrong("message", first.status());
  if (*first == cbor::Type::kTag) {
    const absl::StatusOr<uint64_t> tag = reader.Tag();
    if (!tag.ok()) return Wrong("tag", tag.status());
    if (*tag != kSign1Tag) return Wrong(absl::StrCat("the tag is ", *tag, " and not 18"));
    message.tagged = true;
  }
  const absl::StatusOr<cbor::Count> items = reader.Array(4);
  if (!items.ok()) return Wrong("message", items.status());
  if (items->left != 4) return Wrong("the message is not an array of definite length 4");
  const absl::StatusOr<std::string_view> header = reader.Bytes(kMaxProtectedBytes);
  if (!header.ok()) return Wrong("protected header", header.status());
  const absl::StatusOr<cbor::Count> unprotected = reader.Map(0);
  if (!unprotected.ok()) return Wrong("unprotected header", unprotected.status());
  if (unprotected->left != 0) return Wrong("unprotected header: not an empty map");
  const absl::StatusOr<std::string_view> payload = reader.Bytes(kMaxPayloadBytes);
  if (!payload.ok()) return Wrong("payload", payload.status());
  if (payload->empty()) return Wrong("the payload is empty");
  const absl::StatusOr<std::string_view> signature = reader.Bytes(kEs384Bytes);
  if (!signature.ok()) return Wrong("signature", signature.status());
  if (signature->size() != kEs384Bytes) {
    return Wrong(absl::StrCat("the signature has ", signature->size(), " bytes and not 96"));
  }
  if (absl::Status end = reader.End(); !end.ok()) return Wrong("message", end);
  message.protected_header = *header;
  message.payload = *payload;
  message.signature = *signature;
  return message;
}

std::string EncodeSign1(const Sign1& message) {
  cbor::Writer writer;
  if (message.tagged) writer.Tag(kSign1Tag);
  writer.Array(4).Bytes(message.protected_header).Map(0);
  return writer.Bytes(message.payload).Bytes(message.signature).Take();
}

absl::Status CheckEs384Header(std::string_view protected_header) {
  cbor::Reader reader(protected_header);
  const auto wrong = [](const absl::Status& status) { return Wrong("protected header", status); };
  absl::StatusOr<cbor::Count> pairs = reader.Map(1);
  if (!pairs.ok()) return wrong(pairs.status());
  absl::StatusOr<bool> more = reader.More(*pairs);
  if (!more.ok()) return wrong(more.status());
  if (!*more) return Wrong("the protected header names no algorithm");
  const absl::StatusOr<int64_t> label = reader.Integer();
  if (!label.ok()) return wrong(label.status());
  if (*label != kAlgorithmLabel) {
    return Wrong(absl::StrCat("the protected header has the label ", *label, " and not 1, alg"));
  }
  const absl::StatusOr<int64_t> algorithm = reader.Integer();
  if (!algorithm.ok()) return wrong(algorithm.status());
  if (*algorithm != kEs384) {
    return Wrong(absl::StrCat("the algorithm is ", *algorithm, " and not -35, ES384"));
  }
  more = reader.More(*pairs);
  if (!more.ok()) return wrong(more.status());
  if (absl::Status end = reader.End(); !end.ok()) return wrong(end);
  return absl::OkStatus();
}

std::string SignedBytes(const Sign1& message) {
  cbor::Writer writer;
  writer.Array(4).Text("Signature1").Bytes(message.protected_header).Bytes("");
  return writer.Bytes(message.payload).Take();
}

absl::Status VerifySign1(const Sign1& message, EVP_PKEY* key) {
  const QuietErrors quiet;
  if (!IsP384(key)) return absl::PermissionDeniedError("the signing key is not one on P-384");
  if (message.signature.size() != kEs384Bytes) {
    return absl::PermissionDeniedError("the signature has not 96 bytes");
  }
  const std::string der = ToDer(message.signature);
  const std::string signed_bytes = SignedBytes(message);
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool valid =
      !der.empty() && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), Data(der), der.size(), Data(signed_bytes),
                       signed_bytes.size()) == 1;
  if (valid) return absl::OkStatus();
  return absl::PermissionDeniedError("the signature is not one of the certificate's key");
}

absl::StatusOr<Sign1> SignSign1(std::string_view payload, EVP_PKEY* key) {
  const QuietErrors quiet;
  if (!IsP384(key)) return absl::InvalidArgumentError("the signing key is not one on P-384");
  if (payload.empty() || payload.size() > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a payload has 1 to ", kMaxPayloadBytes, " bytes and not ", payload.size()));
  }
  Sign1 message;
  message.protected_header = cbor::Writer().Map(1).Integer(kAlgorithmLabel).Integer(kEs384).Take();
  message.payload = payload;
  const std::string signed_bytes = SignedBytes(message);
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::string der(static_cast<size_t>(EVP_PKEY_get_size(key)), '\0');
  size_t size = der.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha384(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(der.data()), &size,
                     Data(signed_bytes), signed_bytes.size()) != 1) {
    return absl::InternalError("OpenSSL could not sign the attestation document");
  }
  der.resize(size);
  message.signature = ToRaw(der);
  if (message.signature.empty()) return absl::InternalError("OpenSSL made no ECDSA signature");
  return message;
}

}  // namespace coffer::attestation
