// Tags of state keys: golden bytes, and everything that they bind.
#include "enclave_core/sealing/state_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace coffer::sealing {
namespace {

using ethereum::PrivateKey;
using ethereum::SecretBytes;
using testing::HasSubstr;

PrivateKey SigningKey(char fill) { return *PrivateKey::FromBytes(std::string(32, fill)); }
SecretBytes TagKey(char fill) { return *StateKeyTagKey(SigningKey(fill)); }
StateKey KeyOf(uint32_t epoch, const std::string& secret) {
  return {epoch, *SecretBytes::CopyOf(secret)};
}

// Computed with Python's hmac: t = HMAC(key, "coffer:derive:state key tag v1"), then
// HMAC(t, "coffer state key v1" || 00 || epoch || plaintext || ciphertext).
TEST(StateKeyTest, GoldenTag) {
  const auto tag =
      StateKeyTag(TagKey('\x11'), KeyOf(0x01020304, std::string(32, '\x22')), "a ciphertext");
  ASSERT_TRUE(tag.ok()) << tag.status();
  EXPECT_EQ(tag->ToHex(), "0xfc9fa345d4668b2ae5026c0b0830b08ca46cf0360cea6e7a7e4c03716f08b97b");
}

TEST(StateKeyTest, TheDerivedKeyIsThatOfTheVersionsBefore) {
  const auto derived = DeriveStateKey(SigningKey('\x11'));
  ASSERT_TRUE(derived.ok());
  EXPECT_EQ(derived->epoch, kDerivedKeyEpoch);
  EXPECT_EQ(derived->secret.view(), SigningKey('\x11').DeriveSecret("state key v1")->view());
}

TEST(StateKeyTest, ATagIsOfOneSigningKeyEpochPlaintextAndCiphertext) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 50; ++i) {
    std::string secret(32, 0);
    for (char& c : secret) c = static_cast<char>(random());
    std::string ciphertext(1 + random() % 300, 0);
    for (char& c : ciphertext) c = static_cast<char>(random());
    const auto epoch = static_cast<uint32_t>(1 + random() % 1000);
    const SecretBytes tag_key = TagKey('\x11');
    const StateKey key = KeyOf(epoch, secret);
    const std::string tag(StateKeyTag(tag_key, key, ciphertext)->view());
    EXPECT_TRUE(CheckStateKeyTag(tag_key, key, ciphertext, tag).ok());
    const absl::Status other = CheckStateKeyTag(TagKey('\x12'), key, ciphertext, tag);
    EXPECT_TRUE(absl::IsDataLoss(other));
    EXPECT_THAT(std::string(other.message()), HasSubstr("not made by an enclave"));
    EXPECT_FALSE(CheckStateKeyTag(tag_key, KeyOf(epoch + 1, secret), ciphertext, tag).ok());
    std::string altered = secret;
    altered[random() % 32] ^= static_cast<char>(1 << (random() % 8));
    EXPECT_FALSE(CheckStateKeyTag(tag_key, KeyOf(epoch, altered), ciphertext, tag).ok());
    EXPECT_FALSE(CheckStateKeyTag(tag_key, key, ciphertext + "x", tag).ok());
    EXPECT_FALSE(CheckStateKeyTag(tag_key, key, ciphertext.substr(1), tag).ok());
    EXPECT_FALSE(CheckStateKeyTag(tag_key, key, ciphertext, tag.substr(0, 31)).ok());
    EXPECT_FALSE(CheckStateKeyTag(tag_key, key, ciphertext, "").ok());
    std::string flipped = tag;
    flipped[random() % 32] ^= static_cast<char>(1 << (random() % 8));
    EXPECT_FALSE(CheckStateKeyTag(tag_key, key, ciphertext, flipped).ok());
  }
}

// Computed with Python's hmac: HMAC(t, "coffer signing key v1" || 00 || epoch || address ||
// ciphertext), t as above.
TEST(SigningKeyTagTest, Golden) {
  ethereum::Address address;
  address.bytes.fill(0x33);
  EXPECT_EQ(SigningKeyTag(TagKey('\x11'), 0x01020304, address, "a ciphertext").ToHex(),
            "0x9d09c3b6459916d5b1e5a7e7aba27053c198e9f9e3e8a15d9843f01a0fb1d05c");
}

TEST(SigningKeyTagTest, ItIsOfOneSigningKeyEpochAddressAndCiphertext) {
  ethereum::Address address, other;
  other.bytes[19] = 1;
  const std::string tag(SigningKeyTag(TagKey('\x11'), 2, address, "c").view());
  EXPECT_TRUE(CheckSigningKeyTag(TagKey('\x11'), 2, address, "c", tag).ok());
  for (const absl::Status& refused :
       {CheckSigningKeyTag(TagKey('\x12'), 2, address, "c", tag),
        CheckSigningKeyTag(TagKey('\x11'), 3, address, "c", tag),
        CheckSigningKeyTag(TagKey('\x11'), 2, other, "c", tag),
        CheckSigningKeyTag(TagKey('\x11'), 2, address, "d", tag),
        CheckSigningKeyTag(TagKey('\x11'), 2, address, "c", tag.substr(1)),
        CheckSigningKeyTag(TagKey('\x11'), 2, address, "c", "")}) {
    EXPECT_TRUE(absl::IsDataLoss(refused));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("was not made by an enclave"));
  }
}

}  // namespace
}  // namespace coffer::sealing
