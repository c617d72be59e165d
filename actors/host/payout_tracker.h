// What to do next about one open payout: a function of what the enclave says of it, of what the
// chain says, and of what the driver remembers trying. Pure; called again and again, so nothing
// here counts on having been called before.
#ifndef COFFER_ACTORS_HOST_PAYOUT_TRACKER_H_
#define COFFER_ACTORS_HOST_PAYOUT_TRACKER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "actors/host/chain_reader.h"
#include "actors/host/fees.h"
#include "actors/host/payout_options.h"
#include "actors/host/rpc_types.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

// One signed transaction's way to the node.
struct SendMemory {
  absl::Time first_tried = absl::InfiniteFuture();
  absl::Time last_tried = absl::InfinitePast();
  uint32_t tries = 0;     // answered ones
  bool accepted = false;  // a node has it, or had it when it was last asked
  bool no_funds = false;  // refused because the balance is too small: higher fees are no help
};

// All that is remembered of an open payout. What is lost with the process is only how long things
// took: every fact is the enclave's or the chain's.
struct PayoutRecord {
  boundary::v1::Payout payout;  // with its transactions, as the enclave last gave it
  absl::Time first_seen;
  uint64_t first_block = 0;  // strangers' redemptions are looked for from here on
  absl::flat_hash_map<std::string, SendMemory> sends;  // by transaction hash
  // Waiting after a failure.
  uint32_t failures = 0;
  absl::Time not_before = absl::InfinitePast();
  // The search for strangers' redemptions goes in passes up to the latest block.
  std::optional<uint64_t> scan_next;                // the next block of the pass under way
  uint64_t scan_settled = 0;                        // no reorg was reckoned with when it began
  std::optional<uint64_t> scanned_to;               // what need not be looked at again
  absl::Time scan_complete = absl::InfinitePast();  // when it did
  absl::Time nonce_lost = absl::InfiniteFuture();   // since when its nonce is spent, unexplained
  uint32_t contradicted = 0;  // readings in a row that contradict what the enclave was told
  bool bump_refused = false;  // the enclave's ceiling was met before ours
  std::string last_refusal;   // a node's, of the newest transaction
};

// The chain's answers about transactions: only those that were answered are in here, nullopt for
// one that is not mined.
using Receipts = absl::flat_hash_map<std::string, std::optional<Receipt>>;

// What the decision depends on beyond the payout.
struct TrackerContext {
  absl::Time now;
  const ChainState* chain = nullptr;
  const Receipts* receipts = nullptr;
  const PayoutDriverOptions* options = nullptr;
  ethereum::Address broker;  // whose logs say what tickets paid
  FeeLimits fee_limits;
  uint64_t ticket_validity = 0;  // rounds
  bool may_sign = false;         // new nonces may be used
  bool may_bump = true;          // the key is there for another transaction with an old nonce
  bool broker_open = false;      // not paused, and the round is initialised
  bool may_void = false;
  bool retry_transfers = false;  // the policy takes the host's word that a transfer failed
};

enum class PayoutAction {
  kNone,
  kReport,  // tx_hash has a receipt that is final enough
  kSend,    // tx_hash's bytes to the node
  kBump,    // the same nonce with `fees`
  kScan,    // look for strangers' redemptions
  kRetry,   // a new nonce for what is open
  kVoid,    // if its tickets are unused, their funds are free
};
enum class PayoutCondition {
  kFine,
  kSigning,         // the enclave has still to sign
  kConfirming,      // mined, not final enough
  kPending,         // a node has it
  kQueued,          // a lower nonce goes first
  kHeld,            // the broker would refuse it now
  kWaiting,         // backing off after a failure
  kNonceLost,       // its nonce is spent by what is not known here
  kFeeCeiling,      // stuck, and higher fees are not allowed
  kFailedTransfer,  // and the policy does not let it be sent again
  kExpired,         // open tickets that can no longer be redeemed
};
std::string_view PayoutConditionName(PayoutCondition condition);

struct PayoutDecision {
  PayoutAction action = PayoutAction::kNone;
  PayoutCondition condition = PayoutCondition::kFine;
  std::string tx_hash;
  Fees fees;
};

// `accepted(nonce)`: whether a node has a transaction with this nonce.
PayoutDecision Decide(const PayoutRecord& record, const TrackerContext& context,
                      absl::FunctionRef<bool(uint64_t nonce)> accepted);

// The attempts of the lowest nonce of which none is mined, in order of signing; empty when there is
// none. The later nonces have to wait for it.
std::vector<const boundary::v1::Attempt*> OpenAttempts(const boundary::v1::Payout& payout);
uint64_t OpenItems(const boundary::v1::Payout& payout);
absl::uint128 OpenWei(const boundary::v1::Payout& payout);
bool IsTickets(const boundary::v1::Payout& payout);
// Without items: what moves the key's own funds.
bool IsFunding(const boundary::v1::Payout& payout);
// Whether the enclave may be told of a receipt: its block is believed, and where a ticket paid less
// than its face value, as deep as the reorg window. Once told, the rest is owed again and may go
// out in another ticket; nothing takes that one back when the first is paid in full on another
// branch (I3).
bool ReportDue(const Receipt& receipt, const ethereum::Address& broker, const ChainState& chain,
               const PayoutDriverOptions& options);
// TicketBroker: creationRound + ticketValidityPeriod <= currentRound.
bool Expired(const boundary::v1::Payout& payout, uint64_t round, uint64_t validity);
// TicketBroker refuses redemptions of a sender whose unlock period is over.
bool Unlocked(const ChainState& chain);
absl::Duration RetryDelay(uint32_t failures, const PayoutDriverOptions& options);

// Why nothing new may be signed, from the enclave's and the chain's state alone. `known_block`: the
// highest block of which something was reported. Of a key that is not the current one only what
// concerns its nonces: it begins nothing new, and Decide() holds what the broker would refuse.
std::vector<PayoutHalt> FindHalts(const boundary::v1::Status& enclave, const ChainState& chain,
                                  uint64_t known_block, const PayoutDriverOptions& options);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PAYOUT_TRACKER_H_
