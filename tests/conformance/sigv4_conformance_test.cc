// enclave_core/kms/sigv4 against the AWS SDK's signer, on random requests made by
// sigv4_vectors.mjs. The seed is printed; COFFER_TEST_SEED repeats a run.
#include <gtest/gtest.h>
#include <json/json.h>

#include <filesystem>
#include <string>

#include "enclave_core/ethereum/types.h"
#include "enclave_core/kms/sigv4.h"
#include "tests/conformance/ethers_cases.h"

namespace coffer::kms {
namespace {

using Json = Json::Value;

std::string Raw(const Json& hex) { return ethereum::FromHex("0x" + hex.asString()).value(); }

std::string HeaderOf(const HttpRequest& request, const std::string& name) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

void CheckSigned(const Json& json) {
  HttpRequest request{json["method"].asString(), Raw(json["path"]), {}, {}, Raw(json["body"])};
  for (const Json& pair : json["query"]) request.query.emplace_back(Raw(pair[0]), Raw(pair[1]));
  for (const Json& pair : json["headers"]) request.headers.push_back({Raw(pair[0]), Raw(pair[1])});
  const Credentials credentials{json["region"].asString(), json["accessKeyId"].asString(),
                                ethereum::SecretBytes::CopyOf(Raw(json["secretAccessKey"])).value(),
                                json["sessionToken"].asString()};
  const absl::Time time = absl::FromUnixSeconds(std::stoll(json["seconds"].asString()));
  const absl::Status status = SignRequest(credentials, json["service"].asString(), time, &request);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(HeaderOf(request, "authorization"), json["authorization"].asString())
      << CanonicalRequest(request);
  EXPECT_EQ(HeaderOf(request, "x-amz-date"), json["date"].asString());
  EXPECT_EQ(HeaderOf(request, "x-amz-security-token"), json["sessionToken"].asString());
}

TEST(SigV4Conformance, AgreesWithTheSignerOfTheAwsSdkOnRandomRequests) {
  if (!std::filesystem::exists(conformance::SourceFolder() /
                               "tests/js/node_modules/@smithy/signature-v4")) {
    GTEST_SKIP() << "tests/js/node_modules has no @smithy/signature-v4: run `npm ci` in tests/js";
  }
  conformance::RunCases("sigv4_vectors.mjs", {{"signed", {CheckSigned, 1000}}});
}

}  // namespace
}  // namespace coffer::kms
