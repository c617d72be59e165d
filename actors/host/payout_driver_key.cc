// The driver's turn, where it is about one signing key among several: which one, whose payouts, and
// what a draining key does at its end.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/payout_driver.h"
#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::Payout;
using boundary::v1::ServerFrame;
using boundary::v1::SigningKeyState;
using runtime::Level;
using runtime::Log;

namespace {

constexpr const char* kSweeping = "sending a draining key's balance to the key that follows it";

}  // namespace

void PayoutDriver::Wake() {
  if (!started_ || turn_ != nullptr || timer_ != nullptr) return;
  need_list_ = true;
  Kick();
}

// From here on turn_->enclave says of address and nonces what holds for this driver's key. False:
// the enclave does not know it as one that goes.
bool PayoutDriver::TakeKey() {
  boundary::v1::Status& enclave = turn_->enclave;
  if (on_keys_) on_keys_(enclave);
  turn_->successor = enclave.address();
  if (options_.key.empty()) {
    TakeCurrentKey();
    return true;
  }
  status_.use = SigningKeyState::USE_UNSPECIFIED;
  for (const SigningKeyState& key : enclave.signing_keys()) {
    const bool goes =
        key.use() == SigningKeyState::USE_DRAINING || key.use() == SigningKeyState::USE_RETIRED;
    if (key.address() != options_.key || !goes) continue;
    status_.use = key.use();
    enclave.set_nonce_known(key.nonce_known());
    enclave.set_next_nonce(key.next_nonce());
    enclave.set_open_payouts(key.open_payouts());
  }
  enclave.set_address(options_.key);
  if (status_.use != SigningKeyState::USE_DRAINING) status_.drain.clear();
  if (status_.use == SigningKeyState::USE_UNSPECIFIED) {
    // Whose state it is now, this driver cannot know: it leaves everything alone.
    records_.clear();
    watched_.clear();
    need_list_ = true;
    enclave.set_open_payouts(0);
    return false;
  }
  if (status_.use == SigningKeyState::USE_RETIRED && std::exchange(retire_asked_, false)) {
    Log(Level::kInfo, "payouts", "a signing key is retired",
        {{"key", ethereum::ToHex(options_.key)}});
    if (on_retired_) on_retired_(options_.key);
  }
  return true;
}

void PayoutDriver::TakeCurrentKey() {
  const std::string& address = turn_->enclave.address();
  status_.use = turn_->enclave.signing_keys().empty() ? SigningKeyState::USE_UNSPECIFIED
                                                      : SigningKeyState::USE_CURRENT;
  if (address == status_.address) return;
  if (!status_.address.empty()) {
    Log(Level::kInfo, "payouts", "another signing key is the current one",
        {{"key", ethereum::ToHex(address)}});
  }
  // What was known of the one before is its own driver's now. Its receipts stay watched here too:
  // an enclave that is told of a reorg twice takes it once.
  status_.address = address;
  records_.clear();
  need_list_ = true;
  last_nonce_ = 0;
  last_chain_ = absl::InfinitePast();
  gas_refusal_.clear();
  run_halts_.clear();
  blocked_room_.reset();
  plan_now_ = true;
}

// An enclave from before there were several keys names no sender.
bool PayoutDriver::Mine(const Payout& payout) const {
  if (payout.sender().empty()) return options_.key.empty();
  return payout.sender() == turn_->enclave.address();
}

// The receipts of keys that are retired are looked after by the current key's driver: what a reorg
// opens again wakes a driver for that key (payout_drivers.h).
bool PayoutDriver::Watches(const Payout& payout) const {
  if (Mine(payout)) return true;
  const auto& keys = turn_->enclave.signing_keys();
  return options_.key.empty() &&
         std::any_of(keys.begin(), keys.end(), [&](const SigningKeyState& key) {
           return key.use() == SigningKeyState::USE_RETIRED && key.address() == payout.sender();
         });
}

