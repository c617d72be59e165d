// TicketBroker's rules, with what a payer meets of BondingManager, RoundsManager, Controller and
// Minter, as code without any chain around it: state in a VersionedStore, a call in, its outcome
// out. Source: the contract's behaviour, and deploy/contracts, which tests/e2e holds it to.
#ifndef COFFER_TESTS_SIM_CHAIN_BROKER_MODEL_H_
#define COFFER_TESTS_SIM_CHAIN_BROKER_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "tests/sim/chain/broker_calls.h"
#include "tests/sim/chain/versioned_store.h"

namespace coffer::sim::chain {

// Where the contracts live.
struct Contracts {
  Address broker;
  Address controller = *Address::FromHex("0x00000000000000000000000000000000000c0001");
  Address rounds_manager = *Address::FromHex("0x00000000000000000000000000000000000c0002");
  Address bonding_manager = *Address::FromHex("0x00000000000000000000000000000000000c0003");
  Address minter = *Address::FromHex("0x00000000000000000000000000000000000c0004");
};

struct BrokerOptions {
  Contracts contracts;
  uint64_t first_round = 3;  // initialized
  uint64_t ticket_validity_period = 2;
  uint64_t unlock_period = 7;
  // Every recipient counts as a registered transcoder, in a pool of this size. 0: only those that
  // were registered, and the pool is as large as they are many.
  uint64_t open_pool_size = 4;
};

// What became of one ticket of a call.
struct TicketOutcome {
  Hash ticket_hash;
  std::string revert;       // why it was not redeemed; empty: it was
  bool out_of_gas = false;  // the inner call ran dry: not redeemed
  U256 paid;                // wei; may be 0 for a redeemed one
};

struct CallOutcome {
  bool succeeded = false;
  // In the contract's words. Empty with !succeeded: it said nothing (unknown function, out of gas).
  std::string revert;
  std::vector<TicketOutcome> tickets;  // of a call that succeeded, in the call's order
  std::vector<ethereum::Log> logs;     // of a call that succeeded; log_index counts from 0
  uint64_t gas_used = 0;
};

class BrokerModel {
 public:
  // `store` outlives this object. Writes the contracts' first state into the open block.
  BrokerModel(VersionedStore* store, const BrokerOptions& options);

  // A transaction's call of the broker: `gas` is what is left after the intrinsic gas, in the
  // measure of gas.h's figures. The ether moves with it (kBalance of `from`); the caller has made
  // sure that `from` has `value`. A failed call changes nothing. The next `fail_inner` inner calls
  // of a batch run out of gas; the number is brought down by those that did.
  CallOutcome Execute(const Address& from, const U256& value, const BrokerCall& call, uint64_t gas,
                      uint64_t* fail_inner);

  // eth_call of what these contracts answer (the functions that a payer reads), as of a block.
  // Nothing: no such contract there (the answer is empty then), or it reverts.
  struct ReadAnswer {
    bool reverted = false;
    std::string data;
  };
  ReadAnswer Read(const Address& to, std::string_view calldata, uint64_t block) const;

  // ---- what others do to the contracts, in the open block
  void AddDeposit(const Address& sender, const U256& wei);  // by fundDeposit, from thin air
  void AddReserve(const Address& sender, const U256& wei);
  void Register(const Address& transcoder);
  void SetPaused(bool paused);
  // Begins the next round; without `initialize` nothing is redeemed until InitializeRound.
  void AdvanceRound(bool initialize);
  void InitializeRound();
  void SetTicketValidityPeriod(uint64_t rounds);

  // ---- reading the newest state
  uint64_t round() const;
  bool round_initialized() const;
  bool paused() const;
  Hash BlockHashForRound(uint64_t round) const;  // zero: none
  U256 Deposit(const Address& sender) const;
  U256 ReserveFunds(const Address& sender) const;
  U256 ClaimableReserve(const Address& holder, const Address& claimant) const;
  U256 FeesCredited(const Address& recipient) const;
  bool Used(const Hash& ticket_hash) const;
  const BrokerOptions& options() const { return options_; }

 private:
  class Run;
  U256 ClaimableReserveAt(const Address& holder, const Address& claimant, uint64_t block) const;
  bool RegisteredAt(const Address& transcoder, uint64_t block) const;
  bool SignedBySender(const TicketCall& ticket, const Hash& hash, std::string* why);

  VersionedStore* const store_;
  const BrokerOptions options_;
  // Recovering a signer is slow, and after a reorganisation the same tickets come again.
  absl::flat_hash_map<std::string, std::optional<Address>> signers_;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_BROKER_MODEL_H_
