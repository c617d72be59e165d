// The ledger root: a Merkle tree over all accounts, so that one hash stands for every balance and a
// payee's line can be shown to be under it. RFC 6962's hashing (leaf 0x00, node 0x01, SHA-256) over
// leaves in the order of registration:
//
//   "coffer account v1" || index (8) || len(id) (2) || id || recipient (20) || available, reserved,
//   credited, adjusted_up, adjusted_down, paid (16 each), integers big-endian
//
// Changed accounts are only marked; their paths are hashed when a root is asked for.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_BALANCE_TREE_H_
#define COFFER_ENCLAVE_CORE_LEDGER_BALANCE_TREE_H_

#include <cstdint>
#include <vector>

#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/ledger.h"

namespace coffer::ledger {

class BalanceTree {
 public:
  // The account's line has changed, or is new.
  void Touch(Ledger::Index index);
  // The root of all accounts of `ledger`; SHA-256 of nothing when there are none (RFC 6962).
  ethereum::Hash Root(const Ledger& ledger);

 private:
  std::vector<std::vector<ethereum::Hash>> levels_;  // levels_[0] are the leaves
  std::vector<Ledger::Index> touched_;
  std::vector<bool> is_touched_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_BALANCE_TREE_H_
