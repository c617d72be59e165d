// A whole state as one blob: opened as it was sealed, or refused with the reason.
#include "enclave_core/sealing/blob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace coffer::sealing {
namespace {

using testing::HasSubstr;

Vault NewVault(uint8_t key, uint8_t salt_byte) {
  Hash salt;
  salt.bytes.fill(salt_byte);
  return Vault(ethereum::SecretBytes::CopyOf(std::string(32, static_cast<char>(key))).value(), 0,
               salt);
}

TEST(BlobTest, OpensToTheSameParts) {
  Vault writer = NewVault(1, 1);
  Vault reader = NewVault(1, 2);
  const std::vector<std::string> parts = {"one", "", std::string(100'000, 'x')};
  const auto blob = SealBlob(&writer, parts);
  ASSERT_TRUE(blob.ok()) << blob.status();
  const auto opened = OpenBlob(&reader, *blob);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*opened, parts);
}

TEST(BlobTest, EveryAlteredByteIsSeen) {
  Vault vault = NewVault(1, 1);
  const std::string blob = SealBlob(&vault, {"one", "two"}).value();
  for (size_t i = 0; i < blob.size(); ++i) {
    std::string altered = blob;
    altered[i] = static_cast<char>(altered[i] ^ 0x40);
    EXPECT_FALSE(OpenBlob(&vault, altered).ok()) << "byte " << i;
  }
  for (size_t length = 0; length < blob.size(); ++length)
    EXPECT_FALSE(OpenBlob(&vault, blob.substr(0, length)).ok()) << length << " bytes";
}

TEST(BlobTest, PartsStayTogether) {
  Vault vault = NewVault(1, 1);
  const auto cut = [](const std::string& blob, size_t part) {  // of parts of 3 bytes each
    constexpr size_t kPart = 4 + kHeaderBytes + 3 + kTagBytes;
    return blob.substr(4 + part * kPart, kPart);
  };
  const std::string a = SealBlob(&vault, {"one", "two"}).value();
  const std::string b = SealBlob(&vault, {"six", "ten"}).value();
  const struct {
    const char* name;
    std::string blob;
    const char* why;
  } kRows[] = {
      {"swapped", "CFRX" + cut(a, 1) + cut(a, 0), "belongs elsewhere"},
      {"mixed", "CFRX" + cut(a, 0) + cut(b, 1), "belongs elsewhere"},
      {"repeated", "CFRX" + cut(a, 0) + cut(a, 0), "belongs elsewhere"},
      {"first only", "CFRX" + cut(a, 0), "not whole: 1 of 2"},
      {"none", "CFRX", "not whole"},
      {"more", a + cut(b, 0), "belongs elsewhere"},
      {"nothing", "", "no exported state"},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const auto opened = OpenBlob(&vault, row.blob);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr(row.why));
  }
}

TEST(BlobTest, AnotherKeyAndARecordAreRefusedAndABlobPartIsNoRecord) {
  Vault vault = NewVault(1, 1);
  Vault other = NewVault(2, 1);
  const std::string blob = SealBlob(&vault, {"one"}).value();
  EXPECT_FALSE(OpenBlob(&other, blob).ok());
  ChainReader chain(&vault);
  const auto as_record = chain.Next(blob.substr(8));
  ASSERT_FALSE(as_record.ok());
  EXPECT_THAT(std::string(as_record.status().message()), HasSubstr("exported state"));
}

TEST(BlobTest, AStateBeyondAFrameIsSentToAStorage) {
  Vault vault = NewVault(1, 1);
  const auto blob = SealBlob(&vault, {std::string(kMaxBlobBytes, 'x')});
  ASSERT_FALSE(blob.ok());
  EXPECT_THAT(std::string(blob.status().message()), HasSubstr("coffer-host"));
}

}  // namespace
}  // namespace coffer::sealing
