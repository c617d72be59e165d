#include "enclave_core/kms/cms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "enclave_core/attestation/ephemeral_key.h"
#include "tests/unit/host_actors/test_ca.h"
#include "tests/unit/kms/envelope.h"

namespace coffer::kms {
namespace {

using attestation::EphemeralKey;
using ::testing::HasSubstr;

const std::string& Secret() {
  static const std::string secret = "0123456789abcdefghijklmnopqrstuv";
  return secret;
}

EVP_PKEY* Key() {
  static const EphemeralKey key = EphemeralKey::Make(EphemeralKey::Type::kRsa2048).value();
  return key.key();
}

EVP_PKEY* OtherKey() {
  static const EphemeralKey key = EphemeralKey::Make(EphemeralKey::Type::kRsa2048).value();
  return key.key();
}

std::string Opened(const std::string& bytes, EVP_PKEY* key = Key()) {
  const absl::StatusOr<ethereum::SecretBytes> opened = OpenEnvelope(bytes, key);
  return opened.ok() ? std::string(opened->view()) : opened.status().ToString();
}

std::string Refusal(const std::string& bytes, EVP_PKEY* key = Key()) {
  const absl::StatusOr<ethereum::SecretBytes> opened = OpenEnvelope(bytes, key);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ERR_peek_error(), 0U) << "nothing is left in OpenSSL's queue";
  return std::string(opened.status().message());
}

TEST(Cms, KmssFormIsOpenedInBerAndInDer) {
  Envelope envelope(Key(), Secret());
  EXPECT_EQ(Opened(envelope.Bytes()), Secret());
  envelope.piece = 7;  // KMS may cut where it likes
  EXPECT_EQ(Opened(envelope.Bytes()), Secret());
  envelope.indefinite = false;
  EXPECT_EQ(Opened(envelope.Bytes()), Secret());
  // Parameters of a hash may be left out, and the empty label written.
  envelope.key_algorithm = Algorithm(
      kOaep, OaepParameters(kSha256, kSha256,
                            Tlv(kContext2, Algorithm(kSpecified, Tlv(kOctetString, "")))));
  EXPECT_EQ(Opened(envelope.Bytes()), Secret());
  envelope.key_algorithm = Algorithm(
      kOaep, Tlv(kSequence, Tlv(kContext0, Algorithm(kSha256, "")) +
                                Tlv(kContext1, Algorithm(kMgf1, Algorithm(kSha256, "")))));
  EXPECT_EQ(Opened(envelope.Bytes()), Secret());
}

TEST(Cms, EveryLengthOfPlaintextThatKmsGives) {
  for (const size_t size : {1U, 15U, 16U, 17U, 32U, 66U, 1024U, 4096U}) {
    const std::string plaintext(size, 'p');
    EXPECT_EQ(Opened(Envelope(Key(), plaintext).Bytes()), plaintext) << size;
  }
  EXPECT_THAT(Refusal(Envelope(Key(), std::string(4112, 'p')).Bytes()), HasSubstr("length"));
  EXPECT_THAT(Refusal(Envelope(Key(), "").Bytes()), HasSubstr("does not open"));
}

struct FreeCms {
  void operator()(CMS_ContentInfo* cms) const { CMS_ContentInfo_free(cms); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

// OpenSSL's own CMS, as `openssl cms -encrypt -keyid -keyopt rsa_padding_mode:oaep` makes it.
std::string ByOpenssl(EVP_PKEY* key, const std::string& plaintext, bool streamed,
                      const EVP_CIPHER* cipher = EVP_aes_256_cbc(), const EVP_MD* md = EVP_sha256(),
                      unsigned flags = CMS_USE_KEYID) {
  const host::KeyAndCertificate issuer = host::MakeCertificate("issuer", nullptr, "");
  attestation::Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 7);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.certificate.get()));
  X509_set_pubkey(certificate.get(), key);
  host::AddExtension(certificate.get(), certificate.get(), NID_subject_key_identifier,
                     "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 60);
  COFFER_CHECK(X509_sign(certificate.get(), issuer.key.get(), EVP_sha256()) > 0, "a signature");
  const unsigned all = CMS_PARTIAL | CMS_BINARY | (streamed ? CMS_STREAM : 0);
  const std::unique_ptr<CMS_ContentInfo, FreeCms> cms(CMS_encrypt(nullptr, nullptr, cipher, all));
  CMS_RecipientInfo* const recipient =
      CMS_add1_recipient_cert(cms.get(), certificate.get(), flags | CMS_KEY_PARAM);
  COFFER_CHECK(recipient != nullptr, "a recipient");
  if (md != nullptr) {
    EVP_PKEY_CTX* const context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
    EVP_PKEY_CTX_set_rsa_oaep_md(context, md);
    EVP_PKEY_CTX_set_rsa_mgf1_md(context, md);
  }
  const std::unique_ptr<BIO, FreeCms> in(
      BIO_new_mem_buf(plaintext.data(), static_cast<int>(plaintext.size())));
  const std::unique_ptr<BIO, FreeCms> out(BIO_new(BIO_s_mem()));
  if (streamed) {
    COFFER_CHECK(i2d_CMS_bio_stream(out.get(), cms.get(), in.get(), CMS_STREAM | CMS_BINARY) == 1,
                 "an envelope in BER");
  } else {
    COFFER_CHECK(
        CMS_final(cms.get(), in.get(), nullptr, all) == 1 && i2d_CMS_bio(out.get(), cms.get()) == 1,
        "an envelope in DER");
  }
  const char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  ERR_clear_error();
  return {bytes, static_cast<size_t>(size)};
}

TEST(Cms, OpensslsEnvelopesAreOpened) {
  EXPECT_EQ(Opened(ByOpenssl(Key(), Secret(), true)), Secret());
  EXPECT_EQ(Opened(ByOpenssl(Key(), Secret(), false)), Secret());
}

TEST(Cms, OpensslsOtherEnvelopesAreNot) {
  EXPECT_THAT(Refusal(ByOpenssl(OtherKey(), Secret(), true)), HasSubstr("does not open"));
  EXPECT_THAT(Refusal(ByOpenssl(Key(), Secret(), true, EVP_aes_128_cbc())),
              HasSubstr("AES-256-CBC"));
  EXPECT_THAT(Refusal(ByOpenssl(Key(), Secret(), true, EVP_aes_256_cbc(), EVP_sha1())),
              HasSubstr("RSAES-OAEP"));
  EXPECT_THAT(Refusal(ByOpenssl(Key(), Secret(), true, EVP_aes_256_cbc(), nullptr)),
              HasSubstr("RSAES-OAEP"));
  // By issuer and serial number: another choice, and version 0.
  EXPECT_THAT(Refusal(ByOpenssl(Key(), Secret(), true, EVP_aes_256_cbc(), EVP_sha256(), 0)),
              HasSubstr("structure"));
}

// And the other way round: what the tests' own maker writes, OpenSSL opens.
TEST(Cms, OpensslOpensWhatTheMakerOfTheTestsWrites) {
  for (const bool indefinite : {true, false}) {
    Envelope envelope(Key(), Secret());
    envelope.indefinite = indefinite;
    const std::string bytes = envelope.Bytes();
    const std::unique_ptr<BIO, FreeCms> in(
        BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    const std::unique_ptr<CMS_ContentInfo, FreeCms> cms(d2i_CMS_bio(in.get(), nullptr));
    ASSERT_NE(cms, nullptr);
    const std::unique_ptr<BIO, FreeCms> out(BIO_new(BIO_s_mem()));
    ASSERT_EQ(CMS_decrypt(cms.get(), Key(), nullptr, nullptr, out.get(), CMS_DEBUG_DECRYPT), 1);
    const char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    EXPECT_EQ(std::string(text, static_cast<size_t>(size)), Secret());
  }
}

TEST(Cms, EveryOtherShapeIsRefusedAndSaysWhere) {
  struct Case {
    const char* why;
    std::function<void(Envelope&)> change;
  };
  const std::vector<Case> cases = {
      {"is not EnvelopedData", [](auto& e) { e.type = kSignedData; }},
      {"not of version 2", [](auto& e) { e.version = 0; }},
      {"not of version 2", [](auto& e) { e.version = 3; }},
      {"structure", [](auto& e) { e.originator = Tlv(kContext0, ""); }},
      {"structure", [](auto& e) { e.attributes = Tlv(kContext1, ""); }},
      {"exactly one recipient", [](auto& e) { e.recipients = 0; }},
      {"exactly one recipient", [](auto& e) { e.recipients = 2; }},
      {"recipient is not of version 2", [](auto& e) { e.recipient_version = 0; }},
      {"recipient is not of version 2", [](auto& e) { e.recipient_version = 3; }},
      {"key identifier", [](auto& e) { e.identifier = Tlv(0x80, ""); }},
      {"key identifier", [](auto& e) { e.identifier = Tlv(0x80, std::string(65, 'x')); }},
      {"structure",
       [](auto& e) { e.identifier = Tlv(kSequence, Tlv(kSequence, "") + Tlv(kInteger, "\x07")); }},
      {"RSAES-OAEP", [](auto& e) { e.key_algorithm = Algorithm(kRsaEncryption, kNull); }},
      {"RSAES-OAEP", [](auto& e) { e.key_algorithm = Algorithm(kOaep, ""); }},
      {"RSAES-OAEP", [](auto& e) { e.key_algorithm = Algorithm(kOaep, kNull); }},
      {"RSAES-OAEP", [](auto& e) { e.key_algorithm = Algorithm(kOaep, Tlv(kSequence, "")); }},
      {"RSAES-OAEP",
       [](auto& e) { e.key_algorithm = Algorithm(kOaep, OaepParameters(kSha1, kSha256)); }},
      {"RSAES-OAEP",
       [](auto& e) { e.key_algorithm = Algorithm(kOaep, OaepParameters(kSha256, kSha1)); }},
      {"RSAES-OAEP",
       [](auto& e) {
         e.key_algorithm = Algorithm(
             kOaep,
             OaepParameters(kSha256, kSha256,
                            Tlv(kContext2, Algorithm(kSpecified, Tlv(kOctetString, "label")))));
       }},
      {"size of the key", [](auto& e) { e.encrypted_key.pop_back(); }},
      {"size of the key", [](auto& e) { e.encrypted_key.insert(0, 1, '\0'); }},
      {"size of the key", [](auto& e) { e.encrypted_key.clear(); }},
      {"content is not data", [](auto& e) { e.content_type = kEnvelopedData; }},
      {"AES-256-CBC",
       [](auto& e) { e.content_algorithm = Algorithm(kAes128Cbc, Tlv(kOctetString, e.iv)); }},
      {"AES-256-CBC", [](auto& e) { e.content_algorithm = Algorithm(kAes256Cbc, ""); }},
      {"AES-256-CBC",
       [](auto& e) {
         e.content_algorithm = Algorithm(kAes256Cbc, Tlv(kOctetString, e.iv.substr(1)));
       }},
      {"AES-256-CBC",
       [](auto& e) { e.content_algorithm = Algorithm(kAes256Cbc, Tlv(kOctetString, e.iv + "I")); }},
      {"AES-256-CBC",
       [](auto& e) { e.content_algorithm = Algorithm(kAes256Cbc, Tlv(kSequence, e.iv)); }},
      {"length", [](auto& e) { e.encrypted.pop_back(); }},
      {"length", [](auto& e) { e.encrypted.clear(); }},
      {"bytes follow", [](auto& e) { e.trailer = Octets({0}); }},
      {"bytes follow",
       [](auto& e) {
         e.trailer = Octets({0, 0});
       }},
      {"size is none", [](auto& e) { e.trailer = std::string(kMaxEnvelopeBytes, '\0'); }},
  };
  for (const Case& each : cases) {
    for (const bool indefinite : {true, false}) {
      Envelope envelope(Key(), Secret());
      envelope.indefinite = indefinite;
      each.change(envelope);
      EXPECT_THAT(Refusal(envelope.Bytes()), HasSubstr(each.why)) << indefinite;
    }
  }
}

TEST(Cms, WhatDoesNotOpenSaysTheSameWhicheverStepFailed) {
  std::set<std::string> sentences;
  const auto refuse = [&](auto change) {
    Envelope envelope(Key(), Secret());
    change(envelope);
    sentences.insert(Refusal(envelope.Bytes()));
  };
  refuse([](auto& e) { e.encrypted_key = RsaOaep(OtherKey(), e.content_key); });
  refuse([](auto& e) { e.encrypted_key = RsaOaep(Key(), e.content_key, EVP_sha1()); });
  refuse([](auto& e) { e.encrypted_key = RsaOaep(Key(), e.content_key.substr(1)); });
  refuse([](auto& e) { e.encrypted_key = RsaOaep(Key(), e.content_key + "K"); });
  refuse([](auto& e) { e.encrypted_key[100] = static_cast<char>(e.encrypted_key[100] ^ 1); });
  refuse([](auto& e) { e.encrypted_key = std::string(256, '\0'); });
  refuse([](auto& e) { e.encrypted_key = std::string(256, '\xff'); });
  refuse([](auto& e) { e.encrypted.pop_back(), e.encrypted.resize(32, '\0'); });
  // PKCS#7 padding that is none: 0, 17, and bytes that differ.
  for (const std::string& block :
       {std::string(16, '\0'), std::string(16, '\x11'), std::string(14, 'x') + "\x01\x02"}) {
    refuse([&](auto& e) { e.encrypted = Aes256Cbc(e.content_key, e.iv, block, false); });
  }
  sentences.insert(Refusal(Envelope(OtherKey(), Secret()).Bytes()));
  EXPECT_EQ(sentences.size(), 1U);
  EXPECT_THAT(*sentences.begin(), HasSubstr("does not open"));
}

TEST(Cms, NothingThatIsCutShortOrReorderedOpens) {
  Envelope envelope(Key(), Secret());
  envelope.piece = 16;
  for (const bool indefinite : {true, false}) {
    envelope.indefinite = indefinite;
    const std::string whole = envelope.Bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(OpenEnvelope(whole.substr(0, size), Key()).ok()) << size;
    }
  }
  // Three blocks of content, two of them exchanged.
  Envelope exchanged(Key(), Secret());
  exchanged.encrypted = exchanged.encrypted.substr(0, 16) + exchanged.encrypted.substr(32, 16) +
                        exchanged.encrypted.substr(16, 16);
  EXPECT_NE(Opened(exchanged.Bytes()), Secret());
  // Fields in another order.
  Envelope fields(Key(), Secret());
  std::swap(fields.content_type, fields.content_algorithm);
  EXPECT_THAT(Refusal(fields.Bytes()), HasSubstr("structure"));
  std::swap(fields.content_type, fields.content_algorithm);
  std::swap(fields.identifier, fields.key_algorithm);
  EXPECT_THAT(Refusal(fields.Bytes()), HasSubstr("structure"));
}

TEST(Cms, AnyChangedByteIsRefusedOrChangesNothingButTheIdentifierAndTheIv) {
  const Envelope envelope(Key(), Secret());
  const std::string whole = envelope.Bytes();
  const size_t identifier = whole.find(std::string(32, '\x5a'));
  const size_t iv = whole.find(envelope.iv);
  for (size_t at = 0; at < whole.size(); ++at) {
    if (at >= identifier && at < identifier + 32) continue;  // not looked at
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x01);
    const absl::StatusOr<ethereum::SecretBytes> opened = OpenEnvelope(changed, Key());
    // CBC does not authenticate: a bit of the IV, or of the block before, is one of the plaintext.
    // TLS does, and the tag or the address that what was opened is checked against.
    const bool content = (at >= iv && at < iv + 16) || at >= whole.find(envelope.encrypted);
    if (opened.ok() && !content) {
      EXPECT_EQ(opened->view(), Secret()) << "byte " << at;
    }
  }
}

TEST(Cms, OnlyAnRsaKeyOpens) {
  const EphemeralKey p384 = EphemeralKey::Make(EphemeralKey::Type::kP384).value();
  EXPECT_EQ(OpenEnvelope(Envelope(Key(), Secret()).Bytes(), p384.key()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace coffer::kms