bool PayoutDriver::Asleep() const {
  return !options_.key.empty() && turn_->enclave.phase() == boundary::v1::PHASE_READY &&
         status_.use != SigningKeyState::USE_DRAINING && turn_->enclave.open_payouts() == 0 &&
         records_.empty() && watched_.empty();
}

// No payout is open, and no reorg that is reckoned with opens one again.
bool PayoutDriver::AtItsEnd() const {
  const boundary::v1::Status& enclave = turn_->enclave;
  return seeded_ && records_.empty() && enclave.open_payouts() == 0 && watched_.empty() &&
         (!enclave.nonce_known() || turn_->chain->nonce == enclave.next_nonce());
}

void PayoutDriver::DrainKey() {
  if (status_.use != SigningKeyState::USE_DRAINING) return;
  if (!AtItsEnd()) {
    drain_.Disturbed();
    status_.drain = "brings its payouts to their end";
    return;
  }
  if (Halted() || !turn_->fees.has_value()) return;
  const auto from = ethereum::Address::FromBytes(turn_->enclave.address());
  const auto to = ethereum::Address::FromBytes(turn_->successor);
  if (!from.ok() || !to.ok()) return;
  CallRequest call;
  call.from = *from;
  call.to = *to;
  Estimate(call, kSweeping, [this](uint64_t gas_limit) { Drain(gas_limit); });
}

void PayoutDriver::Drain(uint64_t transfer_gas) {
  const ChainState& chain = *turn_->chain;
  const absl::Time now = dispatcher_->Now();
  const KeyDrain::Step step = drain_.Next(chain, *turn_->fees, transfer_gas, now);
  status_.drain = KeyDrain::Words(step, chain);
  switch (step) {
    case KeyDrain::Step::kUnlock:
    case KeyDrain::Step::kWithdraw:
      CallBroker(step);
      return;
    case KeyDrain::Step::kSweep:
      if (PrepareFunding(boundary::v1::STRATEGY_SWEEP,
                         KeyDrain::SweepAmount(chain, *turn_->fees, transfer_gas), transfer_gas,
                         kSweeping)) {
        drain_.Asked(step, now);
      }
      return;
    case KeyDrain::Step::kRetire:
      drain_.Asked(step, now);
      RetireKey();
      return;
    case KeyDrain::Step::kKeep:
    case KeyDrain::Step::kBackOff:
      Note(absl::StrCat("the draining key ", ethereum::ToHex(options_.key), " ", status_.drain));
      return;
    case KeyDrain::Step::kAwaitRound:
    case KeyDrain::Step::kMakeSure:
      return;
  }
}

void PayoutDriver::CallBroker(KeyDrain::Step step) {
  const auto from = ethereum::Address::FromBytes(turn_->enclave.address());
  const auto to = ethereum::Address::FromBytes(turn_->enclave.broker());
  if (!from.ok() || !to.ok()) return;
  const bool unlock = step == KeyDrain::Step::kUnlock;
  CallRequest call;
  call.from = *from;
  call.to = *to;
  call.data = ethereum::abi::Selector(unlock ? "unlock()" : "withdraw()");
  const char* const what =
      unlock ? "unlocking a draining key's deposit" : "withdrawing a draining key's deposit";
  Estimate(call, what, [this, step, unlock, what](uint64_t gas_limit) {
    const auto strategy = unlock ? boundary::v1::STRATEGY_UNLOCK : boundary::v1::STRATEGY_WITHDRAW;
    if (PrepareFunding(strategy, 0, gas_limit, what)) drain_.Asked(step, dispatcher_->Now());
  });
}

void PayoutDriver::RetireKey() {
  ClientFrame request;
  request.mutable_retire_signing_key()->set_address(options_.key);
  retire_asked_ = true;
  AskEnclave(std::move(request), [this](const ServerFrame& frame) {
    if (Refused(frame, "retire_signing_key")) {
      retire_asked_ = false;
      Note(absl::StrCat("the enclave does not retire its draining key ",
                        ethereum::ToHex(options_.key), ": ", frame.error().message()));
      return;
    }
    turn_->progress = true;  // the next turn sees it retired
  });
}

}  // namespace coffer::host
