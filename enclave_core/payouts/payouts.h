// All payouts, their nonces and what points to them: the fold of the payout events. Pure state;
// commands are checked by authority/, and a violation here stops the process.
#ifndef COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_
#define COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/payouts/payout.h"

namespace coffer::payouts {

// One item of one payout.
struct ItemRef {
  uint64_t payout_id = 0;
  uint32_t item = 0;
  auto operator<=>(const ItemRef&) const = default;
};

class Payouts {
 public:
  // Payout ids count from 1.
  const Payout* Find(uint64_t id) const;
  uint64_t size() const { return payouts_.size(); }
  uint64_t next_id() const { return payouts_.size() + 1; }
  // Ids of the payouts that are not final, in order.
  const std::set<uint64_t>& open() const { return open_; }

  std::optional<uint64_t> next_nonce() const { return next_nonce_; }
  uint64_t next_sender_nonce() const { return next_sender_nonce_; }
  // Face values of all open tickets: what could still be redeemed.
  Wei outstanding_tickets() const { return outstanding_tickets_; }

  // The payout that signed this transaction.
  std::optional<uint64_t> FindTransaction(const ethereum::Hash& tx_hash) const;
  std::optional<ItemRef> FindTicket(uint64_t sender_nonce) const;
  // The items that this transaction has paid, ours or a stranger's.
  const std::vector<ItemRef>& PaidBy(const ethereum::Hash& tx_hash) const;

  // ---- the fold
  // -----------------------------------------------------------------------------------------------------
  void Reserve(Payout payout);  // its id is next_id(); with `pending` set
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
  void RestoreNonces(std::optional<uint64_t> next_nonce, uint64_t next_sender_nonce);

 private:
  Payout& At(uint64_t id);
  Item& At(const ItemRef& ref);
  void UseNonce(uint64_t nonce);
  void Index(const Payout& payout);
  void Refresh(const Payout& payout);

  std::deque<Payout> payouts_;  // payout id - 1
  std::set<uint64_t> open_;
  absl::flat_hash_map<ethereum::Hash, uint64_t> by_tx_;
  absl::flat_hash_map<uint64_t, ItemRef> by_sender_nonce_;
  absl::flat_hash_map<ethereum::Hash, std::vector<ItemRef>> paid_by_;
  std::optional<uint64_t> next_nonce_;
  uint64_t next_sender_nonce_ = 1;
  Wei outstanding_tickets_ = 0;
};

}  // namespace coffer::payouts

#endif  // COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUTS_H_
