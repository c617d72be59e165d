// What counts in the velocity limits (I10). A signature is counted when it is reserved, in the same
// event, so that neither a crash nor a replay can count it another time or not at all.
#include <algorithm>
#include <string>

#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"

namespace coffer::authority {
namespace {

void AppendBigEndian(uint64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

// A payout's tickets are not hashed yet when they are reserved. The item is what stays the same
// when it is signed again under another nonce or with higher fees.
ethereum::Hash ItemKey(uint64_t payout_id, uint64_t item) {
  std::string bytes = "payout item";
  AppendBigEndian(payout_id, &bytes);
  AppendBigEndian(item, &bytes);
  return ethereum::Keccak256(bytes);
}

}  // namespace

void Authority::SetTime(uint64_t unix_seconds, uint64_t milliseconds) {
  clock_ = std::max(clock_, unix_seconds);
  log_.SetClaimedTime(unix_seconds * 1000 + milliseconds);
}

uint64_t Authority::Now() const { return std::max({clock_, last_time_, uint64_t{1}}); }

absl::Status Authority::CheckVelocity(const Spends& spends) const {
  if (policy_.velocity_window == 0) return absl::OkStatus();
  return velocity_.Check(policy_, Now(), spends);
}

void Authority::CountVelocity(uint64_t time, const Spends& spends) {
  if (time == 0) return;
  last_time_ = std::max(last_time_, time);
  velocity_.Add(policy_, time, spends);
}

Authority::Spends Authority::SpendsOf(const sealed::v1::PayoutReserved& reserved) const {
  Spends spends;
  for (int i = 0; i < reserved.items_size(); ++i) {
    const sealed::v1::ReservedItem& item = reserved.items(i);
    spends.push_back({ledger_.at(item.account()).recipient, ledger::FromProto(item.amount()),
                      ItemKey(reserved.id(), static_cast<uint64_t>(i))});
  }
  return spends;
}

Authority::Spends Authority::SpendsOf(const payouts::Payout& payout) const {
  Spends spends;
  for (size_t i = 0; i < payout.items.size(); ++i) {
    const payouts::Item& item = payout.items[i];
    if (item.state != payouts::Item::State::kOpen) continue;
    spends.push_back({ledger_.at(item.account).recipient, item.amount, ItemKey(payout.id, i)});
  }
  return spends;
}

absl::Status Authority::Count(const Spends& spends, Batch* out) {
  if (absl::Status s = CheckVelocity(spends); !s.ok()) return s;
  const uint64_t time = TimeToSeal();
  if (time == 0) return absl::OkStatus();
  sealed::v1::StateEvent* event = out->add_events();
  sealed::v1::SignatureGiven* given = event->mutable_signature_given();
  given->set_time(time);
  for (const policy::Spend& spend : spends) ToProto(spend, given->add_spends());
  Emit(event);
  return absl::OkStatus();
}

void Authority::Fold(const sealed::v1::SignatureGiven& event) {
  Spends spends;
  for (const sealed::v1::Spend& spend : event.spends()) spends.push_back(SealedSpend(spend));
  CountVelocity(event.time(), spends);
}

}  // namespace coffer::authority
