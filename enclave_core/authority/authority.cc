#include "enclave_core/authority/authority.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/policy/typed_data.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

// 1: before the transparency log. 2: with it; what reads only 1 would change balances without
// leaves. 3, in snapshots: there was a second signing key; what reads only 2 would sign with the
// first one's nonces.
constexpr uint32_t kFormat = 2;
constexpr uint32_t kFormatOfSeveralKeys = 3;

using ledger::FromProto;
using payouts::Payout;
using sealed::v1::StateEvent;

ledger::Change ToChange(boundary::v1::Event::Kind kind) {
  switch (kind) {
    case boundary::v1::Event::KIND_CREDIT:
      return ledger::Change::kCredit;
    case boundary::v1::Event::KIND_ADJUST_UP:
      return ledger::Change::kAdjustUp;
    case boundary::v1::Event::KIND_ADJUST_DOWN:
      return ledger::Change::kAdjustDown;
    default:
      COFFER_CHECK(false, "a sealed balance change of no kind");
  }
}

}  // namespace

void Authority::Emit(StateEvent* event, const Annotation& about) {
  const Reverted reverted = RevertedBy(*event);
  const absl::Status applied = Apply(*event);
  COFFER_CHECK(applied.ok(), "an event that was just made cannot be applied");
  WriteLeaves(*event, about, reverted);
}

void Authority::Found(const ethereum::Address& address, const policy::Policy& policy,
                      std::string_view fingerprint_key, Batch* out, boundary::v1::Profile profile) {
  COFFER_CHECK(!founded(), "a state is founded once");
  StateEvent* event = out->add_events();
  sealed::v1::Genesis* genesis = event->mutable_genesis();
  genesis->set_format(kFormat);
  genesis->set_address(std::string(address.view()));
  policy::ToProto(policy, genesis->mutable_policy());
  genesis->set_fingerprint_key(std::string(fingerprint_key));
  genesis->set_profile(profile);
  genesis->set_provisioned_policy_hash(std::string(policy::PolicyHash(policy).view()));
  Emit(event);
}

absl::Status Authority::ApplyGenesis(const sealed::v1::Genesis& genesis) {
  if (founded()) return absl::DataLossError("a second genesis");
  if (genesis.format() == 0 || genesis.format() > kFormatOfSeveralKeys) {
    return absl::DataLossError(absl::StrCat("state format ", genesis.format(),
                                            " is not known to this version, which reads up to ",
                                            kFormatOfSeveralKeys));
  }
  absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(genesis.address());
  if (!address.ok() || genesis.fingerprint_key().size() != 32) {
    return absl::DataLossError("a genesis with fields of a wrong size");
  }
  if (absl::Status s = SetPolicy(genesis.policy()); !s.ok()) return s;
  genesis_ = genesis;
  // A snapshot of several keys names them itself.
  if (genesis.format() < kFormatOfSeveralKeys) payouts_.AddKey(*address);
  fingerprints_.emplace(genesis.fingerprint_key());
  // From before there was a hash, nobody but a start could change the policy.
  if (genesis.provisioned_policy_hash().empty()) {
    genesis_.set_provisioned_policy_hash(std::string(policy_hash_.view()));
  }
  return absl::OkStatus();
}

absl::Status Authority::Apply(const StateEvent& event) {
  if (!founded() && !event.has_genesis())
    return absl::DataLossError("the first event is not a genesis");
  switch (event.event_case()) {
    case StateEvent::kGenesis:
      return ApplyGenesis(event.genesis());
    case StateEvent::kPolicyChanged:
      return Fold(event.policy_changed());
    case StateEvent::kAccountOpened:
      Fold(event.account_opened());
      return absl::OkStatus();
    case StateEvent::kBalanceChanged:
      Fold(event.balance_changed());
      return absl::OkStatus();
    case StateEvent::kPayoutReserved:
      Fold(event.payout_reserved());
      return absl::OkStatus();
    case StateEvent::kRetryReserved:
      Fold(event.retry_reserved());
      return absl::OkStatus();
    case StateEvent::kBumpReserved:
      Fold(event.bump_reserved());
      return absl::OkStatus();
    case StateEvent::kTransactionSigned:
      Fold(event.transaction_signed());
      return absl::OkStatus();
    case StateEvent::kReceiptApplied:
      Fold(event.receipt_applied());
      return absl::OkStatus();
    case StateEvent::kReceiptReverted:
      Fold(event.receipt_reverted());
      return absl::OkStatus();
    case StateEvent::kTicketsVoided:
      Fold(event.tickets_voided());
      return absl::OkStatus();
    case StateEvent::kSignatureGiven:
      Fold(event.signature_given());
      return absl::OkStatus();
    case StateEvent::kSigningKeyAdded:
      return Fold(event.signing_key_added());
    case StateEvent::kSigningKeyRetired:
      Fold(event.signing_key_retired());
      return absl::OkStatus();
    case StateEvent::EVENT_NOT_SET:
      break;
  }
  return absl::DataLossError("an event of a kind that this version does not know");
}

void Authority::Fold(const sealed::v1::AccountOpened& event) {
  tree_.Touch(ledger_.Open(event.id(), SealedAddress(event.recipient())));
}

void Authority::Fold(const sealed::v1::BalanceChanged& event) {
  event_ids_.Insert({event.id_high(), event.id_low()}, event.content_fingerprint());
  ledger_.Apply(event.account(), ToChange(event.kind()),
                absl::MakeUint128(event.amount_high(), event.amount_low()));
  tree_.Touch(event.account());
}

