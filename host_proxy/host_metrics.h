// The host's figures as Prometheus metrics, brought up to date when they are read.
#ifndef COFFER_HOST_PROXY_HOST_METRICS_H_
#define COFFER_HOST_PROXY_HOST_METRICS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "actors/host/enclave_link.h"
#include "actors/host/journal_tailer.h"
#include "actors/host/state_store.h"
#include "runtime/metrics.h"

namespace coffer::host {
class LogReader;
}

namespace coffer::host_proxy {

class ApiAttestation;
class ApiLog;
class EnclaveWatch;
class HostKeys;
class HostLog;
class HostPayouts;
class HttpServer;

class HostMetrics {
 public:
  HostMetrics(runtime::Metrics* metrics, const std::string& version);

  // Each may be asked for at every Refresh; what is added must outlive this object.
  void Add(const host::EnclaveLink* link);
  void Add(const host::StateStore* store);
  void Add(const host::JournalTailer* tailer);
  void Add(const HostPayouts* payouts);
  void Add(const EnclaveWatch* watch);
  void Add(const HostKeys* keys);
  void Add(const HostLog* log);
  void Add(const host::LogReader* reader);
  void Add(const ApiLog* api);
  void Add(const ApiAttestation* api);
  void Add(const HttpServer* server);

  void Refresh();

 private:
  using Read = std::function<uint64_t()>;
  void Total(const std::string& name, const std::string& help, Read read,
             const runtime::Metrics::Labels& labels = {});
  void Level(const std::string& name, const std::string& help, std::function<double()> read,
             const runtime::Metrics::Labels& labels = {});

  runtime::Metrics* const metrics_;
  std::vector<std::function<void()>> refresh_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_METRICS_H_
