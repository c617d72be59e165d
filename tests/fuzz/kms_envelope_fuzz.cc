// KMS's envelopes: what is opened here, OpenSSL's CMS opens as well, to the same plaintext; the
// other way round OpenSSL takes much more.
//
// Input: the envelope, for the key below, which is no secret.
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enclave_core/attestation/openssl.h"
#include "enclave_core/kms/cms.h"
#include "invariant/check.h"

namespace {

namespace kms = coffer::kms;

constexpr char kKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC+AH26Tfu0kB56\n"
    "YKpG9Jf7GqaHmSdOrvM0i7zRoj8cCTJRBgSkfAlp+dM6lABURaWnNfBECpp+ih7y\n"
    "W1igu/Y+3nUthoOvSgAUwXOhx6NUQceeC3zJ00XhsNbZk4buuyxH9xgPGiNd/1Xy\n"
    "dJaETinJDvUVdBxwmwSK7o3JQ4nxxtBS2jyn70Q8So8JdByeQ0p9YdTrWdHgQ7Xc\n"
    "g0T1wK7C9JWSy5JOAxNZ60PArzbWwPxswMjh2CGk/BRDvQno+w6DnpdPqZb9Ggrh\n"
    "G7p37/vpZvJ+bVyq6yni2zgugL8puY685vyN88xst/2WhNnHyTgcUsfzOljmvydL\n"
    "1OBLosd/AgMBAAECggEAVqfer9PVUrrQS7w+rPHtRwcWoI2HUemU3ohE6891vRGs\n"
    "syttfp9bo8vfPL43kDfbn3GITWAQqlnQV3S17UkMvAu1obfR42Z6tvysAkMNCOaf\n"
    "ZkOS/HGxU4fV1ZHlXohbX88gV/Lx4nML/fKSm3ESubJqsQgt2GW7Iqo+XGbDSVM7\n"
    "+Yz+YQcQbCMlQDyNBjEP3Z49h0Xw3+2/bdwhS5W4FLizeQ42PB8D3obS/XPf0RpM\n"
    "uAMmCyS98p1tLYH1pzF8a1xgTs8/RgPC9CGWZeYcyyTz7BO9ES2LAOfiPwwCPyBo\n"
    "DAWZ6DTzT7nOmc7dWkhQ0W0KhnQc2LFb70Yb2sbpEQKBgQDuBBNWng1P1LySDz1e\n"
    "cI/zqPvqTWqEEh6KogFz9RoSMw7xj9H2lBLb/N3n9/8bxmEuM8BRC9ONRqvoJh1P\n"
    "QDygXxEuhxlSFRxEBddw6IyYW2/yGc64x9zh01xLT0REgBxYLlhfkgpL9HGkIT3z\n"
    "jkvFPpAY1TTEu5P17CETvTC10wKBgQDMW68sxBoXu3nDdkAEKcbzshHaMaWT0IVW\n"
    "1/KnzwA8YFbDFimpnY+stE3E/aUUoc1vi55Q1GanUbGxNCgWQflx0YB6uZigrNWZ\n"
    "kS1YsJkRFR5bHno2jwwwrMnFbpcz8T51vmt7NNN12AB5u7wsxWOozyZ2snXZ8nxL\n"
    "qYNLvDWAJQKBgBrdQOWE31HEXChMKgwPvl+tEgnnBP+1H9db47gX0QJ+2s/vAK7J\n"
    "FbvYtZ8qAZQ79toFI07Ce/U1JdAFBUfdozoioMjUnMoD8fXHhwKKbNwBbggwW4HF\n"
    "pSuj9IXXg4gLwac+S+E1lY3vICh7TAfCZtDzd8Ylwlf2KAQYy77zmpzbAoGBAJGO\n"
    "ECRLfOZAcwbkd84/T2SOBacqy2uQDxj+8OfTSbC3UbTcWUplXks9lVLk8qrSYDe9\n"
    "80JRNtigGHdF1fOchCYseV1wSiTPVchuniTYi/2d1CREffnUQ3N77q8ACRRHFRza\n"
    "R0XXJ3J9KkGKlQoygbxf516N1+EnlJ5zm3/bCyQ9AoGAZLfMRYzM91o7BIi6SPWx\n"
    "AW9FLsMOs3N9FxW9VWKXl9B/k7KUGqtlQ9u9e0+w2ZPRh5Y6yY6Pv4G0V7rgyk9d\n"
    "HmkQobozXEe/DRKJInLFtZpcX7rAuSv4Trp2s6xQ449q5Vexaai1Pcqjv+RLeKZN\n"
    "G5lggt2XFK9Y9lPbvO4tjKs=\n"
    "-----END PRIVATE KEY-----\n";

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(CMS_ContentInfo* cms) const { CMS_ContentInfo_free(cms); }
};
template <typename T>
using Freed = std::unique_ptr<T, Free>;

EVP_PKEY* Key() {
  static EVP_PKEY* const key = [] {
    const Freed<BIO> bio(BIO_new_mem_buf(kKey, -1));
    EVP_PKEY* const read = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
    COFFER_CHECK(read != nullptr, "the fuzzer's key");
    return read;
  }();
  return key;
}

std::string ByOpenssl(std::string_view ber) {
  const Freed<BIO> in(BIO_new_mem_buf(ber.data(), static_cast<int>(ber.size())));
  const Freed<BIO> out(BIO_new(BIO_s_mem()));
  const Freed<CMS_ContentInfo> cms(d2i_CMS_bio(in.get(), nullptr));
  COFFER_CHECK(cms != nullptr, "OpenSSL reads what was opened");
  COFFER_CHECK(CMS_decrypt(cms.get(), Key(), nullptr, nullptr, out.get(),
                           CMS_DEBUG_DECRYPT | CMS_BINARY) == 1,
               "OpenSSL opens what was opened");
  const char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view ber(reinterpret_cast<const char*>(data), size);
  const auto opened = kms::OpenEnvelope(ber, Key());
  COFFER_CHECK(ERR_peek_error() == 0, "OpenSSL's queue of errors is left empty");
  if (!opened.ok()) {
    COFFER_CHECK(opened.status().code() == absl::StatusCode::kDataLoss, "a refusal by its shape");
    return 0;
  }
  COFFER_CHECK(opened->size() >= 1 && opened->size() <= kms::kMaxPlaintextBytes, "bounded");
  COFFER_CHECK(opened->view() == ByOpenssl(ber), "one envelope has one content");
  return 0;
}
