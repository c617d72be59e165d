#include "tests/sim/chain/ticket_maker.h"

namespace coffer::sim::chain {

TicketCall MakeTicket(const ethereum::PrivateKey& key, const Address& recipient,
                      const U256& face_value, uint64_t sender_nonce, uint64_t round,
                      const Hash& round_block_hash) {
  TicketCall ticket;
  ticket.recipient = recipient;
  ticket.sender = key.address();
  ticket.face_value = face_value;
  ticket.win_prob = ~U256(0);
  ticket.sender_nonce = sender_nonce;
  ticket.recipient_rand =
      *ethereum::U256FromBytes(ethereum::Keccak256("rand " + std::to_string(sender_nonce)).view());
  ticket.recipient_rand_hash = ethereum::Keccak256(ethereum::ToBytes32(ticket.recipient_rand));
  ticket.aux_data = ethereum::ToBytes32(round) + std::string(round_block_hash.view());
  SignTicket(key, &ticket);
  return ticket;
}

void SignTicket(const ethereum::PrivateKey& key, TicketCall* ticket) {
  const Hash hash = ticket->TicketHash();
  ticket->signature = key.Sign(ethereum::Eip191Hash(hash.view())).ToBytes65();
}

std::string MakeTransaction(const ethereum::PrivateKey& key, const TransactionPlan& plan) {
  ethereum::Transaction tx;
  tx.chain_id = plan.chain_id;
  tx.nonce = plan.nonce;
  tx.gas_limit = plan.gas_limit;
  tx.max_fee_per_gas = plan.max_fee;
  tx.max_priority_fee_per_gas = plan.tip;
  tx.to = plan.to;
  tx.value = plan.value;
  tx.data = plan.data;
  return ethereum::SignTransaction(std::move(tx), key).Encode();
}

}  // namespace coffer::sim::chain
