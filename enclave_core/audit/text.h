// The small pieces that the log's text formats share: lines, decimals, strict base64, UTF-8.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_TEXT_H_
#define COFFER_ENCLAVE_CORE_AUDIT_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "enclave_core/ethereum/types.h"

namespace coffer::audit {

// Takes a line and its newline off the front of `text`. Nothing when there is no newline left.
std::optional<std::string_view> TakeLine(std::string_view& text);
// ASCII decimal without sign, space or leading zero, at most 2^63 - 1.
std::optional<uint64_t> ParseDecimal(std::string_view text);
// Standard alphabet, padded, canonical (RFC 4648, 4): encoding the result gives the text again.
std::optional<std::string> DecodeBase64(std::string_view text);
std::string EncodeBase64(std::string_view bytes);
// Base64 of exactly 32 bytes.
std::optional<ethereum::Hash> DecodeHash(std::string_view text);
// Well-formed UTF-8 (RFC 3629).
bool IsUtf8(std::string_view text);
// Well-formed UTF-8 with no ASCII control character but newline (signed-note, "Format").
bool IsNoteText(std::string_view text);
// Not empty, at most 255 bytes, well-formed UTF-8 without control characters, Unicode spaces and
// "+" (signed-note, "Format").
bool IsKeyName(std::string_view name);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_TEXT_H_
