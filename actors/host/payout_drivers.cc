#include "actors/host/payout_drivers.h"

#include <utility>

#include "invariant/check.h"

namespace coffer::host {

using boundary::v1::SigningKeyState;

PayoutDriverStatus::Counters& PayoutDriverStatus::Counters::operator+=(const Counters& other) {
  prepared += other.prepared;
  sent += other.sent;
  resent += other.resent;
  send_refused += other.send_refused;
  bumped += other.bumped;
  mined += other.mined;
  reverted += other.reverted;
  foreign += other.foreign;
  reorged += other.reorged;
  retried += other.retried;
  voided += other.voided;
  funded += other.funded;
  unreadable += other.unreadable;
  refused += other.refused;
  return *this;
}

PayoutDrivers::PayoutDrivers(runtime::Dispatcher* dispatcher, EnclaveClient* enclave,
                             ChainClient* chain, PayoutDriverOptions options)
    : dispatcher_(dispatcher),
      enclave_(enclave),
      chain_(chain),
      options_(std::move(options)),
      current_(dispatcher, enclave, chain, options_) {
  COFFER_CHECK(options_.key.empty(), "the current key is whichever the enclave says");
  current_.OnKeys([this](const boundary::v1::Status& status) { TakeKeys(status); });
}

void PayoutDrivers::Start() { current_.Start(); }

void PayoutDrivers::RunNow() { current_.RunNow(); }

void PayoutDrivers::Pause() {
  current_.Pause();
  for (auto& [address, driver] : old_) driver->Pause();
}

void PayoutDrivers::Resume() {
  current_.Resume();
  for (auto& [address, driver] : old_) driver->Resume();
}

void PayoutDrivers::TakeKeys(const boundary::v1::Status& status) {
  for (const SigningKeyState& key : status.signing_keys()) {
    const bool draining = key.use() == SigningKeyState::USE_DRAINING;
    const bool reopened = key.use() == SigningKeyState::USE_RETIRED && key.open_payouts() != 0;
    if (draining || reopened) DriverOf(key.address()).Wake();
  }
}

PayoutDriver& PayoutDrivers::DriverOf(const std::string& address) {
  std::unique_ptr<PayoutDriver>& driver = old_[address];
  if (driver != nullptr) return *driver;
  PayoutDriverOptions options = options_;
  options.key = address;
  options.run_interval = absl::InfiniteDuration();  // nothing new comes from this key
  driver = std::make_unique<PayoutDriver>(dispatcher_, enclave_, chain_, std::move(options));
  driver->OnRetired([this](const std::string& retired) {
    if (on_retired_) on_retired_(retired);
  });
  if (current_.Status().paused) driver->Pause();
  driver->Start();
  return *driver;
}

const PayoutDriverStatus* PayoutDrivers::Draining() const {
  for (const auto& [address, driver] : old_) {
    if (driver->Status().use == SigningKeyState::USE_DRAINING) return &driver->Status();
  }
  return nullptr;
}

std::vector<const PayoutDriverStatus*> PayoutDrivers::Reopened() const {
  std::vector<const PayoutDriverStatus*> reopened;
  for (const auto& [address, driver] : old_) {
    const PayoutDriverStatus& status = driver->Status();
    if (status.use == SigningKeyState::USE_RETIRED && status.open_payouts != 0) {
      reopened.push_back(&status);
    }
  }
  return reopened;
}

PayoutDriverStatus::Counters PayoutDrivers::Counters() const {
  PayoutDriverStatus::Counters sum = current_.Status().counters;
  for (const auto& [address, driver] : old_) sum += driver->Status().counters;
  return sum;
}

}  // namespace coffer::host
