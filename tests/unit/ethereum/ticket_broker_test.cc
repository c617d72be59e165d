#include "enclave_core/ethereum/ticket_broker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "enclave_core/ethereum/abi.h"

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;

Address Filled(uint8_t byte) {
  Address out;
  out.bytes.fill(byte);
  return out;
}

const Address kBroker = Filled(0xb0);
const Address kSender = Filled(0x51);
const Address kRecipient = Filled(0x35);

SignedTicket Example() {
  const PrivateKey key = PrivateKey::FromBytes(std::string(32, '\x46')).value();
  SignedTicket out;
  out.recipient_rand = 42;
  out.ticket.recipient = kRecipient;
  out.ticket.sender = key.address();
  out.ticket.face_value = U256("1000000000000000000");
  out.ticket.sender_nonce = 3;
  out.ticket.recipient_rand_hash = RecipientRandHash(out.recipient_rand);
  out.ticket.aux_data.creation_round = 3456;
  out.ticket.aux_data.creation_round_block_hash.bytes.fill(0xab);
  out.signature = key.Sign(out.ticket.SigningHash());
  return out;
}

// Made with ethers 6.
TEST(TicketTest, GoldenHashesAndSignature) {
  const SignedTicket signed_ticket = Example();
  EXPECT_EQ(signed_ticket.ticket.recipient_rand_hash.ToHex(),
            "0xbeced09521047d05b8960b7e7bcc1d1292cf3e4b2a6b63f48335cbde5f7545d2");
  EXPECT_EQ(signed_ticket.ticket.TicketHash().ToHex(),
            "0x8eced4200d9ad0a563904bccc1853418e21426ba2390bfdfa6fb1f9ca371c678");
  EXPECT_EQ(signed_ticket.ticket.SigningHash().ToHex(),
            "0x409df2b5aab6b88791de53267fbec651fad45326d30a4507790b26441b9f15aa");
  EXPECT_EQ(ToHex(signed_ticket.signature.ToBytes65()),
            "0x89705089cf433fefd1a172f59c0c629dbb3334aae108d15c6e5bde6840e619ee"
            "215517a3cbb1545b82a134e87ef16afa135c488fa3cdae779e646e98120bcf731c");
}

TEST(TicketTest, EveryFieldChangesTheHash) {
  const Ticket ticket = Example().ticket;
  const std::function<void(Ticket&)> changes[] = {
      [](Ticket& t) { t.recipient.bytes[19] ^= 1; },
      [](Ticket& t) { t.sender.bytes[0] ^= 1; },
      [](Ticket& t) { t.face_value += 1; },
      [](Ticket& t) { t.win_prob -= 1; },
      [](Ticket& t) { t.sender_nonce += 1; },
      [](Ticket& t) { t.recipient_rand_hash.bytes[5] ^= 1; },
      [](Ticket& t) { t.aux_data.creation_round += 1; },
      [](Ticket& t) { t.aux_data.creation_round_block_hash.bytes[31] ^= 1; },
  };
  for (const auto& change : changes) {
    Ticket changed = ticket;
    change(changed);
    EXPECT_NE(changed.TicketHash(), ticket.TicketHash());
  }
}

// keccak-256 of what ethers 6 encodes.
TEST(CalldataTest, GoldenCalldata) {
  const std::string single = EncodeRedeemWinningTicket(Example());
  EXPECT_EQ(ToHex(single.substr(0, 4)), "0xec8b3cb6");
  EXPECT_EQ(single.size(), 548u);
  EXPECT_EQ(Keccak256(single).ToHex(),
            "0x301c1839770d89e6ddc261747fb0c16104441e89161371d576bda84937277a6d");
  const struct {
    size_t count, bytes;
    const char* keccak;
  } cases[] = {
      {0, 196, "0x2a2aabed746919f91cea6f58b01bc4950a8446eac56e359d76b88f128ccee6b2"},
      {1, 740, "0xba7537e0b364fb993b807046c8165d77d2eb989d41312253c898a430fff8f5fe"},
      {100, 54596, "0x38c1ac28a2d395698503fe0283c1789ed0ba234c04fcd7f27a75493b0862b770"},
  };
  for (const auto& c : cases) {
    std::vector<SignedTicket> tickets(c.count, Example());
    for (size_t i = 0; i < c.count; ++i) tickets[i].ticket.sender_nonce = i;
    const std::string batch = EncodeBatchRedeemWinningTickets(tickets);
    EXPECT_EQ(ToHex(batch.substr(0, 4)), "0xd01b808e");
    EXPECT_EQ(batch.size(), c.bytes);
    EXPECT_EQ(Keccak256(batch).ToHex(), c.keccak) << c.count;
  }
  EXPECT_EQ(ToHex(EncodeFundDeposit()), "0x6caa736b");
  EXPECT_EQ(ToHex(EncodeFundReserve()), "0x6f9c3c8f");
}

