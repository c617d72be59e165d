// JSON to and from text, strictly and within bounds.
#ifndef COFFER_HOST_PROXY_JSON_TEXT_H_
#define COFFER_HOST_PROXY_JSON_TEXT_H_

#include <json/value.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::host_proxy {

// Compact, UTF-8, with a newline at the end, as a terminal likes it.
std::string ToText(const Json::Value& value);

// One JSON document and nothing else: no comments, no duplicate keys, depth at most 16, and
// every text in it is UTF-8. An error says what and where, in a line.
absl::StatusOr<Json::Value> FromText(std::string_view text);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_JSON_TEXT_H_
