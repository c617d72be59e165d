#include "enclave_core/attestation/certificates.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::attestation {
namespace {

struct FreeX509 {
  void operator()(ASN1_TIME* time) const { ASN1_TIME_free(time); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  // The certificates in it are the caller's.
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
template <typename T>
using Freed = std::unique_ptr<T, FreeX509>;

constexpr size_t kMaxPemBytes = 4 * kMaxCertificateBytes;
constexpr long kVersion3 = 2;  // as X.509 counts

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("certificate: ", what));
}

std::optional<absl::Time> ToTime(const ASN1_TIME* time) {
  const Freed<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (time == nullptr || epoch == nullptr ||
      ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) {
    return std::nullopt;
  }
  return absl::UnixEpoch() + days * absl::Hours(24) + absl::Seconds(seconds);
}

std::string NameText(const X509_NAME* name) {
  const Freed<BIO> bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || name == nullptr ||
      X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    return "?";
  }
  const char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

// "cabundle[1]", and "certificate" for the last.
std::string PlaceOf(size_t index, Path path) {
  return index + 1 == path.size() ? "certificate" : absl::StrCat("cabundle[", index, "]");
}

absl::Status Refused(size_t index, Path path, absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(PlaceOf(index, path), " (", path[index].subject(), ") ", what));
}

// That path[index] is issued by the certificate before it.
absl::Status CheckIssued(size_t index, Path path) {
  const Certificate &child = path[index], &parent = path[index - 1];
  const std::string before = PlaceOf(index - 1, path);
  if (X509_NAME_cmp(X509_get_issuer_name(child.get()), X509_get_subject_name(parent.get())) != 0) {
    return Refused(index, path,
                   absl::StrCat("is not issued by ", before, " but by ",
                                NameText(X509_get_issuer_name(child.get()))));
  }
  // Of its reasons, the key usage is CheckUsage's.
  const int issued = X509_check_issued(parent.get(), child.get());
  if (issued != X509_V_OK && issued != X509_V_ERR_KEYUSAGE_NO_CERTSIGN) {
    return Refused(
        index, path,
        absl::StrCat("is not issued by ", before, ": ", X509_verify_cert_error_string(issued)));
  }
  if (X509_get_signature_nid(child.get()) != NID_ecdsa_with_SHA384) {
    return Refused(index, path, "is not signed with ECDSA and SHA-384");
  }
  if (!IsP384(parent.key())) return Refused(index - 1, path, "has a key that is not on P-384");
  if (X509_verify(child.get(), parent.key()) != 1) {
    return Refused(index, path, absl::StrCat("is not signed by the key of ", before));
  }
  return absl::OkStatus();
}

// OpenSSL's objections, but for those that CheckUsage makes more precisely. It is told to go on
// after each; the first is kept.
int KeepFirstError(int ok, X509_STORE_CTX* context) {
  if (ok == 1) return 1;
  int* const first = static_cast<int*>(X509_STORE_CTX_get_app_data(context));
  const int error = X509_STORE_CTX_get_error(context);
  const bool usage = error == X509_V_ERR_INVALID_CA || error == X509_V_ERR_PATH_LENGTH_EXCEEDED ||
                     error == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
  if (!usage && *first == X509_V_OK) *first = error;
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

// A second opinion on the same path: critical extensions, name constraints, and whatever else
// OpenSSL's verification knows of.
absl::Status AskOpenssl(Path path) {
  const Freed<X509_STORE> store(X509_STORE_new());
  const Freed<STACK_OF(X509)> between(sk_X509_new_null());
  const Freed<X509_STORE_CTX> context(X509_STORE_CTX_new());
  bool ready = store != nullptr && between != nullptr && context != nullptr &&
               X509_STORE_add_cert(store.get(), path[0].get()) == 1;
  for (size_t i = 1; ready && i + 1 < path.size(); ++i) {
    ready = sk_X509_push(between.get(), path[i].get()) > 0;
  }
  if (!ready || X509_STORE_CTX_init(context.get(), store.get(), path[path.size() - 1].get(),
                                    between.get()) != 1) {
    return absl::ResourceExhaustedError("OpenSSL has no memory for the certificates");
  }
  int first = X509_V_OK;
  X509_STORE_CTX_set_app_data(context.get(), &first);
  X509_STORE_CTX_set_verify_cb(context.get(), &KeepFirstError);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
  const int verified = X509_verify_cert(context.get());
  if (verified == 1 && first == X509_V_OK) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("OpenSSL refuses the chain: ", X509_verify_cert_error_string(first)));
}

// What every certificate of the path needs.
absl::Status CheckExtensions(size_t index, Path path) {
  X509* const x509 = path[index].get();
  if (X509_get_version(x509) != kVersion3) return Refused(index, path, "is not X.509 version 3");
  const uint32_t flags = X509_get_extension_flags(x509);
  if ((flags & EXFLAG_INVALID) != 0) return Refused(index, path, "has extensions that are invalid");
  if ((flags & EXFLAG_CRITICAL) != 0) {
    return Refused(index, path, "has a critical extension that is unknown");
  }
  if ((flags & EXFLAG_KUSAGE) == 0) return Refused(index, path, "has no keyUsage");
  if (!IsP384(path[index].key())) return Refused(index, path, "has a key that is not on P-384");
  return absl::OkStatus();
}

