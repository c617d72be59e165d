#include "tests/sim/chain/broker_model.h"

#include <functional>

#include "enclave_core/ethereum/ticket_broker.h"
#include "tests/unit/sim_chain/chain_fixture.h"

namespace coffer::sim::chain {
namespace {

class BrokerModelTest : public ChainTest {
 protected:
  // One transaction in one block of its own.
  const Receipt& Run(const std::string& raw) {
    EXPECT_EQ(chain_.Submit(raw), Refusal::kNone);
    chain_.Mine(10);
    return ReceiptOf(raw);
  }
  U256 Deposit() { return chain_.broker().Deposit(sender()); }
  U256 Paid(uint64_t recipient) { return chain_.Paid(Somebody(recipient)); }
};

TEST_F(BrokerModelTest, PaysATicketOnce) {
  const TicketCall ticket = Ticket(1, 300);
  const Receipt& first = Run(Single(7, ticket));
  EXPECT_TRUE(first.succeeded);
  ASSERT_EQ(first.tickets.size(), 1u);
  EXPECT_EQ(first.tickets[0].paid, 300);
  const auto redemptions = ethereum::DecodeRedemptions(broker(), first.logs);
  ASSERT_TRUE(redemptions.ok()) << redemptions.status();
  ASSERT_EQ(redemptions->size(), 1u);
  EXPECT_EQ((*redemptions)[0].paid, 300);
  EXPECT_EQ((*redemptions)[0].sender_nonce, 1);
  const Receipt& again = Run(Single(8, ticket));
  EXPECT_FALSE(again.succeeded);
  EXPECT_EQ(again.revert, "ticket is used");
  EXPECT_TRUE(again.logs.empty());
  EXPECT_EQ(Paid(1), 300);
  EXPECT_EQ(Deposit(), 700);
  EXPECT_EQ(chain_.TicketsUsed(), 1u);
}

TEST_F(BrokerModelTest, ABatchSwallowsTheFailuresOfItsTickets) {
  const TicketCall used = Ticket(1, 100);
  EXPECT_TRUE(Run(Single(7, used)).succeeded);
  const Receipt& batch = Run(Batch(8, {used, Ticket(2, 100, 2), Ticket(2, 100, 2)}));
  EXPECT_TRUE(batch.succeeded);
  ASSERT_EQ(batch.tickets.size(), 3u);
  EXPECT_EQ(batch.tickets[0].revert, "ticket is used");
  EXPECT_EQ(batch.tickets[1].paid, 100);
  EXPECT_EQ(batch.tickets[2].revert, "ticket is used");
  EXPECT_EQ(ethereum::DecodeRedemptions(broker(), batch.logs)->size(), 1u);
}

TEST_F(BrokerModelTest, PaysWhatTheDepositAndTheReserveHold) {
  chain_.AddReserve(sender(), 400);  // four transcoders: 100 for each a round
  const Receipt& partial = Run(Single(7, Ticket(1, 5000)));
  EXPECT_TRUE(partial.succeeded);
  EXPECT_EQ(partial.tickets[0].paid, 1100);
  EXPECT_EQ(Deposit(), 0);
  // This recipient has had its share of the round, another has not.
  const Receipt& nothing = Run(Single(8, Ticket(2, 50)));
  EXPECT_TRUE(nothing.succeeded);
  EXPECT_EQ(nothing.tickets[0].paid, 0);
  EXPECT_EQ(nothing.logs.size(), 1u);  // WinningTicketRedeemed alone: burnt
  EXPECT_EQ(Run(Single(9, Ticket(3, 50, 2))).tickets[0].paid, 50);
  EXPECT_EQ(chain_.broker().ReserveFunds(sender()), 250);
}

struct Invalid {
  const char* why;
  std::function<void(TicketCall&)> change;
  bool sign_again;
};

TEST_F(BrokerModelTest, RefusesInTheContractsWords) {
  const auto zero = [](Address& a) { a = Address(); };
  const std::vector<Invalid> table = {
      {"ticket recipient is null address", [&](TicketCall& t) { zero(t.recipient); }, true},
      {"ticket sender is null address", [&](TicketCall& t) { zero(t.sender); }, true},
      {"invalid length for ticket auxData: must be 64 bytes",
       [](TicketCall& t) { t.aux_data.pop_back(); }, true},
      {"ticket creationRound does not have a block hash",
       [](TicketCall& t) { t.aux_data[31] = 99; }, true},
      {"ticket creationRoundBlockHash invalid for creationRound",
       [](TicketCall& t) { t.aux_data[63] ^= 1; }, true},
      {"recipientRand does not match recipientRandHash",
       [](TicketCall& t) { t.recipient_rand += 1; }, false},
      {"invalid signature over ticket hash", [](TicketCall& t) { t.face_value += 1; }, false},
      {"INVALID_SIGNATURE_LENGTH", [](TicketCall& t) { t.signature.pop_back(); }, false},
      {"ECDSA: invalid signature 'v' value", [](TicketCall& t) { t.signature[64] = 1; }, false},
      {"ECDSA: invalid signature 's' value", [](TicketCall& t) { t.signature[32] = '\xff'; },
       false},
      {"ECDSA: invalid signature",
       [](TicketCall& t) { t.signature.replace(0, 32, std::string(32, '\0')); }, false},
      {"ticket did not win", [](TicketCall& t) { t.win_prob = 0; }, true},
  };
  uint64_t nonce = 7;
  for (const Invalid& invalid : table) {
    TicketCall ticket = Ticket(nonce, 10);
    invalid.change(ticket);
    if (invalid.sign_again) SignTicket(key_, &ticket);
    const Receipt& receipt = Run(Single(nonce, ticket));
    EXPECT_FALSE(receipt.succeeded) << invalid.why;
    EXPECT_EQ(receipt.revert, invalid.why);
    ++nonce;
  }
  EXPECT_EQ(Deposit(), 1000);
  EXPECT_EQ(chain_.TicketsUsed(), 0u);
}

TEST_F(BrokerModelTest, ATicketLivesForTwoRounds) {
  const TicketCall one = Ticket(1, 10);
  const TicketCall two = Ticket(2, 10);
  chain_.AdvanceRound(true);
  EXPECT_TRUE(Run(Single(7, one)).succeeded);
  chain_.AdvanceRound(true);
  EXPECT_EQ(Run(Single(8, two)).revert, "ticket is expired");
}

TEST_F(BrokerModelTest, NothingIsRedeemedWhilePausedOrBetweenRounds) {
  const TicketCall ticket = Ticket(1, 10);
  chain_.AdvanceRound(false);
  EXPECT_EQ(Run(Batch(7, {ticket})).revert, "current round is not initialized");
  chain_.SetPaused(true);
  EXPECT_EQ(Run(Single(8, ticket)).revert, "system is paused");
  chain_.SetPaused(false);
  chain_.InitializeRound();
  EXPECT_TRUE(Run(Single(9, ticket)).succeeded);
}

TEST_F(BrokerModelTest, ABatchWithTooLittleGasSucceedsAndRedeemsLess) {
  const std::vector<TicketCall> tickets = {Ticket(1, 10), Ticket(2, 10), Ticket(3, 10)};
  TransactionPlan plan = Plan(7, EncodeBatchRedeem(tickets));
  const ChainModel::Estimate estimate =
      chain_.EstimateGas(sender(), broker(), 0, EncodeBatchRedeem(tickets));
  ASSERT_FALSE(estimate.reverted);
  plan.gas_limit = estimate.gas;
  const Receipt& receipt = Run(MakeTransaction(key_, plan));
  EXPECT_TRUE(receipt.succeeded);
  EXPECT_TRUE(receipt.tickets[2].out_of_gas);
  EXPECT_EQ(Paid(1), 20);  // one fewer than asked
  plan.nonce = 8;
  plan.data = EncodeBatchRedeem({Ticket(4, 10)});
  plan.gas_limit = chain_.EstimateGas(sender(), broker(), 0, plan.data).gas;
  EXPECT_TRUE(Run(MakeTransaction(key_, plan)).succeeded);
  EXPECT_EQ(Paid(1), 20);  // of one: none
}

TEST_F(BrokerModelTest, AnInnerCallCanBeMadeToRunDry) {
  chain_.FailInner(1);
  const Receipt& receipt = Run(Batch(7, {Ticket(1, 10), Ticket(2, 10)}));
  EXPECT_TRUE(receipt.succeeded);
  EXPECT_TRUE(receipt.tickets[0].out_of_gas);
  EXPECT_EQ(receipt.tickets[1].paid, 10);
  EXPECT_EQ(Paid(1), 10);
}

TEST_F(BrokerModelTest, FundsUnlocksAndWithdraws) {
  const auto call = [&](uint64_t nonce, const char* data, uint64_t value) {
    TransactionPlan plan = Plan(nonce, *ethereum::FromHex(data));
    plan.value = value;
    return MakeTransaction(key_, plan);
  };
  EXPECT_TRUE(Run(call(7, "6caa736b", 50)).succeeded);
  EXPECT_TRUE(Run(call(8, "6f9c3c8f", 60)).succeeded);
  EXPECT_EQ(Deposit(), 1050);
  EXPECT_EQ(chain_.broker().ReserveFunds(sender()), 60);
  const TicketCall ticket = Ticket(1, 10);
  EXPECT_EQ(Run(call(9, "3ccfd60b", 0)).revert, "no unlock request in progress");
  EXPECT_TRUE(Run(call(10, "a69df4b5", 0)).succeeded);
  EXPECT_EQ(Run(call(11, "a69df4b5", 0)).revert, "unlock already initiated");
  EXPECT_EQ(Run(call(12, "3ccfd60b", 0)).revert, "account is locked");
  for (int i = 0; i < 7; ++i) chain_.AdvanceRound(true);
  EXPECT_EQ(Run(Single(13, Ticket(2, 10))).revert, "sender is unlocked");
  const U256 before = chain_.Balance(sender());
  const Receipt& withdrawn = Run(call(14, "3ccfd60b", 0));
  EXPECT_TRUE(withdrawn.succeeded);
  EXPECT_EQ(chain_.Balance(sender()),
            before + 1110 - withdrawn.effective_gas_price * withdrawn.gas_used);
  EXPECT_EQ(Run(Single(15, Ticket(3, 10))).revert, "sender deposit and reserve are zero");
  EXPECT_FALSE(Run(call(16, "12345678", 0)).succeeded);
  // Ether with a call that takes none.
  EXPECT_FALSE(Run(call(17, "a69df4b5", 1)).succeeded);
}

TEST_F(BrokerModelTest, ReadsTheEncodersCalldata) {
  std::vector<ethereum::SignedTicket> tickets;
  for (uint64_t i = 0; i < 3; ++i) {
    ethereum::Ticket ticket;
    ticket.recipient = Somebody(i);
    ticket.sender = sender();
    ticket.face_value = 10 + i;
    ticket.sender_nonce = i;
    ticket.recipient_rand_hash = ethereum::RecipientRandHash(99);
    ticket.aux_data = {3, ethereum::Keccak256("x")};
    tickets.push_back({ticket, key_.Sign(ticket.SigningHash()), 99});
  }
  const std::string batch = ethereum::EncodeBatchRedeemWinningTickets(tickets);
  const BrokerCall call = DecodeBrokerCall(batch);
  ASSERT_EQ(call.kind, BrokerCall::Kind::kBatchRedeem);
  ASSERT_EQ(call.tickets.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(call.tickets[i].TicketHash(), tickets[i].ticket.TicketHash());
    EXPECT_EQ(call.tickets[i].signature, tickets[i].signature.ToBytes65());
  }
  EXPECT_EQ(EncodeBatchRedeem(call.tickets), batch);
  const std::string single = ethereum::EncodeRedeemWinningTicket(tickets[0]);
  EXPECT_EQ(EncodeRedeem(DecodeBrokerCall(single).tickets.at(0)), single);
  // Cut anywhere it is no call; only the padding of the last bytes may be missing.
  for (size_t size = 0; size + 31 < single.size(); size += 7) {
    EXPECT_EQ(DecodeBrokerCall(single.substr(0, size)).kind, BrokerCall::Kind::kUnknown);
  }
}

}  // namespace
}  // namespace coffer::sim::chain
