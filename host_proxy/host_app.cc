#include "host_proxy/host_app.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/event_network.h"
#include "runtime/log.h"
#include "runtime/process.h"

namespace coffer::host_proxy {

using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "host";
// A process that was killed holds its locks until the kernel has taken it apart.
constexpr absl::Duration kLockPatience = absl::Seconds(3);
// In which the local enclave ends by itself.
constexpr absl::Duration kLocalPatience = absl::Seconds(5);

// The link lets this much be outstanding, and adds a question or two of its own.
size_t StoreMailbox(const host::EnclaveLink::Options& options) {
  return 2 * options.store_messages + 64;
}

}  // namespace

HostApp::HostApp(runtime::EventLoop* loop, HostOptions options, std::unique_ptr<host::OsDisk> disk)
    : loop_(loop),
      options_(std::move(options)),
      host_metrics_(&metrics_, runtime::BuildVersion()),
      network_(runtime::NewEventNetwork(loop)),
      disk_(std::move(disk)),
      store_thread_("coffer-store"),
      to_store_(store_thread_.loop(), "store", StoreMailbox(options_.enclave)),
      to_link_(loop, "link", host::EnclaveLink::kStoreEvents) {}

HostApp::~HostApp() {
  // The store's thread first: it sends to what follows.
  store_thread_.StopAndJoin();
}

absl::StatusOr<std::unique_ptr<HostApp>> HostApp::Start(runtime::EventLoop* loop,
                                                        HostOptions options, LocalKey key,
                                                        host::aws::AwsEnvironment aws) {
  absl::StatusOr<std::unique_ptr<host::OsDisk>> disk =
      host::OsDisk::Open(options.data_dir, kLockPatience);
  if (!disk.ok()) return disk.status();
  std::unique_ptr<HostApp> app(new HostApp(loop, std::move(options), *std::move(disk)));
  if (absl::Status s = app->StartLocalEnclave(key); !s.ok()) return s;
  key = LocalKey();
  if (absl::Status s = app->StartStore(); !s.ok()) return s;
  if (absl::Status s = app->StartKeys(std::move(aws)); !s.ok()) return s;
  app->StartWatch();
  if (absl::Status s = app->StartJournal(); !s.ok()) return s;
  if (absl::Status s = app->StartPayouts(); !s.ok()) return s;
  if (absl::Status s = app->StartHttp(); !s.ok()) return s;
  if (app->options_.signer.mode == SignerMode::kNone) {
    app->link_->StayDown("this host has no signer (--enclave none)");
  } else {
    app->link_->Start();
  }
  return app;
}

absl::Status HostApp::StartLocalEnclave(const LocalKey& key) {
  if (options_.signer.mode != SignerMode::kLocal) return absl::OkStatus();
  if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return s;
  const absl::StatusOr<ethereum::SecretBytes> secret = key.Open();
  if (!secret.ok()) return secret.status();
  absl::StatusOr<std::unique_ptr<LocalEnclave>> enclave = LocalEnclave::Start(
      loop_, options_.signer, *secret, [this](const std::string& how) { Unfit(how); });
  if (!enclave.ok()) return enclave.status();
  local_enclave_ = *std::move(enclave);
  return absl::OkStatus();
}

absl::Status HostApp::StartKeys(host::aws::AwsEnvironment aws) {
  if (options_.signer.mode != SignerMode::kRemote) return absl::OkStatus();
  KmsOptions options = options_.kms;
  if (options.provisioner.provision) {
    // Credentials pass through this process's memory.
    if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return s;
  }
  options.provisioner.expected_address = options_.signer.expected_address;
  HostKeys::Ports ports;
  ports.loop = loop_;
  ports.random = &random_;
  ports.enclave = link_.get();
  ports.stored_records = [this] {
    const host::StateStore::Status stored = store_->status();
    return std::max(stored.last_sequence, stored.snapshot_sequence);
  };
  ports.stored_snapshots = [this] { return store_->status().snapshots; };
  ports.oldest_key_epoch = [this] { return store_->status().oldest_key_epoch; };
  absl::StatusOr<std::unique_ptr<HostKeys>> keys = HostKeys::Create(
      std::move(ports), std::move(options), std::move(aws), options_.data_dir + "/keys");
  if (!keys.ok()) return keys.status();
  keys_ = *std::move(keys);
  link_->ProvisionBy(keys_->provisioner());
  host_metrics_.Add(keys_.get());
  return absl::OkStatus();
}

