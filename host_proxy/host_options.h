// What coffer-host runs with: its options, declared once, and their checked values.
#ifndef COFFER_HOST_PROXY_HOST_OPTIONS_H_
#define COFFER_HOST_PROXY_HOST_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/enclave_link.h"
#include "actors/host/journal_tailer.h"
#include "host_proxy/http_connection.h"
#include "host_proxy/kms_options.h"
#include "host_proxy/payout_flags.h"
#include "host_proxy/rate_limiter.h"
#include "host_proxy/signer_options.h"
#include "runtime/config.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

namespace coffer::host_proxy {

struct HostOptions {
  runtime::LogOptions log;
  std::string data_dir;
  uint64_t segment_bytes = 0;
  SignerOptions signer;
  host::EnclaveLink::Options enclave;
  KmsOptions kms;
  host::JournalOptions journal;  // path empty: no journal
  std::string registry_path;     // empty: no registry
  runtime::Endpoint http_listen;
  HttpLimits http_limits;
  std::string viewer_token;
  std::string admin_token;
  RateLimiter::Options public_limit;   // of what is served without a token, by address
  std::string measurements_path;       // what /api/tee/measurements serves; empty: nothing
  std::string receipt_attestation;     // what receipts of the log name; may be empty
  std::optional<PayoutFlags> payouts;  // none: this host pays nobody
  // The transparency log's witnesses (c2sp.org/tlog-policy); empty: none are asked.
  std::string witness_policy_path;
  absl::Duration witness_timeout;
  absl::Duration shutdown_timeout;
};

runtime::ConfigSpec HostConfigSpec();

// InvalidArgument says which option is wrong, or which ones do not go together. Refuses to serve
// other machines unless both tokens are set.
absl::StatusOr<HostOptions> ParseHostOptions(const runtime::Config& config,
                                             const SignerEnvironment& environment = {});

// The option given that needs an enclave that keeps balances; empty when none does.
std::string LedgerOption(const HostOptions& options);

// Sentences for the start-up banner on what is open or unsafe in this configuration; none when
// nothing is.
std::vector<std::string> InsecureParts(const HostOptions& options);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_OPTIONS_H_
