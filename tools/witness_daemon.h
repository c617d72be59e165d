// A witness as a server: audit::Witness behind HTTP, with a memory on disk.
//
//   POST /add-checkpoint   c2sp.org/tlog-witness
//   GET  /healthz          200 while it can store what it cosigns, 503 otherwise
//   GET  /metrics          Prometheus
#ifndef COFFER_TOOLS_WITNESS_DAEMON_H_
#define COFFER_TOOLS_WITNESS_DAEMON_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/witness.h"
#include "host_proxy/http_server.h"
#include "runtime/endpoint.h"
#include "runtime/event_loop.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "tools/witness_store.h"

namespace coffer::tools {

struct WitnessOptions {
  runtime::Endpoint listen;
  std::string state_folder;
  std::string key_file;
  std::string name;
  std::vector<audit::VerifierKey> logs;
};

class WitnessDaemon {
 public:
  // `loop` outlives this object. Errors: the key or the state cannot be used, or the endpoint is
  // taken.
  static absl::StatusOr<std::unique_ptr<WitnessDaemon>> Start(runtime::EventLoop* loop,
                                                              WitnessOptions options);
  ~WitnessDaemon();

  // Takes no more connections; what is answered already goes out.
  void Drain();
  size_t connections() const { return server_->connections(); }

  const runtime::Endpoint& endpoint() const { return server_->endpoint(); }
  // The public key, for policies.
  const std::string& vkey() const { return vkey_; }
  // The logs of which nothing is stored yet: the first head that is shown of them is believed.
  const std::vector<std::string>& new_logs() const { return new_logs_; }

 private:
  WitnessDaemon(runtime::EventLoop* loop, WitnessOptions options, WitnessStore store);

  // Makes the witness out of key and store: at the start, and after a checkpoint could not be
  // stored.
  absl::Status Load();
  void Handle(const host_proxy::HttpRequest& request, host_proxy::HttpResponder respond);
  host_proxy::HttpResponse AddCheckpoint(const std::string& body);
  void Count(int status);
  void ShowSize(const std::string& origin, uint64_t size);

  runtime::EventLoop* const loop_;
  const WitnessOptions options_;
  const WitnessStore store_;
  std::optional<audit::Witness> witness_;  // none: what it remembers may not be what is stored
  std::string vkey_;
  std::vector<std::string> new_logs_;
  runtime::Metrics metrics_;
  runtime::LogEvery accepted_{absl::Seconds(10)};
  runtime::LogEvery refused_{absl::Seconds(1)};
  std::unique_ptr<host_proxy::HttpServer> server_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_WITNESS_DAEMON_H_
