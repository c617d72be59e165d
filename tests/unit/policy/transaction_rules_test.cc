#include "enclave_core/policy/transaction_rules.h"

#include <functional>
#include <utility>

#include "tests/unit/policy/samples.h"

namespace coffer::policy {
namespace {

using ethereum::Transaction;
using ethereum::U256;
using Change = std::function<void(Policy&, Transaction&)>;

std::string Decimal(const U256& value) { return ethereum::ToDecimal(value); }

std::string FundDeposit() {
  return ethereum::EncodeBrokerCall({ethereum::BrokerCall::Kind::kFundDeposit, {}});
}
std::string FundReserve() {
  return ethereum::EncodeBrokerCall({ethereum::BrokerCall::Kind::kFundReserve, {}});
}

struct Row {
  const char* name;
  Change inside;   // allowed
  Change outside;  // and this is not
  const char* rule;
  std::vector<std::string> words;
};

void Transfer(Transaction& tx, uint64_t value) {
  tx.to = kPayee;
  tx.data.clear();
  tx.value = value;
}

void Legacy(Transaction& tx, uint64_t gas_price) {
  tx.type = Transaction::Type::kLegacy;
  tx.gas_price = gas_price;
  tx.max_fee_per_gas = tx.max_priority_fee_per_gas = 0;
}

void RunRows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = FullPolicy();
    Transaction tx = Call(Redeem(Redemption(1)));
    row.inside(policy, tx);
    const absl::StatusOr<std::vector<Spend>> inside = CheckTransaction(policy, kSigner, tx);
    EXPECT_TRUE(inside.ok()) << inside.status();

    policy = FullPolicy();
    tx = Call(Redeem(Redemption(1)));
    row.outside(policy, tx);
    const absl::StatusOr<std::vector<Spend>> outside = CheckTransaction(policy, kSigner, tx);
    ASSERT_FALSE(outside.ok());
    ExpectRefused(outside.status(), row.rule, {});
    const std::string sentence(outside.status().message());
    for (const std::string& word : row.words) {
      EXPECT_NE(sentence.find(word), std::string::npos) << word << " is not in: " << sentence;
    }
  }
}

const Change kAsItIs = [](Policy&, Transaction&) {};

TEST(TransactionRulesTest, EnvelopeJustInsideAndJustOutside) {
  const std::string huge = Decimal(~U256(0));
  RunRows({
      {"chain",
       kAsItIs,
       [](auto&, auto& tx) { tx.chain_id = 31338; },
       "chain_id",
       {"31337", "31338"}},
      {"creation",
       kAsItIs,
       [](auto&, auto& tx) { tx.to.reset(); },
       "broker",
       {"tx.to not allowed", "never created"}},
      {"access list",
       [](auto&, auto& tx) { tx.access_list.resize(1); },
       [](auto& p, auto& tx) {
         p.allow_access_list = false;
         tx.access_list.resize(3);
       },
       "allow_access_list",
       {"false", " 3"}},
      {"empty access list",
       [](auto& p, auto&) { p.allow_access_list = false; },
       [](auto& p, auto& tx) {
         p.allow_access_list = false;
         tx.access_list.resize(1);
       },
       "allow_access_list",
       {"0 entries", " 1"}},
      {"gas",
       kAsItIs,
       [](auto&, auto& tx) { tx.gas_limit = 6'000'001; },
       "max_gas_limit",
       {"6000000", "6000001"}},
      {"least gas",
       [](auto&, auto& tx) { tx.gas_limit = 21000; },
       [](auto&, auto& tx) { tx.gas_limit = 20999; },
       "max_gas_limit",
       {"21000", "20999"}},
      {"fee",
       kAsItIs,
       [](auto&, auto& tx) { tx.max_fee_per_gas = 51; },
       "max_fee_per_gas",
       {"50", "51"}},
      {"huge fee",
       kAsItIs,
       [](auto& p, auto& tx) {
         p.max_fee_per_gas = kNoLimit;
         tx.max_fee_per_gas = ~U256(0);
       },
       "max_fee_per_gas",
       {Decimal(ledger::ToU256(kNoLimit)), huge}},
      {"priority",
       kAsItIs,
       [](auto&, auto& tx) { tx.max_priority_fee_per_gas = 41; },
       "max_priority_fee_per_gas",
       {"40", "41"}},
      {"priority above fee",
       [](auto&, auto& tx) { tx.max_fee_per_gas = 40; },
       [](auto&, auto& tx) { tx.max_fee_per_gas = 39; },
       "max_priority_fee_per_gas",
       {"40", "39"}},
      {"gas price is also the fee",
       [](auto& p, auto& tx) {
         p.max_priority_fee_per_gas = 60;
         Legacy(tx, 50);
       },
       [](auto& p, auto& tx) {
         p.max_priority_fee_per_gas = 60;
         Legacy(tx, 51);
       },
       "max_fee_per_gas",
       {"50", "51"}},
      {"gas price is also the priority fee",
       [](auto&, auto& tx) { Legacy(tx, 40); },
       [](auto&, auto& tx) { Legacy(tx, 41); },
       "max_priority_fee_per_gas",
       {"40", "41"}},
      {"type 1",
       [](auto&, auto& tx) {
         Legacy(tx, 40);
         tx.type = Transaction::Type::kAccessList;
       },
       [](auto&, auto& tx) {
         Legacy(tx, 41);
         tx.type = Transaction::Type::kAccessList;
       },
       "max_priority_fee_per_gas",
       {"40", "41"}},
      {"cost",
       [](auto& p, auto&) { p.max_transaction_cost = 300'000'000; },
       [](auto& p, auto&) { p.max_transaction_cost = 299'999'999; },
       "max_transaction_cost",
       {"299999999", "300000000"}},
      {"cost beyond 128 bits",
       kAsItIs,
       [](auto& p, auto& tx) {
         p.max_gas_limit = UINT64_MAX;
         p.max_fee_per_gas = p.max_transaction_cost = kNoLimit;
         tx.gas_limit = UINT64_MAX;
         tx.max_fee_per_gas = ledger::ToU256(kNoLimit);
       },
       "max_transaction_cost",
       {Decimal(ledger::ToU256(kNoLimit)), Decimal(ledger::ToU256(kNoLimit) * UINT64_MAX)}},
  });
}

