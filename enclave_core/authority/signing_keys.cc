// One signing key after another. The first is the genesis's. While a key drains, what it began is
// brought to its end under it and everything new comes from the one after it; its own funds follow
// once nothing of it is open.
#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"

namespace coffer::authority {
namespace {

using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ERROR_WRONG_STATE;
using ledger::Wei;

std::string Name(const ethereum::Address& address) {
  return absl::StrCat("the signing key of ", ethereum::ToChecksum(address));
}

}  // namespace

absl::Status Authority::CheckNextSigningKey() const {
  if (const payouts::SigningKey* draining = payouts_.draining()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat(Name(draining->address),
                               " is draining; retire it before the next one comes "
                               "(retire_signing_key)"));
  }
  return absl::OkStatus();
}

absl::Status Authority::AddSigningKey(const ethereum::Address& address, std::string_view log_seed,
                                      std::string_view audit_secret, Batch* out) {
  if (absl::Status s = CheckNextSigningKey(); !s.ok()) return s;
  // An address that had its time would go on with nonces that are used.
  for (const payouts::SigningKey& key : payouts_.keys()) {
    if (key.address != address) continue;
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat(Name(address), " has signed for this state before"));
  }
  // Beforehand, so that the event can be applied once it is made.
  if (absl::Status s = KeepLogSecrets(log_seed, audit_secret); !s.ok()) {
    return Refuse(boundary::v1::ERROR_OVERLOADED, s.message());
  }
  sealed::v1::StateEvent* event = out->add_events();
  sealed::v1::SigningKeyAdded* added = event->mutable_signing_key_added();
  added->set_epoch(CurrentKey() + 1);
  added->set_address(std::string(address.view()));
  added->set_log_seed(std::string(log_seed));
  added->set_audit_secret(std::string(audit_secret));
  Emit(event);
  return absl::OkStatus();
}

absl::Status Authority::RetireSigningKey(const ethereum::Address& address, Batch* out) {
  const payouts::SigningKey* draining = payouts_.draining();
  if (draining == nullptr || draining->address != address) {
    return Refuse(ERROR_WRONG_STATE, absl::StrCat(Name(address), " is not draining"));
  }
  if (draining->open != 0) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat(draining->open, " payouts of ", Name(address),
                               " are open; it is retired when all have come to their end"));
  }
  sealed::v1::StateEvent* event = out->add_events();
  event->mutable_signing_key_retired()->set_epoch(CurrentKey() - 1);
  Emit(event);
  return absl::OkStatus();
}

absl::Status Authority::CheckKeySigns(const payouts::Payout& payout) const {
  const payouts::SigningKey& key = payouts_.keys()[payout.key];
  if (!key.retired) return absl::OkStatus();
  return Refuse(ERROR_WRONG_STATE,
                absl::StrCat(Name(key.address), ", which signs payout ", payout.id,
                             ", is retired: only the transactions that it signed can still pay"));
}

absl::StatusOr<uint32_t> Authority::CheckFunding(
    const boundary::v1::PrepareFunding& request) const {
  if (request.strategy() != boundary::v1::STRATEGY_FUND_DEPOSIT &&
      request.strategy() != boundary::v1::STRATEGY_FUND_RESERVE) {
    return Refuse(ERROR_MALFORMED,
                  "strategy of a funding must be FUND_DEPOSIT or FUND_RESERVE, or of a draining "
                  "signing key UNLOCK, WITHDRAW or SWEEP");
  }
  const Wei amount = ledger::FromProto(request.amount());
  if (amount == 0) return Refuse(boundary::v1::ERROR_OUT_OF_RANGE, "a funding of 0 wei");
  if (absl::Status s = policy_.CheckFunding(request.strategy(), amount); !s.ok()) return s;
  return CurrentKey();
}

// A ticket of it that is open would pay less, or nothing, once the deposit is gone; and a move that
// is under way has the funds that the next one counts on.
absl::StatusOr<uint32_t> Authority::CheckMove(const boundary::v1::PrepareFunding& request) const {
  const payouts::SigningKey* draining = payouts_.draining();
  if (draining == nullptr) {
    return Refuse(ERROR_WRONG_STATE,
                  "no signing key is draining: the funds of the one that signs stay with it");
  }
  if (draining->open != 0) {
    return Refuse(ERROR_WRONG_STATE, absl::StrCat(draining->open, " payouts of ",
                                                  Name(draining->address), " are open"));
  }
  const bool sweep = request.strategy() == boundary::v1::STRATEGY_SWEEP;
  if (sweep == (ledger::FromProto(request.amount()) == 0)) {
    return Refuse(boundary::v1::ERROR_OUT_OF_RANGE,
                  sweep ? "a sweep of 0 wei" : "UNLOCK and WITHDRAW have no amount");
  }
  return CurrentKey() - 1;
}

}  // namespace coffer::authority
