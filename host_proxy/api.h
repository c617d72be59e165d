// The host's HTTP API: its routes, and what each needs of the rest of the program. Runs on the
// program's main dispatcher.
//
//   GET  /healthz, /readyz, /metrics                   public
//   GET  /api/tee/status                               viewer
//   GET, POST /api/tee/rotate-state-key                viewer, admin (host_keys.h)
//   GET, POST /api/tee/rotate-signing-key              viewer, admin (host_keys.h)
//   GET  /api/ledger/accounts?from=&limit=             viewer
//   GET  /api/ledger/accounts/{id}                     viewer
//   GET  /api/payouts?from=&limit=&open=, /api/payouts/{id}   viewer
//   GET  /api/journal                                  viewer
//   POST /api/payouts/run, /pause, /resume             admin
//   POST /api/ledger/events                            admin
//   GET  /api/ledger/contents/{hash}                   viewer
//   POST /api/registry/reload                          admin
//   POST /api/journal/replay-dead-letters              admin
#ifndef COFFER_HOST_PROXY_API_H_
#define COFFER_HOST_PROXY_API_H_

#include <json/value.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/enclave_client.h"
#include "actors/host/log/content_store.h"
#include "host_proxy/router.h"
#include "runtime/metrics.h"

namespace coffer::host_proxy {

// What the API asks of the payout driver.
class PayoutControl {
 public:
  virtual ~PayoutControl() = default;
  // Looks for accounts to pay now, whatever the interval; the answer does not wait for the payouts.
  // FailedPrecondition when that cannot be (not ready, paused).
  virtual absl::Status RunNow() = 0;
  virtual void Pause() = 0;
  virtual void Resume() = 0;
  virtual Json::Value StatusJson() const = 0;
};

// What the API asks of the journal's tailer.
class JournalControl {
 public:
  virtual ~JournalControl() = default;
  using Done = absl::AnyInvocable<void(absl::StatusOr<Json::Value>)>;
  // Tries every dead letter again; answers with counts.
  virtual void ReplayDeadLetters(Done done) = 0;
  virtual Json::Value StatusJson() const = 0;
};

// What became of each event of a request, in its order.
struct EventOutcome {
  std::vector<std::string> ids;
  std::vector<std::optional<boundary::v1::Error>> refusals;
  std::vector<bool> duplicate;
  std::vector<size_t> sent;  // positions of those that the enclave was asked about
};

struct ApiPorts {
  host::EnclaveClient* enclave = nullptr;
  PayoutControl* payouts = nullptr;   // null: this host pays nobody
  JournalControl* journal = nullptr;  // null: this host tails no journal
  runtime::Metrics* metrics = nullptr;
  std::string mode = "remote";  // of the signer: remote, local or none
  // The recipient's 20 bytes; NotFound when the account is not in the registry.
  std::function<absl::StatusOr<std::string>(const std::string& account)> recipient_of;
  // Answers with what the registry then holds.
  std::function<absl::StatusOr<Json::Value>()> reload_registry;
  // Sentences; none when the host can do its work.
  std::function<std::vector<std::string>()> not_ready;
  host::ContentStore* contents = nullptr;  // null: events with texts are refused
  // Of the transparency log; may be none.
  std::function<Json::Value()> log_status;
  // Brings gauges up to date before they are read.
  std::function<void()> refresh_metrics;
};

class Api {
 public:
  explicit Api(ApiPorts ports) : ports_(std::move(ports)) {}
  // Adds the routes. Both must outlive the server.
  void AddTo(Router& router);

 private:
  void AddProbes(Router& router);
  void AddTee(Router& router);
  void AddLedger(Router& router);
  void AddPayouts(Router& router);
  void AddOperations(Router& router);

  void ListAccounts(const RoutedRequest& request, HttpResponder respond);
  void ListPayouts(const RoutedRequest& request, HttpResponder respond);
  void PostEvents(const RoutedRequest& request, HttpResponder respond);
  void KeepContents(std::vector<std::string> contents, HttpResponder respond,
                    absl::AnyInvocable<void(HttpResponder)> then);
  void ApplyEvents(boundary::v1::ClientFrame frame, EventOutcome outcome, HttpResponder respond);
  void GetContent(const RoutedRequest& request, HttpResponder respond);

  // Calls the enclave; an Error or no answer is answered here, anything else goes to `then`.
  void Ask(boundary::v1::ClientFrame request, HttpResponder respond,
           absl::AnyInvocable<HttpResponse(const boundary::v1::ServerFrame&)> then);

  ApiPorts ports_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_API_H_
