#include "actors/host/journal_line.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "actors/host/decimal_wei.h"
#include "actors/host/sha256.h"

namespace coffer::host {
namespace {

namespace od = simdjson::ondemand;

constexpr int kMaxDepth = 32;  // of arrays and objects in one another; the backend writes two

Rejected Reject(RejectReason reason, std::string detail) { return {reason, std::move(detail)}; }

Rejected JsonError(simdjson::error_code error) {
  if (error == simdjson::UTF8_ERROR) {
    return Reject(RejectReason::kBadUtf8, "the line is not valid UTF-8");
  }
  return Reject(RejectReason::kNotJson,
                absl::StrCat("the line is not valid JSON: ", simdjson::error_message(error)));
}

std::string_view TrimJsonSpace(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t end = text.find_last_not_of(kSpace);
  return end == text.npos ? std::string_view() : text.substr(0, end + 1);
}

// RFC 8259, section 6.
bool IsJsonNumber(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

// On-Demand checks only what is looked at, so everything is looked at: a line whose unread part is
// broken may be two lines that were written into one another, and is not money.
std::optional<Rejected> CheckValue(od::value value, int depth);

std::optional<Rejected> CheckArray(od::value& value, int depth) {
  od::array array;
  if (const auto error = value.get_array().get(array)) return JsonError(error);
  for (auto element : array) {
    od::value inner;
    if (const auto error = element.get(inner)) return JsonError(error);
    if (auto bad = CheckValue(inner, depth)) return bad;
  }
  return std::nullopt;
}

std::optional<Rejected> CheckObject(od::value& value, int depth) {
  od::object object;
  if (const auto error = value.get_object().get(object)) return JsonError(error);
  for (auto entry : object) {
    od::field field;
    if (const auto error = std::move(entry).get(field)) return JsonError(error);
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return JsonError(error);
    if (auto bad = CheckValue(field.value(), depth)) return bad;
  }
  return std::nullopt;
}

std::optional<Rejected> CheckValue(od::value value, int depth) {
  od::json_type type;
  if (const auto error = value.type().get(type)) return JsonError(error);
  if (type == od::json_type::array || type == od::json_type::object) {
    if (depth >= kMaxDepth) {
      return Reject(RejectReason::kTooDeep,
                    absl::StrCat("arrays and objects are nested more than ", kMaxDepth, " deep"));
    }
    return type == od::json_type::array ? CheckArray(value, depth + 1)
                                        : CheckObject(value, depth + 1);
  }
  if (type == od::json_type::string) {
    std::string_view text;
    if (const auto error = value.get_string().get(text)) return JsonError(error);
    return std::nullopt;
  }
  const std::string_view token = TrimJsonSpace(value.raw_json_token());
  const bool fine = type == od::json_type::number ? IsJsonNumber(token)
                    : type == od::json_type::null ? token == "null"
                                                  : token == "true" || token == "false";
  if (!fine) return JsonError(simdjson::TAPE_ERROR);
  return std::nullopt;
}

// The three fields that mean something, as they stand in the line.
struct Fields {
  std::optional<std::string_view> event;
  std::optional<std::string_view> orchestrator_id;
  std::optional<std::string_view> amount;  // a string's content or a number's token
};

Rejected WrongType(std::string_view field, std::string_view expected) {
  return Reject(RejectReason::kWrongType,
                "`" + std::string(field) + "` must be " + std::string(expected));
}

std::optional<Rejected> TakeField(std::string_view key, od::value value, Fields& out) {
  std::optional<std::string_view>* const slot = key == "event"             ? &out.event
                                                : key == "orchestrator_id" ? &out.orchestrator_id
                                                : key == "amount"          ? &out.amount
                                                                           : nullptr;
  if (slot == nullptr) return CheckValue(value, 1);
  if (slot->has_value()) {
    return Reject(RejectReason::kDuplicateField, "`" + std::string(key) + "` is there twice");
  }
  od::json_type type;
  if (const auto error = value.type().get(type)) return JsonError(error);
  if (type == od::json_type::string) {
    std::string_view text;
    if (const auto error = value.get_string().get(text)) return JsonError(error);
    *slot = text;
    return std::nullopt;
  }
  if (slot != &out.amount) return WrongType(key, "a string");
  if (type != od::json_type::number) return WrongType(key, "a decimal string or a number");
  const std::string_view token = TrimJsonSpace(value.raw_json_token());
  if (!IsJsonNumber(token)) return JsonError(simdjson::NUMBER_ERROR);
  *slot = token;
  return std::nullopt;
}

std::optional<Rejected> ReadFields(od::document& document, Fields& out) {
  od::object object;
  if (const auto error = document.get_object().get(object)) {
    if (error == simdjson::INCORRECT_TYPE) {
      return Reject(RejectReason::kNotAnObject, "the line is not a JSON object");
    }
    return JsonError(error);
  }
  for (auto entry : object) {
    od::field field;
    if (const auto error = std::move(entry).get(field)) return JsonError(error);
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return JsonError(error);
    if (auto bad = TakeField(key, field.value(), out)) return bad;
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return JsonError(simdjson::TAPE_ERROR);
  return std::nullopt;
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Rejected BadAmount(const absl::Status& status) {
  const RejectReason reason = absl::IsFailedPrecondition(status) ? RejectReason::kTooManyDecimals
                              : absl::IsOutOfRange(status)       ? RejectReason::kAmountOutOfRange
                                                                 : RejectReason::kBadAmount;
  return Reject(reason, absl::StrCat("`amount`: ", status.message()));
}

// All of a line but its id.
ParsedLine Interpret(const Fields& fields) {
  if (!fields.event.has_value()) {
    return Reject(RejectReason::kMissingField, "`event` is missing");
  }
  if (*fields.event == "set_balance") return Skipped{Skipped::Kind::kSetBalance};
  if (*fields.event != "credit") {
    return Reject(RejectReason::kUnknownEvent, "`event` is neither credit nor set_balance");
  }
  if (!fields.orchestrator_id.has_value() || !fields.amount.has_value()) {
    return Reject(RejectReason::kMissingField, fields.amount.has_value()
                                                   ? "`orchestrator_id` is missing"
                                                   : "`amount` is missing");
  }
  const std::string_view id = *fields.orchestrator_id;
  if (id.empty() || id.size() > kMaxOrchestratorIdBytes || HasControlCharacter(id)) {
    return Reject(RejectReason::kBadOrchestratorId,
                  "`orchestrator_id` must be 1 to 128 bytes without control characters");
  }
  const absl::StatusOr<SignedWei> wei = ParseEthToWei(*fields.amount);
  if (!wei.ok()) return BadAmount(wei.status());
  if (wei->magnitude == 0) return Skipped{Skipped::Kind::kZero};
  return ParsedLine(std::in_place_type<Credit>,
                    Credit{wei->negative ? Credit::Kind::kAdjustDown : Credit::Kind::kCredit,
                           std::string(id), wei->magnitude, EventId{}});
}

}  // namespace

struct LineParser::State {
  od::parser json;
  Sha256 sha256;
  std::string padded;  // simdjson reads up to SIMDJSON_PADDING bytes past a line's end
};

LineParser::LineParser() : state_(std::make_unique<State>()) {
  state_->padded.resize(4096 + simdjson::SIMDJSON_PADDING);
}
LineParser::~LineParser() = default;

EventId LineParser::Id(std::string_view line) {
  EventId id;
  std::copy(EventId::kPrefix.begin(), EventId::kPrefix.end(), id.text.begin());
  WriteHex(state_->sha256.Hash(line), id.text.data() + EventId::kPrefix.size());
  return id;
}

ParsedLine LineParser::Parse(std::string_view line) {
  if (line.size() > kMaxLineBytes) {
    return Reject(RejectReason::kTooLong, "the line is longer than 1 MiB");
  }
  if (line.empty() || line.back() != '\n') {
    return Reject(RejectReason::kNoNewline, "the line has no newline at its end");
  }
  if (TrimJsonSpace(line).empty()) return Reject(RejectReason::kBlank, "the line is blank");
  std::string& padded = state_->padded;
  if (padded.size() < line.size() + simdjson::SIMDJSON_PADDING) {
    padded.resize(line.size() + simdjson::SIMDJSON_PADDING);
  }
  std::memcpy(padded.data(), line.data(), line.size());
  // What an earlier line left behind must not decide how this one ends.
  std::memset(padded.data() + line.size(), ' ', simdjson::SIMDJSON_PADDING);
  od::document document;
  if (const auto error =
          state_->json.iterate(padded.data(), line.size(), padded.size()).get(document)) {
    return JsonError(error);
  }
  Fields fields;
  if (auto bad = ReadFields(document, fields)) return *std::move(bad);
  ParsedLine parsed = Interpret(fields);
  if (Credit* const credit = std::get_if<Credit>(&parsed)) credit->event_id = Id(line);
  return parsed;
}

std::string_view RejectReasonName(RejectReason reason) {
  switch (reason) {
    case RejectReason::kBlank:
      return "blank";
    case RejectReason::kTooLong:
      return "too_long";
    case RejectReason::kNoNewline:
      return "no_newline";
    case RejectReason::kBadUtf8:
      return "bad_utf8";
    case RejectReason::kNotJson:
      return "not_json";
    case RejectReason::kNotAnObject:
      return "not_an_object";
    case RejectReason::kTooDeep:
      return "too_deep";
    case RejectReason::kDuplicateField:
      return "duplicate_field";
    case RejectReason::kMissingField:
      return "missing_field";
    case RejectReason::kWrongType:
      return "wrong_type";
    case RejectReason::kUnknownEvent:
      return "unknown_event";
    case RejectReason::kBadOrchestratorId:
      return "bad_orchestrator_id";
    case RejectReason::kBadAmount:
      return "bad_amount";
    case RejectReason::kTooManyDecimals:
      return "too_many_decimals";
    case RejectReason::kAmountOutOfRange:
      return "amount_out_of_range";
    case RejectReason::kUnknownOrchestrator:
      return "unknown_orchestrator";
    case RejectReason::kRefused:
      return "refused";
  }
  return "unknown";
}

}  // namespace coffer::host
