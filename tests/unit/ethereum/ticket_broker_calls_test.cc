#include "enclave_core/ethereum/ticket_broker_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;
using Kind = BrokerCall::Kind;

constexpr size_t kWord = 32;
constexpr size_t kMax = 100;

RedemptionArguments Example(uint64_t nonce) {
  RedemptionArguments out;
  out.ticket.recipient.bytes.fill(0x35);
  out.ticket.sender.bytes.fill(0x51);
  out.ticket.face_value = U256("1000000000000000000");
  out.ticket.sender_nonce = nonce;
  out.ticket.recipient_rand_hash.bytes.fill(0x44);
  out.ticket.aux_data.creation_round = 3456;
  out.signature = std::string(65, '\x55');
  out.recipient_rand = 42;
  return out;
}

BrokerCall Batch(size_t count) {
  BrokerCall call{Kind::kBatchRedeem, {}};
  for (size_t i = 0; i < count; ++i) call.tickets.push_back(Example(i));
  return call;
}

TEST(BrokerCallTest, DecodesWhatItEncodes) {
  std::vector<BrokerCall> calls = {
      {Kind::kRedeem, {Example(7)}}, {Kind::kFundDeposit, {}}, {Kind::kFundReserve, {}}};
  for (const size_t count : {0, 1, 2, 3, 100}) calls.push_back(Batch(count));
  // Nothing in a ticket is too large or too small.
  RedemptionArguments extreme = Example(0);
  extreme.ticket.face_value = extreme.ticket.sender_nonce = extreme.recipient_rand = ~U256(0);
  extreme.ticket.aux_data.creation_round = UINT64_MAX;
  extreme.ticket.recipient = Address();
  extreme.signature = std::string(65, '\0');
  calls.push_back({Kind::kRedeem, {extreme}});
  for (const BrokerCall& call : calls) {
    const std::string encoded = EncodeBrokerCall(call);
    const absl::StatusOr<BrokerCall> decoded = DecodeBrokerCall(encoded, kMax);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, call);
    EXPECT_EQ(EncodeBrokerCall(*decoded), encoded);
  }
}

TEST(BrokerCallTest, HoldsTheLimitOnTickets) {
  EXPECT_TRUE(DecodeBrokerCall(EncodeBrokerCall(Batch(3)), 3).ok());
  const absl::StatusOr<BrokerCall> more = DecodeBrokerCall(EncodeBrokerCall(Batch(4)), 3);
  ASSERT_FALSE(more.ok());
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("a batch of 4 tickets, at most 3"));
}

