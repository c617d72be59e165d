// What the leaves of one line of records add up to, with the whole history of it, and whether each
// leaf may stand where it stands: it follows from those before it (I1, I2, I3, I7), the policy in
// force allowed it (I10), and somebody asked for it (I4, I9).
//
// A line has signing keys one after the other: the genesis's, and each that a leaf adds. The one
// before the newest drains until a leaf retires it (line_keys.cc).
#ifndef COFFER_TESTS_SIM_WIRE_LEAF_WORLD_H_
#define COFFER_TESTS_SIM_WIRE_LEAF_WORLD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/policy/policy.h"
#include "tests/sim/wire/asked.h"
#include "tests/sim/wire/rates.h"
#include "tests/sim/wire/signed_things.h"

namespace coffer::sim::wire {

using Amount = absl::int128;  // wei; signed, so that what falls below zero is seen

// What left any enclave: transactions and tickets by their hash, signing keys by their address.
struct Book {
  std::map<Hash, SignedTransaction> transactions;
  std::map<Hash, Ticket> tickets;
  std::map<Address, boundary::v1::SigningKey> made;  // rotate_signing_key was answered with them
  bool clocks_are_true = true;                       // so that claimed times are times
};

// A value that holds from a number of leaves on.
template <typename T>
struct Moment {
  uint64_t leaves = 0;
  T value;
};
template <typename T>
class History {
 public:
  void Set(uint64_t leaves, T value) { moments_.push_back({leaves, std::move(value)}); }
  const T& last() const { return moments_.back().value; }
  const std::vector<Moment<T>>& moments() const { return moments_; }
  // Whether `holds` is true of some value that was in force with at least `from` leaves.
  template <typename F>
  bool Since(uint64_t from, F holds) const {
    for (size_t i = moments_.size(); i-- > 0;) {
      if (holds(moments_[i].value)) return true;
      if (moments_[i].leaves <= from) return false;
    }
    return false;
  }
  // The value that was in force with this many leaves; null before the first.
  const T* At(uint64_t leaves) const {
    for (size_t i = moments_.size(); i-- > 0;) {
      if (moments_[i].leaves <= leaves) return &moments_[i].value;
    }
    return nullptr;
  }

 private:
  std::vector<Moment<T>> moments_;
};

struct Funds {
  Amount available = 0, reserved = 0, paid = 0, credited = 0, up = 0, down = 0;
  bool operator==(const Funds&) const = default;
};

struct AccountSeen {
  uint64_t index = 0;
  Address recipient;
  History<Funds> funds;
  std::vector<std::pair<uint64_t, uint32_t>> items;  // payout and item, all that it ever had
};

struct ItemFate {
  enum class State { kOpen, kPaid, kVoid };
  State state = State::kOpen;
  Amount paid = 0;
  Hash paid_by;
  bool operator==(const ItemFate&) const = default;
};

struct ItemSeen {
  std::string account;
  Amount amount = 0;
  std::optional<Hash> ticket;
  uint64_t ticket_leaves = 0;  // the number of leaves when it was signed
  History<ItemFate> fate;
};

struct PayoutSeen {
  uint64_t id = 0;
  uint64_t leaves = 0;  // with its last item's reservation
  std::optional<Amount> funding;
  std::vector<ItemSeen> items;
  std::vector<Moment<Hash>> transactions;  // in the order of signing
  uint64_t signed_second = 0;              // of the last one's leaf, since 1970
};

// A signing key of this line; its index is its epoch.
struct KeySeen {
  Address address;
  uint64_t leaves = 0;                  // with the one that added it
  std::optional<uint64_t> retired;      // likewise
  std::map<uint64_t, uint64_t> nonces;  // payout by nonce, of what left
};

struct EventSeen {
  uint64_t leaf = 0;
  AskedEvent content;
};

class LeafWorld {
 public:
  // `policy` is the one of the genesis, `signer` the address of the key that is given to enclaves
  // from the start; `book` and `told` outlive this object.
  LeafWorld(const policy::Policy& policy, const Address& signer, const Book* book,
            const Told* told);

  // The public part of the next record. `asked` is what was asked of the enclave that wrote it.
  // Empty, or the rule that is broken.
  std::string Add(std::string_view bundle, uint64_t tree_size, const Asked& asked);
  // A transaction that left: whether it may stand beside all others of this line (I3, I10). Its
  // bytes are in the book. Once is enough for each.
  std::string Release(const Hash& tx_hash);

