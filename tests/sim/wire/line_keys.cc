// The signing keys of a line of records: which one a payout is signed by, when one may follow
// another, and what a key does at its end.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/sim/wire/leaf_world.h"

namespace coffer::sim::wire {
namespace {

using Kind = SignedTransaction::Kind;

std::string Named(const KeySeen& key) { return absl::StrCat("the key of ", key.address.ToHex()); }

// What only a draining key signs. A plain transfer is one where nobody is to be paid.
bool Moves(const SignedTransaction& tx, const PayoutSeen& payout) {
  return payout.funding.has_value() &&
         (tx.kind == Kind::kUnlock || tx.kind == Kind::kWithdraw || tx.kind == Kind::kTransfer);
}

}  // namespace

std::vector<Address> LeafWorld::addresses() const {
  std::vector<Address> out;
  for (const KeySeen& key : keys_) out.push_back(key.address);
  return out;
}

uint32_t LeafWorld::CurrentAt(uint64_t leaves) const {
  size_t key = keys_.size() - 1;
  while (key > 0 && keys_[key].leaves > leaves) --key;
  return static_cast<uint32_t>(key);
}

std::optional<uint32_t> LeafWorld::DrainingAt(uint64_t leaves) const {
  const uint32_t current = CurrentAt(leaves);
  if (current == 0) return std::nullopt;
  const std::optional<uint64_t>& retired = keys_[current - 1].retired;
  if (retired.has_value() && *retired <= leaves) return std::nullopt;
  return current - 1;
}

std::optional<uint32_t> LeafWorld::KeyOf(const PayoutSeen& payout) const {
  const uint32_t current = CurrentAt(payout.leaves);
  const std::optional<uint32_t> draining = DrainingAt(payout.leaves);
  if (!payout.funding.has_value() || !draining.has_value()) return current;
  for (const Moment<Hash>& moment : payout.transactions) {
    const auto known = book_->transactions.find(moment.value);
    if (known != book_->transactions.end()) {
      return Moves(known->second, payout) ? *draining : current;
    }
  }
  return std::nullopt;
}

bool LeafWorld::IsOpen(const PayoutSeen& payout, uint64_t leaves) const {
  for (const ItemSeen& item : payout.items) {
    const ItemFate* fate = item.fate.At(leaves);
    if (fate == nullptr || fate->state == ItemFate::State::kOpen) return true;
  }
  bool any = false, unseen = false;
  std::map<U256, bool> by_nonce;  // whether one of its transactions was reported as mined
  for (const Moment<Hash>& moment : payout.transactions) {
    if (moment.leaves > leaves) break;
    const bool mined = told_->Mined(std::string(moment.value.view()));
    any |= mined;
    const auto known = book_->transactions.find(moment.value);
    if (known == book_->transactions.end()) {
      unseen = true;  // it may be under any nonce
    } else {
      by_nonce[known->second.nonce] |= mined;
    }
  }
  const bool all =
      std::all_of(by_nonce.begin(), by_nonce.end(), [](const auto& nonce) { return nonce.second; });
  return !any || (!all && !unseen);
}

uint64_t LeafWorld::OpenOf(uint32_t key, uint64_t leaves, uint64_t but) const {
  for (const PayoutSeen& payout : payouts_) {
    if (payout.leaves > leaves) break;
    if (payout.id != but && KeyOf(payout) == key && IsOpen(payout, leaves)) return payout.id;
  }
  return 0;
}

std::string LeafWorld::CheckHeld(const Asked& asked) const {
  if (asked.holds.empty() && asked.provisions) return {};
  const std::vector<Address> held =
      asked.holds.empty() ? std::vector<Address>{signer_} : asked.holds;
  for (const KeySeen& key : keys_) {
    const bool has = std::find(held.begin(), held.end(), key.address) != held.end();
    if (has || key.retired.has_value()) continue;
    return absl::StrCat("I10: a state is loaded by an enclave without ", Named(key),
                        ", which signs for it");
  }
  return {};
}

std::string LeafWorld::AddKey(const audit::Leaf& leaf, const Asked& asked) {
  const Address& address = *leaf.recipient;
  if (const auto draining = DrainingAt(size()); draining.has_value()) {
    return absl::StrCat("I10: a signing key is added while ", Named(keys_[*draining]), " drains");
  }
  if (std::any_of(keys_.begin(), keys_.end(),
                  [&](const KeySeen& key) { return key.address == address; })) {
    return "I3: a signing key comes a second time";
  }
  const auto made = book_->made.find(address);
  if (made == book_->made.end()) return "I8: a signing key is added that no enclave had made";
  // docs/kms.md: for which key's enclave KMS made it.
  const auto& context = made->second.encryption_context();
  const auto after = context.find("coffer:after");
  if (after == context.end() || after->second != keys_.back().address.ToHex()) {
    return "I8: a signing key is added that was made to follow another";
  }
  if (!asked.adoptions.contains(std::string(address.view()))) {
    return "I9: a signing key is added that nobody asked to adopt";
  }
  keys_.push_back({address, size(), std::nullopt, {}});
  return {};
}

std::string LeafWorld::RetireKey(const audit::Leaf& leaf, const Asked& asked) {
  const std::optional<uint32_t> draining = DrainingAt(size());
  if (!draining.has_value() || keys_[*draining].address != *leaf.recipient) {
    return "I10: a signing key is retired that does not drain";
  }
  if (!asked.retirements.contains(std::string(leaf.recipient->view()))) {
    return "I9: a signing key is retired, and nobody asked for that";
  }
  if (const uint64_t open = OpenOf(*draining, size(), 0); open != 0) {
    return absl::StrCat("I3: a signing key is retired while payout ", open, " of it is open");
  }
  keys_[*draining].retired = size();
  return {};
}

std::string LeafWorld::CheckKey(const SignedTransaction& tx, const PayoutSeen& payout,
                                uint64_t signed_leaves) const {
  const std::optional<uint32_t> key = KeyOf(payout);
  if (!key.has_value() || keys_[*key].address != tx.signer) {
    return absl::StrCat("I3: it is signed by ", tx.signer.ToHex(),
                        ", which is not the key that signs this payout");
  }
  const std::optional<uint64_t>& retired = keys_[*key].retired;
  if (retired.has_value() && signed_leaves > *retired) {
    return absl::StrCat("I3: it is signed by ", Named(keys_[*key]), ", which was retired before");
  }
  return {};
}

std::string LeafWorld::CheckMove(const SignedTransaction& tx, const PayoutSeen& payout) const {
  if (!Moves(tx, payout)) return {};
  const std::optional<uint32_t> draining = DrainingAt(payout.leaves);
  if (!draining.has_value()) return "I10: the funds of a key that does not drain are moved";
  if (const uint64_t open = OpenOf(*draining, payout.leaves, payout.id); open != 0) {
    return absl::StrCat("I3: a key's funds are moved while payout ", open, " of it is open");
  }
  const auto amount = static_cast<absl::uint128>(*payout.funding);
  if (tx.kind != Kind::kTransfer) {
    return amount == 0 && tx.value == 0 ? "" : "I10: a withdrawal that sends ether along";
  }
  if (tx.to != keys_[*draining + 1].address) {
    return "I10: a key's ether goes to another address than that of the key after it";
  }
  return amount != 0 && tx.value == ToU256(amount)
             ? ""
             : "I10: another amount is swept than was asked for";
}

}  // namespace coffer::sim::wire
