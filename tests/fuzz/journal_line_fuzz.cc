// Any bytes as a journal line: no crash, the same answer twice, and what is taken for money is JSON
// to a second, whole parser.
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "actors/host/decimal_wei.h"
#include "actors/host/journal_line.h"
#include "invariant/check.h"

namespace {

using coffer::host::Credit;
using coffer::host::LineParser;
using coffer::host::ParsedLine;
using coffer::host::Rejected;

void CheckAccepted(const std::string& line) {
  simdjson::dom::parser dom;
  simdjson::dom::element element;
  const auto error = dom.parse(line).get(element);
  // Numbers beyond a double's range are valid JSON and of no interest here.
  if (error == simdjson::NUMBER_ERROR) return;
  COFFER_CHECK(error == simdjson::SUCCESS && element.is_object(), "an accepted line is an object");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static LineParser parser;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  (void)coffer::host::ParseEthToWei(raw);
  std::string line(raw);
  for (char& c : line) c = c == '\n' ? ' ' : c;
  line += '\n';
  const ParsedLine first = parser.Parse(line);
  const ParsedLine second = LineParser().Parse(line);
  COFFER_CHECK(first.index() == second.index(), "a line means the same whatever came before it");
  if (std::holds_alternative<Rejected>(first)) return 0;
  CheckAccepted(line);
  if (const Credit* const credit = std::get_if<Credit>(&first)) {
    COFFER_CHECK(credit->wei > 0 && (credit->wei >> 127) == 0, "an amount is within its bounds");
    COFFER_CHECK(!credit->orchestrator_id.empty() && credit->orchestrator_id.size() <= 128,
                 "an id is within its bounds");
    COFFER_CHECK(credit->wei == std::get<Credit>(second).wei, "an amount is the same twice");
  }
  return 0;
}
