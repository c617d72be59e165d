// The accounts: who is owed what. Pure state; the commands that may change it are checked by
// authority/.
//
// I1: an account's recipient is fixed when it is opened; no function here changes it.
// I2: credited + adjusted_up - adjusted_down = available + reserved + paid, per account and in sum,
// after every call.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_
#define COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::ledger {

// All amounts in wei, each at most kMaxWei.
struct Balances {
  Wei available = 0;      // owed, and free to be paid
  Wei reserved = 0;       // owed, and held for a payout under way
  Wei credited = 0;       // sum of all credits
  Wei adjusted_up = 0;    // sum of corrections upwards
  Wei adjusted_down = 0;  // sum of corrections downwards
  Wei paid = 0;           // sum of what the chain has paid
  bool operator==(const Balances&) const = default;
};

struct Account {
  std::string id;  // 1..128 bytes
  ethereum::Address recipient;
  Balances balances;
};

enum class Change { kCredit, kAdjustUp, kAdjustDown };

class Ledger {
 public:
  using Index = uint64_t;

  std::optional<Index> Find(std::string_view id) const;
  const Account& at(Index index) const;
  uint64_t size() const { return accounts_.size(); }
  const Balances& totals() const { return totals_; }

  // Whether a change would keep every sum in range and the account from going below zero. kOk, or
  // why not.
  enum class Verdict { kOk, kInsufficient, kOutOfRange };
  Verdict Check(std::optional<Index> index, Change change, Wei amount) const;

  // The functions below are the fold: what they are given has been checked, and a violation stops
  // the process.
  Index Open(std::string_view id, const ethereum::Address& recipient);
  void Apply(Index index, Change change, Wei amount);
  void Reserve(Index index, Wei amount);            // available -> reserved
  void Release(Index index, Wei amount);            // reserved -> available
  void Pay(Index index, Wei reserved, Wei paid);    // reserved -> paid, the shortfall -> available
  void Unpay(Index index, Wei reserved, Wei paid);  // the inverse of Pay, after a reorg
  bool CanUnpay(Index index, Wei reserved, Wei paid) const;
  // A snapshot's account. Its id must be new.
  void Restore(Account account);

 private:
  Balances& BalancesAt(Index index);
  void CheckConservation(const Balances& balances) const;

  std::deque<Account> accounts_;  // stable addresses: by_id_ points into the ids
  absl::flat_hash_map<std::string_view, Index> by_id_;
  Balances totals_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_
