#include "tools/json_lines.h"

#include <json/reader.h>
#include <json/value.h>

#include <algorithm>
#include <exception>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "actors/host/json_text.h"

namespace coffer::tools {
namespace {

constexpr int kMaxDepth = 16;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?  jsoncpp reads more than that: 007, 1., +1.
bool IsNumber(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at > from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const size_t begin = at;
  if (!digits() || (zero && at > begin + 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

// The tokens of a text that jsoncpp has accepted.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  // Empty at the end.
  std::string_view Next() {
    while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
    if (at_ == text_.size()) return {};
    const size_t from = at_++;
    const char first = text_[from];
    if (first == '"') {
      while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
      at_ = std::min(at_ + 1, text_.size());
    } else if (std::string_view("{}[],:").find(first) == std::string_view::npos) {
      while (at_ < text_.size() && !IsBlank(text_[at_]) &&
             std::string_view("{}[],:\"").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
    }
    return text_.substr(from, at_ - from);
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
};

bool IsWordOrNumber(std::string_view token) {
  return token == "true" || token == "false" || token == "null" || IsNumber(token);
}

absl::Status Syntax(std::string_view text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["strictRoot"] = false;
  builder["stackLimit"] = kMaxDepth;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value value;
  // jsoncpp throws beyond its stack limit. Its error texts show what they complain of, which may be
  // a secret.
  try {
    if (reader->parse(text.data(), text.data() + text.size(), &value, nullptr)) {
      return absl::OkStatus();
    }
  } catch (const std::exception&) {
  }
  return absl::InvalidArgumentError(
      "this is not valid JSON (RFC 8259, no key twice, at most 16 levels)");
}

// A string's token; raw control characters become escapes.
void AppendString(std::string_view token, std::string& out) {
  for (const char c : token) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      out.push_back(c);
    }
  }
}

}  // namespace

absl::Status CheckJson(std::string_view text) {
  if (!host::IsUtf8(text)) return absl::InvalidArgumentError("this is not UTF-8, so no JSON");
  if (absl::Status s = Syntax(text); !s.ok()) return s;
  Tokens tokens(text);
  for (std::string_view token = tokens.Next(); !token.empty(); token = tokens.Next()) {
    const bool other = std::string_view("{}[],:\"").find(token.front()) == std::string_view::npos;
    if (other && !IsWordOrNumber(token)) {
      return absl::InvalidArgumentError("a number here is not written as JSON has it");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> IndentJson(std::string_view text) {
  if (absl::Status s = CheckJson(text); !s.ok()) return s;
  std::string out;
  size_t depth = 0;
  const auto new_line = [&] { absl::StrAppend(&out, "\n", std::string(2 * depth, ' ')); };
  Tokens tokens(text);
  char before = 0;
  for (std::string_view token = tokens.Next(); !token.empty(); token = tokens.Next()) {
    const char c = token.front();
    const bool closes = c == '}' || c == ']';
    if (closes) --depth;
    const bool opened = before == '{' || before == '[';
    if (closes != opened && (closes || opened)) new_line();
    if (before == ',') new_line();
    if (c == '"') {
      AppendString(token, out);
    } else {
      absl::StrAppend(&out, std::string(token));
    }
    if (c == ':') out.push_back(' ');
    if (c == '{' || c == '[') ++depth;
    before = c;
  }
  return out;
}

}  // namespace coffer::tools
