#include "enclave_core/json_protocol/json_writer.h"

#include <simdjson.h>

#include <charconv>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::json_protocol {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// The length of the UTF-8 character that `text` begins with, 0 when it begins with none.
size_t CharacterBytes(std::string_view text) {
  for (size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (simdjson::validate_utf8(text.data(), size)) return size;
  }
  return 0;
}

}  // namespace

void JsonWriter::Separate() {
  if (comma_) out_.push_back(',');
  comma_ = true;
}

void JsonWriter::Open(char bracket) {
  Separate();
  out_.push_back(bracket);
  comma_ = false;
}

void JsonWriter::Close(char bracket) {
  out_.push_back(bracket);
  comma_ = true;
}

void JsonWriter::Raw(std::string_view token) {
  Separate();
  out_.append(token);
}

void JsonWriter::Key(std::string_view key) {
  Separate();
  out_.push_back('"');
  out_.append(key);
  out_.append("\":");
  comma_ = false;
}

void JsonWriter::StringKey(std::string_view key) {
  String(key);
  out_.push_back(':');
  comma_ = false;
}

void JsonWriter::Uint(uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), value);
  Raw({digits, static_cast<size_t>(end - digits)});
}

void JsonWriter::Wei(ledger::Wei value) { Raw(ledger::ToDecimal(value)); }

void JsonWriter::String(std::string_view text) {
  // RFC 8259's short escapes, as every other writer uses them: a text is hashed (content_hash).
  constexpr std::string_view kShort = "\b\f\n\r\t";
  constexpr std::string_view kShortNames = "bfnrt";
  Separate();
  out_.push_back('"');
  const bool valid = simdjson::validate_utf8(text.data(), text.size());
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out_.push_back('\\');
      out_.push_back(c);
    } else if (const size_t at = kShort.find(c); at != std::string_view::npos) {
      out_.push_back('\\');
      out_.push_back(kShortNames[at]);
    } else if (byte < 0x20) {
      out_.append("\\u00");
      out_.push_back(kHexDigits[byte >> 4]);
      out_.push_back(kHexDigits[byte & 0xf]);
    } else if (byte < 0x80 || valid) {
      out_.push_back(c);
    } else {
      const size_t size = CharacterBytes(text.substr(i));
      out_.append(size == 0 ? kReplacement : text.substr(i, size));
      i += size == 0 ? 1 : size;
      continue;
    }
    ++i;
  }
  out_.push_back('"');
}

void JsonWriter::Hex(std::string_view bytes) {
  Separate();
  out_.append("\"0x");
  const size_t start = out_.size();
  out_.resize(start + 2 * bytes.size());
  char* to = out_.data() + start;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    *to++ = kHexDigits[byte >> 4];
    *to++ = kHexDigits[byte & 0xf];
  }
  out_.push_back('"');
}

void JsonWriter::Checksummed(std::string_view address) {
  const absl::StatusOr<ethereum::Address> parsed = ethereum::Address::FromBytes(address);
  if (!parsed.ok()) return Null();
  String(ethereum::ToChecksum(*parsed));
}

void JsonWriter::Base64(std::string_view bytes) {
  Separate();
  std::string encoded;
  absl::Base64Escape({bytes.data(), bytes.size()}, &encoded);
  out_.reserve(out_.size() + encoded.size() + 16);
  out_.push_back('"');
  out_.append(encoded);
  out_.push_back('"');
}

void JsonWriter::Integer(std::string_view big_endian) {
  const absl::StatusOr<ethereum::U256> value = ethereum::U256FromBytes(big_endian);
  if (!value.ok()) return Null();
  Raw(ethereum::ToDecimal(*value));
}

void JsonWriter::HexMember(std::string_view key, std::string_view bytes) {
  Key(key);
  if (bytes.empty()) return Null();
  Hex(bytes);
}

void JsonWriter::AddressMember(std::string_view key, std::string_view bytes) {
  Key(key);
  Hex(bytes.empty() ? ethereum::Address().view() : bytes);
}

}  // namespace coffer::json_protocol
