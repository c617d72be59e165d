#include "enclave_core/ethereum/ticket_broker_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

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

using Change = std::function<void(std::string&)>;

// Byte `byte` of word `word`, counted behind the selector.
Change Set(size_t word, size_t byte, int value) {
  return [=](std::string& s) { s[4 + word * kWord + byte] = static_cast<char>(value); };
}

Change Longer(size_t bytes) {
  return [=](std::string& s) { s.append(bytes, '\0'); };
}

Change Shorter(size_t bytes) {
  return [=](std::string& s) { s.resize(s.size() - bytes); };
}

struct Row {
  const char* name;
  Change change;
  const char* words;  // in the error
};

void ExpectRefused(const std::string& canonical, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    std::string data = canonical;
    row.change(data);
    const absl::StatusOr<BrokerCall> call = DecodeBrokerCall(data, kMax);
    ASSERT_FALSE(call.ok()) << row.name;
    EXPECT_EQ(call.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(call.status().message()), HasSubstr(row.words)) << row.name;
  }
}

TEST(BrokerCallTest, OnlyACanonicalRedemptionPasses) {
  // redeemWinningTicket: words 0-2 head, 3-8 the ticket, 9 the offset of auxData, 10-12 auxData,
  // 13-16 the signature.
  ExpectRefused(
      EncodeBrokerCall({Kind::kRedeem, {Example(1)}}),
      {
          {"a byte behind", Longer(1), "these are 545"},
          {"a word behind", Longer(32), "these are 576"},
          {"a byte less", Shorter(1), "these are 543"},
          {"moved offset of the ticket", Set(0, 31, 0x80), "canonical"},
          {"huge offset of the ticket", Set(0, 0, 0xff), "canonical"},
          {"overlapping tails", Set(1, 31, 0x60), "canonical"},
          {"huge offset of the signature", Set(1, 24, 0x80), "canonical"},
          {"dirty recipient", Set(3, 11, 1), "ticket.recipient"},
          {"dirty sender", Set(4, 0, 1), "ticket.sender"},
          {"moved auxData", Set(9, 31, 0xc0), "canonical"},
          {"short auxData", Set(10, 31, 63), "auxData must be 64 bytes"},
          {"huge auxData", Set(10, 0, 0x80), "auxData must be 64 bytes"},
          {"huge round", Set(11, 23, 1), "creationRound"},
          {"short signature", Set(13, 31, 64), "canonical"},
          {"long signature", Set(13, 31, 66), "canonical"},
          {"huge signature", Set(13, 0, 0xff), "canonical"},
          {"dirty padding", Set(16, 1, 1), "canonical"},
          {"dirty last byte", Set(16, 31, 1), "canonical"},
          {"unknown function", [](std::string& s) { s[0] = 0; }, "0x008b3cb6"},
          {"only three bytes", [](std::string& s) { s.resize(3); }, "no function selector"},
          {"nothing", [](std::string& s) { s.clear(); }, "no function selector"},
          {"a selector alone", [](std::string& s) { s.resize(4); }, "these are 0"},
      });
}

TEST(BrokerCallTest, OnlyACanonicalBatchPasses) {
  // batchRedeemWinningTickets of two: words 0-2 head; 3 count, 4-5 offsets, 6-25 tickets; 26 count,
  // 27-28 offsets, 29-36 signatures; 37 count, 38-39 numbers.
  const std::string batch = EncodeBrokerCall(Batch(2));
  ASSERT_EQ(batch.size(), 4 + 40 * kWord);
  ExpectRefused(batch,
                {
                    {"a byte behind", Longer(1), "bytes of arguments"},
                    {"a word less", Shorter(32), "bytes of arguments"},
                    {"cut off in the head", [](std::string& s) { s.resize(4 + 191); }, "too few"},
                    {"moved offset of the tickets", Set(0, 31, 0x80), "canonical"},
                    {"one array for two", Set(1, 31, 0x60), "canonical"},
                    {"huge offset of an array", Set(2, 0, 0x80), "canonical"},
                    {"count of one", Set(3, 31, 1), "bytes of arguments"},
                    {"count of 101", Set(3, 31, 101), "a batch of 101 tickets, at most 100"},
                    {"huge count", Set(3, 0, 0xff), "at most 100"},
                    {"count that wraps", Set(3, 23, 1), "at most 100"},
                    {"both tickets are one", Set(5, 31, 0x40), "canonical"},
                    {"dirty recipient of the second", Set(16, 0, 1), "tickets[1].recipient"},
                    {"auxData of the second", Set(23, 31, 96), "tickets[1].auxData"},
                    {"fewer signatures", Set(26, 31, 1), "canonical"},
                    {"huge count of signatures", Set(26, 0, 0xff), "canonical"},
                    {"both signatures are one", Set(28, 31, 0x40), "canonical"},
                    {"dirty padding of a signature", Set(32, 31, 1), "canonical"},
                    {"fewer numbers", Set(37, 31, 1), "canonical"},
                    {"huge count of numbers", Set(37, 3, 1), "canonical"},
                });
}

TEST(BrokerCallTest, FundingsHaveNoArguments) {
  for (const Kind kind : {Kind::kFundDeposit, Kind::kFundReserve}) {
    EXPECT_FALSE(DecodeBrokerCall(EncodeBrokerCall({kind, {}}) + '\0', kMax).ok());
  }
}

}  // namespace
}  // namespace coffer::ethereum
