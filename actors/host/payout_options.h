// What the operator chooses about payouts, and what the driver shows of itself.
#ifndef COFFER_ACTORS_HOST_PAYOUT_OPTIONS_H_
#define COFFER_ACTORS_HOST_PAYOUT_OPTIONS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/time/time.h"
#include "actors/host/fees.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

namespace boundary = ::coffer::boundary;

// Amounts in wei. Every ceiling here only keeps the host from asking for what the enclave's policy
// would refuse; the policy is what counts.
struct PayoutDriverOptions {
  // 20 bytes: the address of a signing key that is no longer the current one, whose payouts are
  // brought to their end. Empty: the current key, whichever it is. See payout_drivers.h.
  std::string key;
  // LIVEPEER_TICKET or ETH_TRANSFER.
  boundary::v1::Strategy strategy = boundary::v1::STRATEGY_LIVEPEER_TICKET;
  // Accounts with less available are not paid yet. At least 1 wei.
  absl::uint128 threshold = 1;
  // How often payouts are planned by themselves; infinite: only on RunNow().
  absl::Duration run_interval = absl::Hours(1);
  // How often every open payout is looked at.
  absl::Duration tick = absl::Seconds(1);
  // How often the chain is read while there is nothing to do, to keep the status true.
  absl::Duration idle_interval = absl::Seconds(15);
  // How often all open payouts are asked for again without a reason.
  absl::Duration resync_interval = absl::Minutes(1);
  // Tickets in one transaction; 1..100, the policy's max_tickets if that is less.
  uint32_t max_tickets = 100;
  // Transactions under way at once. What waits for a retry does not count.
  uint32_t max_under_way = 8;
  // Says what it would do; signs nothing and sends nothing.
  bool dry_run = false;

  // When a receipt is believed: it has this many blocks, its own included, or its block is `safe`
  // or `finalized` as the node says.
  enum class Finality { kConfirmations, kSafe, kFinalized };
  Finality finality = Finality::kConfirmations;
  uint64_t confirmations = 1;  // at least 1
  // For so many blocks a reported receipt is looked for again, and a ticket that paid in part is
  // reported when it is as deep; 0: never, and at once. Not with kFinalized.
  uint64_t reorg_window = 64;
  // A receipt counts as gone after it was missing in this many readings in a row: behind one URL
  // there may be many nodes, some of them late.
  uint32_t reorg_readings = 3;

  // What the node is asked to put in front (wei a gas). 0 on Arbitrum, whose sequencer orders by
  // arrival.
  absl::uint128 priority_fee = 0;
  FeeLimits fees;  // ceilings of 0 stand for the policy's
  // Gas limits: (100,000 + 275,000 a ticket) * margin / 100 + extra. The rule covers every batch
  // that was measured with the deployed contracts; estimates of batches are useless, because the
  // contract swallows the failure of a ticket that ran out of gas. `gas_extra` is for Arbitrum's
  // L1 part, which is folded into the gas limit.
  uint32_t gas_margin_percent = 100;  // at least 100
  uint64_t gas_extra = 0;
  // Transfers and fundings: eth_estimateGas * this / 100 + extra.
  uint32_t estimate_margin_percent = 130;  // at least 100

  // Not mined for this long: first the same bytes again, then, as long after that, higher fees.
  absl::Duration stuck_after = absl::Minutes(2);
  // After a failure (a refusal, a revert), the first wait; it doubles up to retry_max.
  absl::Duration retry_after = absl::Seconds(15);
  absl::Duration retry_max = absl::Hours(1);
  // The chain spent a nonce of ours and none of its transactions has a receipt: so long it may be
  // a late node, then it is an alarm.
  absl::Duration lost_nonce_after = absl::Minutes(5);

  // Strangers' redemptions are looked for from this block on; without it, from the block at which
  // the driver first saw the payout, minus the margin.
  std::optional<uint64_t> logs_from_block;
  uint64_t logs_margin = 20'000;
  uint64_t logs_range = 10'000;  // blocks in one eth_getLogs; at least 1

  // Frees the funds of expired, unused tickets, on the host's word (tier T0); also needs the
  // policy's void_on_host_word.
  bool void_expired = false;

  // The deposit is filled up to `fund_target` when it is below `fund_below`; 0: never.
  absl::uint128 fund_below = 0;
  absl::uint128 fund_target = 0;

  // What a draining key has in the TicketBroker and on its address is brought over to the key that
  // follows it before it is retired. Without, nothing of it is touched, and the key is retired by
  // itself only if it has nothing of worth: retiring is for ever, and takes the rest along.
  bool drain_funds = true;
};

// A reason why nothing new is signed.
struct PayoutHalt {
  std::string code;      // stable, for metrics and alerts: "broker_paused"
  std::string sentence;  // for people
  bool operator==(const PayoutHalt&) const = default;
};

// What HTTP and metrics show. A plain value, as of the end of the last turn.
struct PayoutDriverStatus {
  std::string address;  // 20 bytes, of the signing key that this is about; empty: not known yet
  // UNSPECIFIED while the enclave has had one key only.
  boundary::v1::SigningKeyState::Use use = boundary::v1::SigningKeyState::USE_UNSPECIFIED;
  std::string drain;    // in words, how far a draining key is with its funds
  bool paused = false;  // by the operator
  bool dry_run = false;
  bool enclave_ready = false;
  std::vector<PayoutHalt> halts;       // empty: payouts can be made
  std::vector<std::string> notes;      // what needs a person: stuck, expired, at the fee ceiling
  std::optional<absl::Time> last_run;  // wall clock, when a run last ended
  std::optional<absl::Time> last_reading;  // wall clock, of the chain
  std::string last_plan;                   // in words; with dry_run what would be done
  uint64_t open_payouts = 0;
  uint64_t under_way = 0;
  uint64_t retry_waiting = 0;  // open, no transaction under way
  uint64_t expired = 0;        // payouts whose open tickets can no longer be redeemed
  uint64_t at_fee_ceiling = 0;
  uint64_t watched_receipts = 0;                      // reported, and still looked at
  absl::Duration oldest_open = absl::ZeroDuration();  // since this driver first saw it
  std::map<std::string, uint64_t> open_by_state;      // reserved, signed, ..., zero-seeded
  bool nonce_known = false;
  uint64_t next_nonce = 0;   // the enclave's
  uint64_t chain_nonce = 0;  // at the latest block
  uint64_t block_number = 0;
  uint64_t round = 0;
  absl::uint128 deposit = 0;      // wei, in the TicketBroker
  absl::uint128 reserve = 0;      // wei, in the TicketBroker
  absl::uint128 balance = 0;      // wei, for gas
  absl::uint128 owed = 0;         // wei, available in all accounts
  absl::uint128 outstanding = 0;  // wei, promised by open items

  // Since start.
  struct Counters {
    uint64_t prepared = 0;
    uint64_t sent = 0;    // transactions that a node took for the first time
    uint64_t resent = 0;  // the same bytes again
    uint64_t send_refused = 0;
    uint64_t bumped = 0;
    uint64_t mined = 0;     // receipts reported, ours
    uint64_t reverted = 0;  // of these, with status 0
    uint64_t foreign = 0;   // receipts reported, a stranger's
    uint64_t reorged = 0;
    uint64_t retried = 0;
    uint64_t voided = 0;      // tickets
    uint64_t funded = 0;      // fundings signed
    uint64_t unreadable = 0;  // readings of the chain that failed
    uint64_t refused = 0;     // requests that the enclave refused
    Counters& operator+=(const Counters& other);
  };
  Counters counters;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PAYOUT_OPTIONS_H_
