#include "actors/host/payout_tracker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {
namespace {

using boundary::v1::Attempt;
using boundary::v1::Payout;
using boundary::v1::PayoutItem;

PayoutDecision Only(PayoutCondition condition) { return {PayoutAction::kNone, condition, {}, {}}; }

// Only the newest transaction of a nonce is sent, so one that the balance cannot pay would hold up
// the nonce for good. A sweep leaves little.
bool Affordable(const Payout& payout, const Attempt& newest, const Fees& fees,
                const ChainState& chain) {
  const absl::uint128 moved = IsTickets(payout) ? 0 : ledger::FromProto(payout.total());
  const absl::uint128 gas = newest.fees().gas_limit() * fees.max_fee;
  return moved <= chain.balance && gas <= chain.balance - moved;
}

// A transaction that was taken and is not mined, or that the node keeps refusing.
PayoutDecision Unstick(const PayoutRecord& record, const Attempt& newest, const SendMemory& send,
                       bool first_in_line, const TrackerContext& context) {
  const PayoutDriverOptions& options = *context.options;
  PayoutDecision decision{PayoutAction::kNone, PayoutCondition::kPending, newest.tx_hash(), {}};
  if (!send.accepted) decision.condition = PayoutCondition::kWaiting;
  const absl::Duration wait =
      send.accepted ? options.stuck_after : RetryDelay(std::max(send.tries, 1u), options);
  const bool due = context.now - send.last_tried >= wait;
  const bool stuck = context.may_bump && first_in_line && !send.no_funds && send.tries >= 2 &&
                     context.now - send.first_tried >= 2 * options.stuck_after;
  if (!stuck) {
    if (due) decision.action = PayoutAction::kSend;
    return decision;
  }
  std::optional<Fees> fees;
  if (!record.bump_refused) {
    const Fees before{ledger::FromProto(newest.fees().max_fee_per_gas()),
                      ledger::FromProto(newest.fees().max_priority_fee_per_gas())};
    fees = BumpToMarket(before, context.chain->base_fee, options.priority_fee, context.fee_limits);
  }
  if (fees.has_value() && Affordable(record.payout, newest, *fees, *context.chain)) {
    decision.action = PayoutAction::kBump;
    decision.fees = *fees;
    return decision;
  }
  decision.condition = PayoutCondition::kFeeCeiling;
  if (due) decision.action = PayoutAction::kSend;
  return decision;
}

PayoutDecision DecideUnderWay(const PayoutRecord& record, const TrackerContext& context,
                              absl::FunctionRef<bool(uint64_t)> accepted) {
  const Payout& payout = record.payout;
  const std::vector<const Attempt*> attempts = OpenAttempts(payout);
  if (attempts.empty()) return Only(PayoutCondition::kSigning);
  bool all_answered = true;
  for (const Attempt* attempt : attempts) {
    const auto found = context.receipts->find(attempt->tx_hash());
    if (found == context.receipts->end()) {
      all_answered = false;
    } else if (found->second.has_value()) {
      const bool due = ReportDue(*found->second, context.broker, *context.chain, *context.options);
      return {due ? PayoutAction::kReport : PayoutAction::kNone,
              PayoutCondition::kConfirming,
              attempt->tx_hash(),
              {}};
    }
  }
  const uint64_t nonce = attempts.front()->nonce();
  if (nonce < context.chain->nonce) {
    if (!all_answered) return Only(PayoutCondition::kPending);
    PayoutDecision lost = Only(PayoutCondition::kNonceLost);
    // Another transaction has the nonce. The tickets are good all the same, and whoever redeems
    // them pays.
    if (IsTickets(payout) && OpenItems(payout) != 0 && context.chain->has_broker &&
        context.now - record.scan_complete > context.options->retry_after) {
      lost.action = PayoutAction::kScan;
    }
    return lost;
  }
  const bool first_in_line = nonce == context.chain->nonce;
  if (!first_in_line && !accepted(nonce - 1)) return Only(PayoutCondition::kQueued);
  const Attempt& newest = *attempts.back();
  const auto send = record.sends.find(newest.tx_hash());
  const bool tried = send != record.sends.end() && send->second.tries > 0;
  // A redemption that is bound to fail is not started; one that a node has is past recall.
  if (IsTickets(payout) && OpenItems(payout) != 0 && !context.broker_open && !accepted(nonce)) {
    return Only(PayoutCondition::kHeld);
  }
  if (!tried) {
    return {PayoutAction::kSend, PayoutCondition::kPending, newest.tx_hash(), {}};
  }
  return Unstick(record, newest, send->second, first_in_line, context);
}

}  // namespace

