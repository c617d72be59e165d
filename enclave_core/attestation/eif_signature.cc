#include "enclave_core/attestation/eif_signature.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/openssl.h"

namespace coffer::attestation {
namespace {

constexpr uint64_t kMaxSignatures = 32;  // one for each register there is
constexpr size_t kMaxName = 64;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the image's signature section ", what));
}

// A byte string, or the array of integers that Rust's serde makes of one.
absl::StatusOr<std::string> ReadBytes(cbor::Reader& reader, size_t max_bytes) {
  const absl::StatusOr<cbor::Type> type = reader.Peek();
  if (!type.ok()) return type.status();
  if (*type == cbor::Type::kBytes) {
    const absl::StatusOr<std::string_view> bytes = reader.Bytes(max_bytes);
    if (!bytes.ok()) return bytes.status();
    return std::string(*bytes);
  }
  absl::StatusOr<cbor::Count> count = reader.Array(max_bytes);
  if (!count.ok()) return count.status();
  std::string out;
  while (true) {
    const absl::StatusOr<bool> more = reader.More(*count);
    if (!more.ok()) return more.status();
    if (!*more) return out;
    const absl::StatusOr<uint64_t> byte = reader.Unsigned();
    if (!byte.ok()) return byte.status();
    if (*byte > 255) {
      return absl::InvalidArgumentError(absl::StrCat("has ", *byte, " where a byte must be"));
    }
    out.push_back(static_cast<char>(*byte));
  }
}

struct PcrSignature {
  std::string certificate, signature;
};

// Exactly the two fields, in any order.
absl::StatusOr<PcrSignature> ReadEntry(cbor::Reader& reader) {
  PcrSignature entry;
  absl::StatusOr<cbor::Count> pairs = reader.Map(2);
  if (!pairs.ok()) return pairs.status();
  while (true) {
    const absl::StatusOr<bool> more = reader.More(*pairs);
    if (!more.ok()) return more.status();
    if (!*more) break;
    const absl::StatusOr<std::string_view> name = reader.Text(kMaxName);
    if (!name.ok()) return name.status();
    std::string* const field = *name == "signing_certificate" ? &entry.certificate
                               : *name == "signature"         ? &entry.signature
                                                              : nullptr;
    if (field == nullptr || !field->empty()) {
      return absl::InvalidArgumentError("has a field that is not known, or one twice");
    }
    absl::StatusOr<std::string> bytes = ReadBytes(reader, kMaxEifSignatureBytes);
    if (!bytes.ok()) return bytes.status();
    *field = *std::move(bytes);
  }
  if (entry.certificate.empty()) {
    return absl::InvalidArgumentError("has an empty signing_certificate or none");
  }
  if (entry.signature.empty()) return absl::InvalidArgumentError("has an empty signature or none");
  return entry;
}

// The first of the list; the others must be well-formed too.
absl::StatusOr<PcrSignature> ReadFirst(std::string_view section) {
  cbor::Reader reader(section);
  absl::StatusOr<cbor::Count> count = reader.Array(kMaxSignatures);
  if (!count.ok()) return count.status();
  PcrSignature first;
  while (true) {
    const absl::StatusOr<bool> more = reader.More(*count);
    if (!more.ok()) return more.status();
    if (!*more) break;
    absl::StatusOr<PcrSignature> entry = ReadEntry(reader);
    if (!entry.ok()) return entry.status();
    if (first.certificate.empty()) first = *std::move(entry);
  }
  if (absl::Status status = reader.End(); !status.ok()) return status;
  if (first.certificate.empty()) return absl::InvalidArgumentError("is an empty list");
  return first;
}

std::string Der(const X509* certificate) {
  std::string der(static_cast<size_t>(std::max(0, i2d_X509(certificate, nullptr))), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &out);
  return der;
}

std::string Subject(const X509* certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  if (text == nullptr ||
      X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) {
    return "";
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return {data, static_cast<size_t>(std::max(0L, size))};
}

// {"register_index": 0, "register_value": `pcr0`}, in any order.
absl::Status CheckPayload(std::string_view payload, std::string_view pcr0) {
  cbor::Reader reader(payload);
  bool index = false, value = false;
  absl::StatusOr<cbor::Count> pairs = reader.Map(2);
  if (!pairs.ok()) return pairs.status();
  while (true) {
    const absl::StatusOr<bool> more = reader.More(*pairs);
    if (!more.ok()) return more.status();
    if (!*more) break;
    const absl::StatusOr<std::string_view> name = reader.Text(kMaxName);
    if (!name.ok()) return name.status();
    if (*name == "register_index" && !index) {
      const absl::StatusOr<uint64_t> number = reader.Unsigned();
      if (!number.ok()) return number.status();
      if (*number != 0)
        return absl::PermissionDeniedError(absl::StrCat("is over PCR", *number, ", not PCR0"));
      index = true;
    } else if (*name == "register_value" && !value) {
      const absl::StatusOr<std::string> bytes = ReadBytes(reader, kPcrBytes);
      if (!bytes.ok()) return bytes.status();
      if (*bytes != pcr0) {
        return absl::PermissionDeniedError(
            absl::StrCat("is over another image, whose PCR0 is ", PcrText(*bytes)));
      }
      value = true;
    } else {
      return absl::InvalidArgumentError("signs a field that is not known, or one twice");
    }
  }
  if (absl::Status status = reader.End(); !status.ok()) return status;
  return index && value
             ? absl::OkStatus()
             : absl::InvalidArgumentError("does not sign register_index and register_value");
}

}  // namespace

absl::StatusOr<EifSignature> ReadEifSignature(const Eif& eif) {
  const std::string_view* const section = eif.Find(EifSectionType::kSignature);
  if (section == nullptr) return absl::NotFoundError("the image is not signed");
  absl::StatusOr<PcrSignature> first = ReadFirst(*section);
  if (!first.ok()) return Wrong(first.status().message());
  const QuietErrors quiet;
  const std::unique_ptr<BIO, decltype(&BIO_free)> pem(
      BIO_new_mem_buf(first->certificate.data(), static_cast<int>(first->certificate.size())),
      &BIO_free);
  const Owned<X509> certificate(
      pem == nullptr ? nullptr : PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Wrong("has a signing_certificate that is no PEM certificate");
  return EifSignature{Der(certificate.get()), Subject(certificate.get()),
                      std::move(first->signature)};
}

absl::Status VerifyEifSignature(const EifSignature& signature, std::string_view pcr0) {
  const QuietErrors quiet;
  const unsigned char* der = Data(signature.certificate_der);
  const Owned<X509> certificate(
      d2i_X509(nullptr, &der, static_cast<long>(signature.certificate_der.size())));
  if (certificate == nullptr) return absl::InvalidArgumentError("is of no certificate");
  const absl::StatusOr<Sign1> message = ParseSign1(signature.cose_sign1);
  if (!message.ok()) return message.status();
  if (absl::Status status = CheckEs384Header(message->protected_header); !status.ok())
    return status;
  EVP_PKEY* const key = X509_get0_pubkey(certificate.get());
  if (key == nullptr)
    return absl::InvalidArgumentError("is of a certificate whose key is not known");
  if (absl::Status status = VerifySign1(*message, key); !status.ok()) return status;
  return CheckPayload(message->payload, pcr0);
}

}  // namespace coffer::attestation
