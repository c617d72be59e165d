// Keeps an eye on what the enclave says of itself: whether it is the one that is wanted, and what
// it refused. Runs on the program's main dispatcher.
#ifndef COFFER_HOST_PROXY_ENCLAVE_WATCH_H_
#define COFFER_HOST_PROXY_ENCLAVE_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/enclave_client.h"
#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"
#include "runtime/dispatcher.h"

namespace coffer::host_proxy {

class EnclaveWatch {
 public:
  static constexpr absl::Duration kPeriod = absl::Seconds(5);
  // Rules counted one by one; an enclave names no more than its policy has fields.
  static constexpr size_t kMaxRules = 64;

  struct Wanted {
    std::string endpoint = {};  // for sentences
    std::optional<ethereum::Address> address = {};
    // Whether a key is one of those in use, of which one follows the other (KeyStore::InUse);
    // `address` may be either. Null: there is one key alone.
    std::function<bool(const ethereum::Address&)> in_use = {};
    // The option that needs an enclave that keeps balances, as in "--journal.path"; empty: none
    // does.
    std::string ledger_option = {};
  };

  // Both outlive this object. `unfit` is called once, later, when an enclave answers that this host
  // must not work with; the host stops then.
  EnclaveWatch(runtime::Dispatcher* dispatcher, host::EnclaveClient* enclave, Wanted wanted,
               absl::AnyInvocable<void(const std::string&)> unfit);

  // Asks for the status now and then, from now on.
  void Start();
  // A status that arrived. FailedPrecondition: this enclave must not be used; Unavailable: not yet.
  absl::Status Judge(const boundary::v1::Status& status);
  // Calls `task` once the first status was judged and found fit, or after `patience`. Once.
  void AfterFirst(absl::Duration patience, runtime::Task task);

  // ERROR_POLICY answers by rule, over all runs of the enclave since this host's start.
  const std::map<std::string, uint64_t>& refusals() const { return refusals_; }

 private:
  absl::Status Fit(const boundary::v1::Status& status) const;
  // Whether an enclave with this address is the one that is expected.
  bool Expected(const ethereum::Address& address) const;
  void Count(const boundary::v1::Status& status);
  void Ask();
  void First();

  runtime::Dispatcher* const dispatcher_;
  host::EnclaveClient* const enclave_;
  const Wanted wanted_;
  absl::AnyInvocable<void(const std::string&)> unfit_;
  runtime::Task first_;
  std::unique_ptr<runtime::Timer> patience_;
  std::unique_ptr<runtime::Timer> period_;
  bool fit_ = false;
  bool said_ = false;
  bool said_development_ = false;
  std::map<std::string, uint64_t> refusals_;
  std::map<std::string, uint64_t> last_;  // as the enclave counted when it was last asked
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_ENCLAVE_WATCH_H_
