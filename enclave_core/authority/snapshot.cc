// The whole state as a list of parts, and back.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"

namespace coffer::authority {
namespace {

using ledger::FromProto;
using payouts::Item;
using payouts::Payout;
using sealed::v1::SnapshotPart;

// A part is sealed as one chunk, one frame each.
constexpr size_t kPartBytes = 1u << 20;

void Fill(const ledger::Account& account, sealed::v1::AccountState* out) {
  const ledger::Balances& b = account.balances;
  out->set_id(account.id);
  out->set_recipient(std::string(account.recipient.view()));
  ledger::ToProto(b.available, out->mutable_available());
  ledger::ToProto(b.reserved, out->mutable_reserved());
  ledger::ToProto(b.credited, out->mutable_credited());
  ledger::ToProto(b.adjusted_up, out->mutable_adjusted_up());
  ledger::ToProto(b.adjusted_down, out->mutable_adjusted_down());
  ledger::ToProto(b.paid, out->mutable_paid());
}

ledger::Account ParseAccount(const sealed::v1::AccountState& from) {
  return {from.id(),
          SealedAddress(from.recipient()),
          {FromProto(from.available()), FromProto(from.reserved()), FromProto(from.credited()),
           FromProto(from.adjusted_up()), FromProto(from.adjusted_down()), FromProto(from.paid())}};
}

void Fill(const Item& item, sealed::v1::ItemState* out) {
  out->set_account(item.account);
  ledger::ToProto(item.amount, out->mutable_amount());
  out->set_sender_nonce(item.sender_nonce);
  out->set_state(item.state == Item::State::kOpen   ? boundary::v1::PayoutItem::STATE_OPEN
                 : item.state == Item::State::kPaid ? boundary::v1::PayoutItem::STATE_PAID
                                                    : boundary::v1::PayoutItem::STATE_VOID);
  ledger::ToProto(item.paid, out->mutable_paid());
  if (item.state == Item::State::kPaid) out->set_paid_by(std::string(item.paid_by.view()));
  if (item.ticket.has_value()) ToProto(*item.ticket, out->mutable_ticket());
}

Item ParseItem(const sealed::v1::ItemState& from) {
  Item item;
  item.account = from.account();
  item.amount = FromProto(from.amount());
  item.sender_nonce = from.sender_nonce();
  item.state = from.state() == boundary::v1::PayoutItem::STATE_OPEN   ? Item::State::kOpen
               : from.state() == boundary::v1::PayoutItem::STATE_PAID ? Item::State::kPaid
                                                                      : Item::State::kVoid;
  item.paid = FromProto(from.paid());
  if (item.state == Item::State::kPaid) item.paid_by = SealedHash(from.paid_by());
  if (from.has_ticket()) item.ticket = SealedTicket(from.ticket());
  return item;
}

void Fill(const Payout& payout, sealed::v1::PayoutStateRecord* out) {
  out->set_id(payout.id);
  out->set_strategy(payout.strategy);
  out->set_signing_key_epoch(payout.key);
  for (const Item& item : payout.items) Fill(item, out->add_items());
  ledger::ToProto(payout.funding, out->mutable_funding());
  for (const payouts::Attempt& attempt : payout.attempts) {
    boundary::v1::Attempt* to = out->add_attempts();
    to->set_nonce(attempt.nonce);
    to->set_tx_hash(std::string(attempt.tx_hash.view()));
    to->set_raw_tx(attempt.raw_tx);
    policy::ToProto(attempt.fees, to->mutable_fees());
    if (!attempt.mined.has_value()) continue;
    to->set_mined(true);
    to->set_succeeded(attempt.mined->succeeded);
    to->set_block_number(attempt.mined->block_number);
    to->set_block_hash(std::string(attempt.mined->block_hash.view()));
  }
  out->set_creation_round(payout.aux_data.creation_round);
  out->set_creation_round_block_hash(std::string(payout.aux_data.creation_round_block_hash.view()));
  if (payout.pending.has_value()) {
    out->mutable_pending()->set_nonce(payout.pending->nonce);
    policy::ToProto(payout.pending->fees, out->mutable_pending()->mutable_fees());
  }
}

Payout ParsePayout(const sealed::v1::PayoutStateRecord& from) {
  Payout payout;
  payout.id = from.id();
  payout.strategy = from.strategy();
  payout.key = from.signing_key_epoch();
  for (const sealed::v1::ItemState& item : from.items()) payout.items.push_back(ParseItem(item));
  payout.funding = FromProto(from.funding());
  for (const boundary::v1::Attempt& attempt : from.attempts()) {
    payouts::Attempt to{attempt.nonce(), policy::FromProto(attempt.fees()),
                        SealedHash(attempt.tx_hash()), attempt.raw_tx(), std::nullopt};
    if (attempt.mined()) {
      to.mined = payouts::Mined{attempt.succeeded(), attempt.block_number(),
                                SealedHash(attempt.block_hash())};
    }
    payout.attempts.push_back(std::move(to));
  }
  payout.aux_data.creation_round = from.creation_round();
  payout.aux_data.creation_round_block_hash = SealedHash(from.creation_round_block_hash());
  if (from.has_pending()) {
    payout.pending =
        payouts::PendingSignature{from.pending().nonce(), policy::FromProto(from.pending().fees())};
  }
  return payout;
}

}  // namespace

void Authority::WriteSnapshot(absl::FunctionRef<void(const SnapshotPart&)> emit) const {
  SnapshotPart part;
  sealed::v1::SnapshotHead* head = part.mutable_head();
  *head->mutable_genesis() = genesis_;
  const std::optional<uint64_t>& next_nonce = payouts_.keys().front().next_nonce;
  head->set_nonce_known(next_nonce.has_value());
  head->set_next_nonce(next_nonce.value_or(0));
  if (log_secrets_.has_value()) WriteKeys(head);
  head->set_next_sender_nonce(payouts_.next_sender_nonce());
  head->set_accounts(ledger_.size());
  head->set_payouts(payouts_.size());
  head->set_events(event_ids_.size());
  head->set_policy_sequence(policy_sequence_);
  head->set_time(last_time_);
  head->set_velocity(velocity_.entries());
  if (log_.size() != 0) {
    head->set_audit_tree(log_.SerializedTree());
    head->set_audit_head(std::string(log_.head().view()));
  }
  size_t bytes = 0;
  const auto flush_at = [&](size_t limit) {
    if (bytes < limit) return;
    emit(part);
    part.Clear();
    bytes = 0;
  };
  for (uint64_t i = 0; i < ledger_.size(); ++i) {
    sealed::v1::AccountState* account = part.add_accounts();
    Fill(ledger_.at(i), account);
    bytes += account->ByteSizeLong();
    flush_at(kPartBytes);
  }
  for (uint64_t id = 1; id <= payouts_.size(); ++id) {
    sealed::v1::PayoutStateRecord* payout = part.add_payouts();
    Fill(*payouts_.Find(id), payout);
    bytes += payout->ByteSizeLong();
    flush_at(kPartBytes);
  }
  velocity_.ForEach([&](const policy::Velocity::Entry& entry) {
    sealed::v1::SignatureGiven* given = part.add_velocity();
    given->set_time(entry.time);
    for (const policy::Spend& spend : entry.spends) ToProto(spend, given->add_spends());
    bytes += given->ByteSizeLong();
    flush_at(kPartBytes);
  });
  emit(part);
  event_ids_.ForEachChunk(kPartBytes / ledger::EventIds::kBytesPerId, [&](std::string chunk) {
    SnapshotPart ids;
    ids.set_event_ids(std::move(chunk));
    emit(ids);
  });
}

void Authority::WriteKeys(sealed::v1::SnapshotHead* head) const {
  for (const payouts::SigningKey& key : payouts_.keys()) {
    sealed::v1::SigningKeyRecord* out = head->add_signing_keys();
    out->set_address(std::string(key.address.view()));
    out->set_nonce_known(key.next_nonce.has_value());
    out->set_next_nonce(key.next_nonce.value_or(0));
    out->set_retired(key.retired);
  }
  head->set_log_seed(std::string(log_secrets_->seed.view()));
  head->set_audit_secret(std::string(log_secrets_->audit.view()));
}

absl::Status Authority::RestoreKeys(const sealed::v1::SnapshotHead& head) {
  const auto nonce_of = [](const auto& from) {
    return from.nonce_known() ? std::optional<uint64_t>(from.next_nonce()) : std::nullopt;
  };
  if (head.signing_keys().empty()) {
    if (payouts_.keys().empty()) return absl::DataLossError("a snapshot without signing keys");
    payouts_.RestoreNonce(nonce_of(head));
    return absl::OkStatus();
  }
  for (const sealed::v1::SigningKeyRecord& key : head.signing_keys()) {
    payouts_.RestoreKey({SealedAddress(key.address()), nonce_of(key), 0, 0, key.retired()});
  }
  return KeepLogSecrets(head.log_seed(), head.audit_secret());
}

absl::Status Authority::RestorePart(const SnapshotPart& part) {
  if (part.has_head() == restoring_.has_value()) {
    return absl::DataLossError("a snapshot has exactly one head, in its first part");
  }
  if (part.has_head()) {
    if (absl::Status s = ApplyGenesis(part.head().genesis()); !s.ok()) return s;
    restoring_ = part.head();
    if (absl::Status s = RestoreKeys(part.head()); !s.ok()) return s;
    policy_sequence_ = part.head().policy_sequence();
    last_time_ = part.head().time();
    event_ids_.Reserve(part.head().events());
    if (!part.head().audit_tree().empty()) {
      absl::Status log = RestoreLog(part.head().audit_tree(), part.head().audit_head());
      if (!log.ok()) return log;
    }
  }
  for (const sealed::v1::AccountState& account : part.accounts()) {
    ledger_.Restore(ParseAccount(account));
    tree_.Touch(ledger_.size() - 1);
  }
  for (const sealed::v1::PayoutStateRecord& payout : part.payouts())
    payouts_.Restore(ParsePayout(payout));
  for (const sealed::v1::SignatureGiven& given : part.velocity()) {
    Spends spends;
    for (const sealed::v1::Spend& spend : given.spends()) spends.push_back(SealedSpend(spend));
    velocity_.Add(policy_, given.time(), spends);
  }
  return event_ids_.RestoreChunk(part.event_ids());
}

absl::Status Authority::FinishRestore() {
  if (!restoring_.has_value()) return absl::DataLossError("a snapshot without a head");
  const sealed::v1::SnapshotHead& head = *restoring_;
  if (head.accounts() != ledger_.size() || head.payouts() != payouts_.size() ||
      head.events() != event_ids_.size() || head.velocity() != velocity_.entries()) {
    return absl::DataLossError(
        absl::StrCat("the snapshot announces ", head.accounts(), " accounts, ", head.payouts(),
                     " payouts, ", head.events(), " events and ", head.velocity(),
                     " signatures in the velocity window, and holds ", ledger_.size(), ", ",
                     payouts_.size(), ", ", event_ids_.size(), " and ", velocity_.entries()));
  }
  payouts_.RestoreSenderNonce(head.next_sender_nonce());
  restoring_.reset();
  return absl::OkStatus();
}

}  // namespace coffer::authority
