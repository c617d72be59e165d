#include "enclave_core/ethereum/ticket_broker_reads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;

TEST(ReadsTest, SelectorsAndArguments) {
  Address a, b;
  a.bytes.fill(0xaa);
  b.bytes.fill(0xbb);
  Hash hash;
  hash.bytes.fill(0x77);
  const std::string word_a = std::string(24, '0') + a.ToHex().substr(2);
  const std::string word_b = std::string(24, '0') + b.ToHex().substr(2);
  const struct {
    std::string calldata;
    std::string expected;
  } cases[] = {
      {EncodeGetSenderInfo(a), "0xe1a589da" + word_a},
      {EncodeUsedTickets(hash), "0x59a515ba" + hash.ToHex().substr(2)},
      {EncodeTicketValidityPeriod(), "0x856a2cf8"},
      {EncodeController(), "0xf77c4791"},
      {EncodeIsUnlockInProgress(a), "0x121cdcc2" + word_a},
      {EncodeClaimableReserve(a, b), "0x81779f38" + word_a + word_b},
      {EncodeGetContract("RoundsManager"),
       "0xe16c7d98" + Keccak256("RoundsManager").ToHex().substr(2)},
      {EncodePaused(), "0x5c975abb"},
      {EncodeCurrentRound(), "0x8a19c8bc"},
      {EncodeCurrentRoundInitialized(), "0x219bc76c"},
      {EncodeBlockHashForRound(258), "0x3aa4add4" + std::string(60, '0') + "0102"},
  };
  for (const auto& c : cases) EXPECT_EQ(ToHex(c.calldata), c.expected);
}

TEST(ReadsTest, SenderInfo) {
  const std::string answer = ToBytes32(1) + ToBytes32(2) + ToBytes32(~U256(0)) + ToBytes32(4);
  EXPECT_EQ(DecodeSenderInfo(answer).value(), (SenderInfo{1, 2, ~U256(0), 4}));
  EXPECT_FALSE(DecodeSenderInfo(answer.substr(1)).ok());
  EXPECT_FALSE(DecodeSenderInfo(answer + '\0').ok());
  EXPECT_FALSE(DecodeSenderInfo(ToBytes32(1) + ToBytes32(~U256(0)) + ToBytes32(3) + ToBytes32(4))
                   .ok());  // no such round
  EXPECT_THAT(std::string(DecodeSenderInfo("").status().message()),
              HasSubstr("no such contract at this address"));
}

TEST(ReadsTest, Words) {
  EXPECT_EQ(DecodeUint(ToBytes32(7)).value(), 7);
  EXPECT_TRUE(DecodeBool(ToBytes32(1)).value());
  EXPECT_FALSE(DecodeBool(ToBytes32(0)).value());
  EXPECT_FALSE(DecodeBool(ToBytes32(2)).ok());
  EXPECT_FALSE(DecodeBool(ToBytes32(257)).ok());
  EXPECT_FALSE(DecodeAddress(ToBytes32(~U256(0))).ok());
  EXPECT_EQ(DecodeAddress(ToBytes32(1)).value().ToHex(),
            "0x0000000000000000000000000000000000000001");
  EXPECT_EQ(DecodeBytes32(ToBytes32(9)).value().view(), ToBytes32(9));
  for (const size_t size : {0, 1, 31, 33, 64}) {
    const std::string answer(size, '\0');
    EXPECT_FALSE(DecodeUint(answer).ok()) << size;
    EXPECT_FALSE(DecodeBool(answer).ok()) << size;
    EXPECT_FALSE(DecodeAddress(answer).ok()) << size;
    EXPECT_FALSE(DecodeBytes32(answer).ok()) << size;
  }
}

std::string ErrorData(std::string_view text) {
  std::string out = FromHex("0x08c379a0").value();
  abi::AppendUint(32, out);
  abi::AppendBytes(text, out);
  return out;
}

TEST(RevertReasonTest, Words) {
  const std::string panic = FromHex("0x4e487b71").value();
  std::string huge_length = ErrorData("abc");
  huge_length[4 + 32] = '\xff';
  std::string cut_off = ErrorData(std::string(64, 'a'));
  cut_off.resize(cut_off.size() - 40);
  std::string bad_offset = ErrorData("abc");
  bad_offset[4 + 31] = 0x40;
  const struct {
    std::string data;
    std::string expected;
  } cases[] = {
      {"", "reverted without a reason"},
      {ErrorData("ticket is used"), "ticket is used"},
      {ErrorData("ECDSA: invalid signature 's' value"), "ECDSA: invalid signature 's' value"},
      {ErrorData(""), ""},
      {ErrorData("a\nb\x01\xff\\"), "a\\x0ab\\x01\\xff\\x5c"},
      {ErrorData(std::string(1000, 'a')), absl::StrCat(std::string(256, 'a'), "...")},
      {panic + ToBytes32(0x32), "Panic 0x32 (array index out of bounds)"},
      {panic + ToBytes32(0x11), "Panic 0x11 (arithmetic overflow)"},
      {panic + ToBytes32(0x99), "Panic 0x99 (unknown code)"},
      {panic + ToBytes32(~U256(0)), "Panic with a code out of range"},
      {"\x01\x02", "reverted with 2 bytes: 0x0102"},
      {panic, "reverted with 4 bytes: 0x4e487b71"},
  };
  for (const auto& c : cases) EXPECT_EQ(DecodeRevertReason(c.data), c.expected);
  for (const std::string& data : {huge_length, cut_off, bad_offset}) {
    EXPECT_THAT(DecodeRevertReason(data), HasSubstr("reverted with "));
  }
}

}  // namespace
}  // namespace coffer::ethereum
