#include "enclave_core/payouts/payouts.h"

#include <algorithm>

#include "invariant/check.h"

namespace coffer::payouts {

const Payout* Payouts::Find(uint64_t id) const {
  return id == 0 || id > payouts_.size() ? nullptr : &payouts_[id - 1];
}

std::optional<uint64_t> Payouts::FindTransaction(const ethereum::Hash& tx_hash) const {
  const auto found = by_tx_.find(tx_hash);
  if (found == by_tx_.end()) return std::nullopt;
  return found->second;
}

std::optional<ItemRef> Payouts::FindTicket(uint64_t sender_nonce) const {
  const auto found = by_sender_nonce_.find(sender_nonce);
  if (found == by_sender_nonce_.end()) return std::nullopt;
  return found->second;
}

const std::vector<ItemRef>& Payouts::PaidBy(const ethereum::Hash& tx_hash) const {
  static const std::vector<ItemRef> kNone;
  const auto found = paid_by_.find(tx_hash);
  return found == paid_by_.end() ? kNone : found->second;
}

Payout& Payouts::At(uint64_t id) {
  COFFER_CHECK(id > 0 && id <= payouts_.size(), "payout id out of range");
  Payout& payout = payouts_[id - 1];
  moment_.Note(id - 1, payout);
  return payout;
}

uint64_t Payouts::BytesOf(const Payout& payout) {
  uint64_t bytes = 256 + 320 * payout.items.size();
  for (const Attempt& attempt : payout.attempts) bytes += 256 + attempt.raw_tx.size();
  return bytes;
}

Item& Payouts::At(const ItemRef& ref) {
  Payout& payout = At(ref.payout_id);
  COFFER_CHECK(ref.item < payout.items.size(), "payout item out of range");
  return payout.items[ref.item];
}

SigningKey& Payouts::KeyOf(const Payout& payout) {
  COFFER_CHECK(payout.key < keys_.size(), "a payout of no signing key");
  return keys_[payout.key];
}

const SigningKey* Payouts::draining() const {
  if (keys_.size() < 2) return nullptr;
  const SigningKey& before = keys_[keys_.size() - 2];
  return before.retired ? nullptr : &before;
}

void Payouts::AddKey(const ethereum::Address& address) {
  COFFER_CHECK(draining() == nullptr, "one signing key drains at a time");
  for (const SigningKey& key : keys_) {
    COFFER_CHECK(key.address != address, "I3: a signing key came a second time");
  }
  keys_.push_back({address, std::nullopt});
}

void Payouts::RetireKey(uint32_t epoch) {
  COFFER_CHECK(epoch + 1 < keys_.size() && !keys_[epoch].retired && keys_[epoch].open == 0,
               "a signing key is retired once, when another signs and none of its payouts is open");
  keys_[epoch].retired = true;
}

void Payouts::UseNonce(const Payout& payout, uint64_t nonce) {
  SigningKey& key = KeyOf(payout);
  COFFER_CHECK(!key.retired, "a retired signing key was asked to sign");
  COFFER_CHECK(!key.next_nonce.has_value() || nonce == *key.next_nonce,
               "nonces are assigned in sequence");
  key.next_nonce = nonce + 1;
}

void Payouts::Refresh(const Payout& payout) {
  if (payout.Final()) {
    KeyOf(payout).open -= open_.erase(payout.id);
  } else if (open_.insert(payout.id).second) {
    ++KeyOf(payout).open;
  }
}

void Payouts::Index(const Payout& payout) {
  for (uint32_t i = 0; i < payout.items.size(); ++i) {
    const Item& item = payout.items[i];
    if (payout.IsTickets()) {
      const bool fresh = by_sender_nonce_.emplace(item.sender_nonce, ItemRef{payout.id, i}).second;
      COFFER_CHECK(fresh, "I3: a senderNonce was used twice");
      if (item.state == Item::State::kOpen) KeyOf(payout).outstanding_tickets += item.amount;
    }
    if (item.state == Item::State::kPaid) paid_by_[item.paid_by].push_back({payout.id, i});
  }
  for (const Attempt& attempt : payout.attempts) by_tx_.emplace(attempt.tx_hash, payout.id);
  Refresh(payout);
}

void Payouts::Reserve(Payout payout) {
  COFFER_CHECK(payout.pending.has_value() && payout.attempts.empty(),
               "a new payout waits for its signature");
  UseNonce(payout, payout.pending->nonce);
  for (const Item& item : payout.items) {
    if (!payout.IsTickets()) break;
    COFFER_CHECK(item.sender_nonce == next_sender_nonce_, "senderNonces are assigned in sequence");
    ++next_sender_nonce_;
  }
  Restore(std::move(payout));
}

void Payouts::Restore(Payout payout) {
  COFFER_CHECK(payout.id == next_id(), "payout ids are assigned in sequence");
  payouts_.push_back(std::move(payout));
  bytes_ += BytesOf(payouts_.back());
  Index(payouts_.back());
}

void Payouts::RestoreKey(const SigningKey& key) {
  keys_.push_back({key.address, key.next_nonce, 0, 0, key.retired});
}

void Payouts::RestoreNonce(std::optional<uint64_t> next_nonce) {
  COFFER_CHECK(keys_.size() == 1, "a nonce of several signing keys");
  keys_[0].next_nonce = next_nonce;
}

void Payouts::RestoreSenderNonce(uint64_t next_sender_nonce) {
  next_sender_nonce_ = next_sender_nonce;
}

void Payouts::AskSignature(uint64_t id, const PendingSignature& pending) {
  Payout& payout = At(id);
  COFFER_CHECK(!payout.pending.has_value(), "one signature at a time");
  const bool same_nonce = std::any_of(payout.attempts.begin(), payout.attempts.end(),
                                      [&](const Attempt& a) { return a.nonce == pending.nonce; });
  if (!same_nonce) UseNonce(payout, pending.nonce);
  COFFER_CHECK(!KeyOf(payout).retired, "a retired signing key was asked to sign");
  payout.pending = pending;
  Refresh(payout);
}

void Payouts::AddAttempt(uint64_t id, Attempt attempt, std::vector<TicketSecrets> tickets) {
  Payout& payout = At(id);
  COFFER_CHECK(payout.pending.has_value() && payout.pending->nonce == attempt.nonce,
               "a signature that nobody asked for");
  if (!tickets.empty()) {
    COFFER_CHECK(tickets.size() == payout.items.size(), "one ticket for each item");
    for (size_t i = 0; i < tickets.size(); ++i) {
      COFFER_CHECK(!payout.items[i].ticket.has_value(), "I3: a ticket was replaced");
      payout.items[i].ticket = std::move(tickets[i]);
    }
  }
  payout.pending.reset();
  by_tx_.emplace(attempt.tx_hash, id);
  bytes_ -= BytesOf(payout);
  payout.attempts.push_back(std::move(attempt));
  bytes_ += BytesOf(payout);
  Refresh(payout);
}

void Payouts::MarkMined(uint64_t id, const ethereum::Hash& tx_hash, const Mined& mined) {
  Payout& payout = At(id);
  for (Attempt& attempt : payout.attempts) {
    if (attempt.tx_hash == tx_hash) attempt.mined = mined;
  }
  Refresh(payout);
}

void Payouts::MarkUnmined(uint64_t id, const ethereum::Hash& tx_hash) {
  Payout& payout = At(id);
  for (Attempt& attempt : payout.attempts) {
    if (attempt.tx_hash == tx_hash) attempt.mined.reset();
  }
  Refresh(payout);
}

void Payouts::MarkPaid(const ItemRef& ref, Wei paid, const ethereum::Hash& tx_hash) {
  Item& item = At(ref);
  COFFER_CHECK(item.state == Item::State::kOpen, "I3: an item was paid twice");
  item.state = Item::State::kPaid;
  item.paid = paid;
  item.paid_by = tx_hash;
  paid_by_[tx_hash].push_back(ref);
  Payout& payout = At(ref.payout_id);
  if (payout.IsTickets()) KeyOf(payout).outstanding_tickets -= item.amount;
  Refresh(payout);
}

void Payouts::MarkVoid(const ItemRef& ref) {
  Item& item = At(ref);
  COFFER_CHECK(item.state == Item::State::kOpen, "I3: an item that was paid cannot be void");
  item.state = Item::State::kVoid;
  Payout& payout = At(ref.payout_id);
  if (payout.IsTickets()) KeyOf(payout).outstanding_tickets -= item.amount;
  Refresh(payout);
}

void Payouts::ReopenPaidBy(const ethereum::Hash& tx_hash) {
  const auto found = paid_by_.find(tx_hash);
  if (found == paid_by_.end()) return;
  for (const ItemRef& ref : found->second) {
    Item& item = At(ref);
    item.state = Item::State::kOpen;
    item.paid = 0;
    item.paid_by = {};
    Payout& payout = At(ref.payout_id);
    if (payout.IsTickets()) KeyOf(payout).outstanding_tickets += item.amount;
    Refresh(payout);
  }
  paid_by_.erase(found);
}

}  // namespace coffer::payouts