// Changes to the ticket of the transaction in question.
Change Ticket(const std::function<void(ethereum::RedemptionArguments&)>& change) {
  return [change](Policy&, Transaction& tx) {
    ethereum::RedemptionArguments ticket = Redemption(1);
    change(ticket);
    tx.data = Redeem(ticket);
  };
}

Change Tickets(size_t count, uint64_t each, uint64_t last) {
  return [=](Policy&, Transaction& tx) {
    std::vector<ethereum::RedemptionArguments> tickets;
    for (size_t i = 0; i < count; ++i) tickets.push_back(Redemption(i, each));
    if (!tickets.empty()) tickets.back().ticket.face_value = last;
    tx.data = Batch(tickets);
  };
}

TEST(TransactionRulesTest, RedemptionsJustInsideAndJustOutside) {
  RunRows({
      {"tickets",
       kAsItIs,
       [](auto& p, auto&) { p.allow_tickets = false; },
       "allow_tickets",
       {"false", "redemption"}},
      {"value", kAsItIs, [](auto&, auto& tx) { tx.value = 1; }, "max_transfer", {" 0", "1 wei"}},
      {"sender",
       kAsItIs,
       Ticket([](auto& t) { t.ticket.sender = kOther; }),
       "allow_tickets",
       {ToChecksum(kSigner), ToChecksum(kOther)}},
      {"winProb",
       kAsItIs,
       Ticket([](auto& t) { t.ticket.win_prob = 12346; }),
       "win_prob",
       {"12345", "12346"}},
      {"recipient",
       Ticket([](auto& t) { t.ticket.recipient = kOther; }),
       Ticket([](auto& t) { t.ticket.recipient = kStranger; }),
       "allowed_recipients",
       {"allowlist", ToChecksum(kStranger)}},
      {"null recipient",
       kAsItIs,
       [](Policy& p, Transaction& tx) {
         p.require_allowlist = false;
         p.allowed_recipients.clear();
         Ticket([](auto& t) { t.ticket.recipient = {}; })(p, tx);
       },
       "allowed_recipients",
       {"null address"}},
      {"no allowlist",
       [](auto& p, auto&) {
         p.require_allowlist = false;
         p.allowed_recipients.clear();
       },
       [](auto& p, auto&) { p.allowed_recipients.clear(); },
       "require_allowlist",
       {"allowlist", ToChecksum(kPayee)}},
      {"face value",
       kAsItIs,
       Ticket([](auto& t) { t.ticket.face_value = 1001; }),
       "max_face_value",
       {"1000", "1001"}},
      {"face value modulo 2^128",
       kAsItIs,
       Ticket([](auto& t) { t.ticket.face_value = U256(1) << 128; }),
       "max_face_value",
       {"1000", Decimal(U256(1) << 128)}},
      {"face value without a limit",
       kAsItIs,
       [](Policy& p, Transaction& tx) {
         p.max_face_value = kNoLimit;
         Ticket([](auto& t) { t.ticket.face_value = U256(1) << 127; })(p, tx);
       },
       "max_face_value",
       {Decimal(ledger::ToU256(kNoLimit)), Decimal(U256(1) << 127)}},
      {"total", Tickets(6, 1000, 0), Tickets(6, 1000, 1), "max_batch_total", {"5000", "5001"}},
      {"total of one",
       [](auto& p, auto&) { p.max_batch_total = 1000; },
       [](auto& p, auto&) { p.max_batch_total = 999; },
       "max_batch_total",
       {"999", "1000"}},
      {"total beyond 128 bits",
       kAsItIs,
       [](Policy& p, Transaction& tx) {
         p.max_face_value = p.max_batch_total = kNoLimit;
         std::vector<ethereum::RedemptionArguments> tickets;
         for (uint64_t i = 0; i < 4; ++i) {
           tickets.push_back(Redemption(i));
           tickets.back().ticket.face_value = ledger::ToU256(kNoLimit);
         }
         tx.data = Batch(tickets);
       },
       "max_batch_total",
       {Decimal(ledger::ToU256(kNoLimit) * 4)}},
      {"count", Tickets(7, 1, 1), Tickets(8, 1, 1), "max_tickets", {"7", "8"}},
      {"hundreds", Tickets(7, 1, 1), Tickets(230, 1, 1), "max_tickets", {"7", "230"}},
      {"least count", Tickets(1, 1, 1), Tickets(0, 0, 0), "max_tickets", {"1..7", " 0"}},
      {"twice",
       Tickets(2, 1, 1),
       [](auto&, auto& tx) {
         tx.data = Batch({Redemption(1), Redemption(2), Redemption(1)});
       },
       "max_tickets",
       {"tickets[2]", "twice"}},
      {"twice with other signatures",
       Tickets(2, 1, 1),
       [](auto&, auto& tx) {
         ethereum::RedemptionArguments again = Redemption(1);
         again.signature[0] ^= 1;
         again.recipient_rand = 43;
         tx.data = Batch({Redemption(1), again});
       },
       "max_tickets",
       {"tickets[1]", "twice"}},
      {"unknown call",
       kAsItIs,
       [](auto&, auto& tx) { tx.data = "\x3c\xcf\xd6\x0b"; },
       "broker",
       {"0x3ccfd60b", ToChecksum(kBroker)}},
      {"no call", kAsItIs, [](auto&, auto& tx) { tx.data.clear(); }, "broker", {"selector"}},
      {"a byte behind",
       kAsItIs,
       [](auto&, auto& tx) { tx.data.push_back('\0'); },
       "broker",
       {"bytes of arguments"}},
  });
}

