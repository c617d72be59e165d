#include "enclave_core/attestation/eif_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/support/eif_signer.h"

namespace coffer::attestation {
namespace {

using testing::HasSubstr;
using enum EifSectionType;

const EifSigner& Signer() {
  static const auto* const signer = new EifSigner("image signer");
  return *signer;
}

// An image with this signature section; it lives as long as `section`.
Eif Signed(std::string_view section) {
  Eif eif;
  eif.sections = {{kKernel, "kernel"}, {kCmdline, ""}, {kRamdisk, "boot"}, {kSignature, section}};
  return eif;
}

std::string Pcr0() {
  Eif eif = Signed("");
  eif.sections.pop_back();
  return MeasureEif(eif).value().pcr0;
}

absl::Status Verify(std::string_view section) {
  const Eif eif = Signed(section);
  const absl::StatusOr<EifSignature> signature = ReadEifSignature(eif);
  return signature.ok() ? VerifyEifSignature(*signature, Pcr0()) : signature.status();
}

std::string Over(std::string_view payload) {
  return EifSigner::Section(Signer().pem(), Signer().Sign(payload), ByteForm::kBytes);
}

TEST(EifSignature, IsRightInBothForms) {
  for (const ByteForm form : {ByteForm::kBytes, ByteForm::kIntegers}) {
    const std::string section = Signer().SectionFor(Pcr0(), form);
    const std::string file = BuildEif(Signed(section)).value();
    const Eif eif = ParseEif(file).value();
    const EifSignature signature = ReadEifSignature(eif).value();
    EXPECT_EQ(signature.subject, "CN=image signer");
    EXPECT_EQ(signature.certificate_der, Signer().der());
    const ImagePcrs pcrs = MeasureEif(eif).value();
    EXPECT_EQ(VerifyEifSignature(signature, pcrs.pcr0), absl::OkStatus());
    EXPECT_EQ(pcrs.pcr8, Sha384(std::string(48, '\0') + Sha384(Signer().der())));
    EXPECT_EQ(pcrs.pcr0, Pcr0());
  }
}

TEST(EifSignature, OfAnotherImageOrKeyIsWrong) {
  const std::string other(kPcrBytes, 'x');
  EXPECT_THAT(Verify(Signer().SectionFor(other, ByteForm::kIntegers)).message(),
              HasSubstr("is over another image, whose PCR0 is 7878"));
  EXPECT_THAT(Verify(Over(EifSigner::Payload(8, Pcr0(), ByteForm::kBytes))).message(),
              HasSubstr("is over PCR8, not PCR0"));
  // The same name and payload, another key.
  const EifSigner stranger("image signer");
  const std::string forged = stranger.Sign(EifSigner::Payload(0, Pcr0(), ByteForm::kBytes));
  EXPECT_EQ(Verify(EifSigner::Section(Signer().pem(), forged, ByteForm::kBytes)).code(),
            absl::StatusCode::kPermissionDenied);
  const std::string right = Signer().Sign(EifSigner::Payload(0, Pcr0(), ByteForm::kBytes));
  EXPECT_EQ(Verify(EifSigner::Section(stranger.pem(), right, ByteForm::kBytes)).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(EifSignature, NoFlippedBitOfTheMessageIsRight) {
  const std::string right = Signer().Sign(EifSigner::Payload(0, Pcr0(), ByteForm::kBytes));
  ASSERT_TRUE(Verify(EifSigner::Section(Signer().pem(), right, ByteForm::kBytes)).ok());
  for (size_t at = 0; at < right.size(); ++at) {
    std::string changed = right;
    changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
    EXPECT_FALSE(Verify(EifSigner::Section(Signer().pem(), changed, ByteForm::kBytes)).ok()) << at;
  }
}

TEST(EifSignature, PayloadsOfAnotherFormAreRefused) {
  const auto payload = [](const std::function<void(cbor::Writer&)>& write) {
    cbor::Writer writer;
    write(writer);
    return Verify(Over(writer.bytes()));
  };
  EXPECT_THAT(
      payload([](cbor::Writer& w) { w.Map(1).Text("register_index").Unsigned(0); }).message(),
      HasSubstr("does not sign register_index and register_value"));
  EXPECT_THAT(payload([](cbor::Writer& w) {
                w.Map(2).Text("register_index").Unsigned(0).Text("register_index").Unsigned(0);
              }).message(),
              HasSubstr("not known, or one twice"));
  EXPECT_THAT(payload([](cbor::Writer& w) { w.Map(1).Text("pcr").Unsigned(0); }).message(),
              HasSubstr("not known, or one twice"));
  EXPECT_FALSE(Verify(Over(EifSigner::Payload(0, Pcr0(), ByteForm::kBytes) + "x")).ok());
  EXPECT_FALSE(Verify(Over("not cbor")).ok());
}

TEST(EifSignature, SectionsOfAnotherFormAreRefused) {
  const std::string right = Signer().SectionFor(Pcr0(), ByteForm::kBytes);
  const auto refused = [](const std::string& section, const char* sentence) {
    const Eif eif = Signed(section);
    EXPECT_EQ(ReadEifSignature(eif).status().code(), absl::StatusCode::kInvalidArgument)
        << sentence;
    EXPECT_THAT(ReadEifSignature(eif).status().message(), HasSubstr(sentence));
    EXPECT_EQ(MeasureEif(eif).status(), ReadEifSignature(eif).status());
  };
  refused("", "signature section");
  refused(right + "x", "signature section");
  refused(right.substr(0, right.size() - 1), "signature section");
  refused("\x80", "is an empty list");
  refused("\x81\xa0", "has an empty signing_certificate or none");
  refused("\x98\x21", "signature section");  // 33 signatures
  refused(EifSigner::Section("no PEM", "x", ByteForm::kBytes), "that is no PEM certificate");
  refused(EifSigner::Section(Signer().pem(), "", ByteForm::kBytes),
          "has an empty signature or none");
  cbor::Writer twice;
  twice.Array(1).Map(2).Text("signature").Bytes("a").Text("signature").Bytes("b");
  refused(twice.bytes(), "not known, or one twice");
  cbor::Writer unknown;
  unknown.Array(1).Map(1).Text("certificate").Bytes("a");
  refused(unknown.bytes(), "not known, or one twice");
  cbor::Writer large;
  large.Array(1).Map(1).Text("signature").Array(1).Unsigned(256);
  refused(large.bytes(), "has 256 where a byte must be");
}

TEST(EifSignature, OfAnotherCurveIsNotTaken) {
  const EifSigner other("p256", "P-256");
  const std::string message = Signer().Sign(EifSigner::Payload(0, Pcr0(), ByteForm::kBytes));
  EXPECT_FALSE(Verify(EifSigner::Section(other.pem(), message, ByteForm::kBytes)).ok());
}

TEST(EifSignature, AnUnsignedImageHasNone) {
  Eif eif = Signed("");
  eif.sections.pop_back();
  EXPECT_EQ(ReadEifSignature(eif).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace coffer::attestation
