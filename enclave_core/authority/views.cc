// What a client may read: accounts, payouts, status.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"

namespace coffer::authority {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_MALFORMED;
using payouts::Attempt;
using payouts::Item;
using payouts::Payout;

void Fill(const ledger::Account& account, uint64_t index, boundary::v1::Account* out) {
  const ledger::Balances& b = account.balances;
  out->set_id(std::string(account.id()));
  out->set_recipient(std::string(account.recipient.view()));
  ledger::ToProto(b.available, out->mutable_available());
  ledger::ToProto(b.reserved, out->mutable_reserved());
  ledger::ToProto(b.credited, out->mutable_credited());
  ledger::ToProto(b.adjusted_up, out->mutable_adjusted_up());
  ledger::ToProto(b.adjusted_down, out->mutable_adjusted_down());
  ledger::ToProto(b.paid, out->mutable_paid());
  out->set_index(index);
}

boundary::v1::PayoutItem::State ToProto(Item::State state) {
  switch (state) {
    case Item::State::kOpen:
      return boundary::v1::PayoutItem::STATE_OPEN;
    case Item::State::kPaid:
      return boundary::v1::PayoutItem::STATE_PAID;
    case Item::State::kVoid:
      return boundary::v1::PayoutItem::STATE_VOID;
  }
  return boundary::v1::PayoutItem::STATE_UNSPECIFIED;
}

void Fill(const Item& item, const ledger::Account& account, uint64_t creation_round,
          boundary::v1::PayoutItem* out) {
  out->set_account(std::string(account.id()));
  out->set_recipient(std::string(account.recipient.view()));
  ledger::ToProto(item.amount, out->mutable_amount());
  out->set_state(ToProto(item.state));
  ledger::ToProto(item.paid, out->mutable_paid());
  if (item.state == Item::State::kPaid) out->set_paid_by(std::string(item.paid_by.view()));
  out->set_sender_nonce(item.sender_nonce);
  if (item.ticket.has_value()) out->set_ticket_hash(std::string(item.ticket->ticket_hash.view()));
  out->set_creation_round(creation_round);
}

void Fill(const Attempt& attempt, bool with_transaction, boundary::v1::Attempt* out) {
  out->set_nonce(attempt.nonce);
  out->set_tx_hash(std::string(attempt.tx_hash.view()));
  if (with_transaction) out->set_raw_tx(attempt.raw_tx);
  policy::ToProto(attempt.fees, out->mutable_fees());
  if (!attempt.mined.has_value()) return;
  out->set_mined(true);
  out->set_succeeded(attempt.mined->succeeded);
  out->set_block_number(attempt.mined->block_number);
  out->set_block_hash(std::string(attempt.mined->block_hash.view()));
}

}  // namespace

absl::Status UnknownAccount(std::string_view id) {
  if (id.empty() || id.size() > kMaxAccountIdBytes) {
    return Refuse(boundary::v1::ERROR_UNKNOWN_ACCOUNT,
                  absl::StrCat("there is no account with an id of ", id.size(),
                               " bytes: ids have 1..", kMaxAccountIdBytes));
  }
  return Refuse(boundary::v1::ERROR_UNKNOWN_ACCOUNT,
                absl::StrCat("there is no account \"", std::string(id), "\""));
}

absl::Status Authority::GetAccount(const boundary::v1::GetAccount& request,
                                   boundary::v1::Account* answer) const {
  if (absl::Status s = CheckMethod(ClientFrame::kGetAccount); !s.ok()) return s;
  const std::optional<uint64_t> index = ledger_.Find(request.id());
  if (!index.has_value()) return UnknownAccount(request.id());
  Fill(ledger_.at(*index), *index, answer);
  return absl::OkStatus();
}

absl::Status Authority::ListAccounts(const boundary::v1::ListAccounts& request,
                                     boundary::v1::AccountList* answer) const {
  if (absl::Status s = CheckMethod(ClientFrame::kListAccounts); !s.ok()) return s;
  if (request.limit() == 0 || request.limit() > 5000) {
    return Refuse(ERROR_MALFORMED, "limit must be 1..5000");
  }
  const ledger::Wei least = std::max(ledger::FromProto(request.min_available()), ledger::Wei(1));
  uint64_t i = request.from_index();
  for (; i < ledger_.size() && answer->accounts_size() < static_cast<int>(request.limit()); ++i) {
    const ledger::Account& account = ledger_.at(i);
    if (request.payable_only() && account.balances.available < least) continue;
    Fill(account, i, answer->add_accounts());
  }
  answer->set_next_index(i);
  answer->set_end(i >= ledger_.size());
  return absl::OkStatus();
}

