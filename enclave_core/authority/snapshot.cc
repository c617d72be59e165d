// The whole state as a list of parts (those of what is small, the others are snapshot_writer.cc's),
// and back.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/ledger/account_line.h"

namespace coffer::authority {
namespace {

using ledger::FromProto;
using payouts::Item;
using payouts::Payout;
using sealed::v1::SnapshotPart;

void Restore(const sealed::v1::AccountState& from, ledger::Ledger* ledger) {
  ledger->Restore(
      from.id(), SealedAddress(from.recipient()),
      {FromProto(from.available()), FromProto(from.reserved()), FromProto(from.credited()),
       FromProto(from.adjusted_up()), FromProto(from.adjusted_down()), FromProto(from.paid())});
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

// What is small, and is written at once: the head, and what the velocity window holds.
std::vector<SnapshotPart> Authority::FirstParts() const {
  std::vector<SnapshotPart> parts(1);
  sealed::v1::SnapshotHead* head = parts.back().mutable_head();
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
  velocity_.ForEach([&](const policy::Velocity::Entry& entry) {
    if (bytes >= SnapshotWriter::kPartBytes) {
      parts.emplace_back();
      bytes = 0;
    }
    sealed::v1::SignatureGiven* given = parts.back().add_velocity();
    given->set_time(entry.time);
    for (const policy::Spend& spend : entry.spends) ToProto(spend, given->add_spends());
    bytes += given->ByteSizeLong();
  });
  return parts;
}

void Authority::WriteSnapshot(absl::FunctionRef<void(const SnapshotPart&)> emit) const {
  SnapshotWriter writer(FirstParts(), source(), SnapshotWriter::Of::kNow);
  while (writer.written() < writer.count()) emit(writer.Next(source()));
}

uint32_t Authority::BeginSnapshot() {
  EndSnapshot();
  ledger_.moment().Begin(ledger_.size());
  payouts_.moment().Begin(payouts_.size());
  event_ids_.BeginMoment();
  snapshot_.emplace(FirstParts(), source(), SnapshotWriter::Of::kMoment);
  return snapshot_->count();
}

SnapshotPart Authority::NextSnapshotPart() {
  COFFER_CHECK(snapshot_.has_value(), "a part of no snapshot");
  SnapshotPart part = snapshot_->Next(source());
  ledger_.moment().Forget(snapshot_->next_account());
  payouts_.moment().Forget(snapshot_->next_payout());
  if (snapshot_->id_chunks() != 0) {
    event_ids_.ForgetMoment(snapshot_->next_id_chunk(), snapshot_->id_chunks());
  }
  return part;
}

void Authority::EndSnapshot() {
  snapshot_.reset();
  ledger_.moment().End();
  payouts_.moment().End();
  event_ids_.EndMoment();
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
    ledger_.ExpectAccounts(part.head().accounts());
    if (!part.head().audit_tree().empty()) {
      absl::Status log = RestoreLog(part.head().audit_tree(), part.head().audit_head());
      if (!log.ok()) return log;
    }
  }
  const uint64_t accounts_before = ledger_.size();
  for (const sealed::v1::AccountState& account : part.accounts()) Restore(account, &ledger_);
  absl::Status lines = ledger::RestoreAccountLines(part.account_lines(), &ledger_);
  if (!lines.ok()) return lines;
  for (uint64_t i = accounts_before; i < ledger_.size(); ++i) tree_.Touch(i);
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