absl::Status CheckAuthority(size_t index, Path path) {
  X509* const x509 = path[index].get();
  if ((X509_get_extension_flags(x509) & EXFLAG_CA) == 0) {
    return Refused(index, path, "issues a certificate and is no CA (basicConstraints)");
  }
  if ((X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) == 0) {
    return Refused(index, path, "issues a certificate without keyUsage keyCertSign");
  }
  const long allowed = X509_get_pathlen(x509);
  if (allowed < 0) return absl::OkStatus();
  long below = 0;  // CAs between it and the last; those that name themselves don't count
  for (size_t i = index + 1; i + 1 < path.size(); ++i) {
    if ((X509_get_extension_flags(path[i].get()) & EXFLAG_SI) == 0) ++below;
  }
  if (below <= allowed) return absl::OkStatus();
  return Refused(
      index, path,
      absl::StrCat("allows ", allowed, " CAs below it (pathLenConstraint); ", below, " are there"));
}

}  // namespace

absl::StatusOr<Certificate> Certificate::FromDer(std::string_view der) {
  const QuietErrors quiet;
  if (der.empty() || der.size() > kMaxCertificateBytes) {
    return Wrong(absl::StrCat(der.size(), " bytes; 1 to ", kMaxCertificateBytes, " are allowed"));
  }
  const unsigned char* in = Data(der);
  Certificate certificate;
  certificate.der_ = der;
  certificate.x509_.reset(d2i_X509(nullptr, &in, static_cast<long>(der.size())));
  if (certificate.x509_ == nullptr) return Wrong("is not the DER of an X.509 certificate");
  if (in != Data(der) + der.size()) return Wrong("bytes follow its end");
  const std::optional<absl::Time> from = ToTime(X509_get0_notBefore(certificate.get()));
  const std::optional<absl::Time> to = ToTime(X509_get0_notAfter(certificate.get()));
  if (!from || !to) return Wrong("its validity is no time");
  certificate.not_before_ = *from;
  certificate.not_after_ = *to;
  return certificate;
}

absl::StatusOr<Certificate> Certificate::FromPem(std::string_view pem) {
  const QuietErrors quiet;
  if (pem.size() > kMaxPemBytes) return Wrong("the PEM text is too long");
  const Freed<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr)
    return absl::ResourceExhaustedError("OpenSSL has no memory for a certificate");
  const Owned<X509> read(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (read == nullptr) return Wrong("no PEM text, -----BEGIN CERTIFICATE-----, can be read");
  const Owned<X509> second(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (second != nullptr) return Wrong("the PEM text has more than one; give the root alone");
  const int size = i2d_X509(read.get(), nullptr);
  std::string der(static_cast<size_t>(std::max(size, 0)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  if (size > 0) i2d_X509(read.get(), &out);
  return FromDer(der);
}

std::string Certificate::Fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(get(), EVP_sha256(), digest.data(), &size);
  std::string text = ethereum::ToHex({reinterpret_cast<const char*>(digest.data()), size});
  return absl::AsciiStrToUpper(text.substr(2));
}

std::string Certificate::subject() const { return NameText(X509_get_subject_name(get())); }

EVP_PKEY* Certificate::key() const { return X509_get0_pubkey(get()); }

absl::Status CheckChain(Path path) {
  const QuietErrors quiet;
  if (path.size() < 2) return absl::FailedPreconditionError("there is no chain of certificates");
  for (size_t i = 1; i < path.size(); ++i) {
    if (absl::Status status = CheckIssued(i, path); !status.ok()) return status;
  }
  return AskOpenssl(path);
}

absl::Status CheckValidity(Path path, absl::Time time) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (time >= path[i].not_before() && time <= path[i].not_after()) continue;
    const bool early = time < path[i].not_before();
    return Refused(i, path,
                   early ? absl::StrCat("is valid only from ", UtcText(path[i].not_before()), " on")
                         : absl::StrCat("expired ", UtcText(path[i].not_after())));
  }
  return absl::OkStatus();
}

absl::Status CheckUsage(Path path) {
  const QuietErrors quiet;
  for (size_t i = 0; i < path.size(); ++i) {
    if (absl::Status status = CheckExtensions(i, path); !status.ok()) return status;
    if (i + 1 == path.size()) break;
    if (absl::Status status = CheckAuthority(i, path); !status.ok()) return status;
  }
  X509* const last = path[path.size() - 1].get();
  if ((X509_get_extension_flags(last) & EXFLAG_CA) != 0) {
    return Refused(path.size() - 1, path, "signs the document and is a CA");
  }
  if ((X509_get_key_usage(last) & KU_DIGITAL_SIGNATURE) == 0) {
    return Refused(path.size() - 1, path, "signs the document without keyUsage digitalSignature");
  }
  return absl::OkStatus();
}

std::string UtcText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace coffer::attestation
