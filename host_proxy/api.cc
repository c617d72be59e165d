#include "host_proxy/api.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "host_proxy/api_json.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

// A number of the query; `otherwise` when it is not there.
absl::StatusOr<uint64_t> QueryNumber(const RoutedRequest& request, const std::string& name,
                                     uint64_t otherwise, uint64_t least, uint64_t most) {
  const auto it = request.query.find(name);
  if (it == request.query.end()) return otherwise;
  uint64_t value = 0;
  const bool digits = it->second.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(it->second, &value) || value < least || value > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("the query's ", name, " must be a number from ", least, " to ", most));
  }
  return value;
}

HttpResponse NoBodyWanted() {
  return HttpError(400, "body_not_wanted", "this request takes no body");
}

}  // namespace

void Api::AddTo(Router& router) {
  AddProbes(router);
  AddTee(router);
  AddLedger(router);
  AddPayouts(router);
  AddOperations(router);
}

void Api::Ask(ClientFrame request, HttpResponder respond,
              absl::AnyInvocable<HttpResponse(const ServerFrame&)> then) {
  ports_.enclave->Call(std::move(request), [respond = std::move(respond), then = std::move(then)](
                                               absl::StatusOr<ServerFrame> frame) mutable {
    if (!frame.ok()) return respond(FromStatus(frame.status()));
    if (frame->has_error()) return respond(FromEnclaveError(frame->error()));
    respond(then(*frame));
  });
}

void Api::AddProbes(Router& router) {
  router.Add("GET", "/healthz", Role::kNobody, {}, [](RoutedRequest, HttpResponder respond) {
    Json::Value body;
    body["status"] = "ok";
    respond(JsonAnswer(body));
  });
  router.Add("GET", "/readyz", Role::kNobody, {}, [this](RoutedRequest, HttpResponder respond) {
    const std::vector<std::string> reasons = ports_.not_ready();
    Json::Value body;
    body["ready"] = reasons.empty();
    body["reasons"] = Json::Value(Json::arrayValue);
    for (const std::string& reason : reasons) body["reasons"].append(reason);
    respond(JsonAnswer(body, reasons.empty() ? 200 : 503));
  });
  router.Add("GET", "/metrics", Role::kNobody, {}, [this](RoutedRequest, HttpResponder respond) {
    if (ports_.refresh_metrics) ports_.refresh_metrics();
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = ports_.metrics->Text();
    respond(std::move(response));
  });
}

void Api::AddLedger(Router& router) {
  router.Add("GET", "/api/ledger/accounts", Role::kViewer, {"from", "limit"},
             [this](RoutedRequest request, HttpResponder respond) {
               ListAccounts(request, std::move(respond));
             });
  router.Add("GET", "/api/ledger/accounts/{id}", Role::kViewer, {},
             [this](RoutedRequest request, HttpResponder respond) {
               ClientFrame frame;
               frame.mutable_get_account()->set_id(request.path["id"]);
               Ask(std::move(frame), std::move(respond),
                   [](const ServerFrame& answer) { return JsonAnswer(ToJson(answer.account())); });
             });
  router.Add("POST", "/api/ledger/events", Role::kAdmin, {},
             [this](RoutedRequest request, HttpResponder respond) {
               PostEvents(request, std::move(respond));
             });
  router.Add("GET", "/api/ledger/contents/{hash}", Role::kViewer, {},
             [this](RoutedRequest request, HttpResponder respond) {
               GetContent(request, std::move(respond));
             });
}

void Api::ListAccounts(const RoutedRequest& request, HttpResponder respond) {
  const absl::StatusOr<uint64_t> from = QueryNumber(request, "from", 0, 0, ~uint64_t{0});
  const absl::StatusOr<uint64_t> limit = QueryNumber(request, "limit", 100, 1, 5000);
  if (!from.ok()) return respond(FromStatus(from.status()));
  if (!limit.ok()) return respond(FromStatus(limit.status()));
  ClientFrame frame;
  frame.mutable_list_accounts()->set_from_index(*from);
  frame.mutable_list_accounts()->set_limit(static_cast<uint32_t>(*limit));
  Ask(std::move(frame), std::move(respond), [](const ServerFrame& answer) {
    Json::Value body;
    body["accounts"] = Json::Value(Json::arrayValue);
    for (const auto& account : answer.accounts().accounts()) {
      body["accounts"].append(ToJson(account));
    }
    body["next"] = answer.accounts().end()
                       ? Json::Value()
                       : Json::Value(static_cast<Json::UInt64>(answer.accounts().next_index()));
    return JsonAnswer(body);
  });
}

