// What the contracts and accounts of the simulated chain hold: words by slot, as of any block.
//
// Every word keeps its versions, so that a node that lags behind can be asked and a reorganisation
// costs only what changed. Writes belong to the open block; a call that reverts undoes its own.
#ifndef COFFER_TESTS_SIM_CHAIN_VERSIONED_STORE_H_
#define COFFER_TESTS_SIM_CHAIN_VERSIONED_STORE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::sim::chain {

using ethereum::Address;
using ethereum::Hash;
using ethereum::U256;

// A variable of the chain, and the keys of a mapping (zero where there is none).
struct Slot {
  enum class Field : uint8_t {
    kNonce,              // account
    kBalance,            // account, wei
    kTransfersReceived,  // account, wei of plain transfers
    kDeposit,            // sender, wei
    kWithdrawRound,      // sender
    kReserve,            // reserve holder, wei
    kClaimedInRound,     // reserve holder, round
    kClaimedByAddress,   // reserve holder, (round, claimant)
    kUsedTicket,         // ticket hash
    kFeesCredited,       // recipient, wei
    kRegistered,         // transcoder
    kPoolSize,
    kRound,
    kInitializedRound,
    kRoundBlockHash,  // round
    kPaused,
    kValidityPeriod,
    kUnlockPeriod,
    kTicketsUsed,  // how many
  };
  Field field;
  Hash a;
  Hash b;

  Slot(Field f) : field(f) {}  // NOLINT(google-explicit-constructor): a plain variable is its name
  Slot(Field f, const Hash& first) : field(f), a(first) {}
  Slot(Field f, const Address& first);
  Slot(Field f, uint64_t first);
  Slot(Field f, const Address& first, uint64_t second);
  Slot(Field f, const Address& first, uint64_t round, const Address& second);

  bool operator==(const Slot&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Slot& slot) {
    return H::combine(std::move(h), slot.field, slot.a, slot.b);
  }
};

class VersionedStore {
 public:
  // Zero where nothing was written.
  U256 Get(const Slot& slot) const;
  // As it was at the end of block `number`.
  U256 GetAt(const Slot& slot, uint64_t number) const;
  void Set(const Slot& slot, const U256& value);
  void Add(const Slot& slot, const U256& value) { Set(slot, Get(slot) + value); }
  // The value must cover it.
  void Subtract(const Slot& slot, const U256& value);

  // Later writes belong to this block; numbers only grow, but for RollBack.
  void OpenBlock(uint64_t number) { open_ = number; }
  // What was written in blocks after `number` is undone.
  void RollBack(uint64_t number);

  // What was written since Mark() is undone.
  size_t Mark() const { return undo_.size(); }
  void RevertTo(size_t mark);

 private:
  struct Undo {
    uint64_t block;
    Slot slot;
    bool had_version;  // of the same block
    U256 before;       // that version
  };
  using Versions = std::vector<std::pair<uint64_t, U256>>;  // by block, ascending

  absl::flat_hash_map<Slot, Versions> words_;
  std::vector<Undo> undo_;
  uint64_t open_ = 0;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_VERSIONED_STORE_H_
