// The driver's turn, where it acts on what is open: receipts, reorgs, sending, bumps, retries.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "actors/host/payout_driver.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {

using boundary::v1::Attempt;
using boundary::v1::ClientFrame;
using boundary::v1::Payout;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

std::string HexHash(const std::string& hash) { return "0x" + absl::BytesToHexString(hash); }

}  // namespace

void PayoutDriver::MergePayouts() {
  std::map<uint64_t, PayoutRecord> records;
  const uint64_t block = turn_->chain.has_value() ? turn_->chain->number : status_.block_number;
  for (Payout& payout : turn_->listed) {
    PayoutRecord& record = records[payout.id()];
    if (PayoutRecord* known = Find(payout.id()); known != nullptr) {
      record = std::move(*known);
    } else {
      record.first_seen = dispatcher_->Now();
      uint64_t first = block;
      for (const Attempt& attempt : payout.attempts()) {
        if (attempt.mined()) first = std::min(first, attempt.block_number());
      }
      record.first_block =
          options_.logs_from_block.value_or(first - std::min(first, options_.logs_margin));
    }
    record.payout = std::move(payout);
  }
  turn_->listed.clear();
  turn_->list_complete = false;
  records_ = std::move(records);
  last_list_ = dispatcher_->Now();
  plan_now_ = true;
}

void PayoutDriver::ForgetSends() {
  for (auto& [id, record] : records_) {
    for (auto& [hash, send] : record.sends) send = SendMemory{};
    record.scan_next.reset();
    record.scanned_to.reset();
    record.scan_complete = absl::InfinitePast();
  }
}

bool PayoutDriver::Accepted(uint64_t nonce) const {
  for (const auto& [id, record] : records_) {
    for (const Attempt& attempt : record.payout.attempts()) {
      if (attempt.nonce() != nonce) continue;
      const auto send = record.sends.find(attempt.tx_hash());
      if (send != record.sends.end() && send->second.accepted) return true;
    }
  }
  return false;
}

void PayoutDriver::Act() {
  turn_->next = &PayoutDriver::SendNext;
  CheckNonces();
  ChooseNewFees();
  if (options_.dry_run) return;
  CheckWatched();
  DecideAll();
}

void PayoutDriver::CheckNonces() {
  const ChainState& chain = *turn_->chain;
  std::vector<PayoutHalt> halts = FindHalts(turn_->enclave, chain, known_block_, options_);
  turn_->halts.insert(turn_->halts.end(), halts.begin(), halts.end());
  // The chain went back: what nodes had, they may have lost.
  if (chain.nonce < last_nonce_) ForgetSends();
  last_nonce_ = chain.nonce;
  for (const auto& [id, record] : records_) {
    if (dispatcher_->Now() - record.nonce_lost < options_.lost_nonce_after) continue;
    Halt("lost_nonce",
         absl::StrCat("the nonce of payout ", id, " is spent, and none of its ",
                      OpenAttempts(record.payout).size(),
                      " transactions has a receipt: the key was used elsewhere, or the node has "
                      "lost history"));
    break;
  }
}

void PayoutDriver::CheckWatched() {
  const ChainState& chain = *turn_->chain;
  std::vector<std::string> gone;
  std::vector<std::string> done;
  for (auto& [tx_hash, watched] : watched_) {
    const auto found = turn_->receipts.find(tx_hash);
    const bool asked = found != turn_->receipts.end();
    const bool in_place = turn_->in_place.contains(tx_hash);
    if ((!asked && !in_place) || chain.number < watched.block_number) continue;
    // After a start the block of a stranger's redemption is not known: the one that it is in now is
    // taken for it, unless it cannot have paid there. It may have left the chain meanwhile and have
    // been mined again in vain.
    if (asked && watched.block_hash.empty() && found->second.has_value() &&
        found->second->succeeded) {
      watched.block_number = found->second->block_number;
      watched.block_hash = std::string(found->second->block_hash.view());
    }
    if (in_place ||
        (found->second.has_value() && found->second->block_hash.view() == watched.block_hash)) {
      watched.missing = 0;
      const bool final = options_.finality == PayoutDriverOptions::Finality::kFinalized &&
                         watched.block_number <= chain.confirmed;
      // Seen, and deep enough; what was not looked at for a while is not forgotten unseen.
      if (final || chain.number - watched.block_number >= options_.reorg_window) {
        done.push_back(tx_hash);
      }
    } else if (++watched.missing >= options_.reorg_readings) {
      gone.push_back(tx_hash);
    }
  }
  for (const std::string& tx_hash : done) watched_.erase(tx_hash);
  for (const std::string& tx_hash : gone) ReportReorg(tx_hash, watched_.at(tx_hash).block_hash);
}

