// From events to leaves of the transparency log (I9). One switch over all kinds of events, called
// where an event is made, so that none can be without its leaf. The table of kinds and fields is in
// docs/transparency.md.
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/policy/typed_data.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using audit::Leaf;
using audit::LeafKind;
using sealed::v1::StateEvent;

LeafKind KindOf(boundary::v1::Event::Kind kind) {
  switch (kind) {
    case boundary::v1::Event::KIND_CREDIT:
      return LeafKind::kCredit;
    case boundary::v1::Event::KIND_ADJUST_UP:
      return LeafKind::kAdjustUp;
    default:
      return LeafKind::kAdjustDown;
  }
}

void SetAccount(const ledger::Account& account, Leaf* leaf) {
  leaf->account = account.id();
  leaf->recipient = account.recipient;
}

// After the change; `delta` is what it did to `available`.
void SetBalances(const ledger::Account& account, absl::int128 delta, Leaf* leaf) {
  SetAccount(account, leaf);
  leaf->balances = audit::Balances{delta, account.balances.available, account.balances.reserved,
                                   account.balances.paid};
}

absl::int128 Delta(ledger::Wei amount) { return static_cast<absl::int128>(amount); }

// What one item of a payout did to its account.
struct Move {
  ledger::Ledger::Index account = 0;
  absl::int128 available = 0;
  absl::int128 reserved = 0;
  absl::int128 paid = 0;
};

Move Paid(const payouts::Item& item, ledger::Wei paid) {
  return {item.account, Delta(item.amount) - Delta(paid), -Delta(item.amount), Delta(paid)};
}

Move Opposite(const Move& move) {
  return {move.account, -move.available, -move.reserved, -move.paid};
}

// One event may move an account more than once, and each of its leaves says what the account had
// then: walks from the balances before the event, which has been applied, to those after it.
class Walk {
 public:
  Walk(const ledger::Ledger& ledger, const std::vector<Move>& moves) : ledger_(ledger) {
    for (const Move& move : moves) Add(Opposite(move));
  }
  void Next(const Move& move, Leaf* leaf) {
    SetAccount(ledger_.at(move.account), leaf);
    const Move& now = Add(move);
    leaf->balances = audit::Balances{move.available, absl::uint128(now.available),
                                     absl::uint128(now.reserved), absl::uint128(now.paid)};
  }

 private:
  const Move& Add(const Move& move) {
    const ledger::Balances& last = ledger_.at(move.account).balances;
    Move& now = balances_
                    .try_emplace(move.account, Move{move.account, Delta(last.available),
                                                    Delta(last.reserved), Delta(last.paid)})
                    .first->second;
    now.available += move.available;
    now.reserved += move.reserved;
    now.paid += move.paid;
    return now;
  }

  const ledger::Ledger& ledger_;
  absl::flat_hash_map<ledger::Ledger::Index, Move> balances_;
};

// Left out where it is more than any balance can be: the digest binds it all the same.
void SetAmount(const ethereum::U256& amount, Leaf* leaf) {
  const absl::StatusOr<ledger::Wei> wei = ledger::WeiFromU256(amount);
  if (wei.ok()) leaf->amount = *wei;
}

}  // namespace

bool ChangesWhatIsLogged(const sealed::v1::Batch& batch) {
  for (const StateEvent& event : batch.events()) {
    const bool no_leaf = event.has_retry_reserved() || event.has_bump_reserved() ||
                         event.has_signature_given() ||
                         (event.has_receipt_applied() && event.receipt_applied().items().empty());
    if (!no_leaf) return true;
  }
  return false;
}

Authority::Reverted Authority::RevertedBy(const StateEvent& event) const {
  Reverted reverted;
  if (!event.has_receipt_reverted()) return reverted;
  for (const payouts::ItemRef& ref :
       payouts_.PaidBy(SealedHash(event.receipt_reverted().tx_hash()))) {
    reverted.emplace_back(ref, payouts_.Find(ref.payout_id)->items[ref.item].paid);
  }
  return reverted;
}

