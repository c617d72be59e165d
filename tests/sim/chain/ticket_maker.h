// Tickets and transactions signed with a key that a test knows, made without the encoders under
// test.
#ifndef COFFER_TESTS_SIM_CHAIN_TICKET_MAKER_H_
#define COFFER_TESTS_SIM_CHAIN_TICKET_MAKER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "enclave_core/ethereum/transaction.h"
#include "tests/sim/chain/broker_calls.h"

namespace coffer::sim::chain {

// A winning ticket of `key`'s address, created in `round`.
TicketCall MakeTicket(const ethereum::PrivateKey& key, const Address& recipient,
                      const U256& face_value, uint64_t sender_nonce, uint64_t round,
                      const Hash& round_block_hash);
// Signs whatever the ticket says now.
void SignTicket(const ethereum::PrivateKey& key, TicketCall* ticket);
// A raw type 2 transaction; fees in wei per gas.
struct TransactionPlan {
  uint64_t chain_id = 42161;
  uint64_t nonce = 0;
  uint64_t gas_limit = 1'000'000;
  U256 max_fee = 1'000'000'000;
  U256 tip = 0;
  std::optional<Address> to;
  U256 value = 0;  // wei
  std::string data;
};
std::string MakeTransaction(const ethereum::PrivateKey& key, const TransactionPlan& plan);

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_TICKET_MAKER_H_
