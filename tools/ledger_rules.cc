#include "tools/ledger_rules.h"

#include <sstream>

#include "absl/strings/str_cat.h"

namespace coffer::tools {

using audit::Leaf;
using audit::LeafKind;

namespace {

// 15: a state from before the log began. Older readers of the format have no name for it.
constexpr auto kCarriedOver = static_cast<LeafKind>(15);
constexpr absl::uint128 kMaxWei = (absl::uint128(1) << 127) - 1;

absl::uint128 Magnitude(absl::int128 delta) {
  return delta < 0 ? absl::uint128(0) - absl::uint128(delta) : absl::uint128(delta);
}

// False when it would go below zero.
bool Add(absl::int128 delta, absl::uint128& value) {
  const absl::uint128 size = Magnitude(delta);
  if (delta < 0 && size > value) return false;
  value = delta < 0 ? value - size : value + size;
  return true;
}

std::string Name(const Leaf& leaf, uint64_t index) {
  return absl::StrCat("leaf ", index, " (", std::string(audit::KindName(leaf.kind)), ")");
}

std::string ItemName(const Leaf& leaf) {
  return absl::StrCat("item ", *leaf.item, " of payout ", *leaf.payout);
}

std::string Triple(absl::uint128 available, absl::uint128 reserved, absl::uint128 paid) {
  return absl::StrCat(WeiText(available), " available, ", WeiText(reserved), " reserved and ",
                      WeiText(paid), " paid");
}

uint64_t TicketMark(const audit::Hash& hash) {
  uint64_t mark = 0;
  for (size_t i = 0; i < 8; ++i) mark = mark << 8 | hash.bytes[i];
  return mark | 1;  // never 0, which says that there is none
}

}  // namespace

std::string WeiText(absl::uint128 wei) {
  std::ostringstream out;
  out << wei;
  return out.str();
}

std::string DeltaText(absl::int128 wei) {
  return absl::StrCat(wei < 0 ? "-" : "+", WeiText(Magnitude(wei)));
}

const AccountState* LedgerRules::Find(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void LedgerRules::Apply(uint64_t index, const Leaf& leaf) {
  ++totals_.leaves;
  if (const auto kind = static_cast<size_t>(leaf.kind); kind < totals_.by_kind.size()) {
    ++totals_.by_kind[kind];
  }
  const bool opening = leaf.kind == LeafKind::kAccountOpened;
  if (leaf.kind != LeafKind::kGenesis && !opening && leaf.kind != kCarriedOver) carrying_ = false;
  if (opening) return Open(index, leaf);
  if (leaf.kind == LeafKind::kTicketSigned) return CheckTicket(index, leaf);
  if (leaf.kind == LeafKind::kPayoutSigned && !items_.contains(ItemKey(*leaf.payout, 0))) {
    signed_unreserved_.try_emplace(*leaf.payout, index);
  }
  if (!leaf.balances) return;
  if (leaf.account.empty() || !leaf.recipient) {
    balances_.Add(absl::StrCat(Name(leaf, index), " has balances of no account"));
    return;
  }
  if (Magnitude(leaf.balances->delta) > kMaxWei) {
    balances_.Add(absl::StrCat(Name(leaf, index), " moves more than 2^127 - 1 wei"));
    return;
  }
  AccountState* account = AccountOf(index, leaf);
  if (const Expected move = Expect(index, leaf, *account)) {
    CheckBalances(index, leaf, *account, *move);
  }
  // One wrong leaf is reported once: the ones behind it are held against what it says.
  account->available = leaf.balances->available;
  account->reserved = leaf.balances->reserved;
  account->paid = leaf.balances->paid;
}

void LedgerRules::Open(uint64_t index, const Leaf& leaf) {
  const auto [found, fresh] = by_id_.try_emplace(leaf.account, nullptr);
  if (fresh) {
    found->second = &accounts_.emplace_back();
    found->second->id = leaf.account;
    found->second->recipient = *leaf.recipient;
    found->second->opened = index;
    return;
  }
  recipients_.Add(absl::StrCat(Name(leaf, index), " opens the account ", leaf.account,
                               " again: leaf ", found->second->opened, " had opened it"));
}

AccountState* LedgerRules::AccountOf(uint64_t index, const Leaf& leaf) {
  const auto found = by_id_.find(leaf.account);
  if (found == by_id_.end()) {
    recipients_.Add(absl::StrCat(Name(leaf, index), " moves the account ", leaf.account,
                                 ", which no leaf before it opened"));
    Open(index, leaf);
    return by_id_[leaf.account];
  }
  AccountState* account = found->second;
  if (account->recipient != *leaf.recipient) {
    recipients_.Add(absl::StrCat(Name(leaf, index), " changes the recipient of the account ",
                                 leaf.account, " from ", ethereum::ToChecksum(account->recipient),
                                 ", which leaf ", account->opened, " fixed for ever, to ",
                                 ethereum::ToChecksum(*leaf.recipient)));
  }
  return account;
}

LedgerRules::Expected LedgerRules::Expect(uint64_t index, const Leaf& leaf, AccountState& account) {
  const absl::int128 delta = leaf.balances->delta;
  switch (leaf.kind) {
    case LeafKind::kCredit:
      totals_.credited += Magnitude(delta);
      return Move{.available = delta};
    case LeafKind::kAdjustUp:
      totals_.adjusted_up += Magnitude(delta);
      return Move{.available = delta};
    case LeafKind::kAdjustDown:
      totals_.adjusted_down += Magnitude(delta);
      return Move{.available = delta};
    case LeafKind::kPayoutReserved:
      return Reserve(index, leaf, account);
    case LeafKind::kItemPaid:
    case LeafKind::kItemVoided:
      return Resolve(index, leaf, account);
    case LeafKind::kPayoutReverted:
      return Revert(index, leaf, account);
    default:
      return leaf.kind == kCarriedOver ? CarryOver(index, leaf, account) : Expected(Move{});
  }
}

void LedgerRules::CheckBalances(uint64_t index, const Leaf& leaf, const AccountState& account,
                                const Move& move) {
  const audit::Balances& said = *leaf.balances;
  absl::uint128 available = account.available, reserved = account.reserved, paid = account.paid;
  const bool enough =
      Add(move.available, available) && Add(move.reserved, reserved) && Add(move.paid, paid);
  if (enough && said.delta == move.available && said.available == available &&
      said.reserved == reserved && said.paid == paid) {
    return;
  }
  const std::string before =
      absl::StrCat("the account ", leaf.account, " had ",
                   Triple(account.available, account.reserved, account.paid));
  if (!enough) {
    balances_.Add(absl::StrCat(Name(leaf, index), " takes more than there is: ", before));
  } else {
    balances_.Add(absl::StrCat(Name(leaf, index), " does not add up: ", before,
                               "; what it does makes that ", Triple(available, reserved, paid),
                               ", but it says ", DeltaText(said.delta), " and ",
                               Triple(said.available, said.reserved, said.paid)));
  }
}

LedgerRules::Expected LedgerRules::Reserve(uint64_t index, const Leaf& leaf,
                                           AccountState& account) {
  const absl::uint128 amount = Magnitude(leaf.balances->delta);
  const auto [found, fresh] = items_.try_emplace(ItemKey(*leaf.payout, *leaf.item));
  if (!fresh) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " reserves ", ItemName(leaf),
                              " again: it is in leaf ", found->second.leaf, " already"));
    return std::nullopt;
  }
  found->second = {.amount = amount, .account = &account, .leaf = index};
  if (const auto early = signed_unreserved_.find(*leaf.payout); early != signed_unreserved_.end()) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " reserves ", ItemName(leaf), " after leaf ",
                              early->second, " had signed that payout"));
  }
  return Move{leaf.balances->delta, absl::int128(amount), 0};
}

