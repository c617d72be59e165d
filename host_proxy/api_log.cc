#include "host_proxy/api_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "host_proxy/api_json.h"
#include "host_proxy/api_log_json.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using host::LeafName;
using host::LogView;

namespace {

constexpr char kBase[] = "/api/transparency/tee-core";
// Tiles never change: a cache may keep them for as long as it counts (a year), without asking.
constexpr char kBriefly[] = "public, max-age=60";
constexpr char kForever[] = "public, max-age=31536000, immutable";
// A signature of the enclave's costs more than a look at a file.
constexpr double kSignatureCost = 5;
constexpr double kLeavesPerToken = 100;

// A number of the query; `otherwise` when it is not there.
absl::StatusOr<uint64_t> QueryNumber(const RoutedRequest& request, const std::string& name,
                                     uint64_t otherwise) {
  const auto it = request.query.find(name);
  if (it == request.query.end()) return otherwise;
  uint64_t value = 0;
  const bool digits = it->second.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(it->second, &value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the query's ", name, " must be a number below 2^64"));
  }
  return value;
}

std::string QueryText(const RoutedRequest& request, const std::string& name) {
  const auto it = request.query.find(name);
  return it == request.query.end() ? "" : it->second;
}

absl::StatusOr<LeafName> NameOf(const RoutedRequest& request) {
  const std::string event_id = QueryText(request, "event_id");
  const bool by_payout = request.query.count("payout_id") > 0;
  const bool by_index = request.query.count("leaf_index") > 0;
  if ((event_id.empty() ? 0 : 1) + (by_payout ? 1 : 0) + (by_index ? 1 : 0) != 1) {
    return absl::InvalidArgumentError(
        "name one leaf: the query must have event_id, payout_id or leaf_index, and one of them");
  }
  if (!event_id.empty()) return LeafName(host::EventName{event_id});
  const absl::StatusOr<uint64_t> number =
      QueryNumber(request, by_payout ? "payout_id" : "leaf_index", 0);
  if (!number.ok()) return number.status();
  if (by_payout) return LeafName(host::PayoutName{*number});
  return LeafName(host::LeafIndex{*number});
}

HttpResponse FromLogStatus(const absl::Status& status) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kOutOfRange:
      return HttpError(404, "not_published_yet", message);
    case absl::StatusCode::kNotFound:
      return HttpError(404, "not_in_log", message);
    case absl::StatusCode::kFailedPrecondition: {
      HttpResponse response = HttpError(404, "not_indexed_yet", message);
      response.headers.emplace_back("Retry-After", "1");
      return response;
    }
    case absl::StatusCode::kDataLoss:
      return HttpError(500, "log_damaged", message);
    default:
      return FromStatus(status);
  }
}

HttpResponse Bytes(std::string body, const char* content_type, const char* cache_control) {
  HttpResponse response;
  response.content_type = content_type;
  response.body = std::move(body);
  response.cache_control = cache_control;
  return response;
}

}  // namespace

void ApiLog::AddTo(Router& router) {
  const std::string base(kBase);
  Add(router, "/log/checkpoint", {}, &ApiLog::GetCheckpointFile);
  Add(router, "/log/tile/{path...}", {}, &ApiLog::GetTile);
  Add(router, base + "/audit/status", {}, &ApiLog::GetStatus);
  Add(router, base + "/audit/checkpoint", {"chain_id", "contract_address"}, &ApiLog::GetCheckpoint,
      kSignatureCost);
  Add(router, base + "/audit/proof", {"event_id", "payout_id", "leaf_index"}, &ApiLog::GetProof);
  Add(router, base + "/audit/consistency", {"first", "second"}, &ApiLog::GetConsistency);
  // Its cost depends on the limit.
  Add(router, base + "/log", {"limit", "offset", "order", "orchestrator_id"}, &ApiLog::GetLog, 0);
  Add(router, base + "/receipt", {"event_id", "payout_id", "leaf_index", "format"},
      &ApiLog::GetReceipt);
}

void ApiLog::Add(Router& router, const std::string& path, std::vector<std::string> query,
                 Handler handler, double cost) {
  router.AddOpen(path, std::move(query),
                 [this, handler, cost](RoutedRequest request, HttpResponder respond) {
                   if (cost > 0 && Limited(request, cost, respond)) return;
                   if (ports_.log == nullptr) {
                     return respond(HttpError(404, "no_log", "this host keeps no log"));
                   }
                   (this->*handler)(std::move(request), std::move(respond));
                 });
}

