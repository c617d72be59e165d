#include "enclave_core/attestation/development.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::attestation {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeExtension {
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};

constexpr char kCurve[] = "P-384";
constexpr uint32_t kPcrsOfADocument = 16;  // what a module writes of its 32

absl::Status OpensslFailed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("OpenSSL could not ", what));
}

absl::StatusOr<std::string> PublicDer(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return OpensslFailed("write a public key");
  std::string out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string Sha(std::string_view data) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(Data(data), data.size(), reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// What a certificate to be made says.
struct Wanted {
  std::string name;  // its subject's CN
  EVP_PKEY* key = nullptr;
  absl::Time not_before, not_after;
  X509* issuer = nullptr;  // null: itself
  EVP_PKEY* issuer_key = nullptr;
  std::vector<std::pair<int, std::string>> extensions = {};  // NID and OpenSSL's text of it
};

bool SetName(X509* certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, Data(name),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

bool AddExtensions(X509* certificate, X509* issuer, const Wanted& wanted) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& [nid, text] : wanted.extensions) {
    const std::unique_ptr<X509_EXTENSION, FreeExtension> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()));
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) return false;
  }
  return true;
}

// A serial number that no other key of this issuer has: from the key's hash, positive, 16 bytes.
bool SetSerial(X509* certificate, std::string_view public_der) {
  std::string bytes = Sha(public_der).substr(0, 16);
  bytes[0] = static_cast<char>((static_cast<uint8_t>(bytes[0]) & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(Data(bytes), static_cast<int>(bytes.size()), nullptr);
  const bool set = number != nullptr &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

absl::StatusOr<Owned<X509>> MakeCertificate(const Wanted& wanted) {
  const absl::StatusOr<std::string> public_der = PublicDer(wanted.key);
  if (!public_der.ok()) return public_der.status();
  Owned<X509> made(X509_new());
  if (made == nullptr) return OpensslFailed("make a certificate");
  X509* const issuer = wanted.issuer == nullptr ? made.get() : wanted.issuer;
  const bool filled =
      X509_set_version(made.get(), X509_VERSION_3) == 1 && SetSerial(made.get(), *public_der) &&
      SetName(made.get(), wanted.name) &&
      X509_set_issuer_name(made.get(), X509_get_subject_name(issuer)) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(made.get()), absl::ToTimeT(wanted.not_before)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(made.get()), absl::ToTimeT(wanted.not_after)) != nullptr &&
      X509_set_pubkey(made.get(), wanted.key) == 1 && AddExtensions(made.get(), issuer, wanted) &&
      X509_sign(made.get(), wanted.issuer_key, EVP_sha384()) != 0;
  if (!filled) return OpensslFailed("make a certificate");
  return made;
}

absl::StatusOr<std::string> Der(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return OpensslFailed("write a certificate");
  std::string out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// OpenSSL would ask the terminal for the password of an encrypted key.
int NoPassword(char*, int, int, void*) { return 0; }

Owned<EVP_PKEY> ReadKey(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Owned<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
}

absl::Status NotARoot(absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the development root: ", why,
                   "; wanted is the file with its private key and certificate that coffer dev-root "
                   "writes"));
}

}  // namespace

absl::StatusOr<DevelopmentRootFiles> MakeDevelopmentRoot(absl::Time now, int days) {
  const QuietErrors quiet;
  const Owned<EVP_PKEY> key(EVP_EC_gen(kCurve));
  if (key == nullptr) return OpensslFailed("make a key");
  Wanted wanted;
  wanted.name = kDevelopmentRootName;
  wanted.key = wanted.issuer_key = key.get();
  wanted.not_before = now;
  wanted.not_after = now + absl::Hours(24) * days;
  wanted.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                       {NID_key_usage, "critical,keyCertSign,cRLSign"},
                       {NID_subject_key_identifier, "hash"}};
  const absl::StatusOr<Owned<X509>> root = MakeCertificate(wanted);
  if (!root.ok()) return root.status();
  const Bio certificate(BIO_new(BIO_s_mem())), secret(BIO_new(BIO_s_secmem()));
  if (certificate == nullptr || secret == nullptr ||
      PEM_write_bio_X509(certificate.get(), root->get()) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return OpensslFailed("write a root");
  }
  DevelopmentRootFiles files;
  files.certificate_pem = Text(certificate.get());
  files.secret_pem = Text(secret.get()) + files.certificate_pem;
  return files;
}