void HostApp::StartWatch() {
  if (options_.signer.mode == SignerMode::kNone) return;
  EnclaveWatch::Wanted wanted;
  wanted.endpoint = options_.enclave.endpoint.ToString();
  wanted.address = options_.signer.expected_address;
  wanted.ledger_option = LedgerOption(options_);
  if (keys_ != nullptr) {
    wanted.in_use = [this](const ethereum::Address& address) {
      return keys_->store().InUse(address.view());
    };
  }
  watch_ = std::make_unique<EnclaveWatch>(loop_, link_.get(), std::move(wanted),
                                          [this](const std::string& why) { Unfit(why); });
  link_->CheckStatus([this](const boundary::v1::Status& status) {
    // It answers, so it has read its key.
    if (local_enclave_ != nullptr) local_enclave_->ForgetKey();
    return watch_->Judge(status);
  });
  watch_->Start();
  host_metrics_.Add(watch_.get());
}

void HostApp::Unfit(const std::string& why) {
  if (!unfit_ || stopping_) return;
  std::exchange(unfit_, nullptr)(why);
}

void HostApp::WhenStarted(runtime::Task task) {
  if (watch_ == nullptr || !options_.signer.expected_address.has_value()) return task();
  watch_->AfterFirst(options_.enclave.request_timeout, std::move(task));
}

absl::Status HostApp::StartStore() {
  absl::StatusOr<std::unique_ptr<host::RecordStore>> records = host::RecordStore::Open(
      disk_.get(), {.segment_bytes = options_.segment_bytes, .hold_segments = true});
  if (!records.ok()) return records.status();
  if (!(*records)->dropped().empty()) Log(Level::kWarn, "store", (*records)->dropped());
  Log(Level::kInfo, "store", "recovered",
      {{"records", (*records)->last_sequence()}, {"snapshot", (*records)->snapshot_sequence()}});
  absl::StatusOr<std::unique_ptr<HostLog>> log =
      HostLog::Create(loop_, store_thread_.loop(), records->get(), &random_, options_);
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  store_ = std::make_unique<host::StateStore>(host::StateStore::Options{}, store_thread_.loop(),
                                              *std::move(records), &to_link_, log_->sink());
  link_ = std::make_unique<host::EnclaveLink>(options_.enclave, loop_, network_.get(), &random_,
                                              &to_store_);
  to_store_.Bind(store_.get());
  to_link_.Bind(link_.get());
  link_->OnProblem([](const std::string& problem) { Log(Level::kError, "enclave", problem); });
  link_->Watch([](bool ready) {
    Log(Level::kInfo, "enclave", ready ? "ready" : "not ready");
    runtime::NotifyStatus(ready ? "serving" : "waiting for the enclave");
  });
  log_->Follow(link_.get());
  log_->Start();
  host_metrics_.Add(store_.get());
  host_metrics_.Add(link_.get());
  host_metrics_.Add(log_.get());
  host_metrics_.Add(log_->reader());
  return absl::OkStatus();
}

