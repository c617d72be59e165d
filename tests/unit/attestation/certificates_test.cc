#include "enclave_core/attestation/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/nitro.h"

namespace coffer::attestation {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(Certificates, TheRootOfAwsIsBuiltIn) {
  const Certificate& root = AwsNitroRoot();
  EXPECT_EQ(root.Fingerprint(), kAwsRootFingerprint);
  EXPECT_EQ(root.subject(), "CN=aws.nitro-enclaves,OU=AWS,O=Amazon,C=US");
  EXPECT_EQ(UtcText(root.not_before()), "2019-10-28T13:28:05Z");
  EXPECT_EQ(UtcText(root.not_after()), "2049-10-28T14:28:05Z");
  EXPECT_TRUE(IsP384(root.key()));
}

TEST(Certificates, AreReadFromDerAndPem) {
  const std::string der = NitroChain()[0].der();
  EXPECT_TRUE(Certificate::FromDer(der).ok());
  EXPECT_THAT(Text(Certificate::FromDer(der + "x").status()), HasSubstr("follow its end"));
  EXPECT_FALSE(Certificate::FromDer(der.substr(0, der.size() - 1)).ok());
  EXPECT_FALSE(Certificate::FromDer("").ok());
  EXPECT_FALSE(Certificate::FromDer(std::string(1025, 'x')).ok());
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, NitroChain()[0].x509.get());
  const char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  const std::string pem(bytes, static_cast<size_t>(size));
  BIO_free(bio);
  EXPECT_EQ(Certificate::FromPem(pem).value().der(), der);
  EXPECT_THAT(Text(Certificate::FromPem(pem + pem).status()), HasSubstr("more than one"));
  EXPECT_FALSE(Certificate::FromPem("hello").ok());
}

TEST(Certificates, AProperChainPasses) {
  const std::vector<Certificate> path = PathOf(NitroChain());
  EXPECT_TRUE(CheckChain(path).ok());
  EXPECT_TRUE(CheckUsage(path).ok());
  EXPECT_TRUE(CheckValidity(path, Made()).ok());
  EXPECT_FALSE(CheckChain(Path(path.data(), 1)).ok());
}

TEST(Certificates, ValidityIncludesBothEnds) {
  const std::vector<Certificate> path = PathOf(NitroChain());
  const Certificate& last = path.back();
  EXPECT_TRUE(CheckValidity(path, last.not_before()).ok());
  EXPECT_TRUE(CheckValidity(path, last.not_after()).ok());
  EXPECT_THAT(Text(CheckValidity(path, last.not_before() - absl::Seconds(1))),
              HasSubstr("valid only from 2026-01-02T03:04:02Z"));
  EXPECT_THAT(Text(CheckValidity(path, last.not_after() + absl::Seconds(1))),
              HasSubstr("certificate (CN=i-0123456789abcdef0-enc0123456789abcdef.test) expired"));
  EXPECT_THAT(Text(CheckValidity(path, Made() + absl::Hours(25))), HasSubstr("cabundle[1]"));
}

TEST(Certificates, UsageIsRefusedWithItsReason) {
  using Options = std::vector<CertificateOptions>;
  const struct {
    const char* reason;
    std::function<void(Options&)> alter;
  } cases[] = {
      {"cabundle[2]", [](Options& o) { o[2].constraints = "critical,CA:FALSE"; }},
      {"is no CA", [](Options& o) { o[3].constraints = ""; }},
      {"keyCertSign", [](Options& o) { o[1].usage = "critical,digitalSignature"; }},
      {"has no keyUsage", [](Options& o) { o[1].usage = ""; }},
      {"has no keyUsage", [](Options& o) { o[4].usage = ""; }},
      {"digitalSignature", [](Options& o) { o[4].usage = "keyAgreement"; }},
      {"is a CA", [](Options& o) { o[4].constraints = "critical,CA:TRUE"; }},
      {"allows 1 CAs below", [](Options& o) { o[1].constraints = "critical,CA:TRUE,pathlen:1"; }},
      {"allows 0 CAs below", [](Options& o) { o[2].constraints = "critical,CA:TRUE,pathlen:0"; }},
      {"critical extension", [](Options& o) { o[2].critical_extension = "x"; }},
      {"version 3", [](Options& o) { o[3].version = 0; }},
      {"not on P-384", [](Options& o) { o[4].curve = "P-256"; }},
  };
  for (const auto& one : cases) {
    Options options = NitroOptions();
    one.alter(options);
    const std::vector<Certificate> path = PathOf(IssueAll(options));
    EXPECT_THAT(Text(CheckUsage(path)), HasSubstr(one.reason));
  }
}

TEST(Certificates, ChainsOfOtherKeysAndDigestsAreRefused) {
  std::vector<CertificateOptions> options = NitroOptions();
  options[2].digest = EVP_sha256();
  EXPECT_THAT(Text(CheckChain(PathOf(IssueAll(options)))), HasSubstr("ECDSA and SHA-384"));
  options = NitroOptions();
  options[2].curve = "P-521";
  EXPECT_THAT(Text(CheckChain(PathOf(IssueAll(options)))), HasSubstr("not on P-384"));
  options = NitroOptions();
  options[3].critical_extension = "x";
  EXPECT_THAT(Text(CheckChain(PathOf(IssueAll(options)))), HasSubstr("OpenSSL refuses"));
}

TEST(Certificates, EveryLinkIsChecked) {
  for (size_t i = 1; i < 5; ++i) {
    // Another certificate of the same names, from another root.
    std::vector<Issued> chain = NitroChain();
    chain[i] = IssueAll(NitroOptions())[i];
    EXPECT_THAT(Text(CheckChain(PathOf(chain))), HasSubstr("is not signed by the key of"));
    std::vector<Issued> swapped = NitroChain();
    std::swap(swapped[i], swapped[i - 1]);
    EXPECT_THAT(Text(CheckChain(PathOf(swapped))), HasSubstr("is not issued by"));
  }
}

}  // namespace
}  // namespace coffer::attestation