bool ApiLog::Limited(const RoutedRequest& request, double cost, HttpResponder& respond) {
  const absl::Duration wait = limiter_.Take(request.peer, cost, ports_.dispatcher->Now());
  if (wait <= absl::ZeroDuration()) return false;
  respond(RateLimited(wait, ", or mirror the log's files"));
  return true;
}

void ApiLog::AskLog(HttpResponder respond, Question question) {
  ports_.log->Ask<HttpResponse>(
      std::move(question),
      [respond = std::move(respond)](absl::StatusOr<HttpResponse> answer) mutable {
        respond(answer.ok() ? *std::move(answer) : FromLogStatus(answer.status()));
      });
}

void ApiLog::AskForLeaf(LeafName name, HttpResponder respond, Question question) {
  ports_.log->Ask<HttpResponse>(
      std::move(question), [this, name = std::move(name), respond = std::move(respond)](
                               absl::StatusOr<HttpResponse> answer) mutable {
        if (answer.ok()) return respond(*std::move(answer));
        if (absl::IsNotFound(answer.status()) || absl::IsOutOfRange(answer.status())) {
          return ExplainMissing(answer.status(), std::move(name), std::move(respond));
        }
        respond(FromLogStatus(answer.status()));
      });
}

void ApiLog::ExplainMissing(const absl::Status& why, LeafName name, HttpResponder respond) {
  ClientFrame frame;
  frame.mutable_status();
  CallEnclave(std::move(frame), [this, why, name = std::move(name), respond = std::move(respond)](
                                    absl::StatusOr<ServerFrame> answer) mutable {
    if (!answer.ok() || !answer->status().has_audit()) return respond(FromLogStatus(why));
    const uint64_t made = answer->status().audit().size();
    const auto* const index = std::get_if<host::LeafIndex>(&name);
    if (index != nullptr && index->index >= made) {
      return respond(HttpError(
          404, "not_in_log",
          absl::StrCat("the log has ", made, " leaves: there is no leaf ", index->index)));
    }
    const uint64_t published = ports_.log->stats().published;
    if (index == nullptr && made > published) {
      return respond(
          HttpError(404, "not_published_yet",
                    absl::StrCat(why.message(), "; it may be among the ", made - published,
                                 " newer ones that are not published yet, ask again")));
    }
    respond(FromLogStatus(why));
  });
}

void ApiLog::CallEnclave(ClientFrame frame, FrameDone done) {
  if (ports_.enclave == nullptr) return done(absl::UnavailableError("this host has no enclave"));
  if (enclave_calls_ >= kMaxEnclaveCalls) {
    return done(absl::UnavailableError("too many public questions to the enclave: ask again"));
  }
  ++enclave_calls_;
  ports_.enclave->Call(std::move(frame),
                       [this, done = std::move(done)](absl::StatusOr<ServerFrame> answer) mutable {
                         --enclave_calls_;
                         done(std::move(answer));
                       });
}

void ApiLog::GetCheckpointFile(RoutedRequest, HttpResponder respond) {
  AskLog(std::move(respond), [](LogView& view) -> absl::StatusOr<HttpResponse> {
    const auto head = view.Published();
    if (!head.ok()) return head.status();
    return Bytes((*head)->note, "text/plain; charset=utf-8", "no-store");
  });
}

void ApiLog::GetTile(RoutedRequest request, HttpResponder respond) {
  const absl::StatusOr<audit::TileRef> tile =
      audit::ParseTilePath(absl::StrCat("tile/", request.path["path"]));
  if (!tile.ok()) {
    return respond(HttpError(404, "no_such_tile", std::string(tile.status().message())));
  }
  AskLog(std::move(respond), [tile = *tile](LogView& view) -> absl::StatusOr<HttpResponse> {
    absl::StatusOr<std::string> content = view.Tile(tile);
    if (!content.ok()) return content.status();
    // A partial tile of hashes was compared with nothing, and a wider one takes its place soon.
    const bool checked = tile.entries || tile.width == audit::kTileWidth;
    return Bytes(*std::move(content), "application/octet-stream", checked ? kForever : kBriefly);
  });
}

