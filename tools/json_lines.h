// JSON text that stays text: values of any size go through as they were written, and never through
// a double.
#ifndef COFFER_TOOLS_JSON_LINES_H_
#define COFFER_TOOLS_JSON_LINES_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::tools {

// InvalidArgument, without showing the text, unless it is one JSON value as RFC 8259 has it: UTF-8,
// no duplicate keys, at most 16 levels deep.
absl::Status CheckJson(std::string_view text);

// `text`, which must be valid, over several lines, indented by two blanks a level. Digits of
// numbers stay as they are; what a terminal would take for a command is escaped.
absl::StatusOr<std::string> IndentJson(std::string_view text);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_JSON_LINES_H_
