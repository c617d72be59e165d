#include "enclave_core/kms/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/kms/cms.h"
#include "tests/unit/kms/names.h"

namespace coffer::kms {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(KmsRequests, BodiesAreWhatTheApiReferenceHas) {
  const EncryptionContext context = {{"coffer:purpose", "state-key"}, {"b\"\\", "\xc3\xa9\n"}};
  EXPECT_EQ(
      json::parse(DecryptBody("cipher\xff", kArn, "SYMMETRIC_DEFAULT", context, "doc").value()),
      json::parse(R"({"CiphertextBlob":"Y2lwaGVy/w==","KeyId":")" + std::string(kArn) +
                  R"(","EncryptionAlgorithm":"SYMMETRIC_DEFAULT",
              "EncryptionContext":{"coffer:purpose":"state-key","b\"\\":"\u00e9\n"},
              "Recipient":{"KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256",
                           "AttestationDocument":"ZG9j"}})"));
  // What is empty is left out: KMS finds the key, and takes its default.
  EXPECT_EQ(json::parse(DecryptBody("c", "", "", {}, "doc").value()),
            json::parse(R"({"CiphertextBlob":"Yw==","Recipient":{
              "KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256","AttestationDocument":"ZG9j"}})"));
  EXPECT_EQ(json::parse(GenerateDataKeyBody("alias/coffer", {{"a", ""}}, "doc").value()),
            json::parse(R"({"KeyId":"alias/coffer","KeySpec":"AES_256",
              "EncryptionContext":{"a":""},"Recipient":{
              "KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256","AttestationDocument":"ZG9j"}})"));
  EXPECT_EQ(json::parse(GenerateRandomBody(1024, "doc").value()),
            json::parse(R"({"NumberOfBytes":1024,"Recipient":{
              "KeyEncryptionAlgorithm":"RSAES_OAEP_SHA_256","AttestationDocument":"ZG9j"}})"));
}

