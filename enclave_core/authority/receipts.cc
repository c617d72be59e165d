// What the chain did, as the host reports it: ReportReceipt, ReportReorg, VoidTickets. Settlement
// tier T0: the host's word, checked against everything that was signed (I3, I4).
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/error.h"

namespace coffer::authority {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_EVIDENCE;
using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ERROR_WRONG_STATE;
using ethereum::Hash;
using ledger::Wei;
using payouts::Attempt;
using payouts::Item;
using payouts::Payout;

absl::StatusOr<std::vector<ethereum::Log>> ParseLogs(const boundary::v1::ReportReceipt& request) {
  std::vector<ethereum::Log> logs;
  logs.reserve(static_cast<size_t>(request.logs_size()));
  for (const boundary::v1::Log& log : request.logs()) {
    ethereum::Log parsed;
    const absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(log.address());
    if (!address.ok()) return Refuse(ERROR_MALFORMED, "a log's address must be 20 bytes");
    parsed.address = *address;
    if (log.topics_size() > 4) return Refuse(ERROR_MALFORMED, "a log has at most 4 topics");
    for (const std::string& topic : log.topics()) {
      const absl::StatusOr<Hash> hash = RequestHash(topic, "a log's topic");
      if (!hash.ok()) return hash.status();
      parsed.topics.push_back(*hash);
    }
    parsed.data = log.data();
    parsed.log_index = logs.size();
    logs.push_back(std::move(parsed));
  }
  return logs;
}

// The receipt of this very transaction was applied before: true. It contradicts what was applied:
// an error.
absl::StatusOr<bool> WasApplied(const Payout& payout, const Attempt& attempt,
                                const Hash& block_hash, bool succeeded) {
  if (attempt.mined.has_value()) {
    if (attempt.mined->block_hash == block_hash && attempt.mined->succeeded == succeeded)
      return true;
    return Refuse(ERROR_EVIDENCE,
                  "this transaction was reported in another block or with another status; "
                  "report the reorg of the first one before");
  }
  for (const Attempt& other : payout.attempts) {
    if (other.nonce == attempt.nonce && other.mined.has_value()) {
      return Refuse(ERROR_EVIDENCE, absl::StrCat("nonce ", attempt.nonce,
                                                 " was mined in another transaction; "
                                                 "report the reorg of that one before"));
    }
  }
  return false;
}

void AddPaid(uint64_t payout_id, uint32_t item, Wei paid, sealed::v1::ReceiptApplied* applied) {
  sealed::v1::ItemPaid* out = applied->add_items();
  out->set_payout_id(payout_id);
  out->set_item(item);
  ledger::ToProto(paid, out->mutable_paid());
}

}  // namespace

absl::Status Authority::MatchRedemptions(const boundary::v1::ReportReceipt& request,
                                         const Hash& tx_hash, boundary::v1::ReceiptResult* answer,
                                         sealed::v1::ReceiptApplied* applied) const {
  const absl::StatusOr<std::vector<ethereum::Log>> logs = ParseLogs(request);
  if (!logs.ok()) return logs.status();
  const auto redemptions = ethereum::DecodeRedemptions(policy_.broker, *logs);
  if (!redemptions.ok()) {
    return Refuse(ERROR_EVIDENCE, absl::StrCat("the broker's logs cannot be read: ",
                                               redemptions.status().message()));
  }
  const auto is_our_key = [this](const ethereum::Address& address) {
    const auto& keys = payouts_.keys();
    return std::any_of(keys.begin(), keys.end(),
                       [&](const payouts::SigningKey& key) { return key.address == address; });
  };
  absl::flat_hash_set<uint64_t> seen;
  for (const ethereum::Redemption& redemption : *redemptions) {
    if (!is_our_key(redemption.sender)) continue;
    std::optional<payouts::ItemRef> ref;
    if (redemption.sender_nonce <= UINT64_MAX) {
      ref = payouts_.FindTicket(static_cast<uint64_t>(redemption.sender_nonce));
    }
    const Payout* of = ref ? payouts_.Find(ref->payout_id) : nullptr;
    const Item* item = of != nullptr ? &of->items[ref->item] : nullptr;
    // Ours is only what agrees in every field that the ticket hash covers and the event shows.
    const bool ours = item != nullptr && item->ticket.has_value() &&
                      payouts_.keys()[of->key].address == redemption.sender &&
                      ledger_.at(item->account).recipient == redemption.recipient &&
                      ledger::ToU256(item->amount) == redemption.face_value &&
                      item->ticket->recipient_rand == redemption.recipient_rand &&
                      redemption.win_prob == ethereum::Ticket().win_prob &&
                      of->aux_data == redemption.aux_data;
    if (!ours) {
      answer->set_foreign_redemptions(answer->foreign_redemptions() + 1);
      continue;
    }
    if (!seen.insert(item->sender_nonce).second) {
      return Refuse(ERROR_EVIDENCE, "one ticket is redeemed twice in one receipt");
    }
    if (item->state == Item::State::kPaid && item->paid_by == tx_hash) continue;
    if (item->state != Item::State::kOpen) {
      return Refuse(
          ERROR_EVIDENCE,
          absl::StrCat("item ", ref->item, " of payout ", ref->payout_id,
                       item->state == Item::State::kPaid
                           ? " was paid by another transaction; report the reorg of that one before"
                           : " was voided on the host's word that its ticket was unused"));
    }
    const absl::StatusOr<Wei> paid = ledger::WeiFromU256(redemption.paid);
    if (!paid.ok() || *paid > item->amount) {
      return Refuse(ERROR_EVIDENCE, "a ticket paid more than its face value");
    }
    AddPaid(ref->payout_id, ref->item, *paid, applied);
  }
  const size_t paid_by_it =
      payouts_.PaidBy(tx_hash).size() + static_cast<size_t>(applied->items_size());
  if (paid_by_it > kMaxPaidByTransaction) {
    return Refuse(ERROR_EVIDENCE, absl::StrCat("one transaction is said to have paid ", paid_by_it,
                                               " tickets; no block has the gas for more than ",
                                               kMaxPaidByTransaction));
  }
  return absl::OkStatus();
}

