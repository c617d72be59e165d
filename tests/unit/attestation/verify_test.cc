// Documents under a root of the test's own, right and altered: the check that must fail does.
#include "enclave_core/attestation/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/cose.h"
#include "tests/support/nitro.h"

namespace coffer::attestation {
namespace {

using audit::Outcome;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string Pcr(int byte) { return std::string(kPcrBytes, static_cast<char>(byte)); }

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() : root_(NitroChain()[0].certificate()) {
    expected_.root = &root_;
    expected_.at = Made() + absl::Minutes(1);
    expected_.pcrs[0] = {Pcr(0xa0)};
  }

  // The names of the checks that failed, in order.
  static std::vector<std::string> Failures(const Verification& found) {
    std::vector<std::string> names;
    for (const audit::Check& check : found.report.checks) {
      if (check.outcome == Outcome::kFailed) names.push_back(check.name);
    }
    return names;
  }
  std::vector<std::string> FailuresOf(const std::string& bytes) const {
    return Failures(Verify(bytes, expected_));
  }
  std::string Sentence(const std::string& bytes, const std::string& check) const {
    const Verification found = Verify(bytes, expected_);
    const audit::Check* const one = found.report.Find(check);
    return one == nullptr ? "no such check" : one->sentence;
  }

  const Certificate root_;
  Expectations expected_;
};

TEST_F(VerifyTest, VerifiesAtItsTime) {
  const Verification found = Verify(SignDocument(NitroDocument()), expected_);
  EXPECT_THAT(Failures(found), IsEmpty());
  EXPECT_EQ(found.report.ExitCode(), audit::kVerified);
  EXPECT_TRUE(found.development);
  EXPECT_EQ(found.root_fingerprint, root_.Fingerprint());
  EXPECT_THAT(found.report.Find("root")->sentence, HasSubstr("A DEVELOPMENT DOCUMENT"));
  std::vector<std::string> names;
  for (const audit::Check& check : found.report.checks) names.push_back(check.name);
  EXPECT_THAT(names,
              ElementsAre("cose", "algorithm", "fields", "root", "chain", "usage", "validity",
                          "validity-at", "signature", "debug", "image", "pcr0", "pcr1", "pcr2",
                          "pcr3", "pcr4", "pcr8", "nonce", "age", "address", "policy", "log"));
}

TEST_F(VerifyTest, FailsOutsideItsTime) {
  expected_.at = Made() + absl::Hours(3) + absl::Seconds(1);
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument())), ElementsAre("validity-at"));
  expected_.at = Made() - absl::Seconds(4);
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument())), ElementsAre("validity-at"));
  expected_.at = Made() - absl::Minutes(2);
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument())), ElementsAre("validity-at", "age"));
  // A time that the signer's certificate does not cover, though it was signed.
  expected_.at = Made();
  Document old = NitroDocument();
  old.timestamp_ms -= 10'000;
  EXPECT_THAT(FailuresOf(SignDocument(old)), ElementsAre("validity"));
}

TEST_F(VerifyTest, ADevelopmentDocumentNeedsItsRootGiven) {
  expected_.root = nullptr;
  const Verification found = Verify(SignDocument(NitroDocument()), expected_);
  EXPECT_THAT(Failures(found), ElementsAre("root"));
  EXPECT_THAT(found.report.Find("root")->sentence, HasSubstr(std::string(kAwsRootFingerprint)));
  EXPECT_TRUE(found.development);
}

TEST_F(VerifyTest, AnotherRootOfTheSameNameIsRefused) {
  const std::vector<Issued> other = IssueAll(NitroOptions());
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument(other), other)), ElementsAre("root"));
  // The right root in front of a chain that is not its own.
  Document document = NitroDocument(other);
  document.cabundle[0] = NitroChain()[0].der();
  EXPECT_THAT(FailuresOf(SignDocument(document, other)), ElementsAre("chain"));
}

TEST_F(VerifyTest, AnotherOrderOfTheBundleIsRefused) {
  Document document = NitroDocument();
  std::swap(document.cabundle[1], document.cabundle[2]);
  EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("chain"));
  EXPECT_THAT(Sentence(SignDocument(document), "chain"), HasSubstr("cabundle[1]"));
  document = NitroDocument();
  std::reverse(document.cabundle.begin(), document.cabundle.end());
  EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("root"));
  EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("chain"));
}

TEST_F(VerifyTest, AShorterOrRepeatedBundleIsRefused) {
  for (size_t drop = 1; drop < 4; ++drop) {
    Document document = NitroDocument();
    document.cabundle.erase(document.cabundle.begin() + static_cast<std::ptrdiff_t>(drop));
    EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("chain"));
  }
  Document document = NitroDocument();
  document.cabundle.push_back(document.cabundle.back());
  EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("chain"));
}