void PayoutDriver::ReportReorg(const std::string& tx_hash, const std::string& block_hash) {
  ClientFrame request;
  request.mutable_report_reorg()->set_tx_hash(tx_hash);
  AskEnclave(std::move(request), [this, tx_hash, block_hash](const ServerFrame& frame) {
    if (Refused(frame, "report_reorg")) {
      if (frame.error().code() == boundary::v1::ERROR_UNKNOWN_TRANSACTION) {
        watched_.erase(tx_hash);  // undone before, or another driver was faster
        return;
      }
      // What it was short may have been paid out again. It stays watched: once the transaction is
      // mined again nothing has to be undone.
      Note(absl::StrCat("transaction ", HexHash(tx_hash),
                        " has left the chain and cannot be reopened: ", frame.error().message()));
      return;
    }
    Log(Level::kWarn, "payouts", "a reported receipt has left the chain",
        {{"transaction", HexHash(tx_hash)}});
    if (frame.receipt().known()) ++status_.counters.reorged;
    // Unless its receipt in another block was reported in the same turn.
    const auto entry = watched_.find(tx_hash);
    if (entry != watched_.end() && entry->second.block_hash == block_hash) watched_.erase(entry);
    known_block_ = 0;
    for (const auto& [hash, watched] : watched_) {
      known_block_ = std::max(known_block_, watched.block_number);
    }
    ForgetSends();
    need_list_ = true;
    turn_->progress = true;
  });
}

void PayoutDriver::DecideAll() {
  TrackerContext context;
  context.now = dispatcher_->Now();
  context.chain = &*turn_->chain;
  context.receipts = &turn_->receipts;
  context.options = &options_;
  if (const auto broker = ethereum::Address::FromBytes(turn_->enclave.broker()); broker.ok()) {
    context.broker = *broker;
  }
  context.fee_limits = turn_->fee_limits;
  context.ticket_validity = turn_->enclave.policy().ticket_validity_rounds();
  const bool retired = status_.use == boundary::v1::SigningKeyState::USE_RETIRED;
  context.may_sign = !retired && !Halted() && turn_->fees.has_value();
  context.may_bump = !retired;
  context.broker_open = context.chain->has_broker && !context.chain->paused &&
                        context.chain->round_initialized &&
                        !context.chain->round_block_hash.IsZero() && !Unlocked(*context.chain);
  context.retry_transfers = turn_->enclave.policy().void_on_host_word();
  context.may_void =
      options_.void_expired && !status_.paused && turn_->enclave.policy().void_on_host_word();
  // In the order of nonces, so that one turn can send many, each after the one before.
  std::vector<std::pair<uint64_t, PayoutRecord*>> order;
  for (auto& [id, record] : records_) {
    const auto attempts = OpenAttempts(record.payout);
    order.emplace_back(attempts.empty() ? UINT64_MAX : attempts.front()->nonce(), &record);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::make_pair(a.first, a.second->payout.id()) <
           std::make_pair(b.first, b.second->payout.id());
  });
  absl::flat_hash_set<uint64_t> sending;
  const auto accepted = [&](uint64_t nonce) { return sending.contains(nonce) || Accepted(nonce); };
  status_.expired = 0;
  status_.at_fee_ceiling = 0;
  uint64_t slots = options_.max_under_way - std::min<uint64_t>(UnderWay(), options_.max_under_way);
  for (const auto& [nonce, record] : order) {
    const PayoutDecision decision = Decide(*record, context, accepted);
    const uint64_t id = record->payout.id();
    if (decision.condition == PayoutCondition::kNonceLost) {
      record->nonce_lost = std::min(record->nonce_lost, context.now);
    } else {
      record->nonce_lost = absl::InfiniteFuture();
    }
    if (decision.condition == PayoutCondition::kExpired) {
      ++status_.expired;
      if (decision.action == PayoutAction::kNone && context.now >= record->not_before) {
        record->not_before = context.now + options_.retry_max;  // searched, and nothing to be done
      }
      Note(absl::StrCat("payout ", id, ": tickets of round ",
                        record->payout.items(0).creation_round(),
                        " have expired unredeemed; their funds stay reserved until they are "
                        "voided"));
    }
    if (decision.condition == PayoutCondition::kFailedTransfer) {
      Note(absl::StrCat("payout ", id,
                        ": its transfer failed, and sending it again could pay twice; its funds "
                        "stay reserved, since the enclave's policy does not take the host's word"));
    }
    if (decision.condition == PayoutCondition::kFeeCeiling) {
      ++status_.at_fee_ceiling;
      Note(absl::StrCat("payout ", id, ": its transaction with nonce ", nonce,
                        " is not mined, and higher fees are not allowed (fee ceiling)"));
    }
    if (retired && !record->payout.under_way()) {
      Note(absl::StrCat("payout ", id,
                        ": a reorganisation opened it again, and the key that signed it is "
                        "retired; its funds stay reserved"));
    }
    if (decision.action == PayoutAction::kSend) {
      sending.insert(nonce);
      turn_->to_send.emplace_back(id, decision.tx_hash);
      continue;
    }
    if (decision.action == PayoutAction::kRetry && slots-- == 0) {
      slots = 0;
      continue;
    }
    Take(*record, decision);
  }
}

