// What readers of the transparency log ask for, and how the answers go.
#include "actors/host/log/log_reader.h"
#include "host_proxy/api_attestation.h"
#include "host_proxy/api_log.h"
#include "host_proxy/host_log.h"
#include "host_proxy/host_metrics.h"

namespace coffer::host_proxy {

void HostMetrics::Add(const HostLog* log) {
  Level("coffer_log_leaves", "leaves of the log that are in its files or on their way there",
        [log] { return static_cast<double>(log->writer().status().size); });
  Level("coffer_log_durable_leaves", "of these, that need no record any more",
        [log] { return static_cast<double>(log->writer().status().durable_size); });
  Level("coffer_log_signed_leaves", "leaves under the newest head that the enclave signed",
        [log] { return static_cast<double>(log->publisher().status().signed_size); });
  Level("coffer_log_waiting_seconds", "how long the oldest head has waited to be published",
        [log] { return absl::ToDoubleSeconds(log->publisher().status().waiting); });
  Level("coffer_log_warnings", "what somebody has to look at: /api/tee/status names it",
        [log] { return static_cast<double>(log->Warnings().size()); });
  if (log->witnesses() == nullptr) return;
  Level("coffer_log_witnessed", "1 when the published head has its quorum of witnesses",
        [log] { return log->publisher().status().satisfied ? 1.0 : 0.0; });
  for (size_t i = 0; i < log->witnesses()->reports().size(); ++i) {
    const std::string name = log->witnesses()->reports()[i].name;
    Total("coffer_log_cosignatures_total", "heads that a witness cosigned",
          [log, i] { return log->witnesses()->reports()[i].cosigned; }, {{"witness", name}});
    Total("coffer_log_cosignatures_missing_total", "heads that it did not cosign",
          [log, i] {
            const host::WitnessReport report = log->witnesses()->reports()[i];
            return report.refused + report.unavailable + report.skipped;
          },
          {{"witness", name}});
  }
}

void HostMetrics::Add(const host::LogReader* reader) {
  Total("coffer_log_questions_total", "questions to the reader of the log",
        [reader] { return reader->stats().questions; });
  Total("coffer_log_overloads_total", "of these, turned away because too many were waiting",
        [reader] { return reader->stats().overloads; });
  Total("coffer_log_verification_failures_total",
        "answers withheld because the log's files do not lead to the signed root",
        [reader] { return reader->stats().failures; });
  Total("coffer_log_index_rebuilds_total", "times that the index was damaged and made again",
        [reader] { return reader->stats().rebuilds; });
  Level("coffer_log_published_leaves", "leaves of the published log",
        [reader] { return static_cast<double>(reader->stats().published); });
  Level("coffer_log_indexed_leaves", "of these, that can be found by id",
        [reader] { return static_cast<double>(reader->stats().indexed); });
  Level("coffer_log_index_stalled", "1 when the index does not go on",
        [reader] { return reader->stats().trouble.empty() ? 0.0 : 1.0; });
}

void HostMetrics::Add(const ApiLog* api) {
  Total("coffer_http_rate_limited_total", "public requests refused because of their address's rate",
        [api] { return api->limiter().refused(); });
}

void HostMetrics::Add(const ApiAttestation* api) {
  Total("coffer_attestation_documents_total", "attestation documents that the enclave made",
        [api] { return api->stats().documents; });
  Total("coffer_attestation_cached_total", "questions answered with one made a moment before",
        [api] { return api->stats().cached; });
  Total("coffer_attestation_rate_limited_total",
        "questions refused because of their address's rate",
        [api] { return api->stats().limited; });
}

}  // namespace coffer::host_proxy