  uint64_t size() const { return tree_.size(); }
  const audit::Tree& tree() const { return tree_; }
  const std::vector<Hash>& leaf_hashes() const { return leaf_hashes_; }
  const std::map<std::string, AccountSeen>& accounts() const { return accounts_; }
  const std::vector<PayoutSeen>& payouts() const { return payouts_; }
  const PayoutSeen* FindPayout(uint64_t id) const {
    return id == 0 || id > payouts_.size() ? nullptr : &payouts_[id - 1];
  }
  // The item of the ticket that left with this senderNonce; null when there is none.
  const ItemSeen* FindTicket(const U256& sender_nonce) const;
  const std::map<std::string, EventSeen>& events() const { return events_; }
  const History<policy::Policy>& policies() const { return policies_; }
  const Funds& totals() const { return totals_; }
  // Whether an enclave that was asked just this may hold the keys that sign for this state.
  std::string CheckHeld(const Asked& asked) const;
  // By epoch; empty before the genesis.
  const std::vector<KeySeen>& keys() const { return keys_; }
  std::vector<Address> addresses() const;
  // The epoch of the key that signed what was new with this many leaves, and of the one that
  // drained then.
  uint32_t CurrentAt(uint64_t leaves) const;
  std::optional<uint32_t> DrainingAt(uint64_t leaves) const;
  // The epoch of the key that signs this payout. None where that cannot be told yet: a funding
  // whose transaction was not seen may be a draining key's.
  std::optional<uint32_t> KeyOf(const PayoutSeen& payout) const;
  // Whether something of it was open with this many leaves, as far as the leaves and whatever was
  // reported of its transactions tell: what is open for sure.
  bool IsOpen(const PayoutSeen& payout, uint64_t leaves) const;

 private:
  std::string AddLeaf(const audit::Leaf& leaf, const Asked& asked);
  std::string Genesis(const audit::Leaf& leaf, const Asked& asked);
  std::string Open(const audit::Leaf& leaf, const Asked& asked);
  std::string Change(const audit::Leaf& leaf, const Asked& asked);
  std::string Reserve(const audit::Leaf& leaf, const Asked& asked);
  std::string Fund(const audit::Leaf& leaf, const Asked& asked);
  std::string Sign(const audit::Leaf& leaf);
  std::string SignTicket(const audit::Leaf& leaf);
  std::string Pay(const audit::Leaf& leaf, const Asked& asked);
  std::string Void(const audit::Leaf& leaf, const Asked& asked);
  std::string Revert(const audit::Leaf& leaf, const Asked& asked);
  std::string ChangePolicy(const audit::Leaf& leaf, const Asked& asked);
  std::string AddKey(const audit::Leaf& leaf, const Asked& asked);
  std::string RetireKey(const audit::Leaf& leaf, const Asked& asked);
  // Whether a payout of this key, other than `but`, was open for sure then; which one, or 0.
  uint64_t OpenOf(uint32_t key, uint64_t leaves, uint64_t but) const;
  // By the one key that this payout is signed by, which was not retired.
  std::string CheckKey(const SignedTransaction& tx, const PayoutSeen& payout,
                       uint64_t signed_leaves) const;
  // UNLOCK, WITHDRAW, SWEEP.
  std::string CheckMove(const SignedTransaction& tx, const PayoutSeen& payout) const;
  // Why this receipt leaf can be: a receipt that was reported says just that.
  std::string CheckPaid(const audit::Leaf& leaf, const ItemSeen& item, const Asked& asked) const;
  // Moves an account and compares with what the leaf says it has now.
  std::string Move(const audit::Leaf& leaf, const Funds& change);
  ItemSeen* FindItem(const audit::Leaf& leaf, std::string* wrong);
  std::string CheckLimits(const SignedTransaction& tx, const PayoutSeen& payout,
                          uint64_t signed_leaves) const;
  std::string CheckTickets(const SignedTransaction& tx, const PayoutSeen& payout,
                           uint64_t signed_leaves) const;
  // A replacement has to be one for the nodes.
  std::string CheckBump(const SignedTransaction& tx, const PayoutSeen& payout) const;
  std::string CheckPromises(const SignedTransaction& tx, const PayoutSeen& payout);

  const Address signer_;
  const policy::Policy first_policy_;
  const Book* book_;
  const Told* told_;
  std::vector<KeySeen> keys_;
  audit::Tree tree_;
  std::vector<Hash> leaf_hashes_;
  std::map<std::string, AccountSeen> accounts_;
  std::vector<PayoutSeen> payouts_;
  std::map<std::string, EventSeen> events_;
  std::map<Hash, std::pair<uint64_t, uint64_t>> signed_;  // payout and leaves, by transaction
  History<policy::Policy> policies_;
  uint64_t policy_changes_ = 0;
  Rates rates_;
  Funds totals_;
  // Of what left.
  std::set<Hash> released_;
  std::set<Hash> released_tickets_;
  std::map<Hash, std::pair<uint64_t, uint32_t>> tickets_;  // payout and item, signed or left
  std::map<U256, Hash> sender_nonces_;                     // ticket by senderNonce
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_LEAF_WORLD_H_
