#include "enclave_core/audit/text.h"

#include <algorithm>

#include "absl/strings/escaping.h"

namespace coffer::audit {
namespace {

constexpr size_t kMaxNameBytes = 255;  // cosigner and origin names are length-prefixed by one byte

// Takes one character off the front. Nothing for bytes that are not well-formed UTF-8 (RFC 3629: no
// overlong form, no surrogate, nothing above U+10FFFF).
std::optional<uint32_t> TakeCharacter(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(0);
  size_t size = 1;
  uint32_t least = 0;
  uint32_t value = lead;
  if (lead >= 0x80) {
    if (lead >= 0xC2 && lead < 0xE0) {
      size = 2, least = 0x80, value = lead & 0x1F;
    } else if (lead >= 0xE0 && lead < 0xF0) {
      size = 3, least = 0x800, value = lead & 0x0F;
    } else if (lead >= 0xF0 && lead < 0xF5) {
      size = 4, least = 0x10000, value = lead & 0x07;
    } else {
      return std::nullopt;
    }
  }
  if (text.size() < size) return std::nullopt;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    value = value << 6 | (byte(i) & 0x3F);
  }
  if (value < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

// The characters with the property White_Space that are not control characters (Unicode, PropList).
bool IsSpace(uint32_t c) {
  return c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace

std::optional<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  if (text.empty() || text.size() > 19 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  uint64_t value = 0;  // 19 digits fit 64 bits
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  if (value >> 63) return std::nullopt;
  return value;
}

std::string EncodeBase64(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes)) {
    return std::nullopt;
  }
  // The library forgives white space and missing padding; a signed format must not.
  if (EncodeBase64(bytes) != text) return std::nullopt;
  return bytes;
}

std::optional<ethereum::Hash> DecodeHash(std::string_view text) {
  if (text.size() != 44) return std::nullopt;
  const std::optional<std::string> bytes = DecodeBase64(text);
  if (!bytes || bytes->size() != ethereum::Hash::kSize) return std::nullopt;
  return *ethereum::Hash::FromBytes(*bytes);
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    if (!TakeCharacter(text)) return false;
  }
  return true;
}

bool IsNoteText(std::string_view text) {
  while (!text.empty()) {
    const std::optional<uint32_t> c = TakeCharacter(text);
    if (!c || (*c < 0x20 && *c != '\n')) return false;
  }
  return true;
}

bool IsKeyName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  while (!name.empty()) {
    const std::optional<uint32_t> c = TakeCharacter(name);
    if (!c || *c < 0x20 || *c == '+' || IsSpace(*c)) return false;
  }
  return true;
}

}  // namespace coffer::audit