Hash Topic(const Address& address) {
  std::string word;
  abi::AppendAddress(address, word);
  return Hash::FromBytes(word).value();
}

Log Transfer(const U256& amount, const Address& recipient = kRecipient) {
  return {kBroker,
          {WinningTicketTransferTopic(), Topic(kSender), Topic(recipient)},
          ToBytes32(amount),
          0};
}

Log Redeemed(const U256& face_value, uint64_t nonce, const Address& recipient = kRecipient) {
  Log log{kBroker, {WinningTicketRedeemedTopic(), Topic(kSender), Topic(recipient)}, "", 0};
  abi::AppendUint(face_value, log.data);
  abi::AppendUint(~U256(0), log.data);
  abi::AppendUint(nonce, log.data);
  abi::AppendUint(4242, log.data);
  abi::AppendUint(160, log.data);
  abi::AppendBytes(ToBytes32(17) + std::string(32, '\xab'), log.data);
  return log;
}

Log Other(const char* event) {
  return {kBroker, {Keccak256(event), Topic(kSender)}, std::string(7, 'x'), 0};
}

std::vector<Log> Numbered(std::vector<Log> logs) {
  for (size_t i = 0; i < logs.size(); ++i) logs[i].log_index = i;
  return logs;
}

TEST(EventsTest, TopicsAreTheContracts) {
  EXPECT_EQ(WinningTicketTransferTopic().ToHex(),
            "0x8b87351a208c06e3ceee59d80725fd77a23b4129e1b51ca231fc89b40712649c");
  EXPECT_EQ(WinningTicketRedeemedTopic().ToHex(),
            "0xc389eb51ed006dbf2528507f010efdf5225ea596e1e1741d74f550dab1925ee7");
}

TEST(DecodeRedemptionsTest, FullPartialAndNothing) {
  Log foreign = Transfer(999);
  foreign.address = Filled(0xcc);
  Log anonymous{kBroker, {}, "abc", 0};
  const auto redemptions = DecodeRedemptions(
      kBroker, Numbered({Transfer(100), Redeemed(100, 1), foreign, anonymous,
                         Other("ReserveClaimed(address,address,uint256)"), Transfer(30),
                         Other("SomethingNew()"), foreign, Redeemed(100, 2), Redeemed(100, 3)}));
  ASSERT_TRUE(redemptions.ok()) << redemptions.status();
  ASSERT_EQ(redemptions->size(), 3u);
  const U256 paid[] = {100, 30, 0};
  for (size_t i = 0; i < 3; ++i) {
    const Redemption& got = (*redemptions)[i];
    EXPECT_EQ(got.paid, paid[i]);
    EXPECT_EQ(got.sender_nonce, i + 1);
    EXPECT_EQ(got.face_value, 100);
    EXPECT_EQ(got.win_prob, ~U256(0));
    EXPECT_EQ(got.recipient_rand, 4242);
    EXPECT_EQ(got.sender, kSender);
    EXPECT_EQ(got.recipient, kRecipient);
    EXPECT_EQ(got.aux_data.creation_round, 17u);
    EXPECT_EQ(got.aux_data.creation_round_block_hash.view(), std::string(32, '\xab'));
  }
}

TEST(DecodeRedemptionsTest, ABatchOfAHundred) {
  std::vector<Log> logs;
  for (uint64_t i = 0; i < 100; ++i) {
    const Address recipient = Filled(static_cast<uint8_t>(i));
    if (i % 3 != 0) logs.push_back(Transfer(i, recipient));
    logs.push_back(Redeemed(100, i, recipient));
  }
  const auto redemptions = DecodeRedemptions(kBroker, Numbered(logs));
  ASSERT_TRUE(redemptions.ok()) << redemptions.status();
  ASSERT_EQ(redemptions->size(), 100u);
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ((*redemptions)[i].paid, i % 3 != 0 ? i : 0);
    EXPECT_EQ((*redemptions)[i].sender_nonce, i);
  }
}

TEST(DecodeRedemptionsTest, NothingOfTheBrokerIsNothing) {
  EXPECT_TRUE(DecodeRedemptions(kBroker, {}).value().empty());
  EXPECT_TRUE(DecodeRedemptions(Filled(1), Numbered({Transfer(1)})).value().empty());
}

Log Changed(Log log, const std::function<void(Log&)>& change) {
  change(log);
  return log;
}