std::string_view PayoutConditionName(PayoutCondition condition) {
  switch (condition) {
    case PayoutCondition::kFine:
      return "fine";
    case PayoutCondition::kSigning:
      return "signing";
    case PayoutCondition::kConfirming:
      return "confirming";
    case PayoutCondition::kPending:
      return "pending";
    case PayoutCondition::kQueued:
      return "queued";
    case PayoutCondition::kHeld:
      return "held";
    case PayoutCondition::kWaiting:
      return "waiting";
    case PayoutCondition::kNonceLost:
      return "nonce_lost";
    case PayoutCondition::kFeeCeiling:
      return "fee_ceiling";
    case PayoutCondition::kFailedTransfer:
      return "failed_transfer";
    case PayoutCondition::kExpired:
      return "expired";
  }
  return "unknown";
}

PayoutDecision Decide(const PayoutRecord& record, const TrackerContext& context,
                      absl::FunctionRef<bool(uint64_t)> accepted) {
  const Payout& payout = record.payout;
  if (payout.under_way()) return DecideUnderWay(record, context, accepted);
  if (OpenItems(payout) == 0) return Only(PayoutCondition::kFine);
  // A ticket pays once under any nonce, a transfer would pay again.
  if (!IsTickets(payout) && !context.retry_transfers) return Only(PayoutCondition::kFailedTransfer);
  const bool expired = IsTickets(payout) && context.chain->has_broker &&
                       Expired(payout, context.chain->round, context.ticket_validity);
  PayoutDecision decision = Only(expired ? PayoutCondition::kExpired : PayoutCondition::kWaiting);
  if (context.now < record.not_before) return decision;
  if (IsTickets(payout)) {
    if (!context.chain->has_broker) return decision;
    // Somebody else may have redeemed what our transaction did not.
    if (context.now - record.scan_complete > context.options->retry_after) {
      decision.action = PayoutAction::kScan;
      return decision;
    }
    if (expired) {
      if (context.may_void) decision.action = PayoutAction::kVoid;
      return decision;
    }
    if (!context.broker_open) {
      decision.condition = PayoutCondition::kHeld;
      return decision;
    }
  }
  if (context.may_sign) decision.action = PayoutAction::kRetry;
  return decision;
}

std::vector<const Attempt*> OpenAttempts(const Payout& payout) {
  const auto mined = [&](uint64_t nonce) {
    return std::any_of(payout.attempts().begin(), payout.attempts().end(),
                       [&](const Attempt& a) { return a.nonce() == nonce && a.mined(); });
  };
  std::optional<uint64_t> lowest;
  for (const Attempt& attempt : payout.attempts()) {
    if ((!lowest.has_value() || attempt.nonce() < *lowest) && !mined(attempt.nonce())) {
      lowest = attempt.nonce();
    }
  }
  std::vector<const Attempt*> open;
  for (const Attempt& attempt : payout.attempts()) {
    if (attempt.nonce() == lowest) open.push_back(&attempt);
  }
  return open;
}

uint64_t OpenItems(const Payout& payout) {
  return static_cast<uint64_t>(
      std::count_if(payout.items().begin(), payout.items().end(),
                    [](const PayoutItem& item) { return item.state() == PayoutItem::STATE_OPEN; }));
}

