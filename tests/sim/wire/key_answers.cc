// What answers say of signing keys: which there are, what is open under each, who signs a payout;
// and of the policy that they sign under.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/sim/wire/answers.h"

namespace coffer::sim::wire {
namespace {

using State = boundary::v1::SigningKeyState;
namespace v1 = boundary::v1;

State::Use UseOf(const LeafWorld& world, uint32_t key) {
  if (key + 1 == world.keys().size()) return State::USE_CURRENT;
  return world.keys()[key].retired.has_value() ? State::USE_RETIRED : State::USE_DRAINING;
}

std::string CheckNonce(const KeySeen& key, bool known, uint64_t next) {
  if (key.nonces.empty() || (known && next > key.nonces.rbegin()->first)) return {};
  return "I10: the next nonce is one that was used";
}

// What this key has promised, in tickets that are open: at least those that were signed, at most
// also what was reserved and is not signed yet.
std::string CheckOutstanding(const LeafWorld& world, uint32_t key, const State& state) {
  Amount least = 0, most = 0;
  uint64_t open = 0, all = 0;
  for (const PayoutSeen& payout : world.payouts()) {
    const std::optional<uint32_t> its = world.KeyOf(payout);
    if (its.has_value() && its != key) continue;
    ++all;
    if (its == key && world.IsOpen(payout, world.size())) ++open;
    for (const ItemSeen& item : payout.items) {
      if (item.fate.last().state != ItemFate::State::kOpen) continue;
      if (item.ticket.has_value()) least += item.amount;
      if (item.ticket.has_value() || payout.transactions.empty()) most += item.amount;
    }
  }
  const auto said = static_cast<Amount>(ToWei(state.outstanding()));
  if (said < least || said > most) {
    return "I2: what a key's open tickets promise is not the sum of them";
  }
  if (state.open_payouts() < open || state.open_payouts() > all) {
    return "I3: a status counts other open payouts of a key than its leaves";
  }
  return {};
}

std::string CheckKey(const View& view, uint32_t key, const State& state) {
  const KeySeen& seen = view.world->keys()[key];
  if (state.epoch() != key || state.address() != seen.address.view() ||
      state.use() != UseOf(*view.world, key)) {
    return absl::StrCat("I10: a status has another signing key ", key, ", or another use of it");
  }
  std::string wrong = CheckNonce(seen, state.nonce_known(), state.next_nonce());
  return wrong.empty() ? CheckOutstanding(*view.world, key, state) : wrong;
}

// Of an enclave that was given a key which its state does not know.
std::string CheckWaiting(const View& view, const State& state) {
  const auto address = Address::FromBytes(state.address());
  if (state.use() == State::USE_WAITING && state.epoch() == view.world->keys().size() &&
      address.ok() && view.book->made.contains(*address)) {
    return {};
  }
  return "I10: a status has a signing key that no leaf and no enclave tells of";
}

}  // namespace

std::string CheckKeys(const View& view, const v1::Status& status) {
  const std::vector<KeySeen>& keys = view.world->keys();
  if (keys.empty()) return {};
  if (status.address() != keys.back().address.view()) {
    return "I10: a status has another address than that of the key that signs";
  }
  std::string wrong = CheckNonce(keys.back(), status.nonce_known(), status.next_nonce());
  if (!wrong.empty()) return wrong;
  const auto count = static_cast<size_t>(status.signing_keys_size());
  if (count == 0 && keys.size() == 1) return {};
  if (count != keys.size() && count != keys.size() + 1) {
    return "I10: a status has more or fewer signing keys than its leaves";
  }
  uint64_t open = 0;
  for (uint32_t key = 0; key < keys.size() && wrong.empty(); ++key) {
    const State& state = status.signing_keys(static_cast<int>(key));
    open += state.open_payouts();
    wrong = CheckKey(view, key, state);
  }
  if (!wrong.empty()) return wrong;
  if (open != status.open_payouts()) return "I3: open payouts that are no key's";
  return count == keys.size() ? "" : CheckWaiting(view, *status.signing_keys().rbegin());
}

std::string CheckSender(const View& view, const v1::Payout& payout) {
  const LeafWorld& world = *view.world;
  const PayoutSeen& seen = *world.FindPayout(payout.id());
  const std::optional<uint32_t> draining = world.DrainingAt(seen.leaves);
  if (IsMove(payout.strategy()) && (!seen.funding.has_value() || !draining.has_value())) {
    return "I10: the funds of a key that does not drain are moved";
  }
  const uint32_t key = IsMove(payout.strategy()) ? *draining : world.CurrentAt(seen.leaves);
  if (payout.sender() != world.keys()[key].address.view()) {
    return "I3: a payout is shown with another key than the one that signs it";
  }
  const std::optional<uint32_t> told = world.KeyOf(seen);
  return !told.has_value() || told == key ? "" : "I3: a payout's strategy is not what it signs";
}

std::string CheckAdopted(const View& view, const v1::AdoptSigningKey& request,
                         const v1::Status& answer) {
  const std::vector<KeySeen>& keys = view.world->keys();
  const bool stored = std::any_of(keys.begin(), keys.end(), [&](const KeySeen& key) {
    return key.address.view() == request.address();
  });
  if (!stored) return "I5: a signing key is called adopted before its leaf is stored";
  return answer.address() == request.address() ? "" : "I10: another signing key is adopted";
}

std::string CheckRetired(const View& view, const v1::RetireSigningKey& request,
                         const v1::Status& answer) {
  const std::vector<KeySeen>& keys = view.world->keys();
  const bool stored = std::any_of(keys.begin(), keys.end(), [&](const KeySeen& key) {
    return key.address.view() == request.address() && key.retired.has_value();
  });
  if (!stored) return "I5: a signing key is called retired before its leaf is stored";
  return answer.address() != request.address() ? "" : "I10: a retired signing key signs";
}

std::string CheckPolicy(const View& view, const v1::PolicyState& answer) {
  const absl::StatusOr<policy::Policy> policy = policy::FromProto(answer.policy());
  if (!policy.ok() || policy::PolicyHash(*policy).view() != answer.hash()) {
    return "I10: a policy is shown with another one's hash";
  }
  // The number of a change is how many there were before it, and one.
  const auto& moments = view.world->policies().moments();
  for (size_t changes = moments.size(); changes-- > 0;) {
    if (moments[changes].value == *policy && answer.sequence() == changes) return {};
    if (moments[changes].leaves <= view.from) break;
  }
  return "I10: a policy is shown that no stored leaf explains, or as another change than it was";
}

}  // namespace coffer::sim::wire