absl::Status HostApp::StartJournal() {
  if (!options_.registry_path.empty()) {
    registry_ = std::make_unique<host::Registry>(options_.registry_path);
    if (absl::Status s = registry_->Reload(); !s.ok()) return s;
  }
  if (options_.journal.path.empty()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<host::OsDisk>> disk =
      host::OsDisk::Open(options_.data_dir + "/journal", kLockPatience);
  if (!disk.ok()) return disk.status();
  journal_disk_ = *std::move(disk);
  tailer_ = std::make_unique<host::JournalTailer>(loop_, &journal_files_, journal_disk_.get(),
                                                  link_.get(), registry_.get(), options_.journal);
  if (absl::Status s = tailer_->Start(); !s.ok()) return s;
  host_metrics_.Add(tailer_.get());
  auto watcher = host::InotifyWatcher::Start(loop_->base(), options_.journal.path,
                                             [this] { tailer_->Wake(); });
  if (watcher.ok()) {
    journal_watcher_ = *std::move(watcher);
  } else {
    Log(Level::kWarn, "journal", "polled only, changes are not announced",
        {{"why", watcher.status()}});
  }
  return absl::OkStatus();
}

absl::Status HostApp::StartPayouts() {
  if (!options_.payouts.has_value()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<HostPayouts>> payouts =
      HostPayouts::Create(loop_, link_.get(), &random_, *options_.payouts);
  if (!payouts.ok()) return payouts.status();
  payouts_ = *std::move(payouts);
  if (keys_ != nullptr) {
    payouts_->OnRetired([this](const std::string& address) {
      const absl::StatusOr<ethereum::Address> retired = ethereum::Address::FromBytes(address);
      if (retired.ok()) keys_->OnSigningKeyRetired(*retired);
    });
  }
  payouts_->Start();
  host_metrics_.Add(payouts_.get());
  return absl::OkStatus();
}

absl::Status HostApp::StartHttp() {
  BearerTokens tokens(options_.viewer_token, options_.admin_token);
  router_ = std::make_unique<Router>(tokens, !tokens.any());
  api_ = std::make_unique<Api>(Ports());
  api_->AddTo(*router_);
  ApiLogPorts log_ports;
  log_ports.log = log_->reader();
  log_ports.enclave = link_.get();
  log_ports.dispatcher = loop_;
  log_ports.limit = options_.public_limit;
  log_ports.attestation = options_.receipt_attestation;
  api_log_ = std::make_unique<ApiLog>(std::move(log_ports));
  api_log_->AddTo(*router_);
  host_metrics_.Add(api_log_.get());
  if (absl::Status s = AddAttestation(); !s.ok()) return s;
  if (keys_ != nullptr) keys_->AddTo(*router_);
  absl::StatusOr<std::unique_ptr<HttpServer>> server =
      HttpServer::Listen(loop_, options_.http_listen, options_.http_limits,
                         [this](HttpRequest request, HttpResponder respond) {
                           router_->Handle(std::move(request), std::move(respond));
                         });
  if (!server.ok()) return server.status();
  http_ = *std::move(server);
  host_metrics_.Add(http_.get());
  return absl::OkStatus();
}

absl::Status HostApp::AddAttestation() {
  ApiAttestationPorts ports;
  ports.enclave = link_.get();
  ports.dispatcher = loop_;
  ports.random = &random_;
  ports.without_signer = options_.signer.mode == SignerMode::kNone;
  ports.limit = options_.public_limit;
  ports.measurements_path = options_.measurements_path;
  absl::StatusOr<std::unique_ptr<ApiAttestation>> api = ApiAttestation::Create(std::move(ports));
  if (!api.ok()) return api.status();
  api_attestation_ = *std::move(api);
  api_attestation_->AddTo(*router_);
  host_metrics_.Add(api_attestation_.get());
  return absl::OkStatus();
}

ApiPorts HostApp::Ports() {
  ApiPorts ports;
  ports.enclave = link_.get();
  ports.journal = tailer_ != nullptr ? this : nullptr;
  ports.payouts = payouts_.get();
  ports.metrics = &metrics_;
  ports.contents = log_->contents();
  ports.log_status = [this] { return log_->StatusJson(); };
  ports.mode = SignerModeName(options_.signer.mode);
  ports.recipient_of = [this](const std::string& account) { return RecipientOf(account); };
  ports.reload_registry = [this] { return ReloadRegistry(); };
  ports.not_ready = [this] { return NotReady(); };
  ports.refresh_metrics = [this] { host_metrics_.Refresh(); };
  return ports;
}

std::vector<std::string> HostApp::NotReady() const {
  std::vector<std::string> reasons;
  // Without a signer there is nothing to wait for: what this host serves, it can serve.
  if (!link_->ready() && options_.signer.mode != SignerMode::kNone) {
    reasons.push_back(link_->not_ready_reason());
  }
  if (std::string trouble = store_->status().trouble; !trouble.empty()) {
    reasons.push_back(std::move(trouble));
  }
  if (tailer_ != nullptr && !tailer_->trouble().empty()) reasons.push_back(tailer_->trouble());
  if (payouts_ != nullptr) {
    for (std::string& reason : payouts_->NotReady()) reasons.push_back(std::move(reason));
  }
  return reasons;
}

absl::StatusOr<std::string> HostApp::RecipientOf(const std::string& account) const {
  if (registry_ == nullptr) {
    return absl::NotFoundError(
        "this host has no registry (--registry.path), so nobody's payout address is known");
  }
  const ethereum::Address* address = registry_->Find(account);
  if (address == nullptr) {
    return absl::NotFoundError("this account has no payout address in the registry");
  }
  return std::string(address->view());
}

absl::StatusOr<Json::Value> HostApp::ReloadRegistry() {
  if (registry_ == nullptr) {
    return absl::FailedPreconditionError("this host has no registry (--registry.path)");
  }
  if (absl::Status s = registry_->Reload(); !s.ok()) {
    return absl::FailedPreconditionError(s.message());
  }
  Json::Value json;
  json["orchestrators"] = static_cast<Json::UInt64>(registry_->size());
  json["refused"] = Json::Value(Json::arrayValue);
  for (const auto& conflict : registry_->conflicts()) {
    Json::Value entry;
    entry["orchestrator_id"] = conflict.orchestrator_id;
    entry["kept"] = ethereum::ToChecksum(conflict.kept);
    entry["refused"] = ethereum::ToChecksum(conflict.refused);
    json["refused"].append(entry);
  }
  return json;
}

void HostApp::Reload() {
  if (absl::Status s = api_attestation_->Reload(); !s.ok()) {
    Log(Level::kError, kComponent, "the measurements are not read again", {{"why", s}});
  }
  if (registry_ == nullptr) return;
  if (absl::Status s = registry_->Reload(); !s.ok())
    Log(Level::kError, "registry", "not reloaded", {{"why", s}});
  if (tailer_ != nullptr) tailer_->Wake();
}

void HostApp::ReplayDeadLetters(Done done) {
  tailer_->ReplayDeadLetters(
      [done = std::move(done)](absl::StatusOr<host::ReplaySummary> summary) mutable {
        if (!summary.ok()) return done(summary.status());
        Json::Value json;
        json["lines"] = static_cast<Json::UInt64>(summary->lines);
        json["events"] = static_cast<Json::UInt64>(summary->events);
        json["refused"] = static_cast<Json::UInt64>(summary->refused);
        json["left"] = static_cast<Json::UInt64>(summary->left);
        done(std::move(json));
      });
}

Json::Value HostApp::StatusJson() const {
  const host::JournalMetrics metrics = tailer_->metrics();
  Json::Value json;
  json["path"] = options_.journal.path;
  json["caught_up"] = tailer_->caught_up();
  json["lines"] = static_cast<Json::UInt64>(metrics.lines);
  json["events"] = static_cast<Json::UInt64>(metrics.credits);
  json["skipped"] = static_cast<Json::UInt64>(metrics.skipped_set_balance + metrics.skipped_zero);
  json["offset"] = static_cast<Json::UInt64>(metrics.offset);
  json["lag_bytes"] = static_cast<Json::UInt64>(metrics.lag_bytes);
  json["resolved"] = static_cast<Json::UInt64>(metrics.resolved);
  json["dead_letters"] = Json::Value(Json::objectValue);
  for (size_t i = 0; i < host::kRejectReasons; ++i) {
    if (metrics.dead_letters[i] == 0) continue;
    const std::string reason(host::RejectReasonName(static_cast<host::RejectReason>(i)));
    json["dead_letters"][reason] = static_cast<Json::UInt64>(metrics.dead_letters[i]);
  }
  return json;
}

void HostApp::Stop(runtime::Task done) {
  if (stopping_) return;  // the enclave was found unfit, and a signal came as well
  stopping_ = true;
  Log(Level::kInfo, kComponent, "stopping");
  runtime::NotifyStopping();
  stopped_ = std::move(done);
  const auto finish = [this] {
    stop_timer_.reset();
    if (!stopped_) return;
    runtime::Task task = std::exchange(stopped_, nullptr);
    if (local_enclave_ == nullptr) return task();
    local_enclave_->Stop(kLocalPatience, std::move(task));
  };
  stop_timer_ = loop_->After(options_.shutdown_timeout, [finish] {
    Log(Level::kWarn, kComponent,
        "work under way did not end in time and is left; nothing acknowledged is lost");
    finish();
  });
  http_->Drain();
  if (tailer_ != nullptr) tailer_->Stop();
  if (payouts_ != nullptr) payouts_->Stop();
  link_->Stop(finish);
}

std::vector<std::string> HostApp::Banner() const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(
      "coffer-host ", runtime::BuildVersion(), ": API on ", http_->endpoint().ToString(), ", ",
      options_.signer.mode == SignerMode::kNone
          ? "no signer (--enclave none)"
          : absl::StrCat(SignerModeName(options_.signer.mode), " enclave at ",
                         options_.enclave.endpoint.ToString()),
      ", data in ", options_.data_dir));
  lines.push_back(payouts_ != nullptr ? absl::StrCat("pays on chain ", options_.payouts->chain_id,
                                                     " through ", payouts_->Nodes())
                                      : "pays nobody: no --chain.urls");
  for (const std::string& part : InsecureParts(options_)) lines.push_back("INSECURE: " + part);
  return lines;
}

}  // namespace coffer::host_proxy