absl::uint128 OpenWei(const Payout& payout) {
  absl::uint128 sum = 0;
  for (const PayoutItem& item : payout.items()) {
    if (item.state() == PayoutItem::STATE_OPEN) sum += ledger::FromProto(item.amount());
  }
  return sum;
}

bool IsTickets(const Payout& payout) {
  return payout.strategy() == boundary::v1::STRATEGY_LIVEPEER_TICKET;
}

bool IsFunding(const Payout& payout) {
  return !IsTickets(payout) && payout.strategy() != boundary::v1::STRATEGY_ETH_TRANSFER;
}

bool ReportDue(const Receipt& receipt, const ethereum::Address& broker, const ChainState& chain,
               const PayoutDriverOptions& options) {
  if (receipt.block_number > chain.confirmed) return false;
  if (options.finality == PayoutDriverOptions::Finality::kFinalized) return true;
  const auto redemptions = ethereum::DecodeRedemptions(broker, receipt.logs);
  // What cannot be read the enclave refuses, and says why.
  const bool in_part =
      redemptions.ok() && std::any_of(redemptions->begin(), redemptions->end(),
                                      [](const auto& r) { return r.paid < r.face_value; });
  return !in_part || chain.number - receipt.block_number >= options.reorg_window;
}

bool Expired(const Payout& payout, uint64_t round, uint64_t validity) {
  if (payout.items().empty()) return false;
  const uint64_t creation = payout.items(0).creation_round();
  return round >= creation && round - creation >= validity;
}

bool Unlocked(const ChainState& chain) {
  return chain.withdraw_round != 0 && chain.round >= chain.withdraw_round;
}

absl::Duration RetryDelay(uint32_t failures, const PayoutDriverOptions& options) {
  if (failures == 0) return absl::ZeroDuration();
  return std::min(options.retry_max,
                  options.retry_after * (uint64_t{1} << std::min(failures - 1, 20u)));
}

std::vector<PayoutHalt> FindHalts(const boundary::v1::Status& enclave, const ChainState& chain,
                                  uint64_t known_block, const PayoutDriverOptions& options) {
  std::vector<PayoutHalt> halts;
  if (chain.chain_id != enclave.chain_id()) {
    halts.push_back({"wrong_chain", absl::StrCat("the node is on chain ", chain.chain_id,
                                                 ", the enclave signs for chain ",
                                                 enclave.chain_id(), "; check the RPC URLs")});
  }
  if (chain.number < known_block) {
    halts.push_back(
        {"node_behind", absl::StrCat("the node is at block ", chain.number, ", receipts of block ",
                                     known_block, " were seen; waiting for it to catch up")});
  }
  if (enclave.nonce_known() && chain.nonce > enclave.next_nonce()) {
    halts.push_back({"nonce_alarm",
                     absl::StrCat("the chain's nonce is ", chain.nonce,
                                  ", the enclave's next one is ", enclave.next_nonce(),
                                  ": the key was used elsewhere or the enclave's state is old")});
  }
  if (!options.key.empty()) return halts;
  const bool tickets = options.strategy == boundary::v1::STRATEGY_LIVEPEER_TICKET;
  if (tickets && !chain.has_broker) {
    halts.push_back({"strategy_not_allowed", "the enclave's policy allows no tickets"});
  }
  if (!tickets && !enclave.policy().allow_eth_transfer()) {
    halts.push_back({"strategy_not_allowed", "the enclave's policy allows no transfers"});
  }
  if (tickets && chain.has_broker) {
    if (chain.paused) {
      halts.push_back({"broker_paused", "the protocol's controller says that it is paused"});
    }
    if (Unlocked(chain)) {
      halts.push_back({"sender_unlocked",
                       absl::StrCat("the deposit was unlocked and may be withdrawn since round ",
                                    chain.withdraw_round,
                                    ": no ticket can be redeemed until it is funded again")});
    }
    if (!chain.round_initialized || chain.round_block_hash.IsZero()) {
      halts.push_back({"round_not_initialized",
                       absl::StrCat("round ", chain.round, " is not initialised yet")});
    }
  }
  return halts;
}

}  // namespace coffer::host
