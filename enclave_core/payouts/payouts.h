// All payouts, the signing keys that sign them with their nonces, and what points to them: the fold
// of the payout events. Pure state; commands are checked by authority/, and a violation here stops
// the process.
//
// A payout is signed by one key for life. Nonces and the broker's deposit belong to a key's
// address; senderNonces are counted over all keys, so that one number is one ticket.
#ifndef COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_
#define COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/ledger/moment.h"
#include "enclave_core/payouts/payout.h"

namespace coffer::payouts {

// One item of one payout.
struct ItemRef {
  uint64_t payout_id = 0;
  uint32_t item = 0;
  auto operator<=>(const ItemRef&) const = default;
};

// A signing key as its payouts see it. Its index in Payouts::keys() is its epoch.
struct SigningKey {
  ethereum::Address address;
  std::optional<uint64_t> next_nonce;  // none: it has signed nothing
  Wei outstanding_tickets = 0;         // face values of its open tickets: what can be redeemed
  uint64_t open = 0;                   // payouts of it that are not final
  bool retired = false;                // wiped; it never signs again
};

class Payouts {
 public:
  // By epoch; the last signs what is new. Empty before the founding.
  const std::vector<SigningKey>& keys() const { return keys_; }
  const SigningKey& current() const { return keys_.back(); }
  // The key before the current one, until it is retired; null: none drains.
  const SigningKey* draining() const;
  // Payout ids count from 1.
  const Payout* Find(uint64_t id) const;
  uint64_t size() const { return payouts_.size(); }
  uint64_t next_id() const { return payouts_.size() + 1; }
  // Ids of the payouts that are not final, in order.
  const std::set<uint64_t>& open() const { return open_; }

  uint64_t next_sender_nonce() const { return next_sender_nonce_; }

  // The payout that signed this transaction.
  std::optional<uint64_t> FindTransaction(const ethereum::Hash& tx_hash) const;
  std::optional<ItemRef> FindTicket(uint64_t sender_nonce) const;
  // The items that this transaction has paid, ours or a stranger's.
  const std::vector<ItemRef>& PaidBy(const ethereum::Hash& tx_hash) const;

  // ---- the fold
  // -----------------------------------------------------------------------------------------------------
  // At most one of the keys before it is not retired yet.
  void AddKey(const ethereum::Address& address);
  void RetireKey(uint32_t epoch);  // none of its payouts is open
  void Reserve(Payout payout);     // its id is next_id(); with `pending` set
  void AskSignature(uint64_t id, const PendingSignature& pending);
  // `tickets` comes with the first signature of a ticket payout, one for each item.
  void AddAttempt(uint64_t id, Attempt attempt, std::vector<TicketSecrets> tickets);
  void MarkMined(uint64_t id, const ethereum::Hash& tx_hash, const Mined& mined);
  void MarkUnmined(uint64_t id, const ethereum::Hash& tx_hash);
  void MarkPaid(const ItemRef& ref, Wei paid, const ethereum::Hash& tx_hash);
  void MarkVoid(const ItemRef& ref);
  // Opens again what `tx_hash` had paid.
  void ReopenPaidBy(const ethereum::Hash& tx_hash);
  // From a snapshot.
  void Restore(Payout payout);
  void RestoreKey(const SigningKey& key);  // before its payouts; those are counted as they come
  void RestoreNonce(std::optional<uint64_t> next_nonce);  // of the only key
  void RestoreSenderNonce(uint64_t next_sender_nonce);
  // The payouts as they were when moment().Begin was called, by id - 1; not the keys.
  ledger::Moment<Payout>& moment() { return moment_; }
  const ledger::Moment<Payout>& moment() const { return moment_; }
  // About how many bytes they take in a snapshot: one, and all.
  static uint64_t BytesOf(const Payout& payout);
  uint64_t bytes() const { return bytes_; }

 private:
  Payout& At(uint64_t id);
  Item& At(const ItemRef& ref);
  SigningKey& KeyOf(const Payout& payout);
  void UseNonce(const Payout& payout, uint64_t nonce);
  void Index(const Payout& payout);
  void Refresh(const Payout& payout);

  std::deque<Payout> payouts_;  // payout id - 1
  std::set<uint64_t> open_;
  absl::flat_hash_map<ethereum::Hash, uint64_t> by_tx_;
  absl::flat_hash_map<uint64_t, ItemRef> by_sender_nonce_;
  absl::flat_hash_map<ethereum::Hash, std::vector<ItemRef>> paid_by_;
  std::vector<SigningKey> keys_;
  uint64_t next_sender_nonce_ = 1;
  uint64_t bytes_ = 0;  // sum of BytesOf
  ledger::Moment<Payout> moment_;
};

}  // namespace coffer::payouts

#endif  // COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_
