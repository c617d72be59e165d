// The chain's side of coffer-host: the RPC client and the payout driver, started once it is certain
// that the nodes and the enclave mean the same chain.
#ifndef COFFER_HOST_PROXY_HOST_PAYOUTS_H_
#define COFFER_HOST_PROXY_HOST_PAYOUTS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/enclave_client.h"
#include "actors/host/http_client.h"
#include "actors/host/payout_drivers.h"
#include "host_proxy/api.h"
#include "host_proxy/payout_flags.h"
#include "runtime/event_loop.h"
#include "runtime/random.h"

namespace coffer::host_proxy {

class HostPayouts final : public PayoutControl {
 public:
  // All outlive this object. InvalidArgument when the CA file cannot be read.
  static absl::StatusOr<std::unique_ptr<HostPayouts>> Create(runtime::EventLoop* loop,
                                                             host::EnclaveClient* enclave,
                                                             runtime::Random* random,
                                                             PayoutFlags flags);

  // Asks the nodes and the enclave for their chain, then lets the driver go. On the loop or before
  // it runs.
  void Start();
  // Nothing new is signed from now on. The driver stays: the enclave's client knows it until both
  // are gone.
  void Stop() { drivers_->Pause(); }

  // For whoever keeps the signing keys (payout_drivers.h). Set before Start.
  void OnRetired(absl::AnyInvocable<void(const std::string& address)> take) {
    drivers_->OnRetired(std::move(take));
  }

  // PayoutControl
  absl::Status RunNow() override;
  void Pause() override;
  void Resume() override;
  Json::Value StatusJson() const override;

  // Sentences for /readyz.
  std::vector<std::string> NotReady() const;
  // As of the drivers' last turns: the current key's, the draining key's (null without), and what
  // all have counted.
  const host::PayoutDriverStatus& driver_status() const { return drivers_->Current(); }
  const host::PayoutDriverStatus* draining_status() const { return drivers_->Draining(); }
  host::PayoutDriverStatus::Counters counters() const { return drivers_->Counters(); }
  host::ChainRpcMetrics rpc_metrics() const { return rpc_.metrics(); }
  // The nodes, without their secrets.
  std::string Nodes() const;

 private:
  HostPayouts(runtime::EventLoop* loop, host::EnclaveClient* enclave, runtime::Random* random,
              PayoutFlags flags, std::unique_ptr<host::HttpClient> http);
  void CheckEnclave();
  void MaybeRun();

  const PayoutFlags flags_;
  host::EnclaveClient* const enclave_;
  const std::unique_ptr<host::HttpClient> http_;
  host::ChainRpc rpc_;
  const std::unique_ptr<host::PayoutDrivers> drivers_;
  bool chain_checked_ = false;
  bool enclave_checked_ = false;
  bool running_ = false;
  std::string chain_reason_ = "the nodes have not said yet which chain they serve";
  std::string enclave_reason_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_PAYOUTS_H_