TEST(TransactionRulesTest, FundingsAndTransfersJustInsideAndJustOutside) {
  const auto funding = [](std::string calldata, uint64_t value) {
    return [calldata = std::move(calldata), value](Policy&, Transaction& tx) {
      tx.data = calldata;
      tx.value = value;
    };
  };
  const auto transfer = [](uint64_t value) {
    return [value](Policy&, Transaction& tx) { Transfer(tx, value); };
  };
  RunRows({
      {"deposit",
       funding(FundDeposit(), 9000),
       funding(FundDeposit(), 9001),
       "max_fund_deposit",
       {"9000", "9001"}},
      {"least deposit",
       funding(FundDeposit(), 1),
       funding(FundDeposit(), 0),
       "max_fund_deposit",
       {"9000", " 0 wei"}},
      {"reserve",
       funding(FundReserve(), 8000),
       funding(FundReserve(), 8001),
       "max_fund_reserve",
       {"8000", "8001"}},
      {"least reserve",
       funding(FundReserve(), 1),
       funding(FundReserve(), 0),
       "max_fund_reserve",
       {"8000", " 0 wei"}},
      {"a byte behind",
       funding(FundDeposit(), 1),
       funding(FundDeposit() + '\0', 1),
       "broker",
       {"canonical"}},
      {"transfer", transfer(700), transfer(701), "max_transfer", {"700", "701"}},
      {"huge transfer",
       transfer(700),
       [](Policy& p, Transaction& tx) {
         p.max_transfer = kNoLimit;
         Transfer(tx, 0);
         tx.value = (U256(1) << 128) + 5;
       },
       "max_transfer",
       {Decimal((U256(1) << 128) + 5)}},
      {"transfers",
       transfer(1),
       [](Policy& p, Transaction& tx) {
         p.allow_eth_transfer = false;
         Transfer(tx, 1);
       },
       "allow_eth_transfer",
       {"tx.to not allowed", ToChecksum(kPayee), ToChecksum(kBroker)}},
      {"destination",
       [](Policy&, Transaction& tx) {
         Transfer(tx, 1);
         tx.to = kOther;
       },
       [](Policy&, Transaction& tx) {
         Transfer(tx, 1);
         tx.to = kStranger;
       },
       "allowed_recipients",
       {"tx.to not allowed", "allowlist", ToChecksum(kStranger)}},
      {"no allowlist",
       transfer(1),
       [](Policy& p, Transaction& tx) {
         p.require_allowlist = false;
         p.allowed_recipients.clear();
         Transfer(tx, 1);
       },
       "allowed_recipients",
       {"tx.to not allowed", "empty"}},
      {"data",
       transfer(1),
       [](Policy&, Transaction& tx) {
         Transfer(tx, 1);
         tx.data = std::string(1, '\0');
       },
       "broker",
       {"tx.to not allowed", "0 bytes", "1"}},
      {"a redemption elsewhere",
       kAsItIs,
       [](Policy&, Transaction& tx) { tx.to = kOther; },
       "broker",
       {"tx.to not allowed"}},
      {"null address",
       transfer(1),
       [](Policy& p, Transaction& tx) {
         p.broker = {};
         Transfer(tx, 1);
         tx.to = ethereum::Address();
       },
       "allowed_recipients",
       {"tx.to not allowed", "null address"}},
  });
}