TEST(KmsRequests, WhatKmsWouldNotTakeIsNotAsked) {
  const auto refused = [](const absl::StatusOr<std::string>& body) {
    return body.status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused(DecryptBody(std::string(6144, 'c'), "", "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody(std::string(6145, 'c'), "", "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("", "", "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("c", "a b", "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("c", "a\x80", "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("c", std::string(2049, 'k'), "", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("c", "", "symmetric", {}, "d")));
  EXPECT_TRUE(refused(DecryptBody("c", "", "", {}, "")));
  EXPECT_TRUE(refused(DecryptBody("c", "", "", {}, std::string(64 * 1024 + 1, 'd'))));
  EXPECT_TRUE(refused(GenerateDataKeyBody("", {}, "d")));
  EXPECT_TRUE(refused(GenerateDataKeyBody("k", {{"", "v"}}, "d")));
  EXPECT_TRUE(refused(GenerateDataKeyBody("k", {{"a", "\xff"}}, "d")));
  EXPECT_TRUE(refused(GenerateDataKeyBody("k", {{"a\xff", "v"}}, "d")));
  EXPECT_TRUE(refused(GenerateDataKeyBody("k", {{"a", std::string(8192, 'v')}}, "d")));
  EXPECT_TRUE(refused(GenerateRandomBody(0, "d")));
  EXPECT_TRUE(refused(GenerateRandomBody(1025, "d")));
}

json GoodDecrypt() {
  return {{"KeyId", kArn},
          {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"},
          {"CiphertextForRecipient", "ZW52"}};
}
json GoodDataKey() {
  return {{"KeyId", kArn}, {"CiphertextBlob", "Ymxv"}, {"CiphertextForRecipient", "ZW52"}};
}

TEST(KmsAnswers, AreTakenApart) {
  for (const json& plaintext : {json("left out"), json(nullptr), json("")}) {
    json body = GoodDecrypt();
    if (plaintext != "left out") body["Plaintext"] = plaintext;
    body["KeyMaterialId"] = "what KMS adds is passed over";
    const Answer answer = ParseDecrypt(body.dump(), "").value();
    EXPECT_EQ(answer.envelope, "env");
    EXPECT_EQ(answer.key_id, kArn);
    EXPECT_EQ(answer.ciphertext, "");
  }
  const Answer key = ParseGenerateDataKey(GoodDataKey().dump()).value();
  EXPECT_EQ(key.envelope, "env");
  EXPECT_EQ(key.ciphertext, "blo");
  EXPECT_EQ(key.key_id, kArn);
  EXPECT_EQ(ParseGenerateRandom(R"({"CiphertextForRecipient":"ZW52"})")->envelope, "env");
  json asymmetric = GoodDecrypt();
  asymmetric["EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256";
  EXPECT_TRUE(ParseDecrypt(asymmetric.dump(), "RSAES_OAEP_SHA_256").ok());
}

TEST(KmsAnswers, APlaintextThoughARecipientWasSentIsRefusedAndNotRepeated) {
  for (const json& plaintext : {json("c2VjcmV0"), json(7), json::array(), json::object()}) {
    json body = GoodDecrypt();
    body["Plaintext"] = plaintext;
    const absl::Status status = ParseDecrypt(body.dump(), "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(status.message(), HasSubstr("has a Plaintext"));
    EXPECT_THAT(status.message(), Not(HasSubstr("c2VjcmV0")));
  }
}

TEST(KmsAnswers, WhatIsNotAskedForOrNotStrictIsDataLoss) {
  const auto lost = [](const absl::StatusOr<Answer>& answer) {
    return answer.status().code() == absl::StatusCode::kDataLoss;
  };
  for (const char* const text :
       {"", "[]", "null", "{", R"({"KeyId":"k"} x)", "{\"KeyId\":\"\xff\"}",
        R"({"CiphertextForRecipient":"ZW52","CiphertextForRecipient":"ZW52"})",
        R"({"CiphertextForRecipient":"ZW52","a":{"b":1,"b":2}})"}) {
    EXPECT_TRUE(lost(ParseGenerateRandom(text))) << text;
  }
  for (const char* const envelope : {"", "ZW5", "ZW52=", "ZW5 2", "ZW-_", "ZW53ZQ"}) {
    EXPECT_TRUE(lost(ParseGenerateRandom(json{{"CiphertextForRecipient", envelope}}.dump())))
        << envelope;
  }
  EXPECT_TRUE(lost(ParseGenerateRandom(R"({"CiphertextForRecipient":7})")));
  EXPECT_TRUE(lost(ParseGenerateRandom(
      json{{"CiphertextForRecipient", audit::EncodeBase64(std::string(kMaxEnvelopeBytes + 1, 'e'))}}
          .dump())));
  const auto without = [](json body, const char* name) {
    body.erase(name);
    return body.dump();
  };
  const auto with = [](json body, const char* name, const json& value) {
    body[name] = value;
    return body.dump();
  };
  for (const char* const name : {"KeyId", "EncryptionAlgorithm", "CiphertextForRecipient"}) {
    EXPECT_TRUE(lost(ParseDecrypt(without(GoodDecrypt(), name), ""))) << name;
    EXPECT_TRUE(lost(ParseDecrypt(with(GoodDecrypt(), name, nullptr), ""))) << name;
  }
  for (const char* const name : {"KeyId", "CiphertextBlob", "CiphertextForRecipient"}) {
    EXPECT_TRUE(lost(ParseGenerateDataKey(without(GoodDataKey(), name)))) << name;
    EXPECT_TRUE(lost(ParseGenerateDataKey(with(GoodDataKey(), name, 1)))) << name;
  }
  EXPECT_TRUE(lost(ParseDecrypt(GoodDecrypt().dump(), "RSAES_OAEP_SHA_256")));
  EXPECT_TRUE(lost(ParseDecrypt(with(GoodDecrypt(), "EncryptionAlgorithm", "SM2PKE"), "")));
  EXPECT_TRUE(lost(ParseDecrypt(with(GoodDecrypt(), "KeyId", "a\nb"), "")));
  EXPECT_TRUE(lost(ParseGenerateDataKey(
      with(GoodDataKey(), "CiphertextBlob", audit::EncodeBase64(std::string(6145, 'c'))))));
}

TEST(KmsErrors, HaveNamesAndBoundedPrintableWords) {
  ServiceError error = ParseServiceError(
      400, R"({"__type":"AccessDeniedException","Message":"no\u0007 d\u00e9crypt"})");
  EXPECT_EQ(error.name, "AccessDeniedException");
  EXPECT_EQ(error.message, "no? d??crypt");
  error = ParseServiceError(
      400, R"({"__type":"com.amazonaws.kms#NotFoundException:http://x/","message":"m"})");
  EXPECT_EQ(error.name, "NotFoundException");
  EXPECT_EQ(error.message, "m");
  error = ParseServiceError(503, "<html>busy</html>");
  EXPECT_EQ(error.name, "HTTP 503");
  EXPECT_EQ(error.message, "");
  error = ParseServiceError(400, R"({"__type":"a b","message":7})");
  EXPECT_EQ(error.name, "HTTP 400");
  EXPECT_EQ(error.message, "");
  EXPECT_EQ(ParseServiceError(400, R"({"__type":7})").name, "HTTP 400");
  EXPECT_EQ(ParseServiceError(400, json{{"__type", std::string(65, 'a')}}.dump()).name, "HTTP 400");
  error = ParseServiceError(400, json{{"__type", "E"}, {"message", std::string(5000, 'm')}}.dump());
  EXPECT_EQ(error.message, std::string(300, 'm') + "...");
}

}  // namespace
}  // namespace coffer::kms
