#include "host_proxy/host_options.h"

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/receipt.h"
#include "host_proxy/bearer_tokens.h"

namespace coffer::host_proxy {

using runtime::OptionType;

namespace {

constexpr char kSummary[] =
    "The untrusted half of Coffer: tails the ledger journal, keeps the enclave's sealed state on "
    "disk, talks to the chain, "
    "and serves the HTTP API. It owns no balance and no key.";
constexpr char kExample[] =
    "coffer-host --enclave vsock://16:5000 --data-dir /var/lib/coffer \\\n"
    "    --journal.path /var/lib/ledger/journal.jsonl --registry.path /etc/coffer/registry.json";

absl::Status Wrong(const std::string& option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", why));
}

void AddJournal(runtime::ConfigSpec& spec) {
  spec.Add({.name = "journal.path",
            .help = "The ledger journal to tail; none: nothing is tailed.",
            .env = {"PAYMENTS_LEDGER_JOURNAL_PATH"}})
      .Add({.name = "journal.window",
            .type = OptionType::kUint64,
            .default_text = "8",
            .help = "Batches of events in flight to the enclave.",
            .min = 1,
            .max = 64})
      .Add({.name = "journal.batch",
            .type = OptionType::kUint64,
            .default_text = "2000",
            .help = "Events in a batch.",
            .min = 1,
            .max = 10000})
      .Add({.name = "journal.poll",
            .type = OptionType::kDuration,
            .default_text = "200ms",
            .help =
                "How often the journal is looked at when no inotify event comes; five times less "
                "often while nothing happens."})
      .Add({.name = "registry.path",
            .help = "The file of payout addresses, {\"orchestrators\":{\"orch-1\":\"0x...\"}}; "
                    "read again on SIGHUP."});
}

void AddHttp(runtime::ConfigSpec& spec) {
  spec.Add({.name = "http.listen",
            .default_text = "tcp://127.0.0.1:8080",
            .help = "Where the HTTP API is served; other machines only with both tokens set."})
      .Add({.name = "http.viewer-token", .help = "The bearer token that may read.", .secret = true})
      .Add({.name = "http.admin-token",
            .help = "The bearer token that may also credit, pause and pay.",
            .secret = true})
      .Add({.name = "http.connections",
            .type = OptionType::kUint64,
            .default_text = "256",
            .help = "Clients connected at a time; one more is turned away.",
            .min = 1,
            .max = 10000})
      .Add({.name = "http.timeout",
            .type = OptionType::kDuration,
            .default_text = "30s",
            .help = "In which a request must have arrived, and an answer be taken."})
      .Add({.name = "http.public-rate",
            .type = OptionType::kUint64,
            .default_text = "200",
            .help = "Requests a second that one address may make to what needs no token; an "
                    "attestation document counts 20. 0: no limit, for a host behind a proxy that "
                    "limits.",
            .min = 0,
            .max = 1'000'000})
      .Add({.name = "http.public-burst",
            .type = OptionType::kUint64,
            .default_text = "1000",
            .help = "Of these, how many at once after a silence.",
            .min = 1,
            .max = 1'000'000})
      .Add({.name = "measurements",
            .help = "A JSON file of the images that the operator stands by, served at "
                    "/api/tee/measurements; read again on SIGHUP."})
      .Add({.name = "receipt.attestation",
            .help = "What the log's receipts say of where the attestation of the log's key is "
                    "found, such as a URL or sha256:<hex of the document>; 1024 bytes at most."});
}

void AddWitnesses(runtime::ConfigSpec& spec) {
  spec.Add({.name = "witnesses.policy",
            .help = "A tlog-policy file: the witnesses, with URLs, that are to cosign the heads of "
                    "the transparency log, and how many must; none: heads go out without."})
      .Add({.name = "witnesses.timeout",
            .type = OptionType::kDuration,
            .default_text = "5s",
            .help = "How long a head waits for its witnesses before it goes out without them."});
}

}  // namespace

runtime::ConfigSpec HostConfigSpec() {
  runtime::ConfigSpec spec("coffer-host", kSummary, kExample);
  AddSignerOptions(spec);
  spec.Add({.name = "data-dir",
            .help = "The directory of the sealed state, the journal's cursor and the dead letters.",
            .required = true})
      .Add({.name = "store.segment-bytes",
            .type = OptionType::kBytes,
            .default_text = "64MiB",
            .help = "disk space allocated at a time for sealed records.",
            .min = 1u << 20,
            .max = 1u << 30})
      .Add({.name = "log.level",
            .default_text = "info",
            .help = "What is logged.",
            .choices = {"debug", "info", "warn", "error"}})
      .Add({.name = "log.format",
            .default_text = "text",
            .help = "How it is logged.",
            .choices = {"text", "json"}})
      .Add({.name = "shutdown-timeout",
            .type = OptionType::kDuration,
            .default_text = "15s",
            .help = "How long work under way is waited for after SIGTERM."});
  AddKmsOptions(spec);
  AddJournal(spec);
  AddHttp(spec);
  AddPayoutOptions(spec);
  AddWitnesses(spec);
  return spec;
}

absl::StatusOr<HostOptions> ParseHostOptions(const runtime::Config& config,
                                             const SignerEnvironment& environment) {
  HostOptions options;
  if (absl::Status s = runtime::ParseLogLevel(config.String("log.level"), &options.log.level);
      !s.ok()) {
    return s;
  }
  options.log.json = config.String("log.format") == "json";
  options.data_dir = config.String("data-dir");
  options.segment_bytes = config.Bytes("store.segment-bytes");
  absl::StatusOr<SignerOptions> signer = ParseSignerOptions(config, environment, options.data_dir);
  if (!signer.ok()) return signer.status();
  options.signer = *std::move(signer);
  options.enclave.endpoint = options.signer.endpoint;
  options.enclave.request_timeout = config.Duration("enclave-timeout");
  if (options.enclave.request_timeout < absl::Seconds(1)) {
    return Wrong("enclave-timeout", "must be at least 1s");
  }
  absl::StatusOr<KmsOptions> kms = ParseKmsOptions(config);
  if (!kms.ok()) return kms.status();
  options.kms = *std::move(kms);
  if (options.kms.provisioner.provision && options.signer.mode != SignerMode::kRemote) {
    return Wrong("kms.provision", "needs an enclave elsewhere (--enclave), which holds its key");
  }
  options.journal.path = config.String("journal.path");
  options.journal.window = config.Uint64("journal.window");
  options.journal.max_events = config.Uint64("journal.batch");
  options.journal.poll = config.Duration("journal.poll");
  options.registry_path = config.String("registry.path");
  if (!options.journal.path.empty() && options.registry_path.empty()) {
    return Wrong("registry.path", "a journal needs a registry: without one nobody can be credited");
  }
  const absl::StatusOr<runtime::Endpoint> listen =
      runtime::Endpoint::Parse(config.String("http.listen"));
  if (!listen.ok()) return Wrong("http.listen", listen.status().message());
  options.http_listen = *listen;
  options.http_limits.connections = config.Uint64("http.connections");
  options.http_limits.request_time = config.Duration("http.timeout");
  options.http_limits.write_time = config.Duration("http.timeout");
  options.public_limit.per_second = config.Uint64("http.public-rate");
  options.public_limit.burst = config.Uint64("http.public-burst");
  options.measurements_path = config.String("measurements");
  options.receipt_attestation = config.String("receipt.attestation");
  if (options.receipt_attestation.size() > audit::kMaxAttestationReferenceBytes) {
    return Wrong("receipt.attestation", "has at most 1024 bytes");
  }
  options.viewer_token = config.String("http.viewer-token");
  options.admin_token = config.String("http.admin-token");
  if (absl::Status s = BearerTokens::Check(options.viewer_token, options.admin_token); !s.ok()) {
    return Wrong("http.viewer-token, --http.admin-token", s.message());
  }
  if (!listen->IsLocal() && !BearerTokens(options.viewer_token, options.admin_token).both()) {
    return Wrong(
        "http.listen",
        absl::StrCat(listen->ToString(),
                     " can be reached from other machines: set both --http.viewer-token and "
                     "--http.admin-token, or listen on 127.0.0.1"));
  }
  absl::StatusOr<std::optional<PayoutFlags>> payouts = ParsePayoutFlags(config);
  if (!payouts.ok()) return payouts.status();
  options.payouts = *std::move(payouts);
  options.witness_policy_path = config.String("witnesses.policy");
  options.witness_timeout = config.Duration("witnesses.timeout");
  if (options.witness_timeout < absl::Milliseconds(100) ||
      options.witness_timeout > absl::Minutes(1)) {
    return Wrong("witnesses.timeout", "must be from 100ms to 1m");
  }
  options.shutdown_timeout = config.Duration("shutdown-timeout");
  if (options.signer.mode == SignerMode::kNone && !LedgerOption(options).empty()) {
    return Wrong(LedgerOption(options).substr(2), "needs an enclave, and --enclave is none");
  }
  return options;
}

std::string LedgerOption(const HostOptions& options) {
  if (!options.journal.path.empty()) return "--journal.path";
  return options.payouts.has_value() ? "--chain.urls" : "";
}

std::vector<std::string> InsecureParts(const HostOptions& options) {
  std::vector<std::string> parts;
  const BearerTokens tokens(options.viewer_token, options.admin_token);
  if (!tokens.any()) {
    parts.push_back(
        "the HTTP API asks for no token: everybody with an account on this machine may credit and "
        "pay");
  }
  if (!options.http_listen.IsLocal()) {
    parts.push_back(
        "the HTTP API is served to other machines without TLS: put it behind a proxy that has it");
  }
  if (options.signer.mode == SignerMode::kLocal) {
    parts.push_back(
        "the signing key comes from this machine (PAYMENT_*): whoever controls it has the key, and "
        "no TEE protects anything; for development only");
  }
  if (options.signer.mode == SignerMode::kRemote && !options.enclave.endpoint.IsLocal()) {
    parts.push_back("the enclave is reached over a network without encryption: for tests only");
  }
  if (options.payouts.has_value() && options.payouts->driver.void_expired) {
    parts.push_back("expired tickets are voided on this host's word: a host that lies pays twice");
  }
  return parts;
}

}  // namespace coffer::host_proxy
