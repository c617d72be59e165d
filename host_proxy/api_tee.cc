// GET /api/tee/status: what the enclave is. The proof of it: api_attestation.h.
#include <utility>

#include "host_proxy/api.h"
#include "host_proxy/api_json.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

constexpr char kNone[] = "none";

}  // namespace

void Api::AddTee(Router& router) {
  router.Add("GET", "/api/tee/status", Role::kViewer, {},
             [this](RoutedRequest, HttpResponder respond) {
               if (ports_.mode == kNone) {
                 Json::Value body;
                 body["mode"] = kNone;
                 body["address"] = Json::Value();
                 body["attestation_available"] = false;
                 return respond(JsonAnswer(body));
               }
               ClientFrame request;
               request.mutable_status();
               Ask(std::move(request), std::move(respond), [this](const ServerFrame& frame) {
                 Json::Value body = ToJson(frame.status());
                 body["mode"] = ports_.mode;
                 body["log"] = ports_.log_status ? ports_.log_status() : Json::Value();
                 return JsonAnswer(body);
               });
             });
}

}  // namespace coffer::host_proxy
