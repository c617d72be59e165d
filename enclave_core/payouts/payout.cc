#include "enclave_core/payouts/payout.h"

#include <algorithm>

namespace coffer::payouts {

using boundary::v1::PayoutState;

bool IsMove(Strategy strategy) {
  return strategy == boundary::v1::STRATEGY_UNLOCK || strategy == boundary::v1::STRATEGY_WITHDRAW ||
         strategy == boundary::v1::STRATEGY_SWEEP;
}

namespace {

bool Succeeded(const Attempt& attempt) {
  return attempt.mined.has_value() && attempt.mined->succeeded;
}

}  // namespace

bool Payout::IsFunding() const {
  return strategy == boundary::v1::STRATEGY_FUND_DEPOSIT ||
         strategy == boundary::v1::STRATEGY_FUND_RESERVE || IsMove(strategy);
}

bool Payout::AllItemsResolved() const {
  if (IsFunding()) {
    return std::any_of(attempts.begin(), attempts.end(),
                       [](const Attempt& a) { return a.mined.has_value(); });
  }
  return std::none_of(items.begin(), items.end(),
                      [](const Item& i) { return i.state == Item::State::kOpen; });
}

bool Payout::UnderWay() const { return pending.has_value() || OnItsWay(); }

bool Payout::OnItsWay() const {
  return std::any_of(attempts.begin(), attempts.end(), [this](const Attempt& a) {
    return std::none_of(attempts.begin(), attempts.end(), [&a](const Attempt& b) {
      return b.nonce == a.nonce && b.mined.has_value();
    });
  });
}

bool Payout::Final() const { return AllItemsResolved() && !UnderWay(); }

PayoutState Payout::State() const {
  if (!AllItemsResolved()) {
    return OnItsWay() ? boundary::v1::PAYOUT_STATE_SIGNED : boundary::v1::PAYOUT_STATE_RESERVED;
  }
  if (IsFunding()) {
    return std::any_of(attempts.begin(), attempts.end(), Succeeded)
               ? boundary::v1::PAYOUT_STATE_SETTLED
               : boundary::v1::PAYOUT_STATE_VOIDED;
  }
  const Wei paid = Paid();
  if (paid == Total()) return boundary::v1::PAYOUT_STATE_SETTLED;
  const bool all_void = std::all_of(items.begin(), items.end(),
                                    [](const Item& i) { return i.state == Item::State::kVoid; });
  return all_void ? boundary::v1::PAYOUT_STATE_VOIDED : boundary::v1::PAYOUT_STATE_PARTLY_SETTLED;
}

Wei Payout::Total() const {
  Wei total = funding;
  for (const Item& item : items) total += item.amount;
  return total;
}

Wei Payout::Paid() const {
  if (IsFunding()) {
    return std::any_of(attempts.begin(), attempts.end(), Succeeded) ? funding : Wei(0);
  }
  Wei paid = 0;
  for (const Item& item : items) paid += item.paid;
  return paid;
}

const Attempt* Payout::FindAttempt(const ethereum::Hash& tx_hash) const {
  const auto found = std::find_if(attempts.begin(), attempts.end(),
                                  [&](const Attempt& a) { return a.tx_hash == tx_hash; });
  return found == attempts.end() ? nullptr : &*found;
}

}  // namespace coffer::payouts