absl::Status Authority::MatchTransfer(const Payout& payout, bool succeeded,
                                      sealed::v1::ReceiptApplied* applied) const {
  if (!succeeded) return absl::OkStatus();
  for (uint32_t i = 0; i < payout.items.size(); ++i) {
    const Item& item = payout.items[i];
    if (item.state != Item::State::kOpen) {
      return Refuse(ERROR_EVIDENCE,
                    absl::StrCat("payout ", payout.id, " was paid by another transaction"));
    }
    AddPaid(payout.id, i, item.amount, applied);
  }
  return absl::OkStatus();
}

absl::Status Authority::ReportReceipt(const boundary::v1::ReportReceipt& request,
                                      boundary::v1::ReceiptResult* answer, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kReportReceipt); !s.ok()) return s;
  return ApplyReceipt(request, /*status_only=*/false, answer, out);
}

absl::Status Authority::ApplyReceipt(const boundary::v1::ReportReceipt& request, bool status_only,
                                     boundary::v1::ReceiptResult* answer, Batch* out) {
  const absl::StatusOr<Hash> tx_hash = RequestHash(request.tx_hash(), "tx_hash");
  if (!tx_hash.ok()) return tx_hash.status();
  const absl::StatusOr<Hash> block_hash = RequestHash(request.block_hash(), "block_hash");
  if (!block_hash.ok()) return block_hash.status();

  sealed::v1::ReceiptApplied applied;
  applied.set_tx_hash(std::string(tx_hash->view()));
  applied.set_succeeded(request.succeeded());
  applied.set_block_number(request.block_number());
  applied.set_block_hash(std::string(block_hash->view()));
  applied.set_status_only(status_only);
  const std::optional<uint64_t> own = payouts_.FindTransaction(*tx_hash);
  const Payout* payout = own.has_value() ? payouts_.Find(*own) : nullptr;
  if (payout != nullptr) {
    const absl::StatusOr<bool> before =
        WasApplied(*payout, *payout->FindAttempt(*tx_hash), *block_hash, request.succeeded());
    if (!before.ok()) return before.status();
    if (*before) return absl::OkStatus();
    applied.set_payout_id(*own);
  }
  if (!request.succeeded() && request.logs_size() != 0) {
    return Refuse(ERROR_EVIDENCE, "a transaction that failed has no logs");
  }
  const bool transfer =
      payout != nullptr && payout->strategy == boundary::v1::STRATEGY_ETH_TRANSFER;
  // A transfer can redeem tickets on its way: its recipient may be a contract.
  absl::Status matched = MatchRedemptions(request, *tx_hash, answer, &applied);
  if (matched.ok() && status_only && payout != nullptr && request.succeeded()) {
    matched = MatchStatus(*payout, *payout->FindAttempt(*tx_hash), &applied);
  }
  if (matched.ok() && transfer) matched = MatchTransfer(*payout, request.succeeded(), &applied);
  if (!matched.ok()) return matched;
  if (payout == nullptr && applied.items().empty()) {
    if (!payouts_.PaidBy(*tx_hash).empty() || answer->foreign_redemptions() != 0)
      return absl::OkStatus();
    return Refuse(boundary::v1::ERROR_UNKNOWN_TRANSACTION,
                  "this transaction was not signed here and redeems no ticket that was (I4)");
  }
  answer->set_known(true);
  std::set<uint64_t> touched;
  if (payout != nullptr) touched.insert(*own);
  for (const sealed::v1::ItemPaid& item : applied.items()) touched.insert(item.payout_id());
  sealed::v1::StateEvent* event = out->add_events();
  *event->mutable_receipt_applied() = std::move(applied);
  Emit(event);
  return AddTouched(touched, answer);
}