absl::Status Authority::GetPayout(uint64_t id, bool with_transactions,
                                  boundary::v1::Payout* answer) const {
  if (absl::Status s = CheckMethod(ClientFrame::kGetPayout); !s.ok()) return s;
  const Payout* payout = payouts_.Find(id);
  if (payout == nullptr) {
    return Refuse(boundary::v1::ERROR_UNKNOWN_PAYOUT, absl::StrCat("there is no payout ", id));
  }
  answer->set_id(id);
  answer->set_strategy(payout->strategy);
  answer->set_state(payout->State());
  for (const Item& item : payout->items) {
    Fill(item, ledger_.at(item.account), payout->aux_data.creation_round, answer->add_items());
  }
  for (const Attempt& attempt : payout->attempts)
    Fill(attempt, with_transactions, answer->add_attempts());
  ledger::ToProto(payout->Total(), answer->mutable_total());
  ledger::ToProto(payout->Paid(), answer->mutable_paid());
  answer->set_under_way(payout->UnderWay());
  answer->set_sender(std::string(payouts_.keys()[payout->key].address.view()));
  return absl::OkStatus();
}

absl::Status Authority::ListPayouts(const boundary::v1::ListPayouts& request,
                                    boundary::v1::PayoutList* answer) const {
  if (absl::Status s = CheckMethod(ClientFrame::kListPayouts); !s.ok()) return s;
  if (request.limit() == 0 || request.limit() > 1000) {
    return Refuse(ERROR_MALFORMED, "limit must be 1..1000");
  }
  size_t bytes = 0;
  uint64_t id = std::max<uint64_t>(request.from_id(), 1);
  const auto full = [&] {
    return answer->payouts_size() >= static_cast<int>(request.limit()) || bytes > kMaxPageBytes;
  };
  const auto add = [&](uint64_t which) {
    boundary::v1::Payout* out = answer->add_payouts();
    if (absl::Status s = GetPayout(which, request.with_transactions(), out); !s.ok()) return s;
    bytes += out->ByteSizeLong();
    id = which + 1;
    return absl::OkStatus();
  };
  if (request.open_only()) {
    auto next = payouts_.open().lower_bound(id);
    for (; next != payouts_.open().end() && !full(); ++next) {
      if (absl::Status s = add(*next); !s.ok()) return s;
    }
    answer->set_end(next == payouts_.open().end());
  } else {
    while (id <= payouts_.size() && !full()) {
      if (absl::Status s = add(id); !s.ok()) return s;
    }
    answer->set_end(id > payouts_.size());
  }
  answer->set_next_id(id);
  return absl::OkStatus();
}

void Authority::FillStatus(boundary::v1::Status* answer) const {
  answer->set_accounts(ledger_.size());
  answer->set_events(event_ids_.size());
  answer->set_payouts(payouts_.size());
  answer->set_open_payouts(payouts_.open().size());
  const ledger::Balances& t = ledger_.totals();
  boundary::v1::Totals* totals = answer->mutable_totals();
  ledger::ToProto(t.credited, totals->mutable_credited());
  ledger::ToProto(t.adjusted_up, totals->mutable_adjusted_up());
  ledger::ToProto(t.adjusted_down, totals->mutable_adjusted_down());
  ledger::ToProto(t.available, totals->mutable_available());
  ledger::ToProto(t.reserved, totals->mutable_reserved());
  ledger::ToProto(t.paid, totals->mutable_paid());
  if (!founded()) return;
  answer->set_nonce_known(payouts_.current().next_nonce.has_value());
  answer->set_next_nonce(payouts_.current().next_nonce.value_or(0));
  if (payouts_.keys().size() > 1) FillKeys(answer);
  answer->set_profile(profile());
  policy::ToProto(policy_, answer->mutable_policy());
  answer->set_policy_hash(std::string(policy_hash_.view()));
  answer->set_policy_sequence(policy_sequence_);
  boundary::v1::AuditState* audit = answer->mutable_audit();
  audit->set_size(log_.size());
  audit->set_root(std::string(log_.Root().view()));
  if (log_.size() != 0) audit->set_head(std::string(log_.head().view()));
}

void Authority::FillKeys(boundary::v1::Status* answer) const {
  using State = boundary::v1::SigningKeyState;
  for (uint32_t epoch = 0; epoch < payouts_.keys().size(); ++epoch) {
    const payouts::SigningKey& key = payouts_.keys()[epoch];
    State* out = answer->add_signing_keys();
    out->set_epoch(epoch);
    out->set_address(std::string(key.address.view()));
    out->set_use(epoch == CurrentKey() ? State::USE_CURRENT
                 : key.retired         ? State::USE_RETIRED
                                       : State::USE_DRAINING);
    out->set_nonce_known(key.next_nonce.has_value());
    out->set_next_nonce(key.next_nonce.value_or(0));
    out->set_open_payouts(key.open);
    ledger::ToProto(key.outstanding_tickets, out->mutable_outstanding());
  }
}

bool Authority::pristine() const {
  return log_.size() <= 1 && ledger_.size() == 0 && event_ids_.size() == 0 &&
         payouts_.size() == 0 && policy_sequence_ == 0 && last_time_ == 0 &&
         !log_secrets_.has_value();
}

ethereum::Hash Authority::LedgerRoot() { return tree_.Root(ledger_); }

}  // namespace coffer::authority
