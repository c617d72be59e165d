// The enclave's own reading of JSON, the journal's (simdjson) and the host's (jsoncpp, strictly):
// what the enclave accepts is the same tree to jsoncpp, and what the journal takes for a credit
// says the same to it.
//
// Input: JSON text.
#include <json/reader.h>
#include <json/value.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "actors/host/journal_line.h"
#include "enclave_core/json_protocol/json_value.h"
#include "host_proxy/json_text.h"
#include "invariant/check.h"

namespace {

using coffer::json_protocol::Value;

bool SameTree(const Value& mine, const Json::Value& theirs) {
  switch (mine.kind) {
    case Value::Kind::kNull:
      return theirs.isNull();
    case Value::Kind::kBool:
      return theirs.isBool() && theirs.asBool() == mine.boolean;
    case Value::Kind::kInteger:
      // jsoncpp makes a double of what is beyond 64 bits.
      return theirs.isNumeric() && (!theirs.isIntegral() || mine.text == "-0" ||
                                    theirs.isDouble() || theirs.asString() == mine.text);
    case Value::Kind::kOtherNumber:
      return theirs.isNumeric();
    case Value::Kind::kString:
      return theirs.isString() && theirs.asString() == mine.text;
    case Value::Kind::kArray: {
      if (!theirs.isArray() || theirs.size() != mine.size) return false;
      Json::ArrayIndex i = 0;
      for (const Value* v = mine.first; v != nullptr; v = v->next) {
        if (!SameTree(*v, theirs[i++])) return false;
      }
      return i == mine.size;
    }
    case Value::Kind::kObject: {
      if (!theirs.isObject() || theirs.size() != mine.size) return false;
      size_t members = 0;
      for (const Value* v = mine.first; v != nullptr; v = v->next, ++members) {
        const Json::Value* const other = theirs.find(v->key.data(), v->key.data() + v->key.size());
        if (other == nullptr || !SameTree(*v, *other)) return false;
      }
      return members == mine.size;
    }
  }
  return false;
}

// Whether jsoncpp gives up on a number that is too large for a double, which is its limit and not
// JSON's.
bool HasExponent(std::string_view text) {
  return text.find_first_of("eE") != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  static coffer::json_protocol::Document document;
  const auto mine = document.Parse(text);
  const auto theirs = coffer::host_proxy::FromText(text);
  if (mine.ok()) {
    if (theirs.ok()) {
      COFFER_CHECK(SameTree(**mine, *theirs), "one text is one tree");
    } else {
      COFFER_CHECK(HasExponent(text) || size > 300, "what is strict JSON here is so there");
    }
  }
  document.Clear();

  static coffer::host::LineParser parser;
  std::string line = text;
  for (char& c : line) c = c == '\n' ? ' ' : c;
  const auto parsed = parser.Parse(line + "\n");
  if (std::holds_alternative<coffer::host::Rejected>(parsed)) return 0;
  const auto object = coffer::host_proxy::FromText(line);
  if (!object.ok()) {
    COFFER_CHECK(HasExponent(line) || size > 300, "a line that counts is strict JSON");
    return 0;
  }
  COFFER_CHECK(object->isObject() && (*object)["event"].isString(), "with an event");
  if (const auto* credit = std::get_if<coffer::host::Credit>(&parsed)) {
    COFFER_CHECK((*object)["orchestrator_id"].isString() &&
                     (*object)["orchestrator_id"].asString() == credit->orchestrator_id,
                 "the account is the one that the line names");
    COFFER_CHECK((*object)["event"].asString() == "credit", "a credit says so");
  }
  return 0;
}