TEST(DecodeRedemptionsTest, Refuses) {
  const Log redeemed = Redeemed(100, 1);
  const struct {
    const char* name;
    std::vector<Log> logs;
    const char* error;
  } cases[] = {
      {"a transfer alone", {Transfer(1)}, "without its redemption"},
      {"a transfer at the end", {redeemed, Transfer(1)}, "log 1: WinningTicketTransfer without"},
      {"two transfers", {Transfer(1), Transfer(2), redeemed}, "log 0: WinningTicketTransfer"},
      {"another recipient", {Transfer(1, Filled(9)), redeemed}, "another sender or recipient"},
      {"another redemption between",
       {Transfer(1), Redeemed(100, 2, Filled(9)), redeemed},
       "another sender or recipient"},
      {"more than the face value", {Transfer(101), redeemed}, "more was transferred"},
      {"short transfer",
       {Changed(Transfer(1), [](Log& l) { l.data.pop_back(); }), redeemed},
       "31 bytes of data"},
      {"long transfer",
       {Changed(Transfer(1), [](Log& l) { l.data += '\0'; }), redeemed},
       "33 bytes of data"},
      {"missing topic", {Changed(redeemed, [](Log& l) { l.topics.pop_back(); })}, "2 topics"},
      {"one topic more", {Changed(redeemed, [](Log& l) { l.topics.emplace_back(); })}, "4 topics"},
      {"five topics", {Changed(redeemed, [](Log& l) { l.topics.resize(5); })}, "at most 4"},
      {"dirty address",
       {Changed(redeemed, [](Log& l) { l.topics[1].bytes[11] = 1; })},
       "out of range for an address"},
      {"empty data", {Changed(redeemed, [](Log& l) { l.data.clear(); })}, "0 bytes of data"},
      {"wrong offset", {Changed(redeemed, [](Log& l) { l.data[5 * 32 - 1] = 0x20; })}, "auxData"},
      {"huge offset", {Changed(redeemed, [](Log& l) { l.data[4 * 32] = 0x7f; })}, "auxData"},
      {"wrong length", {Changed(redeemed, [](Log& l) { l.data[6 * 32 - 1] = 63; })}, "auxData"},
      {"huge round", {Changed(redeemed, [](Log& l) { l.data[6 * 32] = 1; })}, "creation round"},
  };
  for (const auto& c : cases) {
    const auto redemptions = DecodeRedemptions(kBroker, Numbered(c.logs));
    ASSERT_FALSE(redemptions.ok()) << c.name;
    EXPECT_THAT(std::string(redemptions.status().message()), HasSubstr(c.error)) << c.name;
  }
}

Log Funded(const char* topic, const U256& amount) {
  return {kBroker, {Hash::FromHex(topic).value(), Topic(kSender)}, ToBytes32(amount), 0};
}

constexpr char kDepositFunded[] =
    "0x5159e237d952190e68d5215430f305831be7c9c8776d1377c76679ae4773413f";
constexpr char kReserveFunded[] =
    "0xb52b99b9e83551fcbd069b559cc3e823e2a1a3bad8ece46561ea77524394c850";

TEST(DecodeFundingsTest, DepositsAndReserves) {
  Log foreign = Funded(kDepositFunded, 5);
  foreign.address = Filled(1);
  const auto fundings =
      DecodeFundings(kBroker, Numbered({Funded(kDepositFunded, 7), foreign, Transfer(1),
                                        Funded(kReserveFunded, 8), Redeemed(1, 1)}));
  ASSERT_TRUE(fundings.ok()) << fundings.status();
  ASSERT_EQ(fundings->size(), 2u);
  EXPECT_EQ((*fundings)[0].kind, Funding::Kind::kDeposit);
  EXPECT_EQ((*fundings)[0].amount, 7);
  EXPECT_EQ((*fundings)[0].sender, kSender);
  EXPECT_EQ((*fundings)[1].kind, Funding::Kind::kReserve);
  EXPECT_EQ((*fundings)[1].amount, 8);
}

TEST(DecodeFundingsTest, Refuses) {
  for (const auto& change : std::vector<std::function<void(Log&)>>{
           [](Log& l) { l.data.clear(); }, [](Log& l) { l.data += 'x'; },
           [](Log& l) { l.topics.pop_back(); }, [](Log& l) { l.topics.emplace_back(); },
           [](Log& l) { l.topics[1].bytes[0] = 1; }, [](Log& l) { l.topics.resize(5); }}) {
    EXPECT_FALSE(
        DecodeFundings(kBroker, Numbered({Changed(Funded(kDepositFunded, 7), change)})).ok());
    EXPECT_FALSE(
        DecodeFundings(kBroker, Numbered({Changed(Funded(kReserveFunded, 7), change)})).ok());
  }
}

}  // namespace
}  // namespace coffer::ethereum