TEST(TransactionRulesTest, WhatATransactionWouldPay) {
  const Policy policy = FullPolicy();
  const auto batch = CheckTransaction(
      policy, kSigner, Call(Batch({Redemption(1, 10, kPayee), Redemption(2, 20, kOther)})));
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(*batch,
            (std::vector<Spend>{{kPayee, 10, Redemption(1, 10, kPayee).ticket.TicketHash()},
                                {kOther, 20, Redemption(2, 20, kOther).ticket.TicketHash()}}));
  // The ticket by itself and in a redemption is one payment.
  const auto ticket = CheckTicket(policy, kSigner, Redemption(1, 10, kPayee).ticket);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(ticket->at(0), batch->at(0));

  Transaction transfer = Call("");
  Transfer(transfer, 77);
  EXPECT_EQ(*CheckTransaction(policy, kSigner, transfer),
            (std::vector<Spend>{{kPayee, 77, TransferKey(9, kPayee, 77)}}));
  Transaction funding = Call(FundDeposit());
  funding.value = 5;
  EXPECT_TRUE(CheckTransaction(policy, kSigner, funding)->empty());
}

TEST(TransactionRulesTest, TransferKeyIsOfNonceRecipientAndAmount) {
  // keccak-256 of ethers' solidityPacked(['uint64','address','uint256'], [9, 0x2121.., 77]).
  std::string packed(7, '\0');
  packed.push_back(9);
  packed.append(20, '\x21').append(31, '\0').push_back(77);
  EXPECT_EQ(TransferKey(9, kPayee, 77), ethereum::Keccak256(packed));
}

TEST(TicketRulesTest, JustInsideAndJustOutside) {
  using ethereum::Ticket;
  const struct {
    const char* name;
    std::function<void(Policy&, Ticket&)> change;
    const char* rule;
    std::initializer_list<std::string_view> words;
  } rows[] = {
      {"tickets", [](auto& p, auto&) { p.allow_tickets = false; }, "allow_tickets", {"false"}},
      {"sender", [](auto&, auto& t) { t.sender = kOther; }, "allow_tickets", {"ticket.sender"}},
      {"winProb", [](auto&, auto& t) { t.win_prob -= 1; }, "win_prob", {"12345", "12344"}},
      {"recipient",
       [](auto&, auto& t) { t.recipient = kStranger; },
       "allowed_recipients",
       {"allowlist"}},
      {"face value", [](auto&, auto& t) { t.face_value += 1; }, "max_face_value", {"1000", "1001"}},
      {"total",
       [](auto& p, auto&) { p.max_batch_total = 999; },
       "max_batch_total",
       {"999", "1000"}},
  };
  EXPECT_TRUE(CheckTicket(FullPolicy(), kSigner, Redemption(1).ticket).ok());
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Policy policy = FullPolicy();
    Ticket ticket = Redemption(1).ticket;
    row.change(policy, ticket);
    ExpectRefused(CheckTicket(policy, kSigner, ticket).status(), row.rule, row.words);
  }
}

TEST(MessageRulesTest, OnlyWhenAllowed) {
  Policy policy = FullPolicy();
  EXPECT_TRUE(CheckMessage(policy).ok());
  policy.allow_raw_messages = false;
  ExpectRefused(CheckMessage(policy), "allow_raw_messages", {"false", "sign_ticket"});
}

TEST(UnrestrictedTest, AllowsEverythingAndCountsNothing) {
  const Policy policy = Unrestricted();
  Transaction creation = Call(std::string(1000, '\x60'));
  creation.to.reset();
  creation.gas_limit = 0;
  creation.value = ~U256(0);
  EXPECT_TRUE(CheckTransaction(policy, kSigner, creation)->empty());
  EXPECT_TRUE(CheckTicket(policy, kSigner, Redemption(1).ticket)->empty());
  EXPECT_TRUE(CheckMessage(policy).ok());
}

}  // namespace
}  // namespace coffer::policy
