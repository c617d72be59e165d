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
  absl::Status Check(const Policy& policy, uint64_t now, absl::Span<const Spend> spends) const;
  // Counts it. Nothing is kept while the policy has no window.
  void Add(const Policy& policy, uint64_t now, absl::Span<const Spend> spends);

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

  std::deque<Entry> entries_;
  Wei total_ = 0;
  size_t spends_ = 0;
  absl::flat_hash_map<ethereum::Address, Wei> by_recipient_;
  absl::flat_hash_map<ethereum::Hash, uint32_t> keys_;
};

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_VELOCITY_H_