void PayoutDriver::Take(PayoutRecord& record, const PayoutDecision& decision) {
  switch (decision.action) {
    case PayoutAction::kReport:
      Report(record.payout.id(), *turn_->receipts.at(decision.tx_hash), true);
      return;
    case PayoutAction::kBump:
      Bump(record, decision.fees);
      return;
    case PayoutAction::kScan:
      Scan(record);
      return;
    case PayoutAction::kRetry:
      Retry(record);
      return;
    case PayoutAction::kVoid:
      Void(record);
      return;
    case PayoutAction::kNone:
    case PayoutAction::kSend:
      return;
  }
}

// A transaction is mined once on a chain, and a ticket pays once. Where a receipt keeps
// contradicting what the enclave was told, what that spoke of has left the chain while nobody
// watched it: the answer to a report may be lost, and after a restart the block of a stranger's
// redemption is not known, which may have been mined again without paying.
void PayoutDriver::Contradicted(uint64_t payout_id, const Receipt& receipt) {
  const auto record = records_.find(payout_id);
  if (record == records_.end() || options_.reorg_window == 0) return;
  if (++record->second.contradicted < options_.reorg_readings) return;
  record->second.contradicted = 0;
  std::set<std::string> gone;
  for (const boundary::v1::PayoutItem& item : record->second.payout.items()) {
    if (!item.paid_by().empty()) gone.insert(item.paid_by());
  }
  for (const Attempt& attempt : record->second.payout.attempts()) {
    if (attempt.mined() && attempt.tx_hash() == receipt.tx_hash.view() &&
        attempt.block_hash() != receipt.block_hash.view()) {
      gone.insert(attempt.tx_hash());
    }
  }
  for (const std::string& tx_hash : gone) {
    const auto watched = watched_.find(tx_hash);
    ReportReorg(tx_hash, watched == watched_.end() ? "" : watched->second.block_hash);
  }
}

