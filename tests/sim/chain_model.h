// A chain with one sender and a TicketBroker, in memory. Shares no code with the payouts: it
// decodes the calldata that the enclave built with a reader of its own, and pays by the contract's
// rules: a used ticket fails, a batch swallows failures, a ticket above the deposit pays what is
// left.
#ifndef COFFER_TESTS_SIM_CHAIN_MODEL_H_
#define COFFER_TESTS_SIM_CHAIN_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/transaction.h"
#include "proto/boundary.pb.h"
#include "runtime/random.h"

namespace coffer::sim {

using ethereum::Address;
using ethereum::Hash;
using ethereum::U256;

struct Receipt {
  Hash tx_hash;
  bool succeeded = false;
  uint64_t block_number = 0;
  Hash block_hash;
  std::vector<ethereum::Log> logs;
};

class ChainModel {
 public:
  ChainModel(uint64_t chain_id, Address broker, Address sender, runtime::Random* random)
      : chain_id_(chain_id), broker_(broker), sender_(sender), random_(random) {}

  // eth_sendRawTransaction. False when it is refused (wrong nonce, sender, chain): the reason is in
  // last_error().
  bool Submit(const std::string& raw);
  // Mines up to `most` transactions in nonce order; each fails as a whole with this chance in
  // percent.
  void Mine(uint64_t most, uint64_t fail_percent);
  // Somebody else redeems one ticket of a transaction that waits. False when none waits.
  bool StrangerRedeems();
  // The last block vanishes; its transactions wait again.
  void Reorg();
  void AddDeposit(uint64_t wei) { state_.deposit += wei; }

  const Receipt* FindReceipt(const Hash& tx_hash) const;
  const std::vector<Hash>& strangers() const { return strangers_; }
  boundary::v1::ChainReading Reading() const;
  U256 Paid(const Address& recipient) const;
  size_t waiting() const { return pending_.size(); }
  const std::string& last_error() const { return last_error_; }

 private:
  struct RedeemableTicket {
    ethereum::Ticket ticket;
    U256 recipient_rand;
  };
  struct State {
    uint64_t nonce = 7;  // the key has a past
    U256 deposit = 0;
    std::set<U256> used;
    std::map<Address, U256> paid;
    std::map<Hash, Receipt> receipts;
    uint64_t height = 0;
  };

  std::vector<RedeemableTicket> Decode(const std::string& calldata) const;
  bool Redeem(const RedeemableTicket& ticket, std::vector<ethereum::Log>* logs);
  void Execute(const ethereum::SignedTransaction& tx, bool fails);
  void Open();

  const uint64_t chain_id_;
  const Address broker_;
  const Address sender_;
  runtime::Random* const random_;
  State state_;
  std::vector<State> history_;                                   // before each of the last blocks
  std::vector<std::vector<ethereum::SignedTransaction>> mined_;  // of each of those blocks
  std::map<uint64_t, ethereum::SignedTransaction> pending_;      // by nonce
  std::vector<Hash> strangers_;
  uint64_t forks_ = 0;  // so that a block mined again has another hash
  std::string last_error_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_CHAIN_MODEL_H_