void Authority::Fold(const sealed::v1::PayoutReserved& event) {
  Payout payout;
  payout.id = event.id();
  payout.strategy = event.strategy();
  payout.key = event.signing_key_epoch();
  payout.funding = FromProto(event.funding());
  payout.aux_data.creation_round = event.creation_round();
  if (payout.IsTickets()) {
    payout.aux_data.creation_round_block_hash = SealedHash(event.creation_round_block_hash());
  }
  payout.pending = payouts::PendingSignature{event.nonce(), policy::FromProto(event.fees())};
  for (const sealed::v1::ReservedItem& from : event.items()) {
    payouts::Item item;
    item.account = from.account();
    item.amount = FromProto(from.amount());
    item.sender_nonce = from.sender_nonce();
    ledger_.Reserve(item.account, item.amount);
    tree_.Touch(item.account);
    payout.items.push_back(std::move(item));
  }
  payouts_.Reserve(std::move(payout));
  CountVelocity(event.time(), SpendsOf(event));
}

void Authority::Fold(const sealed::v1::RetryReserved& event) {
  payouts_.AskSignature(event.payout_id(), {event.nonce(), policy::FromProto(event.fees())});
  CountVelocity(event.time(), SpendsOf(*payouts_.Find(event.payout_id())));
}

void Authority::Fold(const sealed::v1::BumpReserved& event) {
  payouts_.AskSignature(event.payout_id(), {event.nonce(), policy::FromProto(event.fees())});
  CountVelocity(event.time(), SpendsOf(*payouts_.Find(event.payout_id())));
}

void Authority::Fold(const sealed::v1::TransactionSigned& event) {
  payouts::Attempt attempt;
  attempt.nonce = event.nonce();
  attempt.fees = policy::FromProto(event.fees());
  attempt.tx_hash = SealedHash(event.tx_hash());
  attempt.raw_tx = event.raw_tx();
  std::vector<payouts::TicketSecrets> tickets;
  for (const sealed::v1::SignedItem& item : event.tickets()) tickets.push_back(SealedTicket(item));
  payouts_.AddAttempt(event.payout_id(), std::move(attempt), std::move(tickets));
}

void Authority::Fold(const sealed::v1::ReceiptApplied& event) {
  const ethereum::Hash tx_hash = SealedHash(event.tx_hash());
  for (const sealed::v1::ItemPaid& paid : event.items()) {
    const Payout* payout = payouts_.Find(paid.payout_id());
    COFFER_CHECK(payout != nullptr && paid.item() < payout->items.size(), "a payment of no item");
    const payouts::Item& item = payout->items[paid.item()];
    const ledger::Wei amount = FromProto(paid.paid());
    ledger_.Pay(item.account, item.amount, amount);
    tree_.Touch(item.account);
    payouts_.MarkPaid({paid.payout_id(), paid.item()}, amount, tx_hash);
  }
  if (event.payout_id() != 0) {
    payouts_.MarkMined(event.payout_id(), tx_hash,
                       {event.succeeded(), event.block_number(), SealedHash(event.block_hash())});
  }
}

void Authority::Fold(const sealed::v1::ReceiptReverted& event) {
  const ethereum::Hash tx_hash = SealedHash(event.tx_hash());
  for (const payouts::ItemRef& ref : payouts_.PaidBy(tx_hash)) {
    const payouts::Item& item = payouts_.Find(ref.payout_id)->items[ref.item];
    ledger_.Unpay(item.account, item.amount, item.paid);
    tree_.Touch(item.account);
  }
  payouts_.ReopenPaidBy(tx_hash);
  if (const auto id = payouts_.FindTransaction(tx_hash)) payouts_.MarkUnmined(*id, tx_hash);
}

absl::Status Authority::Fold(const sealed::v1::SigningKeyAdded& event) {
  if (event.epoch() != payouts_.keys().size()) {
    return absl::DataLossError("signing keys whose epochs are not in order");
  }
  if (absl::Status s = KeepLogSecrets(event.log_seed(), event.audit_secret()); !s.ok()) return s;
  genesis_.set_format(kFormatOfSeveralKeys);
  payouts_.AddKey(SealedAddress(event.address()));
  return absl::OkStatus();
}

void Authority::Fold(const sealed::v1::SigningKeyRetired& event) {
  payouts_.RetireKey(event.epoch());
}

absl::Status Authority::KeepLogSecrets(std::string_view seed, std::string_view audit) {
  absl::StatusOr<ethereum::SecretBytes> log_seed = ethereum::SecretBytes::CopyOf(seed);
  if (!log_seed.ok()) return log_seed.status();
  absl::StatusOr<ethereum::SecretBytes> audit_secret = ethereum::SecretBytes::CopyOf(audit);
  if (!audit_secret.ok()) return audit_secret.status();
  log_secrets_.emplace(LogSecrets{*std::move(log_seed), *std::move(audit_secret)});
  return absl::OkStatus();
}

void Authority::Fold(const sealed::v1::TicketsVoided& event) {
  for (const uint32_t i : event.items()) {
    const Payout* payout = payouts_.Find(event.payout_id());
    COFFER_CHECK(payout != nullptr && i < payout->items.size(), "a void ticket of no payout");
    ledger_.Release(payout->items[i].account, payout->items[i].amount);
    tree_.Touch(payout->items[i].account);
    payouts_.MarkVoid({event.payout_id(), i});
  }
}

}  // namespace coffer::authority
