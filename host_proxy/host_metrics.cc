#include "host_proxy/host_metrics.h"

#include <map>
#include <utility>

#include "host_proxy/enclave_watch.h"
#include "host_proxy/http_server.h"

namespace coffer::host_proxy {

HostMetrics::HostMetrics(runtime::Metrics* metrics, const std::string& version)
    : metrics_(metrics) {
  metrics->Gauge("coffer_host_info", "1, with the version", {{"version", version}}).Set(1);
}

void HostMetrics::Total(const std::string& name, const std::string& help, Read read,
                        const runtime::Metrics::Labels& labels) {
  prometheus::Counter& counter = metrics_->Counter(name, help, labels);
  refresh_.push_back([&counter, read = std::move(read), last = uint64_t{0}]() mutable {
    const uint64_t now = read();
    counter.Increment(static_cast<double>(now - last));
    last = now;
  });
}

void HostMetrics::Level(const std::string& name, const std::string& help,
                        std::function<double()> read, const runtime::Metrics::Labels& labels) {
  prometheus::Gauge& gauge = metrics_->Gauge(name, help, labels);
  refresh_.push_back([&gauge, read = std::move(read)] { gauge.Set(read()); });
}

void HostMetrics::Refresh() {
  for (auto& refresh : refresh_) refresh();
}

void HostMetrics::Add(const host::EnclaveLink* link) {
  Level("coffer_enclave_ready", "1 when the enclave has its state and this host is its storage",
        [link] { return static_cast<double>(link->ready() ? 1 : 0); });
  Level("coffer_enclave_requests_in_flight", "requests without an answer yet",
        [link] { return static_cast<double>(link->in_flight()); });
  const auto& counters = link->counters();
  Total("coffer_enclave_connections_total", "connections made to the enclave",
        [&counters] { return counters.connections; });
  Total("coffer_enclave_requests_total", "requests sent to the enclave",
        [&counters] { return counters.requests; });
  Total("coffer_enclave_timeouts_total", "requests that were not answered in time",
        [&counters] { return counters.timeouts; });
  Total("coffer_enclave_lost_requests_total", "requests in flight when a connection was lost",
        [&counters] { return counters.lost; });
}

void HostMetrics::Add(const EnclaveWatch* watch) {
  // The rules are known once the enclave has refused by them.
  refresh_.push_back([this, watch, last = std::map<std::string, uint64_t>()]() mutable {
    for (const auto& [rule, count] : watch->refusals()) {
      metrics_
          ->Counter("coffer_enclave_policy_refusals_total", "requests that the policy refused",
                    {{"rule", rule}})
          .Increment(static_cast<double>(count - last[rule]));
      last[rule] = count;
    }
  });
}

void HostMetrics::Add(const host::StateStore* store) {
  Level("coffer_store_sequence", "the last sealed record that is durable",
        [store] { return static_cast<double>(store->status().last_sequence); });
  Level("coffer_store_snapshot_sequence", "the record on which the newest snapshot stands",
        [store] { return static_cast<double>(store->status().snapshot_sequence); });
  Level("coffer_store_stalled",
        "1 when nothing is acknowledged, because the disk is full or failed",
        [store] { return static_cast<double>(store->status().trouble.empty() ? 0 : 1); });
  Total("coffer_store_writes_total", "groups of records made durable, one fdatasync each",
        [store] { return store->status().groups; });
  Total("coffer_store_written_bytes_total", "sealed bytes made durable",
        [store] { return store->status().bytes; });
  Total("coffer_store_slow_writes_total", "writes that took longer than a second",
        [store] { return store->status().slow_writes; });
  Total("coffer_store_failures_total", "writes that failed or were refused",
        [store] { return store->status().failures; });
}

void HostMetrics::Add(const HttpServer* server) {
  Level("coffer_http_connections", "clients connected",
        [server] { return static_cast<double>(server->connections()); });
  Total("coffer_http_connections_refused_total", "connections turned away as too many",
        [server] { return server->refused(); });
  Total("coffer_http_accept_failures_total",
        "times that no connection could be accepted, for want of descriptors",
        [server] { return server->accept_failures(); });
}

void HostMetrics::Add(const host::JournalTailer* tailer) {
  Total("coffer_journal_lines_total", "lines read", [tailer] { return tailer->metrics().lines; });
  Total("coffer_journal_read_bytes_total", "bytes read",
        [tailer] { return tailer->metrics().bytes; });
  Total("coffer_journal_events_total", "events made of lines, for the enclave",
        [tailer] { return tailer->metrics().credits; });
  Total("coffer_journal_skipped_total", "lines skipped by rule",
        [tailer] { return tailer->metrics().skipped_set_balance; }, {{"rule", "set_balance"}});
  Total("coffer_journal_skipped_total", "lines skipped by rule",
        [tailer] { return tailer->metrics().skipped_zero; }, {{"rule", "zero"}});
  for (size_t i = 0; i < host::kRejectReasons; ++i) {
    const std::string reason(host::RejectReasonName(static_cast<host::RejectReason>(i)));
    Total("coffer_journal_dead_letters_total", "lines that went to the dead letters",
          [tailer, i] { return tailer->metrics().dead_letters[i]; }, {{"reason", reason}});
  }
  Total("coffer_journal_resolved_total", "dead letters applied by a replay",
        [tailer] { return tailer->metrics().resolved; });
  Total("coffer_journal_rotations_total", "rotations of the journal",
        [tailer] { return tailer->metrics().tail.rotations; });
  Total("coffer_journal_truncations_total", "times that the journal lost or changed what was read",
        [tailer] { return tailer->metrics().tail.truncations; });
  Total("coffer_journal_errors_total", "failures of the disk or of reading the journal",
        [tailer] { return tailer->metrics().disk_errors + tailer->metrics().read_errors; });
  Level("coffer_journal_offset_bytes", "everything before it is dealt with",
        [tailer] { return static_cast<double>(tailer->metrics().offset); });
  Level("coffer_journal_lag_bytes", "not read yet",
        [tailer] { return static_cast<double>(tailer->metrics().lag_bytes); });
  Total("coffer_registry_refused_total", "changes of a recipient that were refused",
        [tailer] { return tailer->metrics().registry.refused; });
}

}  // namespace coffer::host_proxy
