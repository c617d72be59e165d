// A payout: funds held for somebody, and every transaction that was signed to pay them.
//
// What is stored are facts (which items are resolved, which transactions were signed, which were
// mined). The state is a function of the facts, so that the two cannot disagree:
//
//   reserved --signed--> signed --mined, all items resolved--> settled | partly_settled | voided
//      ^                   |  ^
//      |                   |  +-- bump: same nonce, higher fees
//      +--mined, items open+  +-- reorg: what was mined is open again
//      (retry: the same tickets under a new nonce)
//
// An item is open until the chain has paid it (its own transaction or a stranger's redemption), or
// its ticket was shown to be void. Tickets are kept for life: nothing here replaces one.
#ifndef COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUT_H_
#define COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/ledger.h"
#include "enclave_core/ledger/wei.h"
#include "enclave_core/policy/policy.h"
#include "proto/boundary.pb.h"

namespace coffer::payouts {

using boundary::v1::Strategy;
using ledger::Wei;
using policy::Fees;

// What only a draining key signs, to bring its own funds to the key that follows it.
bool IsMove(Strategy strategy);

// The part of a ticket that its signing added.
struct TicketSecrets {
  ethereum::Hash ticket_hash;
  ethereum::Signature signature;
  ethereum::U256 recipient_rand;
};

struct Item {
  enum class State { kOpen, kPaid, kVoid };
  ledger::Ledger::Index account = 0;
  Wei amount = 0;             // wei; a ticket's face value
  uint64_t sender_nonce = 0;  // tickets
  State state = State::kOpen;
  Wei paid = 0;            // wei; below `amount` when the deposit fell short
  ethereum::Hash paid_by;  // the transaction that did
  std::optional<TicketSecrets> ticket;
};

struct Mined {
  bool succeeded = false;
  uint64_t block_number = 0;
  ethereum::Hash block_hash;
};

// One signed transaction.
struct Attempt {
  uint64_t nonce = 0;
  Fees fees;
  ethereum::Hash tx_hash;
  std::string raw_tx;
  std::optional<Mined> mined;
};

// Asked for and sealed, its signature still to come.
struct PendingSignature {
  uint64_t nonce = 0;
  Fees fees;
};

struct Payout {
  uint64_t id = 0;
  Strategy strategy = boundary::v1::STRATEGY_UNSPECIFIED;
  uint32_t key = 0;  // epoch of the signing key that signs it, for life (payouts.h)
  std::vector<Item> items;
  Wei funding = 0;  // FUND_*: what goes to the broker; SWEEP: what goes to the next key
  ethereum::TicketAuxData aux_data;
  std::vector<Attempt> attempts;
  std::optional<PendingSignature> pending;

  // Moves the enclave's own funds: FUND_*, UNLOCK, WITHDRAW, SWEEP. It has no items.
  bool IsFunding() const;
  bool IsTickets() const { return strategy == boundary::v1::STRATEGY_LIVEPEER_TICKET; }
  bool AllItemsResolved() const;
  // Some nonce was signed for and none of its attempts is mined.
  bool OnItsWay() const;
  // The same, or a signature is pending.
  bool UnderWay() const;
  // Nothing can happen to it any more, short of a reorg.
  bool Final() const;
  boundary::v1::PayoutState State() const;
  Wei Total() const;
  Wei Paid() const;
  const Attempt* FindAttempt(const ethereum::Hash& tx_hash) const;
};

}  // namespace coffer::payouts

#endif  // COFFER_ENCLAVE_CORE_PAYOUTS_PAYOUT_H_
