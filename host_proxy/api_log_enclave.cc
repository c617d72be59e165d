// GET /api/transparency/tee-core/audit/status and /checkpoint: what the enclave says of its log.
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/api_json.h"
#include "host_proxy/api_log.h"
#include "host_proxy/api_log_json.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

struct Published {
  std::shared_ptr<const host::PublishedHead> head;  // null: `why` says why not
  std::string why;
  uint64_t indexed = 0;
};

// The enclave's part is null, with a sentence, where the enclave gave none.
HttpResponse StatusAnswer(const Published& published, const absl::StatusOr<ServerFrame>& frame,
                          absl::Time now) {
  std::string silent;
  const boundary::v1::AuditState* state = nullptr;
  if (!frame.ok()) {
    silent = std::string(frame.status().message());
  } else if (frame->has_error()) {
    silent = frame->error().message();
  } else if (!frame->status().has_audit()) {
    silent = "the enclave has no state loaded, or is of before the log";
  } else {
    state = &frame->status().audit();
  }
  Json::Value json = AuditStatusJson(state, published.head.get());
  json["enclave_error"] = silent.empty() ? Json::Value() : Json::Value(silent);
  json["published"] = Json::Value();
  json["published_error"] = published.why.empty() ? Json::Value() : Json::Value(published.why);
  if (published.head != nullptr) {
    json["published"] = PublishedJson(*published.head);
    // The clock may have been set back since.
    json["published"]["age_seconds"] =
        std::max(0.0, absl::ToDoubleSeconds(now - published.head->written));
  }
  json["indexed"] = static_cast<Json::UInt64>(published.indexed);
  return JsonAnswer(json);
}

struct ChainQuery {
  uint64_t chain_id = 0;
  std::string registry;
};

absl::StatusOr<ChainQuery> ChainOf(const RoutedRequest& request) {
  ChainQuery query;
  const auto chain = request.query.find("chain_id");
  if (chain != request.query.end() &&
      (chain->second.find_first_not_of("0123456789") != std::string::npos ||
       !absl::SimpleAtoi(chain->second, &query.chain_id))) {
    return absl::InvalidArgumentError("the query's chain_id must be a number below 2^64");
  }
  const auto contract = request.query.find("contract_address");
  if (contract == request.query.end() || contract->second.empty()) return query;
  const absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(contract->second);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the query's contract_address: ", address.status().message()));
  }
  query.registry = std::string(address->view());
  return query;
}

}  // namespace

void ApiLog::GetStatus(RoutedRequest, HttpResponder respond) {
  ports_.log->Ask<Published>(
      [](host::LogView& view) -> absl::StatusOr<Published> {
        Published published;
        published.indexed = view.indexed();
        auto head = view.Published();
        if (head.ok()) {
          published.head = *std::move(head);
        } else {
          published.why = std::string(head.status().message());
        }
        return published;
      },
      [this, respond = std::move(respond)](absl::StatusOr<Published> published) mutable {
        if (!published.ok()) return respond(FromStatus(published.status()));
        ClientFrame frame;
        frame.mutable_status();
        CallEnclave(std::move(frame),
                    [this, published = *std::move(published),
                     respond = std::move(respond)](absl::StatusOr<ServerFrame> answer) mutable {
                      respond(StatusAnswer(published, answer, ports_.dispatcher->WallNow()));
                    });
      });
}

// The status first, for the log key: what a reader verifies the note with.
void ApiLog::GetCheckpoint(RoutedRequest request, HttpResponder respond) {
  const absl::StatusOr<ChainQuery> query = ChainOf(request);
  if (!query.ok()) return respond(FromStatus(query.status()));
  ClientFrame status;
  status.mutable_status();
  CallEnclave(std::move(status), [this, query = *query, respond = std::move(respond)](
                                     absl::StatusOr<ServerFrame> frame) mutable {
    if (!frame.ok()) return respond(FromStatus(frame.status()));
    if (frame->has_error()) return respond(FromEnclaveError(frame->error()));
    ClientFrame question;
    question.mutable_get_checkpoint()->set_chain_id(query.chain_id);
    question.mutable_get_checkpoint()->set_registry(query.registry);
    CallEnclave(std::move(question),
                [log_key = frame->status().audit().log_key(),
                 respond = std::move(respond)](absl::StatusOr<ServerFrame> answer) mutable {
                  if (!answer.ok()) return respond(FromStatus(answer.status()));
                  if (answer->has_error()) return respond(FromEnclaveError(answer->error()));
                  respond(JsonAnswer(CheckpointJson(answer->audit_checkpoint(), log_key)));
                });
  });
}

}  // namespace coffer::host_proxy