TEST_F(VerifyTest, ALongerChainIsRefused) {
  // The enclave's certificate issues another one.
  std::vector<CertificateOptions> options = NitroOptions();
  CertificateOptions more = options[4];
  more.name = "more";
  std::vector<Issued> chain = NitroChain();
  chain.push_back(Issue(more, &chain.back()));
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument(chain), chain)), Contains("usage"));
  // A CA too many, under path lengths that don't allow it.
  options.insert(options.begin() + 4, options[3]);
  options[4].name = "one too many";
  const std::vector<Issued> longer = IssueAll(options);
  const Certificate root = longer[0].certificate();
  expected_.root = &root;
  const std::string bytes = SignDocument(NitroDocument(longer), longer);
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("usage"));
  EXPECT_THAT(Sentence(bytes, "usage"), HasSubstr("pathLenConstraint"));
}

TEST_F(VerifyTest, ASwappedCertificateIsRefused) {
  // Another enclave's certificate under the same instance: the chain is right, the signature is
  // not.
  std::vector<Issued> chain = NitroChain();
  const Issued other = Issue(NitroOptions()[4], &chain[3]);
  Document document = NitroDocument();
  document.certificate = other.der();
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("signature"));
  document = NitroDocument();
  document.certificate = "no certificate";
  const Verification found = Verify(SignDocument(document), expected_);
  EXPECT_THAT(Failures(found), ElementsAre("chain"));
  EXPECT_EQ(found.report.Find("signature")->outcome, Outcome::kUnknown);
}

TEST_F(VerifyTest, AnotherAlgorithmIsRefused) {
  Sign1 message = *SignSign1(*EncodeDocument(NitroDocument()), NitroChain().back().key.get());
  message.protected_header = cbor::Writer().Map(1).Integer(1).Integer(-7).Take();
  EXPECT_THAT(FailuresOf(EncodeSign1(message)), ElementsAre("algorithm", "signature"));
  EXPECT_THAT(Sentence(EncodeSign1(message), "algorithm"), HasSubstr("-7"));
}

TEST_F(VerifyTest, ATagIsAllowedAndOthersAreNot) {
  const std::string bytes = SignDocument(NitroDocument());
  EXPECT_THAT(FailuresOf("\xd2" + bytes), IsEmpty());
  EXPECT_THAT(FailuresOf("\xd1" + bytes), ElementsAre("cose"));
  EXPECT_THAT(FailuresOf("\xd2\xd2" + bytes), ElementsAre("cose"));
}

TEST_F(VerifyTest, TrailingBytesAreRefused) {
  EXPECT_THAT(FailuresOf(SignDocument(NitroDocument()) + '\0'), ElementsAre("cose"));
  EXPECT_THAT(FailuresOf(SignPayload(*EncodeDocument(NitroDocument()) + '\xf6')),
              ElementsAre("fields"));
}

TEST_F(VerifyTest, WhatCannotBeReadIsUnknownBesideTheFailure) {
  expected_.nonce = "x";
  for (const std::string& bytes : {std::string(), std::string("\x84"), std::string("hello")}) {
    const Verification found = Verify(bytes, expected_);
    EXPECT_THAT(Failures(found), ElementsAre("cose"));
    EXPECT_EQ(found.report.ExitCode(), audit::kNotVerified);
    EXPECT_EQ(found.report.Find("signature")->outcome, Outcome::kUnknown);
    EXPECT_EQ(found.report.Find("nonce")->outcome, Outcome::kUnknown);
    EXPECT_EQ(found.report.Find("pcr0")->outcome, Outcome::kUnknown);
    EXPECT_EQ(found.report.Find("address")->outcome, Outcome::kSkipped);
  }
}

TEST_F(VerifyTest, PcrsAreComparedWithAllThatAreAllowed) {
  const std::string bytes = SignDocument(NitroDocument());
  expected_.pcrs[0] = {Pcr(1), Pcr(0xa0)};
  expected_.pcrs[4] = {Pcr(0xa4)};
  expected_.pcrs[7] = {Pcr(0)};
  EXPECT_THAT(FailuresOf(bytes), IsEmpty());
  expected_.pcrs[0] = {Pcr(1), Pcr(2)};
  expected_.pcrs[8] = {Pcr(9)};
  expected_.pcrs[31] = {Pcr(0)};
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("pcr0", "pcr8", "pcr31"));
}

TEST_F(VerifyTest, NobodySaidWhichImage) {
  expected_.pcrs.clear();
  const std::string bytes = SignDocument(NitroDocument());
  EXPECT_EQ(Verify(bytes, expected_).report.ExitCode(), audit::kCouldNotTell);
  expected_.pcrs[4] = {Pcr(0xa4)};  // which machine, not which image
  EXPECT_EQ(Verify(bytes, expected_).report.ExitCode(), audit::kCouldNotTell);
  expected_.any_image = true;
  EXPECT_EQ(Verify(bytes, expected_).report.ExitCode(), audit::kVerified);
}