LedgerRules::Expected LedgerRules::ResolveCarried(uint64_t index, const Leaf& leaf,
                                                  AccountState& account) {
  const bool pays = leaf.kind == LeafKind::kItemPaid;
  const absl::uint128 paid = pays ? *leaf.amount : 0;
  const absl::uint128 amount = paid + Magnitude(leaf.balances->delta);
  if (amount > account.carried_reserved) {
    payouts_.Add(absl::StrCat(Name(leaf, index), pays ? " pays " : " voids ", ItemName(leaf),
                              ", which no leaf reserved"));
    return std::nullopt;
  }
  account.carried_reserved -= amount;
  items_[ItemKey(*leaf.payout, *leaf.item)] = {.amount = amount,
                                               .paid = paid,
                                               .account = &account,
                                               .leaf = index,
                                               .state = pays ? ItemState::kPaid : ItemState::kVoid};
  return Move{leaf.balances->delta, -absl::int128(amount), absl::int128(paid)};
}

LedgerRules::Expected LedgerRules::Resolve(uint64_t index, const Leaf& leaf,
                                           AccountState& account) {
  const auto found = items_.find(ItemKey(*leaf.payout, *leaf.item));
  if (found == items_.end()) return ResolveCarried(index, leaf, account);
  const bool pays = leaf.kind == LeafKind::kItemPaid;
  Item& item = found->second;
  const char* const verb = pays ? " pays " : " voids ";
  if (item.account != &account) {
    payouts_.Add(absl::StrCat(Name(leaf, index), verb, ItemName(leaf), " for the account ",
                              leaf.account, ", but it was reserved for ", item.account->id));
    return std::nullopt;
  }
  if (item.state != ItemState::kOpen) {
    payouts_.Add(absl::StrCat(Name(leaf, index), verb, ItemName(leaf), " although leaf ", item.leaf,
                              item.state == ItemState::kPaid ? " paid" : " voided", " it already"));
    return std::nullopt;
  }
  if (item.ticket != 0 && leaf.ticket_hash && TicketMark(*leaf.ticket_hash) != item.ticket) {
    payouts_.Add(absl::StrCat(Name(leaf, index), verb, ItemName(leaf),
                              " by another ticket than the one that was signed for it"));
  }
  const absl::uint128 paid = pays ? *leaf.amount : 0;
  if (paid > item.amount) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " pays ", WeiText(paid), " wei for ",
                              ItemName(leaf), ", for which ", WeiText(item.amount),
                              " were reserved"));
    return std::nullopt;
  }
  item.state = pays ? ItemState::kPaid : ItemState::kVoid;
  item.paid = paid;
  item.leaf = index;
  return Move{absl::int128(item.amount - paid), -absl::int128(item.amount), absl::int128(paid)};
}

