// coffer-host, put together: the store on its own thread, everything else on the main loop.
#ifndef COFFER_HOST_PROXY_HOST_APP_H_
#define COFFER_HOST_PROXY_HOST_APP_H_

#include <json/value.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/enclave_link.h"
#include "actors/host/inotify_watcher.h"
#include "actors/host/journal_tailer.h"
#include "actors/host/os_disk.h"
#include "actors/host/registry.h"
#include "actors/host/state_store.h"
#include "host_proxy/api.h"
#include "host_proxy/api_attestation.h"
#include "host_proxy/api_log.h"
#include "host_proxy/enclave_watch.h"
#include "host_proxy/host_keys.h"
#include "host_proxy/host_log.h"
#include "host_proxy/host_metrics.h"
#include "host_proxy/host_options.h"
#include "host_proxy/host_payouts.h"
#include "host_proxy/http_server.h"
#include "host_proxy/local_enclave.h"
#include "host_proxy/local_key.h"
#include "runtime/event_loop.h"
#include "runtime/metrics.h"
#include "runtime/os_random.h"

namespace coffer::host_proxy {

class HostApp final : private JournalControl {
 public:
  // Recovers the store, listens, and connects to the enclave. `loop` does not run yet and outlives
  // this object. Blocks while the stored records are checked.
  // In mode local `key` is opened and handed to an enclave that is started, and forgotten here.
  // `aws` is where credentials for the enclave's keys may come from.
  static absl::StatusOr<std::unique_ptr<HostApp>> Start(runtime::EventLoop* loop,
                                                        HostOptions options, LocalKey key = {},
                                                        host::aws::AwsEnvironment aws = {});
  // After the loop has ended.
  ~HostApp() override;

  // Called on the loop, once, when there is no going on: the enclave is not the one that is
  // wanted, or the local one has ended. The caller stops this object.
  void OnUnfit(absl::AnyInvocable<void(const std::string&)> unfit) { unfit_ = std::move(unfit); }
  // Calls `task` on the loop when the host may call itself started: at once, or, where an address
  // is expected, when the enclave was seen to have it or has not answered for enclave-timeout.
  void WhenStarted(runtime::Task task);

  // Stops tailing, lets what is under way end, flushes the store; then, or after the time-out,
  // calls `done`. On the loop.
  void Stop(runtime::Task done);
  // Reads the registry and the measurements again. On the loop.
  void Reload();

  // What it listens on and what is insecure, for people.
  std::vector<std::string> Banner() const;

 private:
  HostApp(runtime::EventLoop* loop, HostOptions options, std::unique_ptr<host::OsDisk> disk);

  absl::Status StartLocalEnclave(const LocalKey& key);
  absl::Status StartStore();
  absl::Status StartKeys(host::aws::AwsEnvironment aws);
  void StartWatch();
  absl::Status StartJournal();
  absl::Status StartPayouts();
  absl::Status StartHttp();
  absl::Status AddAttestation();
  void Unfit(const std::string& why);
  ApiPorts Ports();
  std::vector<std::string> NotReady() const;
  absl::StatusOr<std::string> RecipientOf(const std::string& account) const;
  absl::StatusOr<Json::Value> ReloadRegistry();

  // JournalControl
  void ReplayDeadLetters(Done done) override;
  Json::Value StatusJson() const override;

  runtime::EventLoop* const loop_;
  const HostOptions options_;
  runtime::OsRandom random_;
  runtime::Metrics metrics_;
  HostMetrics host_metrics_;
  std::unique_ptr<runtime::Network> network_;

  std::unique_ptr<host::OsDisk> disk_;
  runtime::EventLoopThread store_thread_;
  runtime::Mailbox<host::StoreMessage> to_store_;
  runtime::Mailbox<host::StoreEvent> to_link_;
  std::unique_ptr<HostLog> log_;
  std::unique_ptr<host::StateStore> store_;
  std::unique_ptr<HostKeys> keys_;  // mode remote
  std::unique_ptr<host::EnclaveLink> link_;
  std::unique_ptr<LocalEnclave> local_enclave_;  // mode local
  std::unique_ptr<EnclaveWatch> watch_;          // not in mode none
  absl::AnyInvocable<void(const std::string&)> unfit_;

  std::unique_ptr<host::Registry> registry_;
  std::unique_ptr<host::OsDisk> journal_disk_;
  host::OsJournalFiles journal_files_;
  std::unique_ptr<host::JournalTailer> tailer_;
  std::unique_ptr<host::FileWatcher> journal_watcher_;

  std::unique_ptr<HostPayouts> payouts_;

  std::unique_ptr<Router> router_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<ApiAttestation> api_attestation_;
  std::unique_ptr<ApiLog> api_log_;
  std::unique_ptr<HttpServer> http_;

  bool stopping_ = false;
  runtime::Task stopped_;
  std::unique_ptr<runtime::Timer> stop_timer_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_APP_H_
