// What has left the enclave beside what its leaves say: transactions and tickets against
// reservations, recipients and the policy (I1, I3, I10), and the policy against its admins.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/sim/wire/leaf_world.h"

namespace coffer::sim::wire {
namespace {

using Kind = SignedTransaction::Kind;

Amount Sum(const Funds& funds) { return funds.credited + funds.up - funds.down; }

U256 Limit(absl::uint128 wei) { return ToU256(wei); }

// Why this policy does not let such gas be bought.
std::string CheckGas(const SignedTransaction& tx, const policy::Policy& policy) {
  if (tx.gas_limit > policy.max_gas_limit) return "more gas than the policy allows";
  if (tx.max_fee > Limit(policy.max_fee_per_gas)) return "a higher fee than the policy allows";
  if (tx.max_priority_fee > Limit(policy.max_priority_fee_per_gas)) {
    return "a higher tip than the policy allows";
  }
  if (tx.max_priority_fee > tx.max_fee) return "a tip above the fee";
  if (tx.max_fee * tx.gas_limit > Limit(policy.max_transaction_cost)) {
    return "a transaction that costs more than the policy allows";
  }
  return {};
}

std::string CheckReceiver(const Address& recipient, const policy::Policy& policy) {
  if (recipient.IsZero()) return "the null address is paid";
  const auto& allowed = policy.allowed_recipients;
  if (allowed.empty() && !policy.require_allowlist) return {};
  if (std::find(allowed.begin(), allowed.end(), recipient) != allowed.end()) return {};
  return absl::StrCat(recipient.ToHex(), " is paid and is not on the allowlist");
}

// Whether some item was open all the time from the payout's last transaction before this one on.
bool StaysOpen(const PayoutSeen& payout, const Hash& tx_hash, uint64_t signed_leaves) {
  uint64_t before = payout.leaves;
  for (const Moment<Hash>& moment : payout.transactions) {
    if (moment.value == tx_hash) break;
    before = moment.leaves;
  }
  return std::any_of(payout.items.begin(), payout.items.end(), [&](const ItemSeen& item) {
    const ItemFate* fate = item.fate.At(signed_leaves);
    return fate != nullptr && fate->state == ItemFate::State::kOpen && fate == item.fate.At(before);
  });
}

}  // namespace

std::string LeafWorld::Release(const Hash& tx_hash) {
  if (released_.contains(tx_hash)) return {};
  const SignedTransaction& tx = book_->transactions.at(tx_hash);
  const auto found = signed_.find(tx_hash);
  if (found == signed_.end()) {
    return absl::StrCat("I9: transaction ", tx_hash.ToHex(), " left before a leaf tells of it");
  }
  released_.insert(tx_hash);
  const PayoutSeen& payout = payouts_[found->second.first - 1];
  const std::string where = absl::StrCat(", in a transaction of payout ", payout.id);
  std::string wrong = CheckLimits(tx, payout, found->second.second);
  if (!wrong.empty()) return absl::StrCat("I10: ", wrong, where);
  wrong = CheckKey(tx, payout, found->second.second);
  if (wrong.empty()) wrong = CheckMove(tx, payout);
  if (!wrong.empty()) return absl::StrCat(wrong, where);
  if (tx.nonce > UINT64_MAX) return absl::StrCat("I10: a nonce that no chain has", where);
  std::map<uint64_t, uint64_t>& nonces = keys_[*KeyOf(payout)].nonces;
  const auto used = nonces.emplace(static_cast<uint64_t>(tx.nonce), payout.id);
  if (used.first->second != payout.id) {
    return absl::StrCat("I3: nonce ", used.first->first, " belongs to payout ", used.first->second,
                        " and comes again", where);
  }
  const bool again = std::any_of(nonces.begin(), nonces.end(), [&](const auto& other) {
    return other.second == payout.id && other.first != used.first->first;
  });
  // A ticket pays once under any nonce, a transfer under each.
  if (again && tx.tickets.empty() && !policies_.Since(payout.leaves, [](const auto& policy) {
        return policy.void_on_host_word;
      })) {
    return absl::StrCat("I3: what is no ticket is signed under a second nonce", where);
  }
  if (wrong = CheckBump(tx, payout); !wrong.empty()) return absl::StrCat(wrong, where);
  wrong = CheckTickets(tx, payout, found->second.second);
  if (!wrong.empty()) return absl::StrCat(wrong, where);
  if (wrong = CheckPromises(tx, payout); !wrong.empty()) return absl::StrCat(wrong, where);
  return {};
}

std::string LeafWorld::CheckLimits(const SignedTransaction& tx, const PayoutSeen& payout,
                                   uint64_t signed_leaves) const {
  // What was reserved counts by the policy of that moment, fees by the one when they were asked
  // for, which is some moment between the reservation and the signature.
  const policy::Policy& policy = *policies_.At(payout.leaves);
  if (tx.chain_id != policy.chain_id) return "another chain than the policy's";
  std::string fees = CheckGas(tx, policy);
  for (const auto& moment : policies_.moments()) {
    if (moment.leaves > payout.leaves && moment.leaves <= signed_leaves && !fees.empty()) {
      fees = CheckGas(tx, moment.value);
    }
  }
  if (!fees.empty()) return fees;
  switch (tx.kind) {
    case Kind::kFundDeposit:
    case Kind::kFundReserve: {
      const bool deposit = tx.kind == Kind::kFundDeposit;
      if (!payout.funding.has_value() ||
          tx.value != ToU256(static_cast<absl::uint128>(*payout.funding))) {
        return "another amount than the one that is to be funded";
      }
      return tx.value > Limit(deposit ? policy.max_fund_deposit : policy.max_fund_reserve)
                 ? "a greater funding than the policy allows"
                 : "";
    }
    case Kind::kUnlock:
    case Kind::kWithdraw:
      return {};  // CheckMove
    case Kind::kTransfer:
      if (payout.funding.has_value()) return {};  // likewise
      if (!policy.allow_eth_transfer) return "a transfer, which the policy does not allow";
      if (tx.value > Limit(policy.max_transfer)) return "a greater transfer than allowed";
      return CheckReceiver(tx.to, policy);
    default:
      break;
  }
  if (!policy.allow_tickets) return "tickets, which the policy does not allow";
  if (tx.value != 0) return "a redemption that sends ether along";
  if (tx.tickets.empty() || tx.tickets.size() > policy.max_tickets) {
    return "more tickets than the policy allows";
  }
  U256 total = 0;
  for (const Ticket& ticket : tx.tickets) {
    total += ticket.face_value;
    if (ticket.face_value > Limit(policy.max_face_value))
      return "a ticket above the policy's limit";
    if (ticket.win_prob != policy.win_prob) return "a ticket with another winProb";
    if (std::string wrong = CheckReceiver(ticket.recipient, policy); !wrong.empty()) return wrong;
  }
  return total > Limit(policy.max_batch_total) ? "a batch above the policy's limit" : "";
}

std::string LeafWorld::CheckBump(const SignedTransaction& tx, const PayoutSeen& payout) const {
  const auto above = [](const U256& fee, const U256& before) { return fee * 8 >= before * 9; };
  for (const Moment<Hash>& moment : payout.transactions) {
    if (moment.value == tx.hash) break;
    const auto before = book_->transactions.find(moment.value);
    if (before == book_->transactions.end() || before->second.nonce != tx.nonce) continue;
    if (!above(tx.max_fee, before->second.max_fee) ||
        !above(tx.max_priority_fee, before->second.max_priority_fee)) {
      return "I10: a nonce is signed for again with fees that are not an eighth higher";
    }
  }
  return {};
}

std::string LeafWorld::CheckTickets(const SignedTransaction& tx, const PayoutSeen& payout,
                                    uint64_t signed_leaves) const {
  if (payout.funding.has_value()) {
    return tx.tickets.empty() ? "" : "I3: a funding that pays somebody";
  }
  if (tx.kind == Kind::kTransfer) {
    const ItemSeen& item = payout.items[0];
    if (payout.items.size() != 1 || item.ticket.has_value()) {
      return "I3: a transfer for what is paid by tickets";
    }
    if (tx.to != accounts_.at(item.account).recipient) {
      return "I1: a transfer to another recipient than the account's";
    }
    return tx.value == ToU256(static_cast<absl::uint128>(item.amount))
               ? ""
               : "I3: a transfer of another amount than is held for it";
  }
  if (tx.tickets.empty()) return "I3: a funding for what is owed to somebody";
  std::set<Hash> twice;
  for (const Ticket& ticket : tx.tickets) {
    const auto item = std::find_if(payout.items.begin(), payout.items.end(),
                                   [&](const ItemSeen& one) { return one.ticket == ticket.hash; });
    if (item == payout.items.end()) return "I3: a ticket that is none of the payout's";
    if (!twice.insert(ticket.hash).second) return "I3: one ticket comes twice";
    // Nothing is void while a signature is under way, so it was when this one was asked for.
    const ItemFate* fate = item->fate.At(signed_leaves);
    if (fate != nullptr && fate->state == ItemFate::State::kVoid &&
        (tx.tickets.size() > 1 || StaysOpen(payout, tx.hash, signed_leaves))) {
      return "I3: a ticket that is void is signed for again, and not because none is open";
    }
    if (ticket.face_value != ToU256(static_cast<absl::uint128>(item->amount))) {
      return "I3: a ticket over another amount than is held for it";
    }
    if (ticket.recipient != accounts_.at(item->account).recipient) {
      return "I1: a ticket for another recipient than the account's";
    }
  }
  return {};
}

// What was ever promised to an account, counted from the tickets and transfers that left, and not
// from what the leaves say is held: an open one counts whole, a paid one what it paid.
std::string LeafWorld::CheckPromises(const SignedTransaction& tx, const PayoutSeen& payout) {
  std::set<std::string> touched;
  for (const Ticket& ticket : tx.tickets) {
    const auto used = sender_nonces_.emplace(ticket.sender_nonce, ticket.hash);
    if (used.first->second != ticket.hash) {
      return absl::StrCat("I3: senderNonce ", ethereum::ToDecimal(ticket.sender_nonce),
                          " is used for two tickets");
    }
    released_tickets_.insert(ticket.hash);
  }
  for (const ItemSeen& item : payout.items) touched.insert(item.account);
  for (const std::string& id : touched) {
    const AccountSeen& account = accounts_.at(id);
    Amount promised = 0;
    for (const auto& [payout_id, index] : account.items) {
      const PayoutSeen& other = payouts_[payout_id - 1];
      const ItemSeen& item = other.items[index];
      const bool left =
          item.ticket.has_value()
              ? released_tickets_.contains(*item.ticket)
              : std::any_of(other.transactions.begin(), other.transactions.end(),
                            [&](const Moment<Hash>& m) { return released_.contains(m.value); });
      if (!left) continue;
      const ItemFate& fate = item.fate.last();
      promised += fate.state == ItemFate::State::kOpen   ? item.amount
                  : fate.state == ItemFate::State::kPaid ? fate.paid
                                                         : Amount(0);
    }
    if (promised > Sum(account.funds.last())) {
      return absl::StrCat("I3: account ", id, " is promised more than it was credited");
    }
  }
  return {};
}

std::string LeafWorld::ChangePolicy(const audit::Leaf& leaf, const Asked& asked) {
  const policy::Policy& current = policies_.last();
  for (const boundary::v1::ChangePolicy& change : asked.policies) {
    const absl::StatusOr<policy::Policy> next = policy::FromProto(change.policy());
    if (!next.ok() || policy::PolicyHash(*next) != *leaf.content_hash) continue;
    if (change.sequence() != policy_changes_ + 1) continue;
    const Hash digest = policy::PolicyChangeDigest(keys_.back().address, change.sequence(), *next);
    std::set<Address> admins;
    for (const std::string& bytes : change.signatures()) {
      const auto signature = ethereum::Signature::FromBytes65(bytes);
      if (!signature.ok()) continue;
      const auto who = ethereum::RecoverAddress(digest, *signature);
      if (who.ok() &&
          std::find(current.admins.begin(), current.admins.end(), *who) != current.admins.end()) {
        admins.insert(*who);
      }
    }
    if (admins.empty() || admins.size() < current.admin_threshold) continue;
    if (next->chain_id != current.chain_id || next->broker != current.broker) continue;
    ++policy_changes_;
    policies_.Set(size(), *next);
    rates_.Forget();
    return {};
  }
  return "I10: the policy changes without its admins";
}

}  // namespace coffer::sim::wire
