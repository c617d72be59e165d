// Development documents: the verifier takes them with their root given by hand, and not without.
#include "enclave_core/attestation/development.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <string>

#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/ephemeral_key.h"
#include "enclave_core/attestation/verify.h"

namespace coffer::attestation {
namespace {

using testing::HasSubstr;

class DevelopmentTest : public testing::Test {
 protected:
  DevelopmentTest() : files_(*MakeDevelopmentRoot(now_ - absl::Hours(1), 365)) {}

  DevelopmentAttester::Options Options() {
    return {files_.secret_pem, digest_, [this] { return now_; }};
  }
  std::unique_ptr<DevelopmentAttester> Make() {
    auto made = DevelopmentAttester::Create(Options());
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  Verification Verified(const std::string& document, bool with_root = true) {
    const Certificate root = *Certificate::FromPem(files_.certificate_pem);
    Expectations expected;
    if (with_root) expected.root = &root;
    expected.at = now_;
    expected.pcrs[0] = {digest_};
    expected.nonce = "nonce";
    expected.max_age = absl::Minutes(1);
    return attestation::Verify(document, expected);
  }
  static Document Read(const std::string& bytes) {
    return *ParseDocument(ParseSign1(bytes)->payload);
  }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  const std::string digest_ = std::string(kPcrBytes, '\x5a');
  DevelopmentRootFiles files_;
};

TEST_F(DevelopmentTest, IsVerifiedWithItsRootAndRefusedWithout) {
  const auto attester = Make();
  EXPECT_EQ(attester->kind(), Kind::kDevelopment);
  const absl::StatusOr<std::string> document = attester->Attest({"user", "nonce", "key"});
  ASSERT_TRUE(document.ok()) << document.status();
  const Verification found = Verified(*document);
  for (const audit::Check& check : found.report.checks) {
    EXPECT_NE(check.outcome, audit::Outcome::kFailed) << check.name << ": " << check.sentence;
  }
  EXPECT_EQ(found.report.ExitCode(), audit::kVerified);
  EXPECT_TRUE(found.development);
  EXPECT_EQ(Verified(*document, false).report.Find("root")->outcome, audit::Outcome::kFailed);
  EXPECT_NE(Verified(*document, false).report.ExitCode(), audit::kVerified);
}

TEST_F(DevelopmentTest, CarriesWhatWasAskedFor) {
  const auto attester = Make();
  Document document = Read(*attester->Attest({"user", "nonce", "key"}));
  EXPECT_EQ(document.user_data, "user");
  EXPECT_EQ(document.nonce, "nonce");
  EXPECT_EQ(document.public_key, "key");
  EXPECT_EQ(document.timestamp_ms, 1'800'000'000'000u);
  EXPECT_EQ(document.module_id, attester->module_id());
  EXPECT_EQ(document.module_id.rfind("dev-", 0), 0u);
  ASSERT_EQ(document.pcrs.size(), 16u);
  EXPECT_EQ(document.pcrs[0], digest_);
  for (const uint8_t i : {uint8_t{1}, uint8_t{2}}) {
    const std::string input = digest_ + static_cast<char>(i);
    std::string expected(kPcrBytes, '\0');
    SHA384(Data(input), input.size(), reinterpret_cast<unsigned char*>(expected.data()));
    EXPECT_EQ(document.pcrs[i], expected);
  }
  EXPECT_EQ(document.pcrs[4], std::string(kPcrBytes, '\0'));
  EXPECT_FALSE(document.IsDebug());
  document = Read(*attester->Attest({}));
  EXPECT_FALSE(document.user_data || document.nonce || document.public_key);
}

TEST_F(DevelopmentTest, FieldsAreBounded) {
  const auto attester = Make();
  for (const Fields& fields :
       {Fields{std::string(513, 'u'), "", ""}, Fields{"", std::string(513, 'n'), ""},
        Fields{"", "", std::string(1025, 'k')}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(attester->Attest(fields).status()));
  }
  EXPECT_TRUE(
      attester->Attest({std::string(512, 'u'), std::string(512, 'n'), std::string(1024, 'k')})
          .ok());
}

TEST_F(DevelopmentTest, ItsCertificateIsRenewedInTime) {
  const auto attester = Make();
  const absl::Time start = now_;
  std::string last;
  int certificates = 0;
  for (; now_ < start + absl::Hours(10); now_ += absl::Minutes(15)) {
    const std::string document = *attester->Attest({"", "nonce", ""});
    ASSERT_EQ(Verified(document).report.ExitCode(), audit::kVerified) << now_;
    const std::string certificate = Read(document).certificate;
    certificates += certificate == last ? 0 : 1;
    last = certificate;
  }
  EXPECT_EQ(certificates, 4);  // every two and a half hours
  // A clock that was set back.
  now_ = start - absl::Minutes(50);
  EXPECT_EQ(Verified(*attester->Attest({"", "nonce", ""})).report.ExitCode(), audit::kVerified);
}

// The key behind a password.
std::string Locked(const std::string& pem) {
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  BIO* out = BIO_new(BIO_s_mem());
  EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), "word", 4, nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string locked(data, static_cast<size_t>(size));
  EVP_PKEY_free(key);
  BIO_free(in);
  BIO_free(out);
  return locked;
}

TEST_F(DevelopmentTest, WhatIsNoRootIsRefusedWithoutItsSecret) {
  const DevelopmentRootFiles other = *MakeDevelopmentRoot(now_, 1);
  const size_t at = files_.secret_pem.find("-----BEGIN CERT");
  const std::string key = files_.secret_pem.substr(0, at);
  struct Case {
    std::string pem, why;
  };
  for (const Case& wrong :
       {Case{"", "no private key"}, Case{files_.certificate_pem, "no private key"},
        Case{key, "no certificate"}, Case{key + other.certificate_pem, "do not belong together"},
        Case{key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
             "the development root"},
        // Locked with a password: nobody is asked for one.
        Case{Locked(key) + files_.certificate_pem, "no private key"}}) {
    DevelopmentAttester::Options options = Options();
    options.secret_pem = wrong.pem;
    const absl::Status refused = DevelopmentAttester::Create(std::move(options)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(wrong.why));
    const std::string secret = key.substr(key.find('\n') + 1, 40);
    EXPECT_EQ(std::string(refused.message()).find(secret), std::string::npos);
  }
  DevelopmentAttester::Options options = Options();
  options.program_digest = "short";
  EXPECT_TRUE(absl::IsInvalidArgument(DevelopmentAttester::Create(std::move(options)).status()));
}

TEST_F(DevelopmentTest, ARootThatIsNotValidNowIsRefused) {
  for (const absl::Duration shift : {-absl::Hours(2), absl::Hours(24 * 366)}) {
    const absl::Time before = now_;
    now_ += shift;
    EXPECT_TRUE(absl::IsFailedPrecondition(DevelopmentAttester::Create(Options()).status()));
    now_ = before;
  }
}

TEST_F(DevelopmentTest, NearItsRootsEndItSaysSoByItself) {
  now_ += absl::Hours(24 * 365 - 3);
  const auto attester = Make();
  now_ += absl::Hours(1);
  const Document document = Read(*attester->Attest({"", "nonce", ""}));
  const Certificate leaf = *Certificate::FromDer(document.certificate);
  EXPECT_LE(leaf.not_after(), attester->root().not_after());
}

TEST(EphemeralKeyTest, ItsPublicHalfIsADerThatFitsADocument) {
  using Type = EphemeralKey::Type;
  for (const auto& [type, bytes] : {std::pair(Type::kRsa2048, 294u), {Type::kP384, 120u}}) {
    const absl::StatusOr<EphemeralKey> key = EphemeralKey::Make(type);
    ASSERT_TRUE(key.ok());
    EXPECT_EQ(key->public_der().size(), bytes);
    const unsigned char* at = Data(key->public_der());
    const Owned<EVP_PKEY> read(
        d2i_PUBKEY(nullptr, &at, static_cast<long>(key->public_der().size())));
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(EVP_PKEY_eq(read.get(), key->key()), 1);
    EXPECT_EQ(EVP_PKEY_bits(read.get()), type == Type::kRsa2048 ? 2048 : 384);
    EXPECT_NE(EphemeralKey::Make(type)->public_der(), key->public_der());
  }
}

}  // namespace
}  // namespace coffer::attestation
