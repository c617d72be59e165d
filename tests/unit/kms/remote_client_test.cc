// RemoteClient against a KMS in this process: TLS, SigV4, attestation and envelopes are real.
#include "enclave_core/kms/remote_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/development.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/kms/sigv4.h"
#include "tests/unit/kms/envelope.h"
#include "tests/unit/kms/names.h"
#include "tests/unit/kms/tls_server.h"

namespace coffer::kms {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAccessKey = "AKIDEXAMPLE";
constexpr const char* kSessionToken = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////";

std::string Http(int status, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, " X\r\nx-amzn-RequestId: 1\r\nContent-Type: ",
                      std::string("application/x-amz-json-1.1"),
                      "\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}
std::string Error(int status, const std::string& type, const std::string& message) {
  return Http(status, json{{"__type", type}, {"message", message}}.dump());
}

// What one request said, and a KMS's answer to it.
struct Asked {
  std::map<std::string, std::string> headers;
  json body;
  attestation::Document document;
};

class RemoteClientTest : public testing::Test {
 protected:
  RemoteClientTest() {
    setup_.certificate = host::MakeCertificate("kms", &ca_, absl::StrCat("DNS:", kHost));
    setup_.answer = [this](const std::string& head, const std::string& body) {
      return Answer(head, body);
    };
    const auto files = attestation::MakeDevelopmentRoot(now_ - absl::Hours(1), 30).value();
    attester_ = attestation::DevelopmentAttester::Create(
                    {files.secret_pem, std::string(48, 'p'), [this] { return now_; }})
                    .value();
    client_ = Make();
  }

  std::unique_ptr<RemoteClient> Make(const std::string& host = kHost) {
    RemotePorts ports;
    ports.attester = attester_.get();
    ports.connect = [this]() -> absl::StatusOr<std::unique_ptr<ByteChannel>> {
      ++connections_;
      return std::make_unique<ServerChannel>(&setup_);
    };
    ports.now = [this] { return now_; };
    ports.random = [this](absl::Span<uint8_t> out) {
      for (uint8_t& byte : out) byte = static_cast<uint8_t>(++random_);
    };
    Credentials credentials{"us-east-2", kAccessKey, ethereum::SecretBytes::CopyOf(kSecret).value(),
                            kSessionToken};
    return RemoteClient::Create({host, PemOf(ca_)}, std::move(credentials), std::move(ports))
        .value();
  }

  std::string Answer(const std::string& head, const std::string& body) {
    Asked asked;
    HttpRequest request{"POST", "/", {}, {}, body};
    std::string authorization;
    const std::vector<std::string> lines = absl::StrSplit(head, "\r\n", absl::SkipEmpty());
    EXPECT_EQ(lines[0], "POST / HTTP/1.1");
    for (size_t i = 1; i < lines.size(); ++i) {
      const std::pair<std::string, std::string> line =
          absl::StrSplit(lines[i], absl::MaxSplits(": ", 1));
      asked.headers[line.first] = line.second;
      const bool is_signed = line.first != "authorization" && line.first != "content-length" &&
                             line.first != "connection" && line.first != "x-amz-date" &&
                             line.first != "x-amz-security-token";
      if (is_signed) request.headers.push_back({line.first, line.second});
    }
    // The signature is what these credentials give at this time.
    Credentials credentials{"us-east-2", kAccessKey, ethereum::SecretBytes::CopyOf(kSecret).value(),
                            kSessionToken};
    EXPECT_TRUE(SignRequest(credentials, "kms", now_, &request).ok());
    EXPECT_EQ(asked.headers["authorization"], request.headers.back().value);
    asked.body = json::parse(body);
    const std::string document =
        audit::DecodeBase64(asked.body["Recipient"]["AttestationDocument"].get<std::string>())
            .value();
    asked.document = attestation::ParseDocument(attestation::ParseSign1(document)->payload).value();
    asked_.push_back(asked);
    return kms_(asked_.back());
  }

  // An envelope for the key that was attested.
  static std::string EnvelopeFor(const Asked& asked, const std::string& plaintext) {
    const auto* der = reinterpret_cast<const unsigned char*>(asked.document.public_key->data());
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        d2i_PUBKEY(nullptr, &der, static_cast<long>(asked.document.public_key->size())),
        EVP_PKEY_free);
    return audit::EncodeBase64(Envelope(key.get(), plaintext).Bytes());
  }
  void AnswerWith(json body, const std::string& plaintext) {
    kms_ = [body = std::move(body), plaintext](const Asked& asked) {
      json full = body;
      full["CiphertextForRecipient"] = EnvelopeFor(asked, plaintext);
      return Http(200, full.dump());
    };
  }
  void AnswerDecrypt(const std::string& plaintext) {
    AnswerWith({{"KeyId", kArn}, {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"}}, plaintext);
  }
  absl::Status DecryptStatus() { return client_->Decrypt("blob", "", "", {}).status(); }

  absl::Time now_ = absl::Now();
  const host::KeyAndCertificate ca_ = host::MakeCertificate("ca", nullptr, "");
  ServerSetup setup_;
  std::unique_ptr<attestation::DevelopmentAttester> attester_;
  std::function<std::string(const Asked&)> kms_;
  std::vector<Asked> asked_;
  int connections_ = 0;
  int random_ = 0;
  std::unique_ptr<RemoteClient> client_;
};

TEST_F(RemoteClientTest, DecryptGivesWhatKmsEncryptedToThisProcess) {
  AnswerDecrypt("the operator's key");
  const absl::StatusOr<OpenedKey> opened =
      client_->Decrypt("blob", kArn, "", {{"coffer:purpose", "state-key"}});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->plaintext.view(), "the operator's key");
  EXPECT_EQ(opened->key_id, kArn);
  EXPECT_EQ(opened->ciphertext, "");
  ASSERT_EQ(asked_.size(), 1U);
  Asked& asked = asked_[0];
  EXPECT_EQ(asked.headers["host"], kHost);
  EXPECT_EQ(asked.headers["x-amz-target"], "TrentService.Decrypt");
  EXPECT_EQ(asked.headers["content-type"], "application/x-amz-json-1.1");
  EXPECT_EQ(asked.headers["x-amz-security-token"], kSessionToken);
  EXPECT_EQ(asked.body["CiphertextBlob"], "YmxvYg==");
  EXPECT_EQ(asked.body["KeyId"], kArn);
  EXPECT_EQ(asked.body["EncryptionContext"]["coffer:purpose"], "state-key");
  EXPECT_EQ(asked.body["Recipient"]["KeyEncryptionAlgorithm"], "RSAES_OAEP_SHA_256");
}

TEST_F(RemoteClientTest, GenerateDataKeyGivesTheKeyAndItsCiphertext) {
  const std::string secret(32, '\x07');
  AnswerWith({{"KeyId", kArn}, {"CiphertextBlob", "YmxvYg=="}}, secret);
  const absl::StatusOr<OpenedKey> made = client_->GenerateDataKey("alias/coffer", {});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->plaintext.view(), secret);
  EXPECT_EQ(made->ciphertext, "blob");
  EXPECT_EQ(made->key_id, kArn);
  EXPECT_EQ(asked_[0].headers["x-amz-target"], "TrentService.GenerateDataKey");
  EXPECT_EQ(asked_[0].body["KeySpec"], "AES_256");
  for (const size_t size : {31U, 33U}) {
    AnswerWith({{"KeyId", kArn}, {"CiphertextBlob", "YmxvYg=="}}, std::string(size, 'x'));
    EXPECT_EQ(client_->GenerateDataKey("k", {}).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(RemoteClientTest, GenerateRandomGivesAsManyBytesAsAsked) {
  AnswerWith(json::object(), std::string(64, 'r'));
  EXPECT_EQ(client_->GenerateRandom(64)->view(), std::string(64, 'r'));
  EXPECT_EQ(asked_[0].headers["x-amz-target"], "TrentService.GenerateRandom");
  EXPECT_EQ(client_->GenerateRandom(65).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RemoteClientTest, EveryRequestHasAConnectionADocumentAndANonceOfItsOwnAndOneKey) {
  AnswerDecrypt("key");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(DecryptStatus().ok());
    now_ += absl::Seconds(1);
  }
  EXPECT_EQ(connections_, 3);
  std::set<std::string> nonces, keys, documents;
  for (Asked& asked : asked_) {
    nonces.insert(*asked.document.nonce);
    keys.insert(*asked.document.public_key);
    documents.insert(asked.body["Recipient"]["AttestationDocument"].get<std::string>());
  }
  EXPECT_EQ(nonces.size(), 3U);
  EXPECT_EQ(documents.size(), 3U);
  EXPECT_EQ(keys.size(), 1U);
}

TEST_F(RemoteClientTest, BytesMayComeInAnyPieces) {
  AnswerDecrypt("key");
  for (const size_t piece : {1U, 3U, 1000U}) {
    setup_.piece = piece;
    EXPECT_TRUE(DecryptStatus().ok()) << piece;
  }
}

TEST_F(RemoteClientTest, RefusalsGoByKmssName) {
  kms_ = [](const Asked&) { return Error(400, "AccessDeniedException", "not by this PCR0"); };
  EXPECT_EQ(DecryptStatus(),
            absl::FailedPreconditionError("AccessDeniedException: not by this PCR0"));
  kms_ = [](const Asked&) { return Error(400, "x#DisabledException", ""); };
  EXPECT_EQ(DecryptStatus(),
            absl::FailedPreconditionError("DisabledException (KMS gave no words to it)"));
  for (const auto& [status, name] : std::map<int, std::string>{
           {400, "ThrottlingException"}, {500, "KMSInternalException"}, {503, "Unheard"}}) {
    kms_ = [status = status, name = name](const Asked&) { return Error(status, name, "later"); };
    EXPECT_EQ(DecryptStatus(), absl::UnavailableError(name + ": later"));
  }
  kms_ = [](const Asked&) { return Http(302, "<html>"); };
  EXPECT_EQ(DecryptStatus().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(connections_, 6) << "nothing is asked twice";
}

TEST_F(RemoteClientTest, WhatKmsQuotesOfTheRequestIsNotPassedOn) {
  const std::string quote = absl::StrCat("The Canonical String should have been 'POST\n/\n\n",
                                         "x-amz-security-token:", kSessionToken, "'");
  for (const char* const name : {"InvalidSignatureException", "IncompleteSignature", "Other"}) {
    kms_ = [&](const Asked&) { return Error(400, name, quote); };
    const absl::Status status = DecryptStatus();
    EXPECT_THAT(status.message(), HasSubstr(name));
    EXPECT_THAT(status.message(), Not(HasSubstr("IQoJb3JpZ2luX2Vj")));
  }
  // A refused signature's message may quote any part of the request, so none of it is passed on.
  kms_ = [&](const Asked& asked) {
    return Error(400, "IncompleteSignature", asked.headers.at("authorization"));
  };
  EXPECT_THAT(DecryptStatus().message(), Not(HasSubstr(kAccessKey)));
}

TEST_F(RemoteClientTest, AnEnvelopeForSomebodyElseDoesNotOpen) {
  const auto other = Make();
  AnswerDecrypt("key");
  ASSERT_TRUE(other->Decrypt("blob", "", "", {}).ok());
  const Asked others = asked_[0];
  kms_ = [&](const Asked&) {
    return Http(200, json{{"KeyId", kArn},
                          {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"},
                          {"CiphertextForRecipient", EnvelopeFor(others, "key")}}
                         .dump());
  };
  EXPECT_EQ(DecryptStatus().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RemoteClientTest, AnAnswerThatIsCutOffAnywhereIsAnErrorThatSaysSo) {
  AnswerDecrypt("key");
  ASSERT_TRUE(DecryptStatus().ok());
  for (const size_t sent : {0U, 1U, 30U, 130U, 500U, 700U}) {
    setup_.sent_plaintext = sent;
    const absl::Status status = DecryptStatus();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << sent;
    EXPECT_THAT(status.message(), HasSubstr("cut")) << sent;
  }
  // A whole answer by its own length needs no goodbye.
  setup_.sent_plaintext = std::string::npos;
  setup_.says_end = false;
  EXPECT_TRUE(DecryptStatus().ok());
  // An end that TLS vouches for, and half an answer before it.
  setup_.says_end = true;
  kms_ = [](const Asked&) { return std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"); };
  EXPECT_EQ(DecryptStatus().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(DecryptStatus().message(), HasSubstr("cut off"));
}

TEST_F(RemoteClientTest, NothingIsAskedOfAServerThatIsNotKms) {
  kms_ = [](const Asked&) { return std::string("no"); };
  setup_.certificate = host::MakeCertificate("kms", &ca_, "DNS:kms.evil.example");
  EXPECT_THAT(DecryptStatus().message(), HasSubstr("another host's"));
  setup_.certificate = host::MakeCertificate("kms", &ca_, absl::StrCat("DNS:", kHost), -60);
  EXPECT_THAT(DecryptStatus().message(), HasSubstr("has expired"));
  const host::KeyAndCertificate other_ca = host::MakeCertificate("other", nullptr, "");
  setup_.certificate = host::MakeCertificate("kms", &other_ca, absl::StrCat("DNS:", kHost));
  EXPECT_THAT(DecryptStatus().message(), HasSubstr("issuer is unknown"));
  EXPECT_EQ(DecryptStatus().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(RemoteClientTest, APlaintextInTheAnswerIsRefused) {
  AnswerWith({{"KeyId", kArn}, {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"}, {"Plaintext", "a2V5"}},
             "key");
  EXPECT_EQ(DecryptStatus().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RemoteClientTest, ParametersAreCheckedBeforeAnybodyIsAsked) {
  EXPECT_EQ(client_->Decrypt("", "", "", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->GenerateDataKey("", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->GenerateRandom(0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Make("bad host")->GenerateRandom(1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(connections_, 0);
}

}  // namespace
}  // namespace coffer::kms
