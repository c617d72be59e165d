// POST /api/ledger/events: credits and corrections by hand or by another program.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tree.h"
#include "host_proxy/api.h"
#include "host_proxy/api_json.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::Event;
using boundary::v1::ServerFrame;

namespace {

constexpr Json::ArrayIndex kMaxEvents = 1000;
constexpr size_t kMaxIdBytes = 128;
constexpr size_t kMaxContentBytes = 64 * 1024;

absl::StatusOr<std::string> TextOf(const Json::Value& event, const char* name) {
  const Json::Value& value = event[name];
  if (!value.isString()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be a string"));
  }
  const std::string text = value.asString();
  if (text.empty() || text.size() > kMaxIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must have 1 to ", kMaxIdBytes, " bytes"));
  }
  return text;
}

absl::StatusOr<Event::Kind> KindOf(const Json::Value& event) {
  if (!event.isMember("kind")) return Event::KIND_CREDIT;
  const std::string kind = event["kind"].isString() ? event["kind"].asString() : "";
  if (kind == "credit") return Event::KIND_CREDIT;
  if (kind == "adjust_up") return Event::KIND_ADJUST_UP;
  if (kind == "adjust_down") return Event::KIND_ADJUST_DOWN;
  return absl::InvalidArgumentError("kind must be credit, adjust_up or adjust_down");
}

// The text of reason and metadata, whose hash goes into the event's leaf; empty without either.
absl::StatusOr<std::string> ContentOf(const Json::Value& event) {
  Json::Value content(Json::objectValue);
  if (event.isMember("reason")) {
    if (!event["reason"].isString()) {
      return absl::InvalidArgumentError("reason must be a string");
    }
    if (!event["reason"].asString().empty()) content["reason"] = event["reason"];
  }
  if (event.isMember("metadata")) {
    if (!event["metadata"].isObject()) {
      return absl::InvalidArgumentError("metadata must be a JSON object");
    }
    content["metadata"] = event["metadata"];
  }
  if (content.empty()) return std::string();
  std::string text = ToText(content);
  text.pop_back();  // the newline
  if (text.size() > kMaxContentBytes) {
    return absl::InvalidArgumentError(absl::StrCat("reason and metadata together have ",
                                                   text.size(), " bytes; at most ",
                                                   kMaxContentBytes, " are kept"));
  }
  return text;
}

bool IsField(const std::string& name) {
  return name == "id" || name == "account" || name == "amount" || name == "amount_wei" ||
         name == "kind" || name == "reason" || name == "metadata";
}

// Everything but the recipient, which comes from the registry and never from a request.
absl::StatusOr<Event> ParseEvent(const Json::Value& json) {
  if (!json.isObject()) return absl::InvalidArgumentError("an event must be a JSON object");
  for (const std::string& name : json.getMemberNames()) {
    if (!IsField(name)) {
      return absl::InvalidArgumentError(
          "an event has the fields id, account, amount or amount_wei, kind, reason and metadata; "
          "it has another one");
    }
  }
  const absl::StatusOr<std::string> id = TextOf(json, "id");
  if (!id.ok()) return id.status();
  const absl::StatusOr<std::string> account = TextOf(json, "account");
  if (!account.ok()) return account.status();
  const absl::StatusOr<Event::Kind> kind = KindOf(json);
  if (!kind.ok()) return kind.status();
  const bool in_wei = json.isMember("amount_wei");
  if (in_wei == json.isMember("amount")) {
    return absl::InvalidArgumentError("give either amount (ETH) or amount_wei");
  }
  const Json::Value& amount = json[in_wei ? "amount_wei" : "amount"];
  if (!amount.isString()) {
    // A JSON number may have been through somebody's floating point.
    return absl::InvalidArgumentError("an amount is a string, as in \"0.25\"");
  }
  const absl::StatusOr<boundary::v1::Wei> wei =
      in_wei ? WeiFromText(amount.asString()) : WeiFromEth(amount.asString());
  if (!wei.ok()) return absl::InvalidArgumentError(wei.status().message());
  Event event;
  event.set_id(*id);
  event.set_account(*account);
  event.set_kind(*kind);
  *event.mutable_amount() = *wei;
  return event;
}

HttpResponse Answer(const EventOutcome& outcome, const boundary::v1::Account* account) {
  Json::Value body;
  body["results"] = Json::Value(Json::arrayValue);
  Json::UInt64 applied = 0, duplicates = 0, refused = 0;
  int status = 200;
  for (size_t i = 0; i < outcome.ids.size(); ++i) {
    Json::Value result;
    result["id"] = outcome.ids[i];
    if (const auto& refusal = outcome.refusals[i]; refusal.has_value()) {
      ++refused;
      result["status"] = "refused";
      result["error"]["code"] = ErrorWord(refusal->code());
      result["error"]["message"] = refusal->message();
      // One conflict decides: somebody uses an id for two things.
      if (refusal->code() == boundary::v1::ERROR_EVENT_CONFLICT) status = 409;
      if (status == 200) status = 422;
    } else {
      ++(outcome.duplicate[i] ? duplicates : applied);
      result["status"] = outcome.duplicate[i] ? "duplicate" : "applied";
    }
    body["results"].append(std::move(result));
  }
  body["applied"] = applied;
  body["duplicates"] = duplicates;
  body["refused"] = refused;
  if (account != nullptr) body["account"] = ToJson(*account);
  HttpResponse response;
  response.status = status;
  response.body = ToText(body);
  return response;
}

}  // namespace