absl::Status Authority::AddTouched(const std::set<uint64_t>& touched,
                                   boundary::v1::ReceiptResult* answer) const {
  size_t bytes = 0;
  for (const uint64_t id : touched) {
    if (bytes > kMaxPageBytes) break;
    boundary::v1::Payout* payout = answer->add_payouts();
    if (absl::Status s = GetPayout(id, false, payout); !s.ok()) return s;
    bytes += payout->ByteSizeLong();
  }
  return absl::OkStatus();
}

absl::Status Authority::ReportReorg(const boundary::v1::ReportReorg& request,
                                    boundary::v1::ReceiptResult* answer, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kReportReorg); !s.ok()) return s;
  const absl::StatusOr<Hash> tx_hash = RequestHash(request.tx_hash(), "tx_hash");
  if (!tx_hash.ok()) return tx_hash.status();
  const std::optional<uint64_t> own = payouts_.FindTransaction(*tx_hash);
  const bool mined =
      own.has_value() && payouts_.Find(*own)->FindAttempt(*tx_hash)->mined.has_value();
  const std::vector<payouts::ItemRef> paid = payouts_.PaidBy(*tx_hash);
  if (!mined && paid.empty()) {
    if (own.has_value()) return absl::OkStatus();
    return Refuse(boundary::v1::ERROR_UNKNOWN_TRANSACTION,
                  "no receipt of this transaction was applied");
  }
  // A shortfall that went back to `available` and was paid out again since cannot be held a second
  // time. A stranger's transaction may have paid several tickets of one account, so their sum
  // counts.
  // Each sum is compared before the next is added, so that none can wrap.
  absl::flat_hash_map<uint64_t, Wei> shortfalls;  // by account
  for (const payouts::ItemRef& ref : paid) {
    const Item& item = payouts_.Find(ref.payout_id)->items[ref.item];
    const ledger::Account& account = ledger_.at(item.account);
    Wei& shortfall = shortfalls[item.account];
    shortfall += item.amount - item.paid;
    if (shortfall > account.balances.available) {
      return Refuse(ERROR_WRONG_STATE,
                    absl::StrCat("what account \"", std::string(account.id()),
                                 "\" was short in this transaction has been "
                                 "paid out again; wait until the transaction is mined again"));
    }
  }
  answer->set_known(true);
  sealed::v1::StateEvent* event = out->add_events();
  event->mutable_receipt_reverted()->set_tx_hash(std::string(tx_hash->view()));
  Emit(event);
  std::set<uint64_t> touched;
  if (own.has_value()) touched.insert(*own);
  for (const payouts::ItemRef& ref : paid) touched.insert(ref.payout_id);
  return AddTouched(touched, answer);
}

absl::Status Authority::VoidTickets(const boundary::v1::VoidTickets& request, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kVoidTickets); !s.ok()) return s;
  if (!policy_.void_on_host_word) {
    return RefuseByRule(
        "void_on_host_word",
        "the policy does not let the host's word void a ticket; without proof that it "
        "can no longer pay, "
        "a ticket keeps its funds");
  }
  const Payout* payout = payouts_.Find(request.payout_id());
  if (payout == nullptr || !payout->IsTickets()) {
    return Refuse(boundary::v1::ERROR_UNKNOWN_PAYOUT,
                  absl::StrCat("there is no payout ", request.payout_id(), " with tickets"));
  }
  if (payout->pending.has_value()) {
    return Refuse(ERROR_WRONG_STATE, absl::StrCat("payout ", payout->id, " is being signed"));
  }
  // TicketBroker: expired when creationRound + ticketValidityPeriod <= currentRound.
  const uint64_t creation = payout->aux_data.creation_round;
  if (request.round() < creation || request.round() - creation < policy_.ticket_validity_rounds) {
    return Refuse(
        ERROR_WRONG_STATE,
        absl::StrCat("tickets of round ", creation, " expire ", policy_.ticket_validity_rounds,
                     " rounds later, and the round is ", request.round()));
  }
  sealed::v1::TicketsVoided voided;
  voided.set_payout_id(payout->id);
  absl::flat_hash_set<uint32_t> seen;
  for (const uint32_t i : request.items()) {
    if (i >= payout->items.size() || payout->items[i].state != Item::State::kOpen ||
        !seen.insert(i).second) {
      return Refuse(ERROR_WRONG_STATE,
                    absl::StrCat("item ", i, " of payout ", payout->id, " is not open"));
    }
    voided.add_items(i);
  }
  for (uint32_t i = 0; request.items().empty() && i < payout->items.size(); ++i) {
    if (payout->items[i].state == Item::State::kOpen) voided.add_items(i);
  }
  if (voided.items().empty()) {
    return Refuse(ERROR_WRONG_STATE, absl::StrCat("payout ", payout->id, " has no open ticket"));
  }
  sealed::v1::StateEvent* event = out->add_events();
  *event->mutable_tickets_voided() = std::move(voided);
  Emit(event);
  return absl::OkStatus();
}

}  // namespace coffer::authority
