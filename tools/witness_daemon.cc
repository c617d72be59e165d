#include "tools/witness_daemon.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/key_file.h"

namespace coffer::tools {

using host_proxy::HttpRequest;
using host_proxy::HttpResponse;
using runtime::Level;
using runtime::Log;

namespace {

constexpr int kStatuses[] = {200, 400, 403, 404, 405, 409, 422, 500, 503};
constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

HttpResponse Plain(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = kPlain;
  response.body = std::move(body);
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WitnessDaemon>> WitnessDaemon::Start(runtime::EventLoop* loop,
                                                                    WitnessOptions options) {
  absl::StatusOr<WitnessStore> store = WitnessStore::Open(options.state_folder);
  if (!store.ok()) return store.status();
  auto daemon = std::unique_ptr<WitnessDaemon>(
      new WitnessDaemon(loop, std::move(options), *std::move(store)));
  if (absl::Status loaded = daemon->Load(); !loaded.ok()) return loaded;
  for (const int status : kStatuses) daemon->Count(status);
  host_proxy::HttpLimits limits;
  limits.body_bytes = audit::kMaxAddCheckpointBytes;
  absl::StatusOr<std::unique_ptr<host_proxy::HttpServer>> server = host_proxy::HttpServer::Listen(
      loop, daemon->options_.listen, limits,
      [self = daemon.get()](HttpRequest request, host_proxy::HttpResponder respond) {
        self->Handle(request, std::move(respond));
      });
  if (!server.ok()) return server.status();
  daemon->server_ = *std::move(server);
  return daemon;
}

WitnessDaemon::WitnessDaemon(runtime::EventLoop* loop, WitnessOptions options, WitnessStore store)
    : loop_(loop), options_(std::move(options)), store_(std::move(store)) {}

WitnessDaemon::~WitnessDaemon() = default;

void WitnessDaemon::Drain() { server_->Drain(); }

absl::Status WitnessDaemon::Load() {
  witness_.reset();
  absl::StatusOr<audit::NoteSigner> signer = ReadWitnessKey(options_.key_file, options_.name);
  if (!signer.ok()) return signer.status();
  vkey_ = signer->key().ToString();
  audit::Witness witness(*std::move(signer));
  new_logs_.clear();
  for (const audit::VerifierKey& log : options_.logs) {
    if (absl::Status added = witness.AddLog(log); !added.ok()) return added;
    const absl::StatusOr<std::optional<audit::Checkpoint>> latest = store_.Load(log.name());
    if (!latest.ok()) return latest.status();
    ShowSize(log.name(), *latest ? (*latest)->size : 0);
    if (!*latest) {
      new_logs_.push_back(log.name());
    } else if (absl::Status restored = witness.Restore(**latest); !restored.ok()) {
      return restored;
    }
  }
  witness_ = std::move(witness);
  return absl::OkStatus();
}

void WitnessDaemon::Count(int status) {
  const bool known =
      std::find(std::begin(kStatuses), std::end(kStatuses), status) != std::end(kStatuses);
  prometheus::Counter& counter =
      metrics_.Counter("coffer_witness_requests_total", "Requests answered, by HTTP status",
                       {{"status", known ? absl::StrCat(status) : "other"}});
  if (server_ != nullptr) counter.Increment();
}

void WitnessDaemon::ShowSize(const std::string& origin, uint64_t size) {
  metrics_
      .Gauge("coffer_witness_log_size", "Leaves of the latest checkpoint cosigned",
             {{"log", origin}})
      .Set(static_cast<double>(size));
}

HttpResponse WitnessDaemon::AddCheckpoint(const std::string& body) {
  if (!witness_) {
    if (const absl::Status loaded = Load(); !loaded.ok()) {
      refused_.Log(Level::kError, "witness", "not usable", {{"why", loaded}});
      return Plain(503, "the witness cannot read its state\n");
    }
    Log(Level::kInfo, "witness", "usable again");
  }
  const uint64_t now =
      static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(loop_->WallNow())));
  audit::WitnessAnswer answer = witness_->Handle(body, now);
  if (answer.to_store) {
    // Before the answer leaves: a cosignature that is out there must never be forgotten.
    if (const absl::Status stored = store_.Save(*answer.to_store); !stored.ok()) {
      witness_.reset();
      Log(Level::kError, "witness", "not cosigned", {{"why", stored}});
      return Plain(500, "the witness cannot store the checkpoint\n");
    }
    ShowSize(answer.to_store->origin, answer.to_store->size);
    accepted_.Log(Level::kInfo, "witness", "cosigned",
                  {{"log", answer.to_store->origin}, {"size", answer.to_store->size}});
  } else {
    // To name its size is an everyday answer; the rest should not come from an honest log.
    const bool usual = answer.content_type == audit::kSizeContentType;
    refused_.Log(usual ? Level::kDebug : Level::kWarn, "witness", "refused",
                 {{"status", answer.status}, {"why", answer.body}});
  }
  HttpResponse response;
  response.status = answer.status;
  response.content_type = std::move(answer.content_type);
  response.body = std::move(answer.body);
  return response;
}

void WitnessDaemon::Handle(const HttpRequest& request, host_proxy::HttpResponder respond) {
  HttpResponse response;
  const bool read = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/add-checkpoint") {
    response = request.method == "POST" ? AddCheckpoint(request.body)
                                        : Plain(405, "checkpoints come by POST\n");
  } else if (read && request.path == "/healthz") {
    response = witness_ ? Plain(200, "ok\n") : Plain(503, "the state is not usable\n");
  } else if (read && request.path == "/metrics") {
    response.content_type = kMetricsType;
    response.body = metrics_.Text();
  } else {
    response = Plain(404, "there are POST /add-checkpoint, GET /healthz and GET /metrics\n");
  }
  Count(response.status);
  respond(std::move(response));
}

}  // namespace coffer::tools