void Api::PostEvents(const RoutedRequest& request, HttpResponder respond) {
  absl::StatusOr<Json::Value> json = FromText(request.body);
  if (!json.ok()) {
    return respond(HttpError(400, "malformed", std::string(json.status().message())));
  }
  Json::Value events(Json::arrayValue);
  if (json->isArray()) {
    events = *std::move(json);
  } else {
    events.append(*std::move(json));
  }
  if (events.empty() || events.size() > kMaxEvents) {
    return respond(HttpError(400, "malformed", absl::StrCat("send 1 to ", kMaxEvents, " events")));
  }
  EventOutcome outcome;
  ClientFrame frame;
  std::vector<std::string> contents;
  for (Json::ArrayIndex i = 0; i < events.size(); ++i) {
    absl::StatusOr<Event> event = ParseEvent(events[i]);
    absl::StatusOr<std::string> content;
    if (event.ok()) content = ContentOf(events[i]);
    const absl::Status parsed = event.ok() ? content.status() : event.status();
    if (!parsed.ok()) {
      return respond(
          HttpError(400, "malformed",
                    absl::StrCat("event ", i, ": ", parsed.message(), "; nothing was applied")));
    }
    if (!content->empty()) {
      event->set_content_hash(std::string(audit::Sha256(*content).view()));
      contents.push_back(*std::move(content));
    }
    outcome.ids.push_back(event->id());
    outcome.refusals.emplace_back();
    outcome.duplicate.push_back(false);
    absl::StatusOr<std::string> recipient = ports_.recipient_of(event->account());
    if (!recipient.ok()) {
      outcome.refusals.back().emplace();
      outcome.refusals.back()->set_code(boundary::v1::ERROR_UNKNOWN_ACCOUNT);
      outcome.refusals.back()->set_message(std::string(recipient.status().message()));
      continue;
    }
    event->set_recipient(*recipient);
    outcome.sent.push_back(i);
    *frame.mutable_apply_events()->add_events() = *std::move(event);
  }
  if (outcome.sent.empty()) return respond(Answer(outcome, nullptr));
  // The texts first: a leaf that binds a text which nobody has proves nothing to anybody.
  KeepContents(std::move(contents), std::move(respond),
               [this, frame = std::move(frame),
                outcome = std::move(outcome)](HttpResponder keep_respond) mutable {
                 ApplyEvents(std::move(frame), std::move(outcome), std::move(keep_respond));
               });
}

void Api::KeepContents(std::vector<std::string> contents, HttpResponder respond,
                       absl::AnyInvocable<void(HttpResponder)> then) {
  if (contents.empty()) return then(std::move(respond));
  if (ports_.contents == nullptr) {
    return respond(HttpError(503, "unavailable", "this host keeps no texts of events"));
  }
  ports_.contents->Keep(std::move(contents), [respond = std::move(respond),
                                              then = std::move(then)](absl::Status kept) mutable {
    if (!kept.ok()) {
      return respond(HttpError(503, "unavailable",
                               absl::StrCat("the texts of the events could not be stored, and "
                                            "nothing was applied: ",
                                            kept.message())));
    }
    then(std::move(respond));
  });
}

void Api::ApplyEvents(ClientFrame frame, EventOutcome outcome, HttpResponder respond) {
  Ask(std::move(frame), std::move(respond),
      [outcome = std::move(outcome)](const ServerFrame& answer) mutable {
        const auto& applied = answer.events_applied();
        for (const uint32_t index : applied.duplicates()) {
          if (index < outcome.sent.size()) outcome.duplicate[outcome.sent[index]] = true;
        }
        for (const auto& refusal : applied.refusals()) {
          if (refusal.index() < outcome.sent.size()) {
            outcome.refusals[outcome.sent[refusal.index()]] = refusal.error();
          }
        }
        return Answer(outcome, applied.has_account() ? &applied.account() : nullptr);
      });
}

void Api::GetContent(const RoutedRequest& request, HttpResponder respond) {
  const absl::StatusOr<std::string> bytes = ethereum::FromHex(request.path.at("hash"));
  if (!bytes.ok() || bytes->size() != audit::Hash::kSize || ports_.contents == nullptr) {
    return respond(HttpError(404, "not_found", "a text is named by its SHA-256, 0x and 64 digits"));
  }
  audit::Hash hash;
  std::copy(bytes->begin(), bytes->end(), hash.bytes.begin());
  ports_.contents->Find(
      hash, [respond = std::move(respond)](absl::StatusOr<std::string> text) mutable {
        if (absl::IsNotFound(text.status())) {
          return respond(HttpError(404, "not_found", "this host has no text with this hash"));
        }
        if (!text.ok()) return respond(FromStatus(text.status()));
        HttpResponse response;
        response.body = *std::move(text);
        respond(std::move(response));
      });
}

}  // namespace coffer::host_proxy
