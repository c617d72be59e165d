// Velocity limits (I10): how much may be signed in any window of time, and how often. Part of the
// sealed state, so that a restart does not begin a window anew.
//
// Time is the enclave's clock, handed in; it is never let go back. Whoever can set that clock
// forward can let a window pass (docs/threat-model.md).
#ifndef COFFER_ENCLAVE_CORE_POLICY_VELOCITY_H_
#define COFFER_ENCLAVE_CORE_POLICY_VELOCITY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/wei.h"
#include "enclave_core/policy/policy.h"

namespace coffer::policy {

// What a signature can move. The same key weighs once in a window: a ticket that is signed and then
// redeemed, a transaction that is signed again with higher fees, are one payment.
struct Spend {
  ethereum::Address recipient;
  Wei amount = 0;
  // The ticket's hash; for a plain transfer TransferKey().
  ethereum::Hash key;
  bool operator==(const Spend&) const = default;
};

// keccak-256(nonce || recipient || amount), 8 + 20 + 32 bytes: of all transactions with these
// three, one can be mined.
ethereum::Hash TransferKey(uint64_t nonce, const ethereum::Address& to, Wei amount);

class Velocity {
 public:
  // What is remembered at most, whatever the limits say.
  static constexpr size_t kMaxSpends = 1'000'000;

  // One signature that would make these payments at `now` (seconds since 1970). Refused with
  // ERROR_POLICY and the rule velocity_total, velocity_recipient or velocity_signatures; the
  // sentence says when there is room again.
  //
  // A signature of the second t weighs until the second t + velocity_window, which it is no longer
  // in.
  absl::Status Check(const Policy& policy, uint64_t now, absl::Span<const Spend> spends) const;
  // Counts it. Nothing is kept while the policy has no window. A `now` before the newest entry's is
  // taken as that.
  void Add(const Policy& policy, uint64_t now, absl::Span<const Spend> spends);
  // Forgets what has left the policy's window; Add does the same. To be called when the policy
  // changes, so that a state brought back under the new policy is the one that was left.
  void Trim(const Policy& policy, uint64_t now);

  // A signature as it was added, what it repeated left out. For snapshots: oldest first, and back
  // by Add.
  struct Entry {
    uint64_t time = 0;  // seconds since 1970
    std::vector<Spend> spends;
  };
  size_t entries() const { return entries_.size(); }
  void ForEach(absl::FunctionRef<void(const Entry&)> visit) const;

 private:
  void Expire(uint64_t now, uint64_t window);
  // The first entry that is in the window at `now`: what is before it left since the last Add.
  size_t FirstLive(uint64_t now, uint64_t window) const;
  // The spends that are not counted in this window yet, each key once.
  std::vector<Spend> New(absl::Span<const Spend> spends, uint64_t now, uint64_t window) const;
  absl::Status CheckSignatures(const Policy& policy, uint64_t now, size_t spends) const;
  // All of `amount` on top of `counted`, which the entries of `recipient` (null: of everybody) add
  // up to.
  absl::Status CheckSum(const Policy& policy, uint64_t now, const ethereum::Address* recipient,
                        Wei counted, Wei amount) const;

  std::deque<Entry> entries_;  // oldest first
  Wei total_ = 0;              // of entries_
  size_t spends_ = 0;          // in entries_
  absl::flat_hash_map<ethereum::Address, Wei> by_recipient_;
  absl::flat_hash_map<ethereum::Hash, uint64_t> keys_;  // and when they were counted
};

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_VELOCITY_H_