void Authority::WriteLeaves(const StateEvent& event, const Annotation& about,
                            const Reverted& reverted) {
  switch (event.event_case()) {
    case StateEvent::kGenesis: {
      Leaf& leaf = log_.Begin(LeafKind::kGenesis);
      leaf.recipient = address();
      leaf.content_hash = policy_hash_;
      return log_.Append();
    }
    case StateEvent::kSigningKeyAdded:
      log_.Begin(LeafKind::kSigningKeyAdded).recipient = address();
      return log_.Append();
    case StateEvent::kSigningKeyRetired:
      log_.Begin(LeafKind::kSigningKeyRetired).recipient =
          payouts_.keys()[event.signing_key_retired().epoch()].address;
      return log_.Append();
    case StateEvent::kPolicyChanged:
      log_.Begin(LeafKind::kPolicyChanged).content_hash = policy_hash_;
      return log_.Append();
    case StateEvent::kAccountOpened:
      SetAccount(ledger_.at(ledger_.size() - 1), &log_.Begin(LeafKind::kAccountOpened));
      return log_.Append();
    case StateEvent::kBalanceChanged:
      return WriteLeaf(event.balance_changed(), about);
    case StateEvent::kPayoutReserved:
      return WriteLeaves(event.payout_reserved());
    case StateEvent::kTransactionSigned:
      return WriteLeaves(event.transaction_signed());
    case StateEvent::kReceiptApplied:
      return WriteLeaves(event.receipt_applied());
    case StateEvent::kReceiptReverted:
      return WriteLeaves(event.receipt_reverted(), reverted);
    case StateEvent::kTicketsVoided:
      return WriteLeaves(event.tickets_voided());
    case StateEvent::kRetryReserved:   // no balance moves; the signature that follows has a leaf
    case StateEvent::kBumpReserved:    // likewise
    case StateEvent::kSignatureGiven:  // LogSignature writes it, velocity limits or not
      return;
    case StateEvent::EVENT_NOT_SET:
      break;
  }
  COFFER_CHECK(false, "I9: an event of a kind that has no leaf");
}

void Authority::WriteLeaf(const sealed::v1::BalanceChanged& event, const Annotation& about) {
  Leaf& leaf = log_.Begin(KindOf(event.kind()));
  leaf.event_id = about.event_id;
  const ledger::Wei amount = absl::MakeUint128(event.amount_high(), event.amount_low());
  const bool down = event.kind() == boundary::v1::Event::KIND_ADJUST_DOWN;
  SetBalances(ledger_.at(event.account()), down ? -Delta(amount) : Delta(amount), &leaf);
  if (!about.content_hash.empty()) leaf.content_hash = SealedHash(about.content_hash);
  log_.Append();
}

void Authority::WriteLeaves(const sealed::v1::PayoutReserved& event) {
  const payouts::Payout& payout = *payouts_.Find(event.id());
  if (payout.IsFunding()) {
    Leaf& leaf = log_.Begin(LeafKind::kFunding);
    leaf.payout = payout.id;
    leaf.amount = payout.funding;
    return log_.Append();
  }
  for (uint32_t i = 0; i < payout.items.size(); ++i) {
    Leaf& leaf = log_.Begin(LeafKind::kPayoutReserved);
    leaf.payout = payout.id;
    leaf.item = i;
    SetBalances(ledger_.at(payout.items[i].account), -Delta(payout.items[i].amount), &leaf);
    log_.Append();
  }
}

void Authority::WriteLeaves(const sealed::v1::TransactionSigned& event) {
  const payouts::Payout& payout = *payouts_.Find(event.payout_id());
  Leaf& signed_leaf = log_.Begin(LeafKind::kPayoutSigned);
  signed_leaf.payout = payout.id;
  signed_leaf.tx_hash = SealedHash(event.tx_hash());
  log_.Append();
  for (int i = 0; i < event.tickets_size(); ++i) {
    const payouts::Item& item = payout.items[static_cast<size_t>(i)];
    Leaf& leaf = log_.Begin(LeafKind::kTicketSigned);
    leaf.payout = payout.id;
    leaf.item = static_cast<uint32_t>(i);
    leaf.ticket_hash = SealedHash(event.tickets(i).ticket_hash());
    SetAccount(ledger_.at(item.account), &leaf);
    leaf.amount = item.amount;
    log_.Append();
  }
}

