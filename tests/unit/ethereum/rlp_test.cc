#include "enclave_core/ethereum/rlp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace coffer::ethereum::rlp {
namespace {

using testing::HasSubstr;

std::string Bytes(std::string_view bytes) {
  std::string out;
  AppendBytes(bytes, out);
  return out;
}

std::string Uint(const U256& value) {
  std::string out;
  AppendUint(value, out);
  return out;
}

// The examples of Ethereum's RLP page and of its rlptest.json.
TEST(RlpTest, KnownEncodings) {
  EXPECT_EQ(ToHex(Bytes("dog")), "0x83646f67");
  EXPECT_EQ(ToHex(Bytes("")), "0x80");
  EXPECT_EQ(ToHex(Bytes(std::string(1, '\0'))), "0x00");
  EXPECT_EQ(ToHex(Bytes("\x7f")), "0x7f");
  EXPECT_EQ(ToHex(Bytes("\x80")), "0x8180");
  EXPECT_EQ(ToHex(Uint(0)), "0x80");
  EXPECT_EQ(ToHex(Uint(15)), "0x0f");
  EXPECT_EQ(ToHex(Uint(1024)), "0x820400");
  EXPECT_EQ(ToHex(EncodeList("")), "0xc0");
  EXPECT_EQ(ToHex(EncodeList(Bytes("cat") + Bytes("dog"))), "0xc88363617483646f67");
  const std::string empty = EncodeList("");
  const std::string one = EncodeList(empty);
  EXPECT_EQ(ToHex(EncodeList(empty + one + EncodeList(empty + one))), "0xc7c0c1c0c3c0c1c0");
  EXPECT_EQ(
      ToHex(Bytes("Lorem ipsum dolor sit amet, consectetur adipisicing elit")),
      "0xb8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e73656374657475722061"
      "6469706973696369"
      "6e6720656c6974");
}

TEST(RlpTest, RoundTripsAtEveryHeaderBoundary) {
  for (const size_t size : {0, 1, 2, 55, 56, 255, 256, 65535, 65536}) {
    const std::string content(size, 'x');
    const std::string encoded = Bytes(content);
    const auto item = Decode(encoded);
    ASSERT_TRUE(item.ok()) << size << ": " << item.status();
    EXPECT_FALSE(item->is_list);
    EXPECT_EQ(item->bytes, content);
    EXPECT_EQ(item->encoding, encoded);
    const std::string list = EncodeList(encoded);
    const auto outer = Decode(list);
    ASSERT_TRUE(outer.ok()) << size << ": " << outer.status();
    ASSERT_EQ(outer->items.size(), 1u);
    EXPECT_EQ(outer->items[0].bytes, content);
  }
}

TEST(RlpTest, RefusesWhatIsNotCanonicalOrCutOff) {
  const struct {
    const char* hex;
    const char* error;
  } cases[] = {
      {"", "missing"},
      {"0x8100", "stand for itself"},
      {"0x817f", "stand for itself"},
      {"0x81", "1 where 0 bytes are left"},
      {"0x83646f", "3 where 2 bytes are left"},
      {"0x83646f6700", "1 bytes after the end"},
      {"0x0000", "1 bytes after the end"},
      {"0xc0c0", "1 bytes after the end"},
      {"0xb800", "begins with a zero byte"},
      {"0xb801ff", "shorter form"},
      {"0xb83761", "shorter form"},
      {"0xb90038", "begins with a zero byte"},
      {"0xb8", "cut off"},
      {"0xb901", "cut off"},
      {"0xbfffffffffffffffff", "bytes are left"},
      {"0xffffffffffffffffff", "bytes are left"},
      {"0xbf8000000000000000", "bytes are left"},
      {"0xf800", "begins with a zero byte"},
      {"0xf803010203", "shorter form"},
      {"0xc1", "1 where 0 bytes are left"},
      {"0xc183", "3 where 0 bytes are left"},            // an item that leaves its list
      {"0xc2836161616161", "3 where 1 bytes are left"},  // though the input would have its bytes
      {"0xc28100", "stand for itself"},
  };
  for (const auto& c : cases) {
    const std::string raw = FromHex(c.hex).value();
    const auto item = Decode(raw);
    ASSERT_FALSE(item.ok()) << c.hex;
    EXPECT_THAT(std::string(item.status().message()), HasSubstr(c.error)) << c.hex;
  }
}

TEST(RlpTest, KeepsItsLimits) {
  const auto nested = [](size_t depth) {
    std::string out;
    for (size_t i = 0; i < depth; ++i) out = EncodeList(out);
    return out;
  };
  EXPECT_TRUE(Decode(nested(8)).ok());
  EXPECT_THAT(std::string(Decode(nested(9)).status().message()), HasSubstr("nested too deep"));
  EXPECT_FALSE(Decode(nested(20000)).ok());

  const Limits limits{.max_bytes = 10, .max_depth = 1, .max_items = 4};
  EXPECT_TRUE(Decode(EncodeList("abc"), limits).ok());
  EXPECT_THAT(std::string(Decode(EncodeList("abcd"), limits).status().message()),
              HasSubstr("more than 4 items"));
  EXPECT_THAT(std::string(Decode(Bytes("0123456789"), limits).status().message()),
              HasSubstr("11 bytes, allowed are 10"));
}

TEST(RlpTest, Integers) {
  const auto u64 = [](const char* hex) { return ToUint64(*Decode(*FromHex(hex))); };
  EXPECT_EQ(*ToUint64(Decode(std::string_view("\x80")).value()), 0u);
  const std::string max64 = Uint(~uint64_t{0});
  EXPECT_EQ(ToUint64(Decode(max64).value()).value(), ~uint64_t{0});
  const std::string over64 = Uint(U256(1) << 64);
  EXPECT_FALSE(ToUint64(Decode(over64).value()).ok());
  EXPECT_EQ(ToU256(Decode(over64).value()).value(), U256(1) << 64);
  const std::string max256 = Uint(~U256(0));
  EXPECT_EQ(ToU256(Decode(max256).value()).value(), ~U256(0));
  EXPECT_FALSE(u64("0x00").ok());      // zero is the empty string
  EXPECT_FALSE(u64("0x820001").ok());  // leading zero
  EXPECT_FALSE(u64("0xc0").ok());
  const std::string too_long = Bytes(std::string(33, '\x01'));
  EXPECT_FALSE(ToU256(Decode(too_long).value()).ok());
}

}  // namespace
}  // namespace coffer::ethereum::rlp