absl::StatusOr<std::unique_ptr<DevelopmentAttester>> DevelopmentAttester::Create(Options options) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  const QuietErrors quiet;
  if (options.program_digest.size() != kPcrBytes) {
    return absl::InvalidArgumentError("the digest of the program must have 48 bytes (SHA-384)");
  }
  Owned<EVP_PKEY> key = ReadKey(options.secret_pem);
  if (key == nullptr) return NotARoot("there is no private key in it");
  if (!IsP384(key.get())) return NotARoot("its key is not on P-384");
  const size_t at = options.secret_pem.find(kBegin);
  if (at == std::string::npos) return NotARoot("there is no certificate in it");
  absl::StatusOr<Certificate> root =
      Certificate::FromPem(std::string_view(options.secret_pem).substr(at));
  if (!root.ok()) return NotARoot(root.status().message());
  OPENSSL_cleanse(options.secret_pem.data(), options.secret_pem.size());
  options.secret_pem.clear();
  if (X509_check_private_key(root->get(), key.get()) != 1) {
    return NotARoot("its key and its certificate do not belong together");
  }
  if (X509_check_ca(root->get()) != 1) return NotARoot("its certificate is not that of a CA");
  const absl::Time now = options.clock();
  if (now < root->not_before() || now > root->not_after()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the development root is valid from ",
        absl::FormatTime(root->not_before(), absl::UTCTimeZone()), " to ",
        absl::FormatTime(root->not_after(), absl::UTCTimeZone()), ", and it is ",
        absl::FormatTime(now, absl::UTCTimeZone()), "; make another (coffer dev-root)"));
  }
  std::unique_ptr<DevelopmentAttester> made(
      new DevelopmentAttester(std::move(key), *std::move(root), std::move(options)));
  if (absl::Status s = made->Renew(now); !s.ok()) return s;
  return made;
}

absl::Status DevelopmentAttester::Renew(absl::Time now) {
  Owned<EVP_PKEY> key(EVP_EC_gen(kCurve));
  if (key == nullptr) return OpensslFailed("make a key");
  if (module_id_.empty()) {
    const absl::StatusOr<std::string> public_der = PublicDer(key.get());
    if (!public_der.ok()) return public_der.status();
    module_id_ = absl::StrCat(kDevelopmentModulePrefix,
                              ethereum::ToHex(Sha(*public_der).substr(0, 8)).substr(2));
  }
  Wanted wanted;
  wanted.name = module_id_;
  wanted.key = key.get();
  // From a little before, for a verifier whose clock is behind.
  wanted.not_before = std::max(root_.not_before(), now - absl::Minutes(1));
  wanted.not_after = std::min(root_.not_after(), now + kLeafLife);
  wanted.issuer = root_.get();
  wanted.issuer_key = root_key_.get();
  wanted.extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                       {NID_key_usage, "critical,digitalSignature"},
                       {NID_subject_key_identifier, "hash"},
                       {NID_authority_key_identifier, "keyid"}};
  const absl::StatusOr<Owned<X509>> leaf = MakeCertificate(wanted);
  if (!leaf.ok()) return leaf.status();
  absl::StatusOr<std::string> der = Der(leaf->get());
  if (!der.ok()) return der.status();
  leaf_ = *std::move(der);
  leaf_key_ = std::move(key);
  good_from_ = wanted.not_before;
  renew_at_ = now + kLeafLife - kRenewBefore;
  return absl::OkStatus();
}

absl::StatusOr<std::string> DevelopmentAttester::Attest(const Fields& fields) {
  const QuietErrors quiet;
  if (absl::Status s = CheckFields(fields); !s.ok()) return s;
  const absl::Time now = options_.clock();
  if (now < good_from_ || now >= renew_at_) {
    if (absl::Status s = Renew(now); !s.ok()) return s;
  }
  const auto field = [](const std::string& value) {
    return value.empty() ? std::nullopt : std::optional<std::string>(value);
  };
  Document document;
  document.module_id = module_id_;
  document.timestamp_ms = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToUnixMillis(now)));
  for (uint32_t i = 0; i < kPcrsOfADocument; ++i) document.pcrs[i] = std::string(kPcrBytes, '\0');
  document.pcrs[0] = options_.program_digest;
  for (const uint8_t i : {uint8_t{1}, uint8_t{2}}) {
    const std::string input = options_.program_digest + static_cast<char>(i);
    SHA384(Data(input), input.size(), reinterpret_cast<unsigned char*>(document.pcrs[i].data()));
  }
  document.certificate = leaf_;
  document.cabundle = {root_.der()};
  document.user_data = field(fields.user_data);
  document.nonce = field(fields.nonce);
  document.public_key = field(fields.public_key);
  const absl::StatusOr<std::string> payload = EncodeDocument(document);
  if (!payload.ok()) return payload.status();
  const absl::StatusOr<Sign1> message = SignSign1(*payload, leaf_key_.get());
  if (!message.ok()) return message.status();
  return EncodeSign1(*message);
}

}  // namespace coffer::attestation
