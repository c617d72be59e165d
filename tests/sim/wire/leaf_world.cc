#include "tests/sim/wire/leaf_world.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/policy/typed_data.h"

namespace coffer::sim::wire {
namespace {

using audit::Leaf;
using audit::LeafKind;

std::string Named(const Leaf& leaf) {
  return absl::StrCat("leaf ", leaf.sequence, " (", std::string(audit::KindName(leaf.kind)), ")");
}

Amount Signed(absl::uint128 wei) { return static_cast<Amount>(wei); }

std::string Text(const Hash& hash) { return std::string(hash.view()); }

}  // namespace

LeafWorld::LeafWorld(const policy::Policy& policy, const Address& signer, const Book* book,
                     const Told* told)
    : signer_(signer), first_policy_(policy), book_(book), told_(told) {}

std::string LeafWorld::Add(std::string_view bundle, uint64_t tree_size, const Asked& asked) {
  while (!bundle.empty()) {
    if (bundle.size() < 2) return "I9: a bundle of leaves that ends in a length";
    const size_t length =
        size_t{static_cast<uint8_t>(bundle[0])} << 8 | static_cast<uint8_t>(bundle[1]);
    if (bundle.size() - 2 < length) return "I9: a bundle of leaves that ends in a leaf";
    const std::string_view bytes = bundle.substr(2, length);
    bundle.remove_prefix(2 + length);
    const absl::StatusOr<Leaf> leaf = audit::ParseLeaf(bytes);
    if (!leaf.ok()) return absl::StrCat("I9: ", std::string(leaf.status().message()));
    if (leaf->sequence != size()) {
      return absl::StrCat("I9: leaf ", leaf->sequence, " is at index ", size());
    }
    leaf_hashes_.push_back(audit::LeafHash(bytes));
    tree_.Append(leaf_hashes_.back());
    if (std::string wrong = AddLeaf(*leaf, asked); !wrong.empty()) {
      return absl::StrCat(wrong, ", in ", Named(*leaf));
    }
  }
  if (tree_size == size()) return {};
  return absl::StrCat("I9: a record says that the log has ", tree_size, " leaves, and it has ",
                      size());
}

std::string LeafWorld::AddLeaf(const Leaf& leaf, const Asked& asked) {
  if ((leaf.sequence == 0) != (leaf.kind == LeafKind::kGenesis)) {
    return "I9: leaf 0 and no other is the genesis";
  }
  switch (leaf.kind) {
    case LeafKind::kGenesis:
      return Genesis(leaf, asked);
    case LeafKind::kAccountOpened:
      return Open(leaf, asked);
    case LeafKind::kCredit:
    case LeafKind::kAdjustUp:
    case LeafKind::kAdjustDown:
      return Change(leaf, asked);
    case LeafKind::kPayoutReserved:
      return Reserve(leaf, asked);
    case LeafKind::kFunding:
      return Fund(leaf, asked);
    case LeafKind::kPayoutSigned:
      return Sign(leaf);
    case LeafKind::kTicketSigned:
      return SignTicket(leaf);
    case LeafKind::kItemPaid:
      return Pay(leaf, asked);
    case LeafKind::kItemVoided:
      return Void(leaf, asked);
    case LeafKind::kPayoutReverted:
      return Revert(leaf, asked);
    case LeafKind::kPolicyChanged:
      return ChangePolicy(leaf, asked);
    case LeafKind::kSignature:
      return "I10: an authority signed what a client asked it to sign";
    case LeafKind::kSigningKeyAdded:
      return AddKey(leaf, asked);
    case LeafKind::kSigningKeyRetired:
      return RetireKey(leaf, asked);
    case LeafKind::kCarriedOver:
      break;
  }
  return "I9: a leaf of a kind that no state of this version has";
}

std::string LeafWorld::Genesis(const Leaf& leaf, const Asked& asked) {
  if (!asked.loads) return "I9: a state is founded that nobody asked for";
  // Where the answer to a request for keys was lost, it may be any that an enclave had made.
  const Address& key = *leaf.recipient;
  const bool given =
      asked.holds.empty() ? key == signer_ || asked.provisions : key == asked.holds.front();
  if (!given || (key != signer_ && !book_->made.contains(key))) {
    return "I10: the state belongs to another key";
  }
  keys_.push_back({key, size(), std::nullopt, {}});
  if (leaf.content_hash != policy::PolicyHash(first_policy_)) {
    return "I10: the state is founded with another policy than the enclave was started with";
  }
  policies_.Set(size(), first_policy_);
  return {};
}

std::string LeafWorld::Open(const Leaf& leaf, const Asked& asked) {
  AccountSeen account;
  account.index = accounts_.size();
  account.recipient = *leaf.recipient;
  account.funds.Set(size(), Funds{});
  if (!accounts_.emplace(leaf.account, std::move(account)).second) {
    return absl::StrCat("I1: account ", leaf.account, " is opened again");
  }
  if (asked.accounts.contains({leaf.account, std::string(leaf.recipient->view())})) return {};
  return absl::StrCat("I1: account ", leaf.account, " gets a recipient that no event named");
}

std::string LeafWorld::Change(const Leaf& leaf, const Asked& asked) {
  AskedEvent content;
  content.kind = leaf.kind == LeafKind::kCredit     ? boundary::v1::Event::KIND_CREDIT
                 : leaf.kind == LeafKind::kAdjustUp ? boundary::v1::Event::KIND_ADJUST_UP
                                                    : boundary::v1::Event::KIND_ADJUST_DOWN;
  const bool down = leaf.kind == LeafKind::kAdjustDown;
  content.account = leaf.account;
  content.recipient = std::string(leaf.recipient->view());
  const Amount amount = down ? -leaf.balances->delta : leaf.balances->delta;
  if (amount <= 0) return "I2: an event without an amount";
  content.amount = static_cast<absl::uint128>(amount);
  const auto copies = asked.events.find(leaf.event_id);
  if (copies == asked.events.end() ||
      std::find(copies->second.contents.begin(), copies->second.contents.end(), content) ==
          copies->second.contents.end()) {
    return absl::StrCat("I9: event ", leaf.event_id, " was never asked for with this content");
  }
  if (!events_.emplace(leaf.event_id, EventSeen{leaf.sequence, content}).second) {
    return absl::StrCat("I7: event ", leaf.event_id, " is applied again");
  }
  Funds change;
  change.available = leaf.balances->delta;
  Amount& sum = leaf.kind == LeafKind::kCredit     ? change.credited
                : leaf.kind == LeafKind::kAdjustUp ? change.up
                                                   : change.down;
  sum = amount;
  return Move(leaf, change);
}

std::string LeafWorld::Move(const Leaf& leaf, const Funds& change) {
  const auto found = accounts_.find(leaf.account);
  if (found == accounts_.end()) return absl::StrCat("I1: ", leaf.account, " was not opened");
  AccountSeen& account = found->second;
  if (leaf.recipient != account.recipient) {
    return absl::StrCat("I1: the recipient of ", leaf.account, " changed");
  }
  Funds now = account.funds.last();
  for (Funds* sum : {&now, &totals_}) {
    sum->available += change.available;
    sum->reserved += change.reserved;
    sum->paid += change.paid;
    sum->credited += change.credited;
    sum->up += change.up;
    sum->down += change.down;
  }
  if (now.available < 0 || now.reserved < 0 || now.paid < 0) {
    return absl::StrCat("I2: ", leaf.account, " holds less than nothing");
  }
  if (now.credited + now.up - now.down != now.available + now.reserved + now.paid) {
    return absl::StrCat("I2: ", leaf.account, " does not add up");
  }
  if (leaf.balances->delta != change.available ||
      Signed(leaf.balances->available) != now.available ||
      Signed(leaf.balances->reserved) != now.reserved || Signed(leaf.balances->paid) != now.paid) {
    return absl::StrCat("I2: what ", leaf.account, " is said to have does not follow");
  }
  account.funds.Set(size(), now);
  return {};
}

std::string LeafWorld::Reserve(const Leaf& leaf, const Asked& asked) {
  const uint64_t next = payouts_.size() + 1;
  if (*leaf.payout == next && *leaf.item == 0) {
    payouts_.emplace_back();
    payouts_.back().id = next;
    if (std::string wrong = rates_.Signature(policies_.last(), leaf.claimed_time / 1000);
        !wrong.empty() && book_->clocks_are_true) {
      return wrong;
    }
  }
  if (payouts_.empty() || *leaf.payout != payouts_.size() || payouts_.back().funding.has_value() ||
      !payouts_.back().transactions.empty() || *leaf.item != payouts_.back().items.size()) {
    return "I3: a reservation that is not the next one";
  }
  const Amount amount = -leaf.balances->delta;
  if (amount <= 0) return "I3: a reservation of nothing";
  const auto wanted = asked.items.find(leaf.account);
  const absl::uint128 wei = static_cast<absl::uint128>(amount);
  if (wanted == asked.items.end() ||
      std::none_of(wanted->second.begin(), wanted->second.end(), [&](const AskedItem& item) {
        return item.amount == 0 || item.amount == wei || (item.at_most && wei < item.amount);
      })) {
    return absl::StrCat("I9: nobody asked to pay ", leaf.account, " this much");
  }
  Funds change;
  change.available = -amount;
  change.reserved = amount;
  if (std::string wrong = Move(leaf, change); !wrong.empty()) return wrong;
  if (std::string wrong = rates_.Spend(policies_.last(), *leaf.recipient, wei);
      !wrong.empty() && book_->clocks_are_true) {
    return wrong;
  }
  PayoutSeen& payout = payouts_.back();
  AccountSeen& account = accounts_.at(leaf.account);
  for (const ItemSeen& other : payout.items) {
    if (other.account == leaf.account) return "I3: one account is paid twice in a payout";
  }
  account.items.emplace_back(payout.id, *leaf.item);
  ItemSeen item;
  item.account = leaf.account;
  item.amount = amount;
  item.fate.Set(size(), ItemFate{});
  payout.items.push_back(std::move(item));
  payout.leaves = size();
  return {};
}

std::string LeafWorld::Fund(const Leaf& leaf, const Asked& asked) {
  const Amount amount = Signed(*leaf.amount);
  if (!leaf.tx_hash.has_value()) {
    if (*leaf.payout != payouts_.size() + 1) return "I3: a funding that is not the next payout";
    payouts_.emplace_back();
    payouts_.back().id = *leaf.payout;
    payouts_.back().funding = amount;
    payouts_.back().leaves = size();
    if (std::string wrong = rates_.Signature(policies_.last(), leaf.claimed_time / 1000);
        !wrong.empty() && book_->clocks_are_true) {
      return wrong;
    }
    const bool drains = DrainingAt(size()).has_value();
    for (const auto& [strategy, wei] : asked.fundings) {
      if (wei == *leaf.amount && (drains || !IsMove(strategy))) return {};
    }
    return "I9: a funding that nobody asked for";
  }
  const auto found = signed_.find(*leaf.tx_hash);
  if (found == signed_.end() || found->second.first != *leaf.payout) {
    return "I4: a funding that is mined in a transaction that was not signed for it";
  }
  if (payouts_[*leaf.payout - 1].funding != amount) return "I2: a funding of another amount";
  const auto told = asked.receipts.find(Text(*leaf.tx_hash));
  if (told == asked.receipts.end() ||
      std::none_of(told->second.begin(), told->second.end(),
                   [](const ToldReceipt& receipt) { return receipt.succeeded; })) {
    return "I4: a funding is mined that nobody reported";
  }
  return {};
}

std::string LeafWorld::Sign(const Leaf& leaf) {
  if (FindPayout(*leaf.payout) == nullptr) return "I3: a signature without a reservation";
  if (!signed_.emplace(*leaf.tx_hash, std::pair(*leaf.payout, size())).second) {
    return "I3: a transaction is signed for a second time";
  }
  PayoutSeen& payout = payouts_[*leaf.payout - 1];
  // Asked for when the one before was signed; and counted, if by the policy of now.
  if (!payout.transactions.empty() &&
      payout.transactions.back().leaves > policies_.moments().back().leaves) {
    rates_.Again(payout.signed_second);
  }
  payout.transactions.push_back({size(), *leaf.tx_hash});
  payout.signed_second = leaf.claimed_time / 1000;
  const std::optional<uint32_t> key = KeyOf(payout);
  return key.has_value() && keys_[*key].retired.has_value()
             ? "I3: a key that is retired signs a transaction"
             : "";
}

ItemSeen* LeafWorld::FindItem(const Leaf& leaf, std::string* wrong) {
  const PayoutSeen* payout = FindPayout(*leaf.payout);
  if (payout == nullptr || *leaf.item >= payout->items.size()) {
    *wrong = "I3: an item that was never reserved";
    return nullptr;
  }
  ItemSeen& item = payouts_[*leaf.payout - 1].items[*leaf.item];
  if (!leaf.account.empty() && leaf.account != item.account) *wrong = "I3: another account's item";
  return &item;
}

const ItemSeen* LeafWorld::FindTicket(const U256& sender_nonce) const {
  const auto left = sender_nonces_.find(sender_nonce);
  if (left == sender_nonces_.end()) return nullptr;
  const auto found = tickets_.find(left->second);
  if (found == tickets_.end()) return nullptr;
  return &payouts_[found->second.first - 1].items[found->second.second];
}

std::string LeafWorld::SignTicket(const Leaf& leaf) {
  std::string wrong;
  ItemSeen* item = FindItem(leaf, &wrong);
  if (!wrong.empty()) return wrong;
  if (item->ticket.has_value()) return "I3: a second ticket for the same funds";
  if (payouts_[*leaf.payout - 1].transactions.empty()) return "I9: a ticket without a transaction";
  if (!leaf.amount.has_value() || Signed(*leaf.amount) != item->amount) {
    return "I3: a ticket over another amount than is held for it";
  }
  if (leaf.recipient != accounts_.at(item->account).recipient) {
    return "I1: a ticket for another recipient than the account's";
  }
  if (!tickets_.emplace(*leaf.ticket_hash, std::pair(*leaf.payout, *leaf.item)).second) {
    return "I3: one ticket for two items";
  }
  item->ticket = *leaf.ticket_hash;
  item->ticket_leaves = size();
  return {};
}

std::string LeafWorld::CheckPaid(const Leaf& leaf, const ItemSeen& item, const Asked& asked) const {
  const auto own = signed_.find(*leaf.tx_hash);
  const bool by_own = own != signed_.end() && own->second.first == *leaf.payout;
  const auto told = asked.receipts.find(Text(*leaf.tx_hash));
  if (told == asked.receipts.end()) return "I4: a payment by a transaction that nobody reported";
  const auto known = item.ticket ? book_->tickets.find(*item.ticket) : book_->tickets.end();
  for (const ToldReceipt& receipt : told->second) {
    if (!receipt.succeeded) continue;
    const bool whole = by_own && Signed(*leaf.amount) == item.amount;
    if (!item.ticket.has_value() ? whole : receipt.status_only && whole) return {};
    if (known == book_->tickets.end()) continue;
    for (const Redemption& redemption : receipt.redemptions) {
      if (redemption.Redeems(known->second) && redemption.paid == ToU256(*leaf.amount)) return {};
    }
  }
  return "I3: a payment that no receipt shows";
}

std::string LeafWorld::Pay(const Leaf& leaf, const Asked& asked) {
  std::string wrong;
  ItemSeen* item = FindItem(leaf, &wrong);
  if (!wrong.empty()) return wrong;
  if (item->fate.last().state != ItemFate::State::kOpen) return "I4: an item is settled again";
  if (leaf.ticket_hash != item->ticket) return "I3: a payment of another ticket";
  if (!leaf.hosts_word) return "I9: what is the host's word does not say so";
  if (wrong = CheckPaid(leaf, *item, asked); !wrong.empty()) return wrong;
  const Amount paid = Signed(*leaf.amount);
  Funds change;
  change.available = item->amount - paid;
  change.reserved = -item->amount;
  change.paid = paid;
  if (wrong = Move(leaf, change); !wrong.empty()) return wrong;
  item->fate.Set(size(), {ItemFate::State::kPaid, paid, *leaf.tx_hash});
  return {};
}

std::string LeafWorld::Void(const Leaf& leaf, const Asked& asked) {
  std::string wrong;
  ItemSeen* item = FindItem(leaf, &wrong);
  if (!wrong.empty()) return wrong;
  if (item->fate.last().state != ItemFate::State::kOpen) return "I3: an item is void that is paid";
  const policy::Policy& policy = policies_.last();
  if (!policy.void_on_host_word) return "I3: a ticket is void on the host's word alone";
  if (!item->ticket.has_value()) return "I3: what is no ticket is void";
  const auto known = book_->tickets.find(*item->ticket);
  const auto told = asked.voids.find(*leaf.payout);
  bool explained = false;
  if (told != asked.voids.end()) {
    for (const AskedVoid& one : told->second) {
      const bool named = one.items.empty() || std::find(one.items.begin(), one.items.end(),
                                                        *leaf.item) != one.items.end();
      const bool expired =
          known == book_->tickets.end() ||
          U256(one.round) >= known->second.creation_round + policy.ticket_validity_rounds;
      explained |= named && expired;
    }
  }
  if (!explained) return "I3: a ticket is void that has not expired, or that nobody called void";
  Funds change;
  change.available = item->amount;
  change.reserved = -item->amount;
  if (wrong = Move(leaf, change); !wrong.empty()) return wrong;
  item->fate.Set(size(), {ItemFate::State::kVoid, 0, Hash{}});
  return {};
}

std::string LeafWorld::Revert(const Leaf& leaf, const Asked& asked) {
  if (!asked.reorgs.contains(Text(*leaf.tx_hash))) return "I4: a reorg that nobody reported";
  if (!leaf.item.has_value()) {
    const auto found = signed_.find(*leaf.tx_hash);
    if (found != signed_.end() && found->second.first == *leaf.payout) return {};
    return "I4: a reorg of a transaction that was not signed";
  }
  std::string wrong;
  ItemSeen* item = FindItem(leaf, &wrong);
  if (!wrong.empty()) return wrong;
  const ItemFate& fate = item->fate.last();
  if (fate.state != ItemFate::State::kPaid || fate.paid_by != *leaf.tx_hash) {
    return "I4: a reorg takes back what that transaction did not pay";
  }
  if (Signed(*leaf.amount) != fate.paid) return "I2: a reorg takes back another amount";
  Funds change;
  change.available = -(item->amount - fate.paid);
  change.reserved = item->amount;
  change.paid = -fate.paid;
  if (wrong = Move(leaf, change); !wrong.empty()) return wrong;
  item->fate.Set(size(), ItemFate{});
  return {};
}

}  // namespace coffer::sim::wire
