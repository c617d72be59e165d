// The command ApplyEvents: credits and corrections (I1, I2, I7).
#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/credit_signature.h"
#include "enclave_core/error.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using boundary::v1::ERROR_MALFORMED;
using boundary::v1::Event;
using ledger::Change;
using ledger::Wei;

// The ids fill more memory than any cache holds, so looking one up is mostly waiting. The waits of
// a few events overlap when each is announced early.
constexpr size_t kPrefetchAhead = 8;

// Control characters have no place in an identifier that is printed in logs and tables. (UTF-8 was
// checked by protobuf.)
bool IsPrintable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

absl::Status CheckShape(const Event& event) {
  if (event.id().empty() || event.id().size() > kMaxEventIdBytes || !IsPrintable(event.id())) {
    return Refuse(ERROR_MALFORMED, absl::StrCat("an event id must be 1..", kMaxEventIdBytes,
                                                " bytes without control characters"));
  }
  if (event.account().empty() || event.account().size() > kMaxAccountIdBytes ||
      !IsPrintable(event.account())) {
    return Refuse(ERROR_MALFORMED, absl::StrCat("an account id must be 1..", kMaxAccountIdBytes,
                                                " bytes without control characters"));
  }
  if (event.recipient().size() != ethereum::Address::kSize) {
    return Refuse(ERROR_MALFORMED,
                  absl::StrCat("a recipient must be 20 bytes, not ", event.recipient().size()));
  }
  if (!event.content_hash().empty() && event.content_hash().size() != ethereum::Hash::kSize) {
    return Refuse(ERROR_MALFORMED, absl::StrCat("a content hash must be 32 bytes or absent, not ",
                                                event.content_hash().size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Change> ParseKind(Event::Kind kind) {
  switch (kind) {
    case Event::KIND_CREDIT:
      return Change::kCredit;
    case Event::KIND_ADJUST_UP:
      return Change::kAdjustUp;
    case Event::KIND_ADJUST_DOWN:
      return Change::kAdjustDown;
    default:
      return Refuse(ERROR_MALFORMED, "an event's kind must be CREDIT, ADJUST_UP or ADJUST_DOWN");
  }
}

// The content that an id stands for, as canonical bytes: fixed-size fields first, the account last.
void CanonicalContent(const Event& event, std::string* out) {
  out->assign(1, static_cast<char>(event.kind()));
  out->append(event.recipient());
  for (const uint64_t half : {event.amount().high(), event.amount().low()}) {
    for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(half >> shift));
  }
  out->append(event.account());
}

}  // namespace

absl::Status Authority::ApplyOne(const Event& event, const ledger::IdFingerprint& id,
                                 const absl::StatusOr<bool>& batch_signed, Batch* out,
                                 bool* duplicate) {
  if (profile() != boundary::v1::PROFILE_AUTHORITY) {
    return CheckMethod(boundary::v1::ClientFrame::kApplyEvents);
  }
  if (absl::Status shape = CheckShape(event); !shape.ok()) return shape;
  const absl::StatusOr<Change> change = ParseKind(event.kind());
  if (!change.ok()) return change.status();

  // I7 comes first: a repetition is a repetition even when the account could not bear it any more.
  CanonicalContent(event, &content_);
  const uint64_t content = fingerprints_->OfContent(content_);
  if (const std::optional<uint64_t> before = event_ids_.Find(id)) {
    if (*before == content) {
      *duplicate = true;
      return absl::OkStatus();
    }
    return Refuse(
        boundary::v1::ERROR_EVENT_CONFLICT,
        absl::StrCat("the event \"", event.id(), "\" was applied before with another content"));
  }

  if (!batch_signed.ok()) return batch_signed.status();
  if (absl::Status s = CheckCreditSignature(policy_, event, *batch_signed); !s.ok()) return s;

  const std::optional<ledger::Ledger::Index> index = ledger_.Find(event.account());
  if (index.has_value() && ledger_.at(*index).recipient.view() != event.recipient()) {
    return Refuse(boundary::v1::ERROR_RECIPIENT_MISMATCH,
                  absl::StrCat("account \"", event.account(), "\" is paid at ",
                               ethereum::ToChecksum(ledger_.at(*index).recipient),
                               "; the recipient of an account is fixed at its first event (I1)"));
  }
  const Wei amount = ledger::FromProto(event.amount());
  switch (ledger_.Check(index, *change, amount)) {
    case ledger::Ledger::Verdict::kOk:
      break;
    case ledger::Ledger::Verdict::kInsufficient:
      return Refuse(
          boundary::v1::ERROR_INSUFFICIENT,
          absl::StrCat("account \"", event.account(), "\" has ",
                       ledger::ToDecimal(index ? ledger_.at(*index).balances.available : Wei(0)),
                       " wei available, less than the correction of ", ledger::ToDecimal(amount)));
    case ledger::Ledger::Verdict::kOutOfRange:
      return Refuse(boundary::v1::ERROR_OUT_OF_RANGE,
                    "an amount must be above 0, and all credits together below 2^126 wei");
  }

  if (!index.has_value()) {
    sealed::v1::StateEvent* opened = out->add_events();
    opened->mutable_account_opened()->set_id(event.account());
    opened->mutable_account_opened()->set_recipient(event.recipient());
    Emit(opened);
  }
  sealed::v1::StateEvent* sealed_event = out->add_events();
  sealed::v1::BalanceChanged* changed = sealed_event->mutable_balance_changed();
  changed->set_id_high(id.high);
  changed->set_id_low(id.low);
  changed->set_content_fingerprint(content);
  changed->set_account(index.has_value() ? *index : ledger_.size() - 1);
  changed->set_kind(event.kind());
  changed->set_amount_high(event.amount().high());
  changed->set_amount_low(event.amount().low());
  Emit(sealed_event, {event.id(), event.content_hash()});
  return absl::OkStatus();
}

void Authority::ApplyEvents(const boundary::v1::ApplyEvents& request,
                            boundary::v1::EventsApplied* answer, Batch* out) {
  COFFER_CHECK(founded(), "there is no state yet");
  ids_.clear();
  for (const Event& event : request.events()) ids_.push_back(fingerprints_->OfId(event.id()));
  // A batch whose signature is wrong changes nothing. It is refused event by event all the same: I7
  // comes first here, too, so that what was applied before is answered as the repetition it is.
  const absl::StatusOr<bool> batch_signed = CheckBatchSignature(policy_, request);
  uint32_t applied = 0;
  for (int i = 0; i < request.events_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (at + kPrefetchAhead < ids_.size()) event_ids_.Prefetch(ids_[at + kPrefetchAhead]);
    bool duplicate = false;
    const absl::Status status =
        ApplyOne(request.events(i), ids_[at], batch_signed, out, &duplicate);
    if (!status.ok()) {
      boundary::v1::EventRefusal* refusal = answer->add_refusals();
      refusal->set_index(static_cast<uint32_t>(i));
      ToProto(status, refusal->mutable_error());
    } else if (duplicate) {
      answer->add_duplicates(static_cast<uint32_t>(i));
    } else {
      ++applied;
      if (!request.want_audit_entries()) continue;
      boundary::v1::AuditEntry* entry = answer->add_audit_entries();
      entry->set_event(static_cast<uint32_t>(i));
      entry->set_leaf_index(log_.size() - 1);
      entry->set_leaf(std::string(log_.last()));
    }
  }
  answer->set_applied(applied);
  if (request.events_size() == 1) {
    boundary::v1::GetAccount get;
    get.set_id(request.events(0).account());
    if (!GetAccount(get, answer->mutable_account()).ok()) answer->clear_account();
  }
  if (request.want_ledger_root()) answer->set_ledger_root(std::string(LedgerRoot().view()));
}

}  // namespace coffer::authority
