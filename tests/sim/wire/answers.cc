#include "tests/sim/wire/answers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/wire/reporter.h"

namespace coffer::sim::wire {
namespace {

using boundary::v1::PayoutItem;
namespace v1 = boundary::v1;

bool Same(const v1::Wei& wei, Amount amount) {
  return amount >= 0 && ToWei(wei) == static_cast<absl::uint128>(amount);
}

ItemFate FateOf(const PayoutItem& item) {
  ItemFate fate;
  fate.state = item.state() == PayoutItem::STATE_PAID   ? ItemFate::State::kPaid
               : item.state() == PayoutItem::STATE_VOID ? ItemFate::State::kVoid
                                                        : ItemFate::State::kOpen;
  fate.paid = static_cast<Amount>(ToWei(item.paid()));
  if (const auto hash = Hash::FromBytes(item.paid_by()); hash.ok()) fate.paid_by = *hash;
  return fate;
}

std::string CheckItem(const View& view, const PayoutItem& item, const ItemSeen& seen) {
  const AccountSeen& account = view.world->accounts().at(seen.account);
  if (item.account() != seen.account) return "I3: an item of another account";
  if (item.recipient() != account.recipient.view()) return "I1: an item with another recipient";
  if (!Same(item.amount(), seen.amount)) return "I2: an item with another amount";
  const ItemFate fate = FateOf(item);
  if (!seen.fate.Since(view.from, [&](const ItemFate& one) { return one == fate; })) {
    return "I5: an item is shown in a state that no stored leaf explains";
  }
  if (item.ticket_hash().empty()) {
    if (seen.ticket.has_value() && seen.ticket_leaves <= view.from) {
      return "I5: an item is shown without the ticket that it had before";
    }
    return {};
  }
  if (!seen.ticket.has_value() || item.ticket_hash() != seen.ticket->view()) {
    return "I9: a ticket leaves before a stored leaf tells of it";
  }
  const auto known = view.book->tickets.find(*seen.ticket);
  if (known == view.book->tickets.end()) return {};
  if (known->second.creation_round != item.creation_round() ||
      known->second.sender_nonce != item.sender_nonce()) {
    return "I3: a ticket is shown that is not the one that was signed";
  }
  return {};
}

std::string CheckRaw(const View& view, const v1::Attempt& attempt) {
  const Hash hash = *Hash::FromBytes(attempt.tx_hash());
  auto [known, fresh] = view.book->transactions.try_emplace(hash);
  if (fresh) {
    SignedTransaction& tx = known->second;
    std::string wrong =
        ReadTransaction(attempt.raw_tx(), view.world->addresses(), view.broker, &tx);
    if (!wrong.empty()) return absl::StrCat("I10: what was signed cannot be: ", wrong);
    if (tx.hash != hash) return "I4: a transaction under another's hash";
    for (const Ticket& ticket : tx.tickets) {
      view.book->tickets[ticket.hash] = ticket;
      if (ticket.creation_round > UINT64_MAX ||
          !view.told->rounds.contains({static_cast<uint64_t>(ticket.creation_round),
                                       std::string(ticket.creation_round_block_hash.view())})) {
        return "I10: a ticket of a round that nobody named";
      }
    }
  }
  const SignedTransaction& tx = known->second;
  if (tx.nonce != attempt.nonce() || tx.gas_limit != attempt.fees().gas_limit() ||
      tx.max_fee != ToU256(ToWei(attempt.fees().max_fee_per_gas())) ||
      tx.max_priority_fee != ToU256(ToWei(attempt.fees().max_priority_fee_per_gas()))) {
    return "I10: a transaction that is not what is said of it";
  }
  return view.world->Release(hash);
}

std::string CheckAttempts(const View& view, const v1::Payout& payout, const PayoutSeen& seen) {
  const auto count = static_cast<size_t>(payout.attempts_size());
  if (count > seen.transactions.size()) {
    return "I5: a transaction leaves before a stored leaf tells of it";
  }
  size_t least = 0;
  while (least < seen.transactions.size() && seen.transactions[least].leaves <= view.from) ++least;
  if (count < least) return "I5: a transaction is forgotten";
  std::set<uint64_t> mined;
  for (size_t i = 0; i < count; ++i) {
    const v1::Attempt& attempt = payout.attempts(static_cast<int>(i));
    if (attempt.tx_hash() != seen.transactions[i].value.view()) {
      return "I9: a transaction that no leaf tells of";
    }
    if (attempt.mined() &&
        !view.told->mined.contains(
            {attempt.tx_hash(), attempt.block_hash(), attempt.succeeded()}) &&
        !view.told->mined.contains({attempt.tx_hash(), "", attempt.succeeded()})) {
      return "I4: a transaction is mined that nobody reported";
    }
    if (attempt.mined() && !mined.insert(attempt.nonce()).second) {
      return "I4: two transactions of one nonce are mined, where no chain has more than one";
    }
    if (attempt.raw_tx().empty()) continue;
    if (std::string wrong = CheckRaw(view, attempt); !wrong.empty()) return wrong;
  }
  return {};
}

// A nonce was signed for and none of its transactions is mined.
bool OnItsWay(const v1::Payout& payout) {
  std::set<uint64_t> mined;
  for (const auto& attempt : payout.attempts()) {
    if (attempt.mined()) mined.insert(attempt.nonce());
  }
  return std::any_of(payout.attempts().begin(), payout.attempts().end(),
                     [&](const auto& attempt) { return !mined.contains(attempt.nonce()); });
}

// The state is a function of everything else that the answer says.
v1::PayoutState StateOf(const v1::Payout& payout) {
  bool open = false, all_void = true;
  for (const PayoutItem& item : payout.items()) {
    open |= item.state() == PayoutItem::STATE_OPEN;
    all_void &= item.state() == PayoutItem::STATE_VOID;
  }
  bool succeeded = false;
  if (payout.items().empty()) {
    open = true;
    for (const auto& attempt : payout.attempts()) {
      open &= !attempt.mined();
      succeeded |= attempt.mined() && attempt.succeeded();
    }
    all_void = !succeeded;
  }
  if (open) return OnItsWay(payout) ? v1::PAYOUT_STATE_SIGNED : v1::PAYOUT_STATE_RESERVED;
  // What has no items may also have no amount.
  const bool whole = ToWei(payout.paid()) == ToWei(payout.total());
  if (payout.items().empty() ? succeeded : whole) return v1::PAYOUT_STATE_SETTLED;
  return all_void ? v1::PAYOUT_STATE_VOIDED : v1::PAYOUT_STATE_PARTLY_SETTLED;
}

std::string CheckSums(const v1::Payout& payout, const PayoutSeen& seen) {
  absl::uint128 total = 0, paid = 0;
  for (const PayoutItem& item : payout.items()) {
    total += ToWei(item.amount());
    paid += ToWei(item.paid());
  }
  if (seen.funding.has_value()) {
    total = static_cast<absl::uint128>(*seen.funding);
    for (const auto& attempt : payout.attempts()) {
      if (attempt.mined() && attempt.succeeded()) paid = total;
    }
  }
  if (ToWei(payout.total()) != total || ToWei(payout.paid()) != paid) {
    return "I2: a payout's sums are not those of its items";
  }
  if (payout.state() != StateOf(payout)) return "I3: a payout's state does not follow from it";
  if (OnItsWay(payout) && !payout.under_way()) return "I3: a payout is under way and denies it";
  return {};
}

// Whether no payout before this one can have been signed by its key.
bool IsFirstOfItsKey(const View& view, const v1::Payout& payout) {
  const std::optional<uint32_t> key = view.world->KeyOf(*view.world->FindPayout(payout.id()));
  for (const PayoutSeen& other : view.world->payouts()) {
    if (other.id >= payout.id()) break;
    const std::optional<uint32_t> its = view.world->KeyOf(other);
    if (!its.has_value() || its == key) return false;
  }
  return true;
}

// A payout gets another nonce when no transaction of the ones before can be mined any more, and not
// while one of them may be.
std::string CheckRetry(const View& view, const v1::Payout& payout) {
  uint64_t newest = 0;
  std::set<uint64_t> done;
  for (const auto& attempt : payout.attempts()) {
    newest = std::max(newest, attempt.nonce());
    // What was mined when it was asked may have been taken back since.
    if (attempt.mined() || view.told->reorgs.contains(attempt.tx_hash())) {
      done.insert(attempt.nonce());
    }
  }
  for (const auto& attempt : payout.attempts()) {
    if (attempt.nonce() == newest || done.contains(attempt.nonce())) continue;
    return "I3: a payout is signed under a second nonce while the first one may be mined";
  }
  return {};
}

}  // namespace

std::string CheckAccount(const View& view, const v1::Account& account) {
  const auto found = view.world->accounts().find(account.id());
  if (found == view.world->accounts().end()) {
    return absl::StrCat("I5: account ", account.id(), " is shown before it is stored");
  }
  const AccountSeen& seen = found->second;
  if (account.recipient() != seen.recipient.view()) {
    return absl::StrCat("I1: account ", account.id(), " is shown with another recipient");
  }
  if (account.index() != seen.index) return "I2: an account is not the one of its number";
  Funds funds;
  funds.available = static_cast<Amount>(ToWei(account.available()));
  funds.reserved = static_cast<Amount>(ToWei(account.reserved()));
  funds.paid = static_cast<Amount>(ToWei(account.paid()));
  funds.credited = static_cast<Amount>(ToWei(account.credited()));
  funds.up = static_cast<Amount>(ToWei(account.adjusted_up()));
  funds.down = static_cast<Amount>(ToWei(account.adjusted_down()));
  if (funds.credited + funds.up - funds.down != funds.available + funds.reserved + funds.paid) {
    return absl::StrCat("I2: account ", account.id(), " is shown and does not add up");
  }
  if (seen.funds.Since(view.from, [&](const Funds& one) { return one == funds; })) return {};
  return absl::StrCat("I5: account ", account.id(),
                      " is shown with balances that no stored leaf explains");
}

std::string CheckPayout(const View& view, const v1::Payout& payout) {
  const PayoutSeen* seen = view.world->FindPayout(payout.id());
  const std::string where = absl::StrCat(", in the answer about payout ", payout.id());
  if (seen == nullptr) return absl::StrCat("I5: it is shown before it is stored", where);
  if (static_cast<size_t>(payout.items_size()) != seen->items.size()) {
    return absl::StrCat("I3: its items are not those that were reserved", where);
  }
  for (int i = 0; i < payout.items_size(); ++i) {
    std::string wrong = CheckItem(view, payout.items(i), seen->items[static_cast<size_t>(i)]);
    if (!wrong.empty()) return absl::StrCat(wrong, where);
  }
  std::string wrong = CheckAttempts(view, payout, *seen);
  if (wrong.empty()) wrong = CheckSender(view, payout);
  if (wrong.empty()) wrong = CheckSums(payout, *seen);
  return wrong.empty() ? wrong : absl::StrCat(wrong, where);
}

// Whether a signature of it may be waiting: it is not on its way; or it was retried, and then a
// reorg took back what it had been mined by. Later nonces may be signed first, by another signer.
bool MayBeSigned(const View& view, const v1::Payout& payout) {
  return payout.under_way() &&
         (!OnItsWay(payout) ||
          std::any_of(payout.attempts().begin(), payout.attempts().end(), [&](const auto& attempt) {
            return view.told->reorgs.contains(attempt.tx_hash());
          }));
}

std::string CheckPayouts(const View& view, const v1::ListPayouts& request,
                         const v1::PayoutList& answer) {
  struct Nonces {
    std::set<uint64_t> used;
    uint64_t pending = 0;
  };
  std::map<std::string, Nonces> by_sender;
  for (const v1::Payout& payout : answer.payouts()) {
    if (std::string wrong = CheckPayout(view, payout); !wrong.empty()) return wrong;
    Nonces& nonces = by_sender[payout.sender()];
    for (const auto& attempt : payout.attempts()) nonces.used.insert(attempt.nonce());
    if (MayBeSigned(view, payout)) ++nonces.pending;
  }
  if (request.from_id() > 1 || request.open_only() || !answer.end()) return {};
  for (const auto& [sender, nonces] : by_sender) {
    const std::set<uint64_t>& used = nonces.used;
    if (used.empty() || *used.rbegin() - *used.begin() + 1 - used.size() <= nonces.pending) {
      continue;
    }
    return "I10: nonces were left out that no signature is waiting for";
  }
  return {};
}

std::string CheckSigned(const View& view, const v1::ClientFrame& request,
                        const v1::Payout& payout) {
  if (std::string wrong = CheckPayout(view, payout); !wrong.empty()) return wrong;
  const v1::ChainReading* reading =
      request.has_prepare_payout()    ? &request.prepare_payout().reading()
      : request.has_retry_payout()    ? &request.retry_payout().reading()
      : request.has_prepare_redeem()  ? &request.prepare_redeem().reading()
      : request.has_prepare_funding() ? &request.prepare_funding().reading()
                                      : nullptr;
  if (payout.attempts().empty()) return "I9: an answer to a request to sign that has no signature";
  if (request.has_retry_payout()) {
    if (std::string wrong = CheckRetry(view, payout); !wrong.empty()) return wrong;
  }
  if (reading == nullptr) return {};
  if (std::none_of(payout.attempts().begin(), payout.attempts().end(), [&](const auto& attempt) {
        return attempt.nonce() >= reading->account_nonce();
      })) {
    return "I10: it was signed with a nonce below the one that the chain was said to have";
  }
  if (request.has_prepare_funding()) {
    const v1::PrepareFunding& funding = request.prepare_funding();
    if (funding.strategy() != payout.strategy() ||
        ToWei(funding.amount()) != ToWei(payout.total())) {
      return "I9: another funding is signed than was asked for";
    }
  }
  const bool anew = request.has_prepare_payout() ||
                    (request.has_prepare_funding() && !request.prepare_funding().once());
  // What was signed before is shown again, whatever is read meanwhile.
  if ((anew || request.has_retry_payout()) && !reading->address().empty() &&
      reading->address() != payout.sender()) {
    return "I10: a payout is signed by another key than its reading of the chain is about";
  }
  if (anew && IsFirstOfItsKey(view, payout) &&
      payout.attempts(0).nonce() != reading->account_nonce()) {
    return "I10: a key that has signed nothing does not begin where the chain is";
  }
  if (!request.has_prepare_payout()) return {};
  const v1::PreparePayout& prepare = request.prepare_payout();
  if (prepare.strategy() != payout.strategy() || prepare.items_size() != payout.items_size()) {
    return "I9: another payout is signed than was asked for";
  }
  for (int i = 0; i < prepare.items_size(); ++i) {
    if (prepare.items(i).account() != payout.items(i).account()) {
      return "I9: another account is paid than was asked for";
    }
  }
  if (prepare.reading().deposit_unknown() || prepare.strategy() != v1::STRATEGY_LIVEPEER_TICKET) {
    return {};
  }
  // All tickets of its key that were open when this payout was reserved, and its own, were promised
  // out of the deposit that the request named.
  const PayoutSeen& own = *view.world->FindPayout(payout.id());
  Amount out = 0;
  for (const PayoutSeen& other : view.world->payouts()) {
    if (other.id > own.id) break;
    if (view.world->KeyOf(other) != view.world->KeyOf(own)) continue;
    for (const ItemSeen& item : other.items) {
      const ItemFate* fate = item.fate.At(own.leaves);
      if (item.ticket.has_value() && fate != nullptr && fate->state == ItemFate::State::kOpen) {
        out += item.amount;
      }
    }
  }
  if (static_cast<absl::uint128>(out) <= ToWei(prepare.reading().deposit())) return {};
  return "I10: tickets promise more than the deposit that the request named";
}

std::string CheckDepositRefusal(const View& view, const v1::PreparePayout& request) {
  const absl::uint128 deposit = ToWei(request.reading().deposit());
  absl::uint128 asked = 0, face_value = 0;
  for (const auto& policy : view.world->policies().moments()) {
    face_value = std::max(face_value, policy.value.max_face_value);
  }
  for (const auto& item : request.items()) {
    asked +=
        item.amount().high() != 0 || item.amount().low() != 0 ? ToWei(item.amount()) : face_value;
  }
  // At most so much was promised by a key at any moment since. Which one was current when this was
  // asked is one of those since `from`.
  const auto fits = [&](uint32_t key) {
    absl::uint128 promised = 0;
    for (const PayoutSeen& payout : view.world->payouts()) {
      if (view.world->KeyOf(payout) != key) continue;
      for (const ItemSeen& item : payout.items) {
        const bool open = item.fate.Since(
            view.from, [](const ItemFate& fate) { return fate.state == ItemFate::State::kOpen; });
        if (open) promised += static_cast<absl::uint128>(item.amount);
      }
    }
    return promised <= deposit && asked <= deposit - promised;
  };
  bool room = true;
  for (uint32_t key = view.world->CurrentAt(view.from); key < view.world->keys().size(); ++key) {
    room &= fits(key);
  }
  if (!room && !request.reading().deposit_unknown()) return {};
  return "I10: a payout is refused for a deposit that has room for it";
}

std::string CheckEvents(const View& view, const v1::ApplyEvents& request,
                        const v1::EventsApplied& answer, Asked* asked) {
  enum Fate { kApplied, kDuplicate, kRefused };
  std::vector<Fate> fates(static_cast<size_t>(request.events_size()), kApplied);
  std::vector<v1::ErrorCode> codes(fates.size(), v1::ERROR_UNSPECIFIED);
  for (const uint32_t i : answer.duplicates()) {
    if (i < fates.size()) fates[i] = kDuplicate;
  }
  for (const auto& refusal : answer.refusals()) {
    if (refusal.index() >= fates.size()) return "I7: an event is refused that was not there";
    fates[refusal.index()] = kRefused;
    codes[refusal.index()] = refusal.error().code();
  }
  if (static_cast<size_t>(std::count(fates.begin(), fates.end(), kApplied)) != answer.applied()) {
    return "I7: an answer about events does not add up";
  }
  const Reporters reporters(request);
  for (size_t i = 0; i < fates.size(); ++i) {
    const int at = static_cast<int>(i);
    const v1::Event& event = request.events(at);
    if (fates[i] == kApplied || codes[i] == v1::ERROR_SIGNATURE) {
      std::string wrong = fates[i] == kApplied ? reporters.CheckApplied(view, at)
                                               : reporters.CheckRefused(view, at);
      if (!wrong.empty()) return wrong;
    }
    const auto leaf = view.world->events().find(event.id());
    const bool stored = leaf != view.world->events().end();
    const bool same = stored && leaf->second.content == ContentOf(event);
    if (fates[i] != kRefused) {
      if (!stored) {
        return absl::StrCat("I5: event ", event.id(), " is acknowledged before its leaf is stored");
      }
      if (!same) return absl::StrCat("I7: event ", event.id(), " has two contents");
      if (fates[i] == kApplied && leaf->second.leaf < view.from) {
        return absl::StrCat("I7: event ", event.id(), " is acknowledged as new for a second time");
      }
      continue;
    }
    if (codes[i] == v1::ERROR_MALFORMED) continue;
    if (codes[i] == v1::ERROR_EVENT_CONFLICT) {
      if (!stored || same) return absl::StrCat("I7: event ", event.id(), " conflicts with nothing");
      continue;
    }
    if (stored && leaf->second.leaf < view.from) {
      return absl::StrCat("I7: event ", event.id(), " was applied, and that is forgotten");
    }
    Asked::EventCopies& copies = asked->events[event.id()];
    ++copies.refused;
    if (stored && leaf->second.leaf >= view.from && copies.asked == copies.refused) {
      return absl::StrCat("I7: event ", event.id(), " is refused and has a leaf");
    }
  }
  for (const auto& entry : answer.audit_entries()) {
    if (std::string wrong = CheckEntry(view, entry); !wrong.empty()) return wrong;
  }
  return answer.has_account() ? CheckAccount(view, answer.account()) : "";
}

std::string CheckReceipt(const View& view, const v1::ReportReceipt& request,
                         const v1::ReceiptResult& answer) {
  for (const v1::Payout& payout : answer.payouts()) {
    if (std::string wrong = CheckPayout(view, payout); !wrong.empty()) return wrong;
  }
  if (!answer.known() || !request.succeeded()) return {};
  const Hash hash = *Hash::FromBytes(request.tx_hash());
  for (const Redemption& redemption : ReadRedemptions(view.broker, request.logs())) {
    const ItemSeen* item = view.world->FindTicket(redemption.sender_nonce);
    if (item == nullptr || !redemption.Redeems(view.book->tickets.at(*item->ticket))) continue;
    if (item->fate.Since(0, [&](const ItemFate& fate) { return fate.paid_by == hash; })) continue;
    return "I3: a receipt was accepted, and a ticket that it shows as redeemed is not settled";
  }
  return {};
}

std::string CheckConfirmed(const View& view, const v1::PayoutConfirmed& answer) {
  if (answer.has_payout()) {
    if (std::string wrong = CheckPayout(view, answer.payout()); !wrong.empty()) return wrong;
  }
  for (const auto& entry : answer.audit_entries()) {
    if (std::string wrong = CheckEntry(view, entry); !wrong.empty()) return wrong;
  }
  return answer.has_account() ? CheckAccount(view, answer.account()) : "";
}

std::string CheckEntry(const View& view, const v1::AuditEntry& entry) {
  if (entry.leaf_index() < view.world->size() &&
      audit::LeafHash(entry.leaf()) == view.world->leaf_hashes()[entry.leaf_index()]) {
    return {};
  }
  return "I9: a leaf is shown that is not the stored one";
}

std::string CheckStatus(const View& view, const v1::Status& status) {
  const LeafWorld& world = *view.world;
  if (status.audit().root() != world.tree().Root().view()) {
    return "I9: a status names a root that its leaves do not make";
  }
  const Funds& sums = world.totals();
  const v1::Totals& totals = status.totals();
  if (!Same(totals.available(), sums.available) || !Same(totals.reserved(), sums.reserved) ||
      !Same(totals.paid(), sums.paid) || !Same(totals.credited(), sums.credited) ||
      !Same(totals.adjusted_up(), sums.up) || !Same(totals.adjusted_down(), sums.down)) {
    return "I2: the totals of a status are not the sums of its leaves";
  }
  if (status.accounts() != world.accounts().size() || status.events() != world.events().size() ||
      status.payouts() != world.payouts().size()) {
    return "I9: a status counts other accounts, events or payouts than its leaves";
  }
  return CheckKeys(view, status);
}

}  // namespace coffer::sim::wire