void PayoutDriver::Report(uint64_t payout_id, const Receipt& receipt, bool ours) {
  ClientFrame request;
  boundary::v1::ReportReceipt* report = request.mutable_report_receipt();
  report->set_tx_hash(std::string(receipt.tx_hash.view()));
  report->set_succeeded(receipt.succeeded);
  report->set_block_number(receipt.block_number);
  report->set_block_hash(std::string(receipt.block_hash.view()));
  for (const ethereum::Log& log : receipt.logs) {
    boundary::v1::Log* out = report->add_logs();
    out->set_address(std::string(log.address.view()));
    for (const ethereum::Hash& topic : log.topics) out->add_topics(std::string(topic.view()));
    out->set_data(log.data);
  }
  const Watched watched{receipt.block_number, std::string(receipt.block_hash.view()), 0};
  const std::string tx_hash(receipt.tx_hash.view());
  // Watched before the answer, which may be lost although the receipt was taken.
  std::optional<Watched> before;
  if (options_.reorg_window != 0) {
    const auto known = watched_.find(tx_hash);
    if (known != watched_.end()) before = known->second;
    watched_[tx_hash] = watched;
  }
  AskEnclave(std::move(request), [this, payout_id, ours, watched, before, tx_hash,
                                  receipt](const ServerFrame& frame) {
    if (Refused(frame, "report_receipt")) {
      watched_.erase(tx_hash);
      if (before.has_value()) watched_[tx_hash] = *before;
      Note(absl::StrCat("the receipt of ", HexHash(tx_hash), " (payout ", payout_id,
                        ") is refused: ", frame.error().message()));
      if (frame.error().code() == boundary::v1::ERROR_EVIDENCE) {
        Contradicted(payout_id, receipt);
      }
      return;
    }
    if (const auto record = records_.find(payout_id); record != records_.end()) {
      record->second.contradicted = 0;
    }
    known_block_ = std::max(known_block_, watched.block_number);
    need_list_ = true;
    turn_->progress = true;
    if (frame.receipt().foreign_redemptions() != 0) {
      Log(Level::kError, "payouts",
          "tickets of this key were redeemed that this state has not signed",
          {{"transaction", HexHash(tx_hash)}, {"tickets", frame.receipt().foreign_redemptions()}});
    }
    if (!frame.receipt().known()) return;
    if (ours) {
      ++status_.counters.mined;
      if (!receipt.succeeded) ++status_.counters.reverted;
    } else {
      ++status_.counters.foreign;
    }
    // What is still open although its transaction was mined is tried again, later and later.
    for (const Payout& payout : frame.receipt().payouts()) {
      PayoutRecord* record = Find(payout.id());
      if (record == nullptr || payout.under_way() || OpenItems(payout) == 0 || !ours) continue;
      ++record->failures;
      record->not_before = dispatcher_->Now() + RetryDelay(record->failures, options_);
      record->scan_complete = absl::InfinitePast();
    }
  });
}

void PayoutDriver::SendNext() {
  if (turn_->next_send >= turn_->to_send.size()) {
    turn_->next = &PayoutDriver::AskAccounts;
    return;
  }
  turn_->next = &PayoutDriver::SendNext;
  const auto& [payout_id, tx_hash] = turn_->to_send[turn_->next_send++];
  const PayoutRecord* record = Find(payout_id);
  if (record == nullptr) return;
  for (const Attempt& attempt : record->payout.attempts()) {
    if (attempt.tx_hash() != tx_hash) continue;
    AskChain("eth_sendRawTransaction", RawTransactionParams(attempt.raw_tx()),
             [this, id = payout_id, hash = tx_hash](const absl::StatusOr<RpcAnswer>& answer) {
               if (answer.ok()) {
                 Sent(id, hash, *answer);
                 return;
               }
               turn_->next_send = turn_->to_send.size();  // in order, or not at all
               chain_log_.Log(Level::kWarn, "payouts", "no node takes a transaction",
                              {{"payout", id}, {"reason", answer.status()}});
             });
  }
}

