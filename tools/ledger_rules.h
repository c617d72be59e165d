// The rules of the ledger over the leaves of a log, one leaf after the other: what a log with a
// perfect tree can still be wrong about. Nothing here knows the enclave's own code; the rules are
// those of docs/transparency.md.
//
//   recipients  I1: an account is opened once, before anything else, and its recipient never
//   changes balances    I2: each leaf's balances follow from the leaf before of that account, as
//   its kind
//               says, and nothing is negative
//   payouts     I3: an item is reserved before it is paid, and paid or voided at most once, unless
//   a
//               reorg was logged that took the payment back
//   events      I7: no event id is in two leaves
//
// Memory: an entry for each account, each payout item and 8 bytes for each event id.
#ifndef COFFER_TOOLS_LEDGER_RULES_H_
#define COFFER_TOOLS_LEDGER_RULES_H_

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/numeric/int128.h"
#include "enclave_core/audit/leaf.h"
#include "tools/verify_report.h"

namespace coffer::tools {

// "5000000000000000000": wei in decimal.
std::string WeiText(absl::uint128 wei);
std::string DeltaText(absl::int128 wei);

struct AccountState {
  std::string id;
  audit::Address recipient;
  uint64_t opened = 0;  // the leaf that did
  absl::uint128 available = 0;
  absl::uint128 reserved = 0;
  absl::uint128 paid = 0;
  // Of `reserved` and `paid`: what an account brought from before the log began, whose payouts are
  // in no leaf.
  absl::uint128 carried_reserved = 0;
  absl::uint128 carried_paid = 0;
};

struct LedgerTotals {
  uint64_t leaves = 0;
  std::array<uint64_t, 16> by_kind{};
  absl::uint128 credited = 0, adjusted_up = 0, adjusted_down = 0, carried_over = 0;
};

class LedgerRules {
 public:
  // In the order of the log. `index` is where the leaf is, whatever it says itself.
  void Apply(uint64_t index, const audit::Leaf& leaf);

  const Problems& recipients() const { return recipients_; }
  const Problems& balances() const { return balances_; }
  const Problems& payouts() const { return payouts_; }
  const LedgerTotals& totals() const { return totals_; }
  const std::deque<AccountState>& accounts() const { return accounts_; }
  // Null when no leaf opened it.
  const AccountState* Find(const std::string& id) const;
  uint64_t items() const { return items_.size(); }

 private:
  enum class ItemState : uint8_t { kOpen, kPaid, kVoid };
  struct Item {
    absl::uint128 amount = 0;
    absl::uint128 paid = 0;
    const AccountState* account = nullptr;
    uint64_t leaf = 0;    // that put it into its state
    uint64_t ticket = 0;  // the first 8 bytes of its ticket's hash; 0 = none signed
    ItemState state = ItemState::kOpen;
  };
  using ItemKey = std::pair<uint64_t, uint32_t>;
  // What a leaf must do to its account. Nothing when that cannot be said any more.
  struct Move {
    absl::int128 available = 0, reserved = 0, paid = 0;
  };
  using Expected = std::optional<Move>;

  AccountState* AccountOf(uint64_t index, const audit::Leaf& leaf);
  void Open(uint64_t index, const audit::Leaf& leaf);
  Expected Expect(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  Expected Reserve(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  Expected Resolve(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  Expected ResolveCarried(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  Expected Revert(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  Expected CarryOver(uint64_t index, const audit::Leaf& leaf, AccountState& account);
  void CheckBalances(uint64_t index, const audit::Leaf& leaf, const AccountState& account,
                     const Move& move);
  void CheckTicket(uint64_t index, const audit::Leaf& leaf);

  Problems recipients_, balances_, payouts_;
  LedgerTotals totals_;
  std::deque<AccountState> accounts_;  // stable addresses
  absl::flat_hash_map<std::string, AccountState*> by_id_;
  absl::flat_hash_map<ItemKey, Item> items_;
  absl::flat_hash_map<uint64_t, uint64_t> signed_unreserved_;  // payout -> the leaf
  bool carrying_ = true;  // nothing but what an older state brought was seen yet
  bool carried_ = false;  // something was brought
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LEDGER_RULES_H_