TEST_F(VerifyTest, AReleaseIsMetAsAWholeAndInItsTime) {
  const std::string bytes = SignDocument(NitroDocument());
  Measurements measurements;
  measurements.releases.resize(2);
  Release& old = measurements.releases[0];
  old.name = "old";
  old.pcrs = {Pcr(0xa0), Pcr(0xa1), Pcr(0), {}};
  Release& current = measurements.releases[1];
  current.name = "current";
  current.pcrs = {Pcr(0xa0), Pcr(0xa1), Pcr(0xa2), {}};
  current.from = Made();
  expected_.pcrs.clear();
  expected_.measurements = &measurements;
  EXPECT_THAT(FailuresOf(bytes), IsEmpty());
  EXPECT_THAT(Sentence(bytes, "image"), HasSubstr("current"));
  current.until = expected_.at;
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("image"));
  measurements.releases.pop_back();
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("image"));
  measurements.releases.clear();
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("image"));
}

TEST_F(VerifyTest, DebugModeIsRefusedUnlessAllowed) {
  Document document = NitroDocument();
  for (uint32_t i = 0; i < 3; ++i) document.pcrs[i] = Pcr(0);
  expected_.pcrs[0] = {Pcr(0)};
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("debug"));
  expected_.allow_debug = true;
  EXPECT_THAT(FailuresOf(SignDocument(document)), IsEmpty());
  document.pcrs.erase(1);
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("debug"));
}

TEST_F(VerifyTest, NonceAndAge) {
  const std::string bytes = SignDocument(NitroDocument());
  expected_.nonce = "nonce of the test";
  expected_.max_age = absl::Minutes(1);
  EXPECT_THAT(FailuresOf(bytes), IsEmpty());
  expected_.nonce = "nonce of another test";
  expected_.max_age = absl::Seconds(59);
  EXPECT_THAT(FailuresOf(bytes), ElementsAre("nonce", "age"));
  Document document = NitroDocument();
  document.nonce.reset();
  expected_.nonce = "";
  EXPECT_THAT(FailuresOf(SignDocument(document)), Contains("nonce"));
}

TEST_F(VerifyTest, UserDataIsBoundToWhatIsExpected) {
  UserData data;
  data.profile = Profile::kCore;
  data.address = *ethereum::Address::FromHex("00112233445566778899aabbccddeeff00112233");
  data.audit_address = ethereum::Address{};
  data.policy_hash = ethereum::Keccak256("policy");
  data.log_key = *audit::VerifierKey::Create("coffer/log", audit::KeyType::kEd25519,
                                             ethereum::Keccak256("key"));
  Document document = NitroDocument();
  document.user_data = *MakeUserData(data);
  expected_.address = data.address;
  expected_.policy_hash = data.policy_hash;
  expected_.log_key = data.log_key;
  EXPECT_THAT(FailuresOf(SignDocument(document)), IsEmpty());
  expected_.address->bytes[0] ^= 1;
  expected_.policy_hash->bytes[0] ^= 1;
  expected_.log_key = *audit::VerifierKey::Create("coffer/log", audit::KeyType::kEd25519, {});
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("address", "policy", "log"));
  document.user_data = "somebody else's";
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("address", "policy", "log"));
  document.user_data.reset();
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("address", "policy", "log"));
}

TEST_F(VerifyTest, WhileOneSigningKeyFollowsAnotherEitherIsTheEnclaves) {
  UserData data;
  data.address = *ethereum::Address::FromHex("00112233445566778899aabbccddeeff00112233");
  data.draining = *ethereum::Address::FromHex("ff112233445566778899aabbccddeeff00112233");
  Document document = NitroDocument();
  document.user_data = *MakeUserData(data);
  for (const auto& address : {data.address, data.draining}) {
    expected_.address = address;
    const Verification found = Verify(SignDocument(document), expected_);
    EXPECT_EQ(found.report.Find("address")->outcome, Outcome::kPassed);
    EXPECT_THAT(found.report.Find("address")->sentence, testing::HasSubstr(address->ToHex()));
  }
  expected_.address = ethereum::Address{};
  EXPECT_THAT(FailuresOf(SignDocument(document)), ElementsAre("address"));
}

TEST_F(VerifyTest, NoFlippedByteIsVerified) {
  const std::string bytes = SignDocument(NitroDocument());
  ASSERT_EQ(Verify(bytes, expected_).report.ExitCode(), audit::kVerified);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string altered = bytes;
    altered[i] = static_cast<char>(altered[i] ^ (1 << i % 8));
    ASSERT_EQ(Verify(altered, expected_).report.ExitCode(), audit::kNotVerified) << "byte " << i;
    ASSERT_NE(Verify(bytes.substr(0, i), expected_).report.ExitCode(), audit::kVerified) << i;
  }
}

}  // namespace
}  // namespace coffer::attestation