void PayoutDriver::Sent(uint64_t payout_id, const std::string& tx_hash, const RpcAnswer& answer) {
  PayoutRecord* record = Find(payout_id);
  if (record == nullptr) return;
  SendMemory& send = record->sends[tx_hash];
  const absl::Time now = dispatcher_->Now();
  const bool before = send.accepted;
  send.first_tried = std::min(send.first_tried, now);
  send.last_tried = now;
  ++send.tries;
  send.no_funds = false;
  const RpcErrorKind kind = answer.refused ? ClassifyRpcError(answer.error) : RpcErrorKind::kOther;
  if (!answer.refused || kind == RpcErrorKind::kAlreadyKnown) {
    send.accepted = true;
    gas_refusal_.clear();
    record->last_refusal.clear();
    ++(before ? status_.counters.resent : status_.counters.sent);
    return;
  }
  ++status_.counters.send_refused;
  record->last_refusal = answer.error.message;
  switch (kind) {
    case RpcErrorKind::kNonceTooLow:
      // Mined, this one or another attempt: the next turn finds the receipt.
      send.accepted = true;
      return;
    case RpcErrorKind::kReplacementUnderpriced:
      // The node has another transaction with this nonce; those after it may go.
      send.accepted = true;
      break;
    case RpcErrorKind::kNonceTooHigh:
      // The node has lost what came before: everything is sent again, from the lowest nonce.
      ForgetSends();
      break;
    case RpcErrorKind::kInsufficientFunds:
      gas_refusal_ = answer.error.message;
      send.no_funds = true;
      send.accepted = false;
      break;
    default:
      send.accepted = false;
  }
  if (!send.accepted) turn_->next_send = turn_->to_send.size();
  refusal_log_.Log(Level::kWarn, "payouts", "a node refuses a transaction",
                   {{"payout", payout_id},
                    {"transaction", HexHash(tx_hash)},
                    {"kind", RpcErrorKindName(kind)},
                    {"reason", answer.error.message}});
}

void PayoutDriver::Bump(PayoutRecord& record, const Fees& fees) {
  const uint64_t id = record.payout.id();
  const auto attempts = OpenAttempts(record.payout);
  ClientFrame request;
  request.mutable_bump_transaction()->set_payout_id(id);
  FillFees(attempts.back()->fees().gas_limit(), fees,
           request.mutable_bump_transaction()->mutable_fees());
  AskEnclave(std::move(request), [this, id](const ServerFrame& frame) {
    if (Refused(frame, "bump_transaction")) {
      PayoutRecord* refused = Find(id);
      if (refused != nullptr) refused->bump_refused = true;
      return;
    }
    ++status_.counters.bumped;
    need_list_ = true;
    turn_->progress = true;
    Log(Level::kInfo, "payouts", "a stuck transaction is replaced with higher fees",
        {{"payout", id}});
  });
}

void PayoutDriver::Retry(PayoutRecord& record) {
  const uint64_t id = record.payout.id();
  const auto send = [this, id](uint64_t gas_limit) {
    ClientFrame request;
    request.mutable_retry_payout()->set_payout_id(id);
    FillReading(request.mutable_retry_payout()->mutable_reading());
    FillFees(gas_limit, *turn_->fees, request.mutable_retry_payout()->mutable_fees());
    AskEnclave(std::move(request), [this, id](const ServerFrame& frame) {
      PayoutRecord* retried = Find(id);
      if (Refused(frame, "retry_payout")) {
        Note(absl::StrCat("payout ", id, " cannot be retried: ", frame.error().message()));
        if (retried == nullptr) return;
        ++retried->failures;
        retried->not_before = dispatcher_->Now() + RetryDelay(retried->failures, options_);
        return;
      }
      if (retried != nullptr) retried->scan_complete = absl::InfinitePast();
      ++status_.counters.retried;
      need_list_ = true;
      turn_->progress = true;
    });
  };
  if (IsTickets(record.payout)) {
    const uint64_t gas = TicketGasLimit(OpenItems(record.payout), options_);
    if (gas > GasCap()) {
      Note(absl::StrCat("payout ", id, " needs ", gas, " gas, more than is allowed"));
      return;
    }
    send(gas);
    return;
  }
  const auto from = ethereum::Address::FromBytes(turn_->enclave.address());
  const auto to = ethereum::Address::FromBytes(record.payout.items(0).recipient());
  if (!from.ok() || !to.ok()) return;
  CallRequest call;
  call.from = *from;
  call.to = *to;
  call.value = ledger::ToU256(OpenWei(record.payout));
  ++record.failures;  // until the estimate is good
  record.not_before = dispatcher_->Now() + RetryDelay(record.failures, options_);
  Estimate(call, absl::StrCat("payout ", id), send);
}

}  // namespace coffer::host
