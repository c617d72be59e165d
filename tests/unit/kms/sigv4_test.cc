// AWS's published examples: the one of the IAM user guide, and the Signature Version 4 test suite.
#include "enclave_core/kms/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "tests/unit/kms/names.h"

namespace coffer::kms {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Query = std::vector<std::pair<std::string, std::string>>;

const absl::Time kTime =
    absl::FromCivil(absl::CivilSecond(2015, 8, 30, 12, 36, 0), absl::UTCTimeZone());

Credentials Sample(const std::string& token = "") {
  return {"us-east-1", "AKIDEXAMPLE", ethereum::SecretBytes::CopyOf(kSecret).value(), token};
}

struct Example {
  std::string name;
  std::string method = "GET";
  std::string path = "/";
  Query query;
  std::vector<HttpHeader> headers;  // besides host
  std::string body;
  std::string signed_headers;
  std::string signature;
};

constexpr const char* kToken =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfI"
    "eoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0"
    "wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDry"
    "pNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
constexpr const char* kUnreserved =
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr const char* kPlain = "host;x-amz-date";
constexpr const char* kOneHeader = "host;my-header1;x-amz-date";
constexpr const char* kForm = "content-type;host;x-amz-date";
constexpr const char* kVanillaGet =
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
constexpr const char* kVanillaPost =
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";

Example Plain(std::string name, std::string method, std::string path, Query query,
              std::string signature) {
  return {std::move(name), std::move(method),   std::move(path), std::move(query), {}, "",
          kPlain,          std::move(signature)};
}
Example Headed(std::string name, std::string method, std::vector<HttpHeader> headers,
               std::string body, std::string signed_headers, std::string signature) {
  return {
      std::move(name),           std::move(method),   "/", {}, std::move(headers), std::move(body),
      std::move(signed_headers), std::move(signature)};
}

std::vector<Example> Paths() {
  return {
      Plain("get-vanilla", "GET", "/", {}, kVanillaGet),
      Plain("post-vanilla", "POST", "/", {}, kVanillaPost),
      Plain("get-unreserved", "GET", absl::StrCat("/", kUnreserved), {},
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
      Plain("get-utf8", "GET", "/\xe1\x88\xb4", {},
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
      Plain("get-relative", "GET", "/example/..", {}, kVanillaGet),
      Plain("get-relative-relative", "GET", "/example1/example2/../..", {}, kVanillaGet),
      Plain("get-slash", "GET", "//", {}, kVanillaGet),
      Plain("get-slash-dot-slash", "GET", "/./", {}, kVanillaGet),
      Plain("get-slash-pointless-dot", "GET", "/./example", {},
            "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
      Plain("get-slashes", "GET", "//example//", {},
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
      Plain("get-space", "GET", "/example space/", {},
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
  };
}

std::vector<Example> Queries() {
  return {
      Plain("get-vanilla-empty-query-key", "GET", "/", {{"Param1", "value1"}},
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
      Plain("get-vanilla-query-order-key-case", "GET", "/",
            {{"Param2", "value2"}, {"Param1", "value1"}},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
      Plain("get-vanilla-query-unreserved", "GET", "/", {{kUnreserved, kUnreserved}},
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
      Plain("get-vanilla-utf8-query", "GET", "/", {{"\xe1\x88\xb4", "bar"}},
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
      Plain("post-vanilla-query", "POST", "/", {{"Param1", "value1"}},
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
      Plain("post-vanilla-query-nonunreserved", "POST", "/",
            {{"@#$%^", ""}, {"+", "/,?><`\";:\\|][{}"}},
            "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"),
      Plain("post-vanilla-query-space", "POST", "/", {{"p", ""}},
            "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"),
  };
}

std::vector<Example> HeadersAndBodies() {
  return {
      Headed("get-header-key-duplicate", "GET",
             {{"My-Header1", "value2"}, {"my-header1", "value2"}, {"MY-HEADER1", "value1"}}, "",
             kOneHeader, "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
      Headed("get-header-value-multiline", "GET", {{"my-header1", "value1,value2,value3"}}, "",
             kOneHeader, "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"),
      Headed("get-header-value-order", "GET",
             {{"my-header1", "value4"},
              {"my-header1", "value1"},
              {"my-header1", "value3"},
              {"my-header1", "value2"}},
             "", kOneHeader, "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
      Headed("get-header-value-trim", "GET",
             {{"My-Header1", " value1  "}, {"My-Header2", " \"a   b   c\" "}}, "",
             "host;my-header1;my-header2;x-amz-date",
             "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
      Headed("post-header-key-sort", "POST", {{"My-Header1", "value1"}}, "", kOneHeader,
             "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
      Headed("post-header-value-case", "POST", {{"My-Header1", "VALUE1"}}, "", kOneHeader,
             "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
      Headed("post-x-www-form-urlencoded", "POST",
             {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1", kForm,
             "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
      Headed("post-x-www-form-urlencoded-parameters", "POST",
             {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}}, "Param1=value1",
             kForm, "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"),
  };
}

std::string Authorization(const HttpRequest& request) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == "authorization") return header.value;
  }
  return "";
}

HttpRequest Unsigned(const Example& example) {
  HttpRequest request{example.method,
                      example.path,
                      example.query,
                      {{"Host", "example.amazonaws.com"}},
                      example.body};
  request.headers.insert(request.headers.end(), example.headers.begin(), example.headers.end());
  return request;
}

TEST(SigV4, TheTestSuiteOfAws) {
  std::vector<Example> suite = Paths();
  for (const Example& example : Queries()) suite.push_back(example);
  for (const Example& example : HeadersAndBodies()) suite.push_back(example);
  for (const Example& example : suite) {
    SCOPED_TRACE(example.name);
    HttpRequest request = Unsigned(example);
    ASSERT_TRUE(SignRequest(Sample(), "service", kTime, &request).ok());
    EXPECT_EQ(Authorization(request),
              absl::StrCat("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                           "aws4_request, SignedHeaders=",
                           example.signed_headers, ", Signature=", example.signature));
  }
}

TEST(SigV4, ASessionTokenIsSigned) {
  HttpRequest request{"POST", "/", {}, {{"host", "example.amazonaws.com"}}, ""};
  ASSERT_TRUE(SignRequest(Sample(kToken), "service", kTime, &request).ok());
  EXPECT_THAT(Authorization(request),
              HasSubstr("SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="
                        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"));
}

// IAM user guide, "Create a signed AWS API request": every step of it.
TEST(SigV4, TheExampleOfTheUserGuideStepByStep) {
  const HttpRequest request{"GET",
                            "/",
                            {{"Version", "2010-05-08"}, {"Action", "ListUsers"}},
                            {{"Host", "iam.amazonaws.com"},
                             {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                             {"X-Amz-Date", "20150830T123600Z"}},
                            ""};
  const std::string canonical = CanonicalRequest(request);
  EXPECT_EQ(canonical,
            "GET\n/\nAction=ListUsers&Version=2010-05-08\n"
            "content-type:application/x-www-form-urlencoded; charset=utf-8\n"
            "host:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\n"
            "content-type;host;x-amz-date\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const CredentialScope scope{"us-east-1", "iam", kTime};
  EXPECT_EQ(StringToSign(canonical, scope),
            "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n"
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
  EXPECT_EQ(ethereum::ToHex(SigningKey(Sample().secret_access_key, scope)->view()),
            "0xc4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

TEST(SigV4, WhatCannotBeSignedIsRefusedWithoutSecrets) {
  const auto sign = [](Credentials credentials, std::vector<HttpHeader> headers) {
    HttpRequest request{"POST", "/", {}, std::move(headers), ""};
    return SignRequest(credentials, "kms", kTime, &request);
  };
  const std::vector<HttpHeader> host = {{"host", "h"}};
  EXPECT_TRUE(sign(Sample(), host).ok());
  EXPECT_THAT(sign(Sample(), {}).message(), HasSubstr("host"));
  for (const char* const name : {"X-Amz-Date", "x-amz-security-token", "Authorization"}) {
    EXPECT_EQ(sign(Sample(), {{"host", "h"}, {name, "x"}}).code(),
              absl::StatusCode::kInvalidArgument);
  }
  const auto changed = [](auto change) {
    Credentials credentials = Sample();
    change(credentials);
    return credentials;
  };
  for (const std::string bad : {"", "us east", "us/east", "us,east", "us\neast"}) {
    EXPECT_FALSE(sign(changed([&](auto& c) { c.region = bad; }), host).ok()) << bad;
    EXPECT_FALSE(sign(changed([&](auto& c) { c.access_key_id = bad; }), host).ok()) << bad;
  }
  const absl::Status token =
      sign(changed([&](auto& c) { c.session_token = "secret\r\nX-Evil: 1"; }), host);
  EXPECT_THAT(token.message(), Not(HasSubstr("secret\r")));
  EXPECT_FALSE(token.ok());
  EXPECT_FALSE(sign(changed([&](auto& c) { c.secret_access_key = {}; }), host).ok());
  const absl::Status longer =
      sign(changed([&](auto& c) {
             c.secret_access_key = ethereum::SecretBytes::CopyOf(std::string(257, 'k')).value();
           }),
           host);
  EXPECT_FALSE(longer.ok());
  EXPECT_THAT(longer.message(), Not(HasSubstr("kkk")));
}

TEST(SigV4, EveryPartOfARequestIsSigned) {
  const HttpRequest base{"POST", "/a", {{"q", "1"}}, {{"host", "h"}, {"x-amz-target", "t"}}, "b"};
  std::vector<HttpRequest> others(6, base);
  others[0].method = "PUT";
  others[1].path = "/b";
  others[2].query[0].second = "2";
  others[3].headers[1].value = "u";
  others[4].headers.push_back({"more", ""});
  others[5].body = "c";
  for (const HttpRequest& other : others) {
    EXPECT_NE(CanonicalRequest(other), CanonicalRequest(base));
  }
}

}  // namespace
}  // namespace coffer::kms
