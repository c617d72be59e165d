// Documents that AWS signed. They lie beside the checkout (../shared/vectors/nitro) and are not
// part of it; without them these tests are skipped, and verify_test.cc stands for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/verify.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::attestation {
namespace {

using audit::Outcome;

std::string Folder() { return std::string(COFFER_SOURCE_DIR) + "/../shared/vectors/nitro/"; }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Vector {
  std::string file, bytes, pcr0;
  absl::Time time;
  size_t user_data = 0, nonce = 0, public_key = 0;
};

size_t Length(const std::string& column) {
  return column == "-" ? 0 : static_cast<size_t>(std::stoul(column));
}

std::vector<Vector> Vectors() {
  std::vector<Vector> vectors;
  std::istringstream manifest(ReadFile(Folder() + "MANIFEST.tsv"));
  std::string line;
  std::getline(manifest, line);
  while (std::getline(manifest, line)) {
    const std::vector<std::string> columns = absl::StrSplit(line, '\t');
    Vector one;
    one.file = columns.at(0);
    one.bytes = ReadFile(Folder() + one.file);
    // The manifest's times are cut to seconds.
    EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, columns.at(6), &one.time, nullptr));
    one.pcr0 = *ethereum::FromHex(columns.at(8));
    one.user_data = Length(columns.at(9));
    one.nonce = Length(columns.at(10));
    one.public_key = Length(columns.at(11));
    vectors.push_back(one);
  }
  return vectors;
}

class RealDocuments : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(Folder() + "MANIFEST.tsv")) {
      GTEST_SKIP() << "no documents signed by AWS: " << Folder() << " is not there";
    }
    vectors_ = Vectors();
    ASSERT_FALSE(vectors_.empty());
  }
  static Expectations Expected(const Vector& vector) {
    Expectations expected;
    expected.at = vector.time;
    expected.pcrs[0] = {vector.pcr0};
    expected.allow_debug = vector.pcr0 == std::string(kPcrBytes, '\0');
    return expected;
  }
  std::vector<Vector> vectors_;
};

TEST_F(RealDocuments, VerifyAtTheirTimeAndNotAfterIt) {
  for (const Vector& vector : vectors_) {
    SCOPED_TRACE(vector.file);
    Expectations expected = Expected(vector);
    const Verification found = Verify(vector.bytes, expected);
    for (const audit::Check& check : found.report.checks) {
      EXPECT_TRUE(check.outcome == Outcome::kPassed || check.outcome == Outcome::kSkipped)
          << check.name << ": " << check.sentence;
    }
    EXPECT_FALSE(found.development);
    EXPECT_EQ(found.root_fingerprint, kAwsRootFingerprint);
    ASSERT_TRUE(found.document);
    EXPECT_EQ(found.document->user_data.value_or("").size(), vector.user_data);
    EXPECT_EQ(found.document->nonce.value_or("").size(), vector.nonce);
    EXPECT_EQ(found.document->public_key.value_or("").size(), vector.public_key);
    expected.at += absl::Hours(3) + absl::Minutes(1);
    EXPECT_EQ(Verify(vector.bytes, expected).report.ExitCode(), audit::kNotVerified);
    EXPECT_EQ(Verify(vector.bytes, expected).report.Find("validity-at")->outcome, Outcome::kFailed);
  }
}

TEST_F(RealDocuments, DebugModeIsRefused) {
  int debug = 0;
  for (const Vector& vector : vectors_) {
    Expectations expected = Expected(vector);
    if (!expected.allow_debug) continue;
    ++debug;
    expected.allow_debug = false;
    EXPECT_EQ(Verify(vector.bytes, expected).report.Find("debug")->outcome, Outcome::kFailed);
  }
  EXPECT_GT(debug, 0);
}

TEST_F(RealDocuments, AreEncodedAsWeEncode) {
  int definite = 0;
  for (const Vector& vector : vectors_) {
    const Verification found = Verify(vector.bytes, Expected(vector));
    const absl::StatusOr<Sign1> message = ParseSign1(vector.bytes);
    ASSERT_TRUE(message.ok() && found.document);
    EXPECT_EQ(EncodeSign1(*message), vector.bytes);
    // A map of definite length; the others are of indefinite length (0xbf).
    if (message->payload.front() != '\xa9') continue;
    ++definite;
    EXPECT_EQ(EncodeDocument(*found.document).value_or(""), message->payload) << vector.file;
  }
  EXPECT_GT(definite, 0);
}

TEST_F(RealDocuments, NoFlippedByteIsVerified) {
  const Vector& vector = vectors_.front();
  const Expectations expected = Expected(vector);
  for (size_t i = 0; i < vector.bytes.size(); ++i) {
    std::string altered = vector.bytes;
    altered[i] = static_cast<char>(altered[i] ^ (1 << i % 8));
    ASSERT_EQ(Verify(altered, expected).report.ExitCode(), audit::kNotVerified) << "byte " << i;
  }
}

}  // namespace
}  // namespace coffer::attestation