LedgerRules::Expected LedgerRules::Revert(uint64_t index, const Leaf& leaf, AccountState& account) {
  if (!leaf.item || !leaf.amount) {
    payouts_.Add(absl::StrCat(Name(leaf, index),
                              " moves balances but does not say what of which "
                              "item it takes back"));
    return std::nullopt;
  }
  const absl::uint128 paid = *leaf.amount;
  const absl::int128 delta = leaf.balances->delta;
  const auto [found, fresh] = items_.try_emplace(ItemKey(*leaf.payout, *leaf.item));
  Item& item = found->second;
  if (fresh && (delta > 0 || paid > account.carried_paid || Magnitude(delta) > kMaxWei - paid)) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " takes back ", ItemName(leaf),
                              ", which no leaf reserved and paid"));
    items_.erase(found);
    return std::nullopt;
  }
  if (fresh) {
    account.carried_paid -= paid;
    item = {.amount = paid + Magnitude(delta),
            .paid = paid,
            .account = &account,
            .leaf = index,
            .state = ItemState::kPaid};
  }
  if (item.state != ItemState::kPaid || item.account != &account || item.paid != paid) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " takes back ", WeiText(paid), " wei of ",
                              ItemName(leaf), " for ", leaf.account,
                              ", which is not what was paid: see leaf ", item.leaf));
    return std::nullopt;
  }
  const Move move{-absl::int128(item.amount - paid), absl::int128(item.amount),
                  -absl::int128(paid)};
  item.state = ItemState::kOpen;
  item.paid = 0;
  item.leaf = index;
  return move;
}

LedgerRules::Expected LedgerRules::CarryOver(uint64_t index, const Leaf& leaf,
                                             AccountState& account) {
  const audit::Balances& said = *leaf.balances;
  if (!carrying_ || account.available != 0 || account.reserved != 0 || account.paid != 0) {
    balances_.Add(absl::StrCat(Name(leaf, index), " gives the account ", leaf.account,
                               " balances out of nothing: only the first leaves of a log may tell "
                               "what was there before it"));
    return std::nullopt;
  }
  carried_ = true;
  account.carried_reserved = said.reserved;
  account.carried_paid = said.paid;
  totals_.carried_over += said.available + said.reserved + said.paid;
  return Move{absl::int128(said.available), absl::int128(said.reserved), absl::int128(said.paid)};
}

void LedgerRules::CheckTicket(uint64_t index, const Leaf& leaf) {
  const auto found = items_.find(ItemKey(*leaf.payout, *leaf.item));
  if (found == items_.end()) {
    // It may stand for what was reserved before the log began.
    if (carried_) return;
    payouts_.Add(
        absl::StrCat(Name(leaf, index), " is for ", ItemName(leaf), ", which no leaf reserved"));
    return;
  }
  Item& item = found->second;
  const uint64_t mark = TicketMark(*leaf.ticket_hash);
  if (item.ticket != 0 && item.ticket != mark) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " is a second ticket for ", ItemName(leaf),
                              ": both can be redeemed"));
  }
  item.ticket = mark;
  if ((!leaf.account.empty() && leaf.account != item.account->id) ||
      (leaf.recipient && *leaf.recipient != item.account->recipient)) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " is a ticket for somebody else than the account ",
                              item.account->id, ", for which ", ItemName(leaf), " was reserved"));
  }
  if (leaf.amount.value_or(0) > item.amount) {
    payouts_.Add(absl::StrCat(Name(leaf, index), " is a ticket of ", WeiText(*leaf.amount),
                              " wei, more than the ", WeiText(item.amount), " reserved for ",
                              ItemName(leaf)));
  }
}

}  // namespace coffer::tools
