// The check "attestation" of a log: a verified document that names the log's key, and no other.
#include "tools/attest/attested_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <fstream>
#include <string>

#include "absl/strings/escaping.h"
#include "tests/support/nitro.h"
#include "tests/unit/tools/test_log.h"
#include "tools/attest/document_source.h"
#include "tools/attest/ear.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

class AttestedLogTest : public ::testing::Test {
 protected:
  AttestedLogTest() {
    arguments_.document = folder_.path() + "/document";
    arguments_.expectations.root = folder_.path() + "/root.pem";
    arguments_.expectations.pcr0 = {attestation::PcrText(attestation::NitroDocument().pcrs.at(0))};
    BIO* const bio = BIO_new_file(arguments_.expectations.root.c_str(), "w");
    PEM_write_bio_X509(bio, attestation::NitroChain()[0].x509.get());
    BIO_free(bio);
    WriteDocument("payments-signer:unprovisioned;log=" + LogSigner().key().ToString());
  }
  void WriteDocument(const std::string& user_data) {
    attestation::Document document = attestation::NitroDocument();
    document.user_data = user_data;
    std::ofstream(arguments_.document, std::ios::binary) << attestation::SignDocument(document);
  }
  Check Judge(const std::string& key, absl::Duration later = absl::Minutes(1)) {
    return AttestedLog::Read(arguments_, attestation::Made() + later).value().Judge(key);
  }

  TestFolder folder_;
  AttestedLogArguments arguments_;
};

TEST_F(AttestedLogTest, ADocumentThatNamesTheKeyPasses) {
  const Check check = Judge(LogSigner().key().ToString());
  EXPECT_EQ(check.outcome, Outcome::kPassed) << check.sentence;
  EXPECT_EQ(check.name, "attestation");
  EXPECT_THAT(check.sentence, HasSubstr("A DEVELOPMENT DOCUMENT"));
}

TEST_F(AttestedLogTest, AnotherKeyOrALaterTimeOrNoneFails) {
  EXPECT_EQ(Judge(LogSigner('x').key().ToString()).outcome, Outcome::kFailed);
  const Check late = Judge(LogSigner().key().ToString(), absl::Hours(4));
  EXPECT_EQ(late.outcome, Outcome::kFailed);
  EXPECT_THAT(late.sentence, HasSubstr("validity-at: "));
  EXPECT_EQ(Judge("").outcome, Outcome::kUnknown);
  WriteDocument("payments-signer:unprovisioned");
  EXPECT_EQ(Judge(LogSigner().key().ToString()).outcome, Outcome::kFailed);
  arguments_.expectations.pcr0.clear();
  WriteDocument("payments-signer:unprovisioned;log=" + LogSigner().key().ToString());
  EXPECT_EQ(Judge(LogSigner().key().ToString()).outcome, Outcome::kUnknown) << "of which image?";
}

TEST_F(AttestedLogTest, WithoutADocumentItIsSkipped) {
  EXPECT_EQ(AttestedLog().Judge(LogSigner().key().ToString()).outcome, Outcome::kSkipped);
  arguments_.document = folder_.path() + "/missing";
  EXPECT_FALSE(AttestedLog::Read(arguments_, attestation::Made()).ok());
}

TEST_F(AttestedLogTest, ALogWithItIsVerifiedOrNot) {
  MemorySource source;
  source.Publish(Encode(HonestLeaves::Story(300)), LogSigner());
  VerifyLogOptions options = FullOptions(folder_);
  options.attested = AttestedLog::Read(arguments_, attestation::Made()).value();
  const LogVerdict good = VerifyLog(source, options);
  EXPECT_EQ(good.report.ExitCode(), kVerified) << Show(good.report);
  EXPECT_EQ(good.report.Find("attestation")->outcome, Outcome::kPassed);
  WriteDocument("payments-signer:unprovisioned;log=" + LogSigner('x').key().ToString());
  options.attested = AttestedLog::Read(arguments_, attestation::Made()).value();
  EXPECT_EQ(VerifyLog(source, options).report.ExitCode(), kNotVerified);
}

TEST(DocumentSource, TakesEveryFormOfADocument) {
  const std::string bytes = attestation::SignDocument(attestation::NitroDocument());
  const std::string base64 = absl::Base64Escape(bytes);
  EXPECT_EQ(DocumentBytes(bytes).value(), bytes);
  EXPECT_EQ(DocumentBytes(" " + base64 + "\n").value(), bytes);
  EXPECT_EQ(DocumentBytes("{\"document_b64\":\"" + base64 + "\"}").value(), bytes);
  EXPECT_EQ(DocumentBytes("{\"result\":{\"document_b64\":\"" + base64 + "\"}}").value(), bytes);
  for (const char* text : {"", " ", "hello!", "{}", "{", "[]", "{\"document_b64\":\"\"}"}) {
    EXPECT_FALSE(DocumentBytes(text).ok()) << text;
  }
}

TEST(Ear, IsNeverBetterThanWhatWasFound) {
  const attestation::Certificate root = attestation::NitroChain()[0].certificate();
  attestation::Expectations expected;
  expected.root = &root;
  expected.at = attestation::Made();
  const auto status = [&](const attestation::Document& document) {
    const auto json = EarJson(attestation::Verify(attestation::SignDocument(document), expected),
                              expected, expected.at);
    const auto& enclave = json["submods"]["nitro-enclave"];
    return enclave["ear.status"].get<std::string>() + " " +
           enclave["ear.trustworthiness-vector"].dump();
  };
  attestation::Document document = attestation::NitroDocument();
  EXPECT_EQ(status(document),
            "none {\"instance-identity\":0,\"configuration\":2,\"executables\":0,\"hardware\":32}");
  expected.any_image = true;
  EXPECT_THAT(status(document), HasSubstr("warning"));
  expected.pcrs[0] = {std::string(attestation::kPcrBytes, 'x')};
  EXPECT_EQ(status(document),
            "contraindicated "
            "{\"instance-identity\":0,\"configuration\":2,\"executables\":96,\"hardware\":32}");
  expected.root = nullptr;
  EXPECT_THAT(status(document), HasSubstr("\"hardware\":97"));
  document.timestamp_ms = 1;
  EXPECT_EQ(status(document),
            "contraindicated "
            "{\"instance-identity\":99,\"configuration\":99,\"executables\":99,\"hardware\":99}");
}

}  // namespace
}  // namespace coffer::tools