void Api::AddPayouts(Router& router) {
  router.Add("GET", "/api/payouts", Role::kViewer, {"from", "limit", "open"},
             [this](RoutedRequest request, HttpResponder respond) {
               ListPayouts(request, std::move(respond));
             });
  router.Add("GET", "/api/payouts/{id}", Role::kViewer, {},
             [this](RoutedRequest request, HttpResponder respond) {
               uint64_t id = 0;
               const std::string& text = request.path["id"];
               if (text.find_first_not_of("0123456789") != std::string::npos ||
                   !absl::SimpleAtoi(text, &id)) {
                 return respond(HttpError(400, "malformed", "a payout's id is a number"));
               }
               ClientFrame frame;
               frame.mutable_get_payout()->set_id(id);
               Ask(std::move(frame), std::move(respond),
                   [](const ServerFrame& answer) { return JsonAnswer(ToJson(answer.payout())); });
             });
  const auto control = [this, &router](const char* path, int status, auto action) {
    router.Add(
        "POST", path, Role::kAdmin, {},
        [this, status, action](RoutedRequest request, HttpResponder respond) {
          if (!request.body.empty()) return respond(NoBodyWanted());
          if (ports_.payouts == nullptr) {
            return respond(HttpError(409, "no_chain", "this host was given no chain to pay on"));
          }
          const absl::Status done = action(*ports_.payouts);
          if (!done.ok()) return respond(FromStatus(done));
          respond(JsonAnswer(ports_.payouts->StatusJson(), status));
        });
  };
  control("/api/payouts/run", 202, [](PayoutControl& payouts) { return payouts.RunNow(); });
  control("/api/payouts/pause", 200, [](PayoutControl& payouts) {
    payouts.Pause();
    return absl::OkStatus();
  });
  control("/api/payouts/resume", 200, [](PayoutControl& payouts) {
    payouts.Resume();
    return absl::OkStatus();
  });
}

void Api::ListPayouts(const RoutedRequest& request, HttpResponder respond) {
  const absl::StatusOr<uint64_t> from = QueryNumber(request, "from", 0, 0, ~uint64_t{0});
  const absl::StatusOr<uint64_t> limit = QueryNumber(request, "limit", 100, 1, 1000);
  const absl::StatusOr<uint64_t> open = QueryNumber(request, "open", 0, 0, 1);
  for (const absl::Status& status : {from.status(), limit.status(), open.status()}) {
    if (!status.ok()) return respond(FromStatus(status));
  }
  ClientFrame frame;
  frame.mutable_list_payouts()->set_from_id(*from);
  frame.mutable_list_payouts()->set_limit(static_cast<uint32_t>(*limit));
  frame.mutable_list_payouts()->set_open_only(*open == 1);
  Ask(std::move(frame), std::move(respond), [this](const ServerFrame& answer) {
    Json::Value body;
    body["payouts"] = Json::Value(Json::arrayValue);
    for (const auto& payout : answer.payouts().payouts()) body["payouts"].append(ToJson(payout));
    body["next"] = answer.payouts().end()
                       ? Json::Value()
                       : Json::Value(static_cast<Json::UInt64>(answer.payouts().next_id()));
    if (ports_.payouts != nullptr) body["driver"] = ports_.payouts->StatusJson();
    return JsonAnswer(body);
  });
}

void Api::AddOperations(Router& router) {
  router.Add("GET", "/api/journal", Role::kViewer, {},
             [this](RoutedRequest, HttpResponder respond) {
               respond(ports_.journal == nullptr
                           ? HttpError(404, "no_journal", "this host tails no journal")
                           : JsonAnswer(ports_.journal->StatusJson()));
             });
  router.Add("POST", "/api/journal/replay-dead-letters", Role::kAdmin, {},
             [this](RoutedRequest request, HttpResponder respond) {
               if (!request.body.empty()) return respond(NoBodyWanted());
               if (ports_.journal == nullptr) {
                 return respond(HttpError(404, "no_journal", "this host tails no journal"));
               }
               ports_.journal->ReplayDeadLetters(
                   [respond = std::move(respond)](absl::StatusOr<Json::Value> counts) mutable {
                     respond(counts.ok() ? JsonAnswer(*counts) : FromStatus(counts.status()));
                   });
             });
  router.Add("POST", "/api/registry/reload", Role::kAdmin, {},
             [this](RoutedRequest request, HttpResponder respond) {
               if (!request.body.empty()) return respond(NoBodyWanted());
               const absl::StatusOr<Json::Value> registry = ports_.reload_registry();
               respond(registry.ok() ? JsonAnswer(*registry) : FromStatus(registry.status()));
             });
}

}  // namespace coffer::host_proxy
