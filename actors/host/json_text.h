// Writing JSON text without a document, for files of one object a line.
#ifndef COFFER_ACTORS_HOST_JSON_TEXT_H_
#define COFFER_ACTORS_HOST_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace coffer::host {

// True when `text` can be a JSON string's content as it is.
bool IsUtf8(std::string_view text);
// Appends `text` quoted and escaped (RFC 8259, section 7); bytes that are not UTF-8 must not be
// given.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_JSON_TEXT_H_