TEST(BrokerCallTest, OnlyTheCanonicalEncodingPasses) {
  using Change = std::function<void(std::string&)>;
  // Byte `byte` of word `word`, counted behind the selector.
  const auto set = [](size_t word, size_t byte, int value) {
    return Change([=](std::string& s) { s[4 + word * kWord + byte] = static_cast<char>(value); });
  };
  const auto tail = [](int count) {
    return Change([=](std::string& s) {
      s.resize(static_cast<size_t>(static_cast<int>(s.size()) + count), '\0');
    });
  };
  // redeemWinningTicket: words 0-2 head, 3-8 the ticket, 9 the offset of auxData, 10-12 auxData,
  // 13-16 the signature.
  const struct {
    const char* name;
    Change change;
    const char* words;
  } single[] = {
      {"a byte behind", tail(1), "545 bytes"},
      {"a word behind", tail(32), "these are 576"},
      {"a byte less", tail(-1), "these are 543"},
      {"moved offset of the ticket", set(0, 31, 0x80), "canonical"},
      {"huge offset of the ticket", set(0, 0, 0xff), "canonical"},
      {"overlapping tails", set(1, 31, 0x60), "canonical"},
      {"huge offset of the signature", set(1, 24, 0x80), "canonical"},
      {"dirty recipient", set(3, 11, 1), "ticket.recipient"},
      {"dirty sender", set(4, 0, 1), "ticket.sender"},
      {"moved auxData", set(9, 31, 0xc0), "canonical"},
      {"short auxData", set(10, 31, 63), "auxData must be 64 bytes"},
      {"huge auxData", set(10, 0, 0x80), "auxData must be 64 bytes"},
      {"huge round", set(11, 23, 1), "creationRound"},
      {"short signature", set(13, 31, 64), "canonical"},
      {"long signature", set(13, 31, 66), "canonical"},
      {"huge signature", set(13, 0, 0xff), "canonical"},
      {"dirty padding", set(16, 1, 1), "canonical"},
      {"dirty last byte", set(16, 31, 1), "canonical"},
      {"unknown function", [](std::string& s) { s[0] = 0; }, "0x008b3cb6"},
      {"only three bytes", [](std::string& s) { s.resize(3); }, "no function selector"},
      {"nothing", [](std::string& s) { s.clear(); }, "no function selector"},
      {"a selector alone", [](std::string& s) { s.resize(4); }, "these are 0"},
  };
  for (const auto& row : single) {
    std::string data = EncodeBrokerCall({Kind::kRedeem, {Example(1)}});
    row.change(data);
    const absl::StatusOr<BrokerCall> call = DecodeBrokerCall(data, kMax);
    ASSERT_FALSE(call.ok()) << row.name;
    EXPECT_EQ(call.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(call.status().message()), HasSubstr(row.words)) << row.name;
  }

  // batchRedeemWinningTickets of two: words 0-2 head; 3 count, 4-5 offsets, 6-25 tickets; 26 count,
  // 27-28 offsets, 29-36 signatures; 37 count, 38-39 numbers.
  const decltype(single[0]) batch[] = {
      {"a byte behind", tail(1), "bytes of arguments"},
      {"a word less", tail(-32), "bytes of arguments"},
      {"cut off in the head", [](std::string& s) { s.resize(4 + 191); }, "too few"},
      {"moved offset of the tickets", set(0, 31, 0x80), "canonical"},
      {"one array for two", set(1, 31, 0x60), "canonical"},
      {"huge offset of an array", set(2, 0, 0x80), "canonical"},
      {"count of one", set(3, 31, 1), "bytes of arguments"},
      {"count of 101", set(3, 31, 101), "a batch of 101 tickets, at most 100"},
      {"huge count", set(3, 0, 0xff), "at most 100"},
      {"count that wraps", set(3, 23, 1), "at most 100"},
      {"both tickets are one", set(5, 31, 0x40), "canonical"},
      {"dirty recipient of the second", set(16, 0, 1), "tickets[1].recipient"},
      {"auxData of the second", set(23, 31, 96), "tickets[1].auxData"},
      {"fewer signatures", set(26, 31, 1), "canonical"},
      {"huge count of signatures", set(26, 0, 0xff), "canonical"},
      {"both signatures are one", set(28, 31, 0x40), "canonical"},
      {"dirty padding of a signature", set(32, 31, 1), "canonical"},
      {"fewer numbers", set(37, 31, 1), "canonical"},
      {"huge count of numbers", set(37, 3, 1), "canonical"},
  };
  for (const auto& row : batch) {
    std::string data = EncodeBrokerCall(Batch(2));
    ASSERT_EQ(data.size(), 4 + 40 * kWord);
    row.change(data);
    const absl::StatusOr<BrokerCall> call = DecodeBrokerCall(data, kMax);
    ASSERT_FALSE(call.ok()) << row.name;
    EXPECT_THAT(std::string(call.status().message()), HasSubstr(row.words)) << row.name;
  }

  for (const Kind kind : {Kind::kFundDeposit, Kind::kFundReserve}) {
    EXPECT_FALSE(DecodeBrokerCall(EncodeBrokerCall({kind, {}}) + '\0', kMax).ok());
  }
}

}  // namespace
}  // namespace coffer::ethereum
