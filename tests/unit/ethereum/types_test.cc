#include "enclave_core/ethereum/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;

TEST(Keccak256Test, KnownDigests) {
  const struct {
    std::string input;
    const char* digest;
  } cases[] = {
      {"", "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
      {"abc", "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
      {"testing", "0x5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"},
  };
  for (const auto& c : cases) EXPECT_EQ(Keccak256(c.input).ToHex(), c.digest) << c.input;
}

// The examples of EIP-55 itself.
TEST(ChecksumTest, Eip55Examples) {
  for (const char* text :
       {"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"}) {
    const absl::StatusOr<Address> address = AddressFromText(text);
    ASSERT_TRUE(address.ok()) << text << ": " << address.status();
    EXPECT_EQ(ToChecksum(*address), text);
  }
}

TEST(AddressFromTextTest, AcceptsOneCaseOnly) {
  const Address address = AddressFromText("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").value();
  EXPECT_EQ(AddressFromText("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed").value(), address);
  EXPECT_EQ(AddressFromText("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED").value(), address);
}

TEST(AddressFromTextTest, Refuses) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "EIP-55"},
      {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "EIP-55"},
      {"5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "40 hex digits"},
      {"0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "40 hex digits"},
      {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "40 hex digits"},
      {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0", "40 hex digits"},
      {" x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "40 hex digits"},
      {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beag0", "position 40"},
      {"", "40 hex digits"},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<Address> address = AddressFromText(c.text);
    ASSERT_FALSE(address.ok()) << c.text;
    EXPECT_THAT(std::string(address.status().message()), HasSubstr(c.error)) << c.text;
  }
}

TEST(HexTest, RoundTripAndPrefix) {
  const std::string bytes("\x00\x01\x7f\x80\xff", 5);
  EXPECT_EQ(ToHex(bytes), "0x00017f80ff");
  EXPECT_EQ(FromHex("0x00017f80ff").value(), bytes);
  EXPECT_EQ(FromHex("00017F80fF").value(), bytes);
  EXPECT_EQ(FromHex("").value(), "");
  EXPECT_EQ(FromHex("0x").value(), "");
}

TEST(HexTest, RefusesAndSaysWhere) {
  EXPECT_THAT(std::string(FromHex("0x123").status().message()), HasSubstr("odd number"));
  EXPECT_THAT(std::string(FromHex("0x12g4").status().message()), HasSubstr("position 4"));
  EXPECT_THAT(std::string(FromHex("1 34").status().message()), HasSubstr("position 1"));
  EXPECT_THAT(std::string(Hash::FromHex("0x12").status().message()), HasSubstr("64 digits, got 2"));
  EXPECT_THAT(std::string(Hash::FromBytes("abc").status().message()), HasSubstr("32 bytes, got 3"));
}

TEST(FixedBytesTest, OrdersAndIsZero) {
  const Address low = Address::FromHex("0x0000000000000000000000000000000000000001").value();
  const Address high = Address::FromHex("0x0100000000000000000000000000000000000000").value();
  EXPECT_LT(low, high);
  EXPECT_FALSE(low.IsZero());
  EXPECT_TRUE(Address{}.IsZero());
}

TEST(U256Test, Bytes32RoundTripAtEveryBitLength) {
  EXPECT_EQ(ToBytes32(U256(0)), std::string(32, '\0'));
  EXPECT_EQ(ToBytes32(~U256(0)), std::string(32, '\xff'));
  for (unsigned bit = 0; bit < 256; ++bit) {
    const U256 value = (U256(1) << bit) + (bit > 3 ? 5 : 0);
    const std::string bytes = ToBytes32(value);
    ASSERT_EQ(bytes.size(), 32u);
    EXPECT_EQ(static_cast<uint8_t>(bytes[31 - bit / 8]) >> (bit % 8) & 1, 1) << bit;
    EXPECT_EQ(U256FromBytes(bytes).value(), value) << bit;
  }
  EXPECT_EQ(U256FromBytes("").value(), 0);
  EXPECT_EQ(U256FromBytes("\x01\x02").value(), 258);
  EXPECT_FALSE(U256FromBytes(std::string(33, '\0')).ok());
}

TEST(U256Test, FromString) {
  const std::string max = ToDecimal(~U256(0));
  EXPECT_EQ(max, "115792089237316195423570985008687907853269984665640564039457584007913129639935");
  EXPECT_EQ(U256FromString(max).value(), ~U256(0));
  EXPECT_EQ(U256FromString("0x" + std::string(64, 'f')).value(), ~U256(0));
  EXPECT_EQ(U256FromString("0").value(), 0);
  EXPECT_EQ(U256FromString("007").value(), 7);
  EXPECT_EQ(U256FromString("0xFf").value(), 255);
  for (const char* text :
       {"", "0x", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1g", "ff", "0b1", "1_000",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        "999999999999999999999999999999999999999999999999999999999999999999999999999999",
        "0x10000000000000000000000000000000000000000000000000000000000000000"}) {
    EXPECT_FALSE(U256FromString(text).ok()) << text;
  }
}

}  // namespace
}  // namespace coffer::ethereum