void ApiLog::GetProof(RoutedRequest request, HttpResponder respond) {
  absl::StatusOr<LeafName> name = NameOf(request);
  if (!name.ok()) return respond(FromStatus(name.status()));
  AskForLeaf(*name, std::move(respond),
             [name = *name](LogView& view) -> absl::StatusOr<HttpResponse> {
               const absl::StatusOr<host::ProvenLeaf> proven = view.Prove(name);
               if (!proven.ok()) return proven.status();
               return JsonAnswer(ProofJson(*proven));
             });
}

void ApiLog::GetReceipt(RoutedRequest request, HttpResponder respond) {
  absl::StatusOr<LeafName> name = NameOf(request);
  if (!name.ok()) return respond(FromStatus(name.status()));
  const std::string format = QueryText(request, "format");
  if (!format.empty() && format != "file" && format != "json") {
    return respond(HttpError(400, "malformed", "the query's format is json or file"));
  }
  AskForLeaf(*name, std::move(respond),
             [name = *name, file = format == "file",
              attestation = ports_.attestation](LogView& view) -> absl::StatusOr<HttpResponse> {
               const absl::StatusOr<host::ProvenLeaf> proven = view.Prove(name);
               if (!proven.ok()) return proven.status();
               absl::StatusOr<std::string> text = host::FormatLogReceipt(*proven, attestation);
               if (!text.ok()) return text.status();
               if (!file) return JsonAnswer(ReceiptJson(*proven, *text));
               HttpResponse response =
                   Bytes(*std::move(text), "text/plain; charset=utf-8", "no-store");
               response.headers.emplace_back("Content-Disposition",
                                             absl::StrCat("attachment; filename=\"coffer-receipt-",
                                                          proven->leaf.index, ".tlog-proof\""));
               return response;
             });
}

void ApiLog::GetConsistency(RoutedRequest request, HttpResponder respond) {
  const absl::StatusOr<uint64_t> first = QueryNumber(request, "first", 0);
  const absl::StatusOr<uint64_t> second = QueryNumber(request, "second", 0);
  if (!first.ok()) return respond(FromStatus(first.status()));
  if (!second.ok()) return respond(FromStatus(second.status()));
  if (request.query.count("first") == 0) {
    return respond(HttpError(400, "malformed", "the query must have first, a size of the log"));
  }
  const bool to_published = request.query.count("second") == 0;
  AskLog(std::move(respond),
         [first = *first, second = *second,
          to_published](LogView& view) -> absl::StatusOr<HttpResponse> {
           const auto head = view.Published();
           if (!head.ok()) return head.status();
           const uint64_t to = to_published ? (*head)->checkpoint.size : second;
           const absl::StatusOr<audit::Proof> proof = view.Consistency(first, to);
           if (!proof.ok()) return proof.status();
           Json::Value json;
           json["first"] = static_cast<Json::UInt64>(first);
           json["second"] = static_cast<Json::UInt64>(to);
           json["proof"] = HashesJson(*proof);
           json["checkpoint"] = PublishedJson(**head);
           return JsonAnswer(json);
         });
}

void ApiLog::GetLog(RoutedRequest request, HttpResponder respond) {
  host::LeafQuery query;
  query.account = QueryText(request, "orchestrator_id");
  const absl::StatusOr<uint64_t> limit = QueryNumber(request, "limit", query.limit);
  const absl::StatusOr<uint64_t> offset = QueryNumber(request, "offset", 0);
  if (!limit.ok()) return respond(FromStatus(limit.status()));
  if (!offset.ok()) return respond(FromStatus(offset.status()));
  const std::string order = QueryText(request, "order");
  if (!order.empty() && order != "asc" && order != "desc") {
    return respond(HttpError(400, "malformed", "the query's order is asc or desc"));
  }
  query.limit = *limit;
  query.offset = *offset;
  query.newest_first = order == "desc";
  const double leaves =
      static_cast<double>(std::min(query.limit, host::kMaxLogPage)) / kLeavesPerToken;
  if (Limited(request, 1 + leaves, respond)) return;
  AskLog(std::move(respond), [query](LogView& view) -> absl::StatusOr<HttpResponse> {
    const absl::StatusOr<host::LeafPage> page = view.Page(query);
    if (!page.ok()) return page.status();
    return JsonAnswer(PageJson(*page, query));
  });
}

}  // namespace coffer::host_proxy
