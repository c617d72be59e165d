// The payout drivers of a state's signing keys: one for the current key, which looks every turn
// whether the enclave has others with something to do, and one for each of those:
//
//   a draining key   its payouts are brought to their end, then its funds, then it is retired
//   a retired key    only while a payout of it is open, because a deep reorg opened it again: what
//                    was signed is sent again and reported, never replaced; nothing signs it anew
//
// They share the clients and nothing else: nonces, deposit and balance are a key's own.
#ifndef COFFER_ACTORS_HOST_PAYOUT_DRIVERS_H_
#define COFFER_ACTORS_HOST_PAYOUT_DRIVERS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "actors/host/payout_driver.h"

namespace coffer::host {

class PayoutDrivers {
 public:
  // As PayoutDriver's; options.key is empty.
  PayoutDrivers(runtime::Dispatcher* dispatcher, EnclaveClient* enclave, ChainClient* chain,
                PayoutDriverOptions options);

  void Start();
  void RunNow();
  // Of all keys: nothing is signed with a new nonce, and nothing of a draining key's funds is
  // moved.
  void Pause();
  void Resume();

  // Set before Start. Called once for a key that was retired because one of these drivers asked,
  // with its address (20 bytes). A host that ends in between does not hear of it: whoever keeps
  // keys looks at Status.signing_keys as well.
  void OnRetired(absl::AnyInvocable<void(const std::string& address)> take) {
    on_retired_ = std::move(take);
  }

  // As of the last turns.
  const PayoutDriverStatus& Current() const { return current_.Status(); }
  // Of the draining key; null without.
  const PayoutDriverStatus* Draining() const;
  // Of retired keys with open payouts.
  std::vector<const PayoutDriverStatus*> Reopened() const;
  // The sum over all keys.
  PayoutDriverStatus::Counters Counters() const;

 private:
  void TakeKeys(const boundary::v1::Status& status);
  PayoutDriver& DriverOf(const std::string& address);

  runtime::Dispatcher* const dispatcher_;
  EnclaveClient* const enclave_;
  ChainClient* const chain_;
  const PayoutDriverOptions options_;
  absl::AnyInvocable<void(const std::string&)> on_retired_;
  PayoutDriver current_;
  // By address. They stay, asleep, for their counters; there is one for each rotation at most.
  std::map<std::string, std::unique_ptr<PayoutDriver>> old_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PAYOUT_DRIVERS_H_
