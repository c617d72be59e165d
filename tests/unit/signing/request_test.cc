// What a client asks to have signed: every refusal of the parser, and bytes that ethers made.
#include "enclave_core/signing/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

std::string Hex(std::string_view digits) { return ethereum::FromHex(digits).value(); }

v1::SignTransaction Dynamic() {
  v1::SignTransaction tx;
  tx.set_type(2);
  tx.set_chain_id(31337);
  tx.set_nonce(128);
  tx.set_gas_limit(100'000);
  tx.set_max_priority_fee_per_gas("\x01");
  tx.set_max_fee_per_gas(std::string("\x01") + std::string(8, '\0'));
  tx.set_to(std::string(20, '\xab'));
  tx.set_value(std::string("\x01") + std::string(16, '\0'));
  tx.set_data(std::string(60, '\x7f'));
  return tx;
}

v1::SignTransaction Legacy() {
  v1::SignTransaction tx;
  tx.set_type(0);
  tx.set_chain_id(42161);
  tx.set_nonce(7);
  tx.set_gas_price(Hex("04a817c800"));
  tx.set_gas_limit(21'000);
  tx.set_to(std::string(20, '\xab'));
  tx.set_value(Hex("d3c21bcecceda1000000"));
  return tx;
}

v1::SignTransaction Creation() {
  v1::SignTransaction tx;
  tx.set_chain_id(1);
  tx.set_data(Hex("6001"));
  return tx;
}

// Every integer at its greatest.
v1::SignTransaction WithAccessList() {
  v1::SignTransaction tx;
  tx.set_type(1);
  tx.set_chain_id((uint64_t{1} << 53) - 1);
  tx.set_nonce(255);
  tx.set_gas_price(std::string(32, '\xff'));
  tx.set_gas_limit(30'000'000);
  tx.set_to(std::string(20, '\xab'));
  tx.set_value(std::string(32, '\xff'));
  tx.set_data(Hex("00ff"));
  v1::AccessListEntry* entry = tx.add_access_list();
  entry->set_address(std::string(20, '\xab'));
  entry->add_storage_keys(std::string(32, '\xcd'));
  entry->add_storage_keys(std::string(32, '\0'));
  tx.add_access_list()->set_address(std::string(20, '\0'));
  return tx;
}

v1::ServerFrame Signed(const signing::Request& request) {
  v1::ServerFrame answer;
  signing::Sign(Key(), request, &answer);
  return answer;
}

// The constants of this file are ethers 6's, for the key 0x1111...11.
TEST(SignTest, TransactionsAreTheBytesOfEthers) {
  struct Row {
    const char* name;
    v1::SignTransaction request;
    const char* raw;
    const char* hash;
  };
  const Row rows[] = {
      {"legacy", Legacy(),
       "f871078504a817c80082520894abababababababababababababababababababab8ad3c21bce"
       "cceda10000008083014985a0c969910dde722a4c690e3eee2862b72b78755efe9cd252fc6d67"
       "0ffb35dcbfbaa0024c2f52e236ef9d04bc29a41eacc1e43bcd6d7ece4bc8df0b017e6fd8debc"
       "cb",
       "d1c79fb7c4183e759a462cebaa57c505bd9e484fddccd6fe15c578d9ed1dc56b"},
      {"creation", Creation(),
       "f84b808080808082600125a0ba85585f91bfc997f4f891f3c56ccb548df96a4e9b0ff2936717"
       "3b6b6196af49a01909d31223aeb80132a7ed68d16b6d3da4d2dbbbbb99ce01a388192b380dea"
       "5c",
       "bbd62527cd635c46a56cfe25dde9bfc1690001e1ed8f0fd0c97c69fd0c2bb90c"},
      {"access", WithAccessList(),
       "01f90120871fffffffffffff81ffa0ffffffffffffffffffffffffffffffffffffffffffffff"
       "ffffffffffffffffff8401c9c38094ababababababababababababababababababababa0ffff"
       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8200fff872f85994"
       "ababababababababababababababababababababf842a0cdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
       "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcda00000000000000000000000000000000000000000"
       "000000000000000000000000d6940000000000000000000000000000000000000000c001a0d3"
       "239879427dd3169692b243c2f90634e9e97cb29adbbee266f62010bdf4ac4da0493d7702a290"
       "30676bf2232511d2ebf534045e4ad3d52076673497d3cd280856",
       "575afde83d4767a4993da17b765f3b451eb5211817cdd07cd2417e3106d8e93d"},
      {"dynamic", Dynamic(),
       "02f8bd827a6981800189010000000000000000830186a094abababababababababababababab"
       "abababababab910100000000000000000000000000000000b83c7f7f7f7f7f7f7f7f7f7f7f7f"
       "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f"
       "7f7f7f7f7f7f7f7f7f7fc001a0a4ac1ea75aadd071ae138586c4f6f0343a81b06cf22a58f5e6"
       "aa008de34d5b61a00515fb0b18d1df9e1adab27619ac2938801128800db4b97726caa76dba4b"
       "9aca",
       "40b425b24e95de3288cb72b9ab92da1f41c9f044bcba0c637bbef6106699ce9e"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto parsed = signing::ParseTransaction(row.request);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    const v1::SignedTransaction answer = Signed(*parsed).signed_transaction();
    EXPECT_EQ(ethereum::ToHex(answer.raw_tx()), absl::StrCat("0x", row.raw));
    EXPECT_EQ(ethereum::ToHex(answer.tx_hash()), absl::StrCat("0x", row.hash));
  }
}

// geth's pool takes no transaction of more than 128 KiB as a whole; what a client may sign is
// bounded by its data alone.
TEST(SignTest, DataOf128KiBIsSigned) {
  v1::SignTransaction tx = Dynamic();
  tx.set_nonce(1);
  tx.set_gas_limit(30'000'000);
  tx.set_max_fee_per_gas("\x02");
  tx.clear_value();
  tx.set_data(std::string(signing::kMaxDataBytes, '\x5a'));
  const auto parsed = signing::ParseTransaction(tx);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const v1::SignedTransaction answer = Signed(*parsed).signed_transaction();
  EXPECT_EQ(answer.raw_tx().size(), 131182u);
  EXPECT_EQ(ethereum::ToHex(answer.tx_hash()),
            "0xf2997e65fc1f9ff5cee9d27088475cf5d7f7f69a75bf071de40b5f840d421a2f");
}

TEST(SignTest, MessagesAreTheBytesOfEthers) {
  struct Row {
    std::string message;
    const char* signature;
  };
  const Row rows[] = {
      {std::string(32, '\x42'),
       "c8911783bfd644aee0da3f9a1bc8ffef15849af5b31d4d740d85fa58e89e2501337142"
       "8eff4bb2558fac4e9e152305699b0a74276c44b6cfb634aba95874ab201b"},
      {"",
       "2a78cca8e3c7653cb7943898806b3b9d74811a26fa9f9db6c4ba07bf714664cb2f841b"
       "084f5264df14711a2cc77a6cf0c0cecb6691a132a2a8c6e9321f23d55d1b"},
  };
  for (const Row& row : rows) {
    v1::SignMessage request;
    request.set_message(row.message);
    EXPECT_EQ(
        ethereum::ToHex(Signed(*signing::ParseMessage(request)).message_signature().signature()),
        absl::StrCat("0x", row.signature));
  }
}

v1::SignTicket MakeTicket() {
  v1::SignTicket ticket;
  ticket.set_recipient(std::string(20, '\xab'));
  ticket.set_face_value(Hex("0de0b6b3a7640000"));
  ticket.set_sender_nonce("\x09");
  ticket.set_recipient_rand_hash(std::string(32, '\xcd'));
  ticket.set_aux_data(std::string(31, '\0') + "d" + Bytes32(0xbb));
  return ticket;
}

absl::StatusOr<ethereum::Ticket> Parse(const v1::SignTicket& request) {
  return signing::ParseTicket(request, Key().address(), ~ethereum::U256(0));
}

TEST(SignTest, TicketsAreTheBytesOfEthers) {
  v1::SignTicket given = MakeTicket();
  given.set_sender(std::string(Key().address().view()));
  given.set_win_prob(std::string(32, '\xff'));
  for (const v1::SignTicket& request : {MakeTicket(), given}) {
    const v1::SignedTicket answer = Signed(*Parse(request)).signed_ticket();
    EXPECT_EQ(ethereum::ToHex(answer.ticket_hash()),
              "0xe13ff0182700d1eefeb87fc15dd09d509eff917075d4d70bdc5c8b9d8149ae9c");
    EXPECT_EQ(ethereum::ToHex(answer.signature()),
              absl::StrCat("0x",
                           "7bae1b12e72a776f22c7b1bf9258d893286029609df40bc870f6e68ce59a0bb2"
                           "5db743e2f20e0fcb4c5c979d551955c34d86494724f5098c0f1dfb83b65c93ae"
                           "1b"));
  }
}

TEST(ParseTransactionTest, EveryRefusalNamesItsField) {
  struct Row {
    const char* field;
    std::function<void(v1::SignTransaction&)> change;
    v1::SignTransaction of = Dynamic();
  };
  const std::string zero_first("\0\x01", 2);
  const std::string wide(33, '\x01');
  const Row rows[] = {
      {"type", [](auto& r) { r.set_type(3); }},
      {"type", [](auto& r) { r.set_type(UINT32_MAX); }},
      {"chain_id", [](auto& r) { r.clear_chain_id(); }},
      {"chain_id", [](auto& r) { r.clear_chain_id(); }, Legacy()},
      {"gas_price", [](auto& r) { r.set_gas_price("\x01"); }},
      {"gas_price", [&](auto& r) { r.set_gas_price(wide); }, Legacy()},
      {"gas_price", [&](auto& r) { r.set_gas_price(zero_first); }, WithAccessList()},
      {"max_fee_per_gas", [&](auto& r) { r.set_max_fee_per_gas(zero_first); }},
      {"max_fee_per_gas", [&](auto& r) { r.set_max_fee_per_gas(wide); }},
      {"max_fee_per_gas", [](auto& r) { r.set_max_fee_per_gas("\x01"); }, Legacy()},
      {"max_priority_fee_per_gas", [&](auto& r) { r.set_max_priority_fee_per_gas(wide); }},
      {"max_priority_fee_per_gas", [&](auto& r) { r.set_max_priority_fee_per_gas("\x01"); },
       WithAccessList()},
      {"to", [](auto& r) { r.set_to(std::string(19, 'x')); }},
      {"to", [](auto& r) { r.set_to(std::string(21, 'x')); }},
      {"value", [&](auto& r) { r.set_value(zero_first); }},
      {"value", [](auto& r) { r.set_value(std::string(1, '\0')); }},
      {"value", [&](auto& r) { r.set_value(wide); }},
      {"data", [](auto& r) { r.set_data(std::string(signing::kMaxDataBytes + 1, 'x')); }},
      {"access_list", [](auto& r) { r.add_access_list()->set_address(Bytes32(0).substr(12)); },
       Legacy()},
      {"access_list address", [](auto& r) { r.add_access_list(); }},
      {"access_list storage_keys",
       [](auto& r) {
         r.add_access_list()->set_address(Bytes32(0).substr(12));
         r.mutable_access_list(0)->add_storage_keys(std::string(31, 'x'));
       }},
      {"access_list has 1025 entries",
       [](auto& r) {
         for (int i = 0; i <= signing::kMaxAccessListEntries; ++i) r.add_access_list();
       }},
      {"access_list has 8193 storage keys",
       [](auto& r) {
         for (int i = 0; i < 2; ++i) r.add_access_list()->set_address(Bytes32(0).substr(12));
         for (int i = 0; i <= signing::kMaxStorageKeys; ++i) {
           r.mutable_access_list(i % 2)->add_storage_keys(Bytes32(1));
         }
       }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.field);
    v1::SignTransaction request = row.of;
    ASSERT_TRUE(signing::ParseTransaction(request).ok());
    row.change(request);
    const auto refused = signing::ParseTransaction(request);
    EXPECT_EQ(CodeOf(refused), v1::ERROR_MALFORMED);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr(absl::StrCat("transaction: ", row.field)));
    EXPECT_LT(refused.status().message().size(), 200u);
  }
}

TEST(ParseTransactionTest, WhatIsAtABoundIsRead) {
  v1::SignTransaction tx = WithAccessList();
  tx.clear_access_list();
  for (int i = 0; i < signing::kMaxAccessListEntries; ++i) {
    v1::AccessListEntry* entry = tx.add_access_list();
    entry->set_address(std::string(20, 'a'));
    for (int k = 0; k < signing::kMaxStorageKeys / signing::kMaxAccessListEntries; ++k) {
      entry->add_storage_keys(Bytes32(7));
    }
  }
  tx.set_nonce(UINT64_MAX);
  tx.set_gas_limit(UINT64_MAX);
  tx.set_chain_id(UINT64_MAX);
  const auto parsed = signing::ParseTransaction(tx);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->access_list.size(), 1024u);
  EXPECT_EQ(parsed->nonce, UINT64_MAX);
  EXPECT_FALSE(Signed(*parsed).signed_transaction().raw_tx().empty());
  tx.clear_to();
  EXPECT_EQ(signing::ParseTransaction(tx)->to, std::nullopt);
}

TEST(ParseTicketTest, EveryRefusalNamesItsField) {
  struct Row {
    const char* field;
    std::function<void(v1::SignTicket&)> change;
  };
  const Row rows[] = {
      {"recipient", [](auto& r) { r.clear_recipient(); }},
      {"recipient", [](auto& r) { r.set_recipient(std::string(32, 'x')); }},
      {"sender", [](auto& r) { r.set_sender("x"); }},
      {"face_value", [](auto& r) { r.set_face_value(std::string(33, '\x01')); }},
      {"face_value", [](auto& r) { r.set_face_value(std::string("\0\x01", 2)); }},
      {"win_prob", [](auto& r) { r.set_win_prob(std::string(33, '\x01')); }},
      {"sender_nonce", [](auto& r) { r.set_sender_nonce(std::string(1, '\0')); }},
      {"recipient_rand_hash", [](auto& r) { r.clear_recipient_rand_hash(); }},
      {"aux_data", [](auto& r) { r.clear_aux_data(); }},
      {"aux_data", [](auto& r) { r.mutable_aux_data()->push_back('x'); }},
      {"aux_data", [](auto& r) { (*r.mutable_aux_data())[23] = '\x01'; }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.field);
    v1::SignTicket request = MakeTicket();
    row.change(request);
    const auto refused = Parse(request);
    EXPECT_EQ(CodeOf(refused), v1::ERROR_MALFORMED);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr(absl::StrCat("ticket: ", row.field)));
  }
  v1::SignTicket request = MakeTicket();
  request.mutable_aux_data()->replace(0, 32, std::string(24, '\0') + std::string(8, '\xff'));
  EXPECT_EQ(Parse(request)->aux_data.creation_round, UINT64_MAX);
  request.set_sender(std::string(20, 's'));
  request.set_win_prob("\x05");
  EXPECT_EQ(Parse(request)->sender.view(), std::string(20, 's'));
  EXPECT_EQ(Parse(request)->win_prob, 5);
  request.set_win_prob(std::string(1, '\0'));
  EXPECT_EQ(Parse(request)->win_prob, 0);
}

TEST(ParseMessageTest, AMessageIsBounded) {
  v1::SignMessage request;
  request.set_message(std::string(signing::kMaxMessageBytes, 'm'));
  EXPECT_EQ(signing::ParseMessage(request)->bytes, request.message());
  request.mutable_message()->push_back('m');
  EXPECT_EQ(CodeOf(signing::ParseMessage(request)), v1::ERROR_MALFORMED);
}

}  // namespace
}  // namespace coffer::test