void Authority::WriteLeaves(const sealed::v1::ReceiptApplied& event) {
  const ethereum::Hash tx_hash = SealedHash(event.tx_hash());
  const auto item_of = [this](const sealed::v1::ItemPaid& paid) -> const payouts::Item& {
    return payouts_.Find(paid.payout_id())->items[paid.item()];
  };
  std::vector<Move> moves;
  for (const sealed::v1::ItemPaid& paid : event.items()) {
    moves.push_back(Paid(item_of(paid), item_of(paid).paid));
  }
  Walk walk(ledger_, moves);
  for (int i = 0; i < event.items_size(); ++i) {
    const sealed::v1::ItemPaid& paid = event.items(i);
    const payouts::Item& item = item_of(paid);
    Leaf& leaf = log_.Begin(LeafKind::kItemPaid);
    leaf.payout = paid.payout_id();
    leaf.item = paid.item();
    walk.Next(moves[static_cast<size_t>(i)], &leaf);
    leaf.amount = item.paid;
    leaf.tx_hash = tx_hash;
    if (item.ticket.has_value()) leaf.ticket_hash = item.ticket->ticket_hash;
    leaf.hosts_word = true;  // tier T0: the receipt and its logs are what the host says
    log_.Append();
  }
  const payouts::Payout* payout = payouts_.Find(event.payout_id());
  if (payout == nullptr || !payout->IsFunding() || !event.succeeded()) return;
  Leaf& leaf = log_.Begin(LeafKind::kFunding);
  leaf.payout = payout->id;
  leaf.amount = payout->funding;
  leaf.tx_hash = tx_hash;
  leaf.hosts_word = true;
  log_.Append();
}

void Authority::WriteLeaves(const sealed::v1::ReceiptReverted& event, const Reverted& reverted) {
  const ethereum::Hash tx_hash = SealedHash(event.tx_hash());
  std::vector<Move> moves;
  for (const auto& [ref, paid] : reverted) {
    moves.push_back(Opposite(Paid(payouts_.Find(ref.payout_id)->items[ref.item], paid)));
  }
  Walk walk(ledger_, moves);
  for (size_t i = 0; i < reverted.size(); ++i) {
    const auto& [ref, paid] = reverted[i];
    const payouts::Item& item = payouts_.Find(ref.payout_id)->items[ref.item];
    Leaf& leaf = log_.Begin(LeafKind::kPayoutReverted);
    leaf.payout = ref.payout_id;
    leaf.item = ref.item;
    walk.Next(moves[i], &leaf);
    leaf.amount = paid;
    leaf.tx_hash = tx_hash;
    if (item.ticket.has_value()) leaf.ticket_hash = item.ticket->ticket_hash;
    log_.Append();
  }
  if (!reverted.empty()) return;
  const auto payout = payouts_.FindTransaction(tx_hash);
  if (!payout.has_value()) return;
  Leaf& leaf = log_.Begin(LeafKind::kPayoutReverted);
  leaf.payout = *payout;
  leaf.tx_hash = tx_hash;
  log_.Append();
}

void Authority::WriteLeaves(const sealed::v1::TicketsVoided& event) {
  const payouts::Payout& payout = *payouts_.Find(event.payout_id());
  for (const uint32_t i : event.items()) {
    const payouts::Item& item = payout.items[i];
    Leaf& leaf = log_.Begin(LeafKind::kItemVoided);
    leaf.payout = payout.id;
    leaf.item = i;
    SetBalances(ledger_.at(item.account), Delta(item.amount), &leaf);
    if (item.ticket.has_value()) leaf.ticket_hash = item.ticket->ticket_hash;
    log_.Append();
  }
}

void Authority::LogSignature(const signing::Request& request) {
  Leaf& leaf = log_.Begin(LeafKind::kSignature);
  if (const auto* transaction = std::get_if<ethereum::Transaction>(&request)) {
    leaf.digest = transaction->SigningHash();
    leaf.recipient = transaction->to;
    SetAmount(transaction->value, &leaf);
  } else if (const auto* ticket = std::get_if<ethereum::Ticket>(&request)) {
    leaf.digest = ticket->SigningHash();
    leaf.ticket_hash = ticket->TicketHash();
    leaf.recipient = ticket->recipient;
    SetAmount(ticket->face_value, &leaf);
  } else {
    leaf.digest = ethereum::Eip191Hash(std::get<signing::Message>(request).bytes);
  }
  log_.Append();
}

absl::Status Authority::BeginLog() {
  if (log_.size() != 0) return absl::OkStatus();
  if (ledger_.size() > kMaxCarriedOver) {
    return absl::DataLossError(
        "this state is from before there was a transparency log, and has more accounts than one "
        "record can carry over");
  }
  Leaf& genesis = log_.Begin(LeafKind::kGenesis);
  genesis.recipient = address();
  genesis.content_hash = policy_hash_;
  log_.Append();
  for (ledger::Ledger::Index i = 0; i < ledger_.size(); ++i) {
    const ledger::Account& account = ledger_.at(i);
    SetAccount(account, &log_.Begin(LeafKind::kAccountOpened));
    log_.Append();
    SetBalances(account, Delta(account.balances.available), &log_.Begin(LeafKind::kCarriedOver));
    log_.Append();
  }
  return absl::OkStatus();
}

}  // namespace coffer::authority
