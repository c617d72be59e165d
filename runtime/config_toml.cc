#include "runtime/config_toml.h"

// toml++ 3.3 asserts that "[" is followed by a key before it finds out, with an error, that it is
// not.
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <fstream>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::runtime {
namespace {

constexpr size_t kMaxFileBytes = 1u << 20;

std::string Where(const std::string& name, const toml::source_region& region) {
  return absl::StrCat(name, ":", region.begin.line, ":", region.begin.column);
}

const char* KindOf(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a decimal number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

void ReadValue(const toml::node& node, TomlEntry* entry) {
  if (const auto* text = node.as_string()) {
    entry->value = text->get();
  } else if (const auto* integer = node.as_integer()) {
    entry->value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    entry->value = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    entry->value = boolean->get();
  } else if (const auto* array = node.as_array()) {
    std::vector<std::string> texts;
    for (const toml::node& element : *array) {
      const auto* item = element.as_string();
      if (item == nullptr) {
        entry->kind = "an array that holds more than strings";
        return;
      }
      texts.push_back(item->get());
    }
    entry->value = std::move(texts);
  }
}

void Flatten(const toml::table& table, const std::string& prefix, const std::string& name,
             std::vector<TomlEntry>* out) {
  for (const auto& [key, node] : table) {
    TomlEntry entry;
    entry.key = absl::StrCat(prefix, std::string(key.str()));
    if (const toml::table* inner = node.as_table()) {
      Flatten(*inner, absl::StrCat(entry.key, "."), name, out);
      continue;
    }
    entry.where = Where(name, node.source());
    entry.kind = KindOf(node);
    ReadValue(node, &entry);
    out->push_back(std::move(entry));
  }
}

// The line of the first character that is neither ASCII nor in a string or a comment, where alone
// TOML 1.0 has others; 0 = there is none. toml++ 3.3 takes some of them for a branch that it has
// told the compiler is never reached.
size_t LineOfStrangeCharacter(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  enum class In { kNothing, kComment, kString } in = In::kNothing;
  std::string_view quote;  // that ends the string
  size_t line = 1;
  for (size_t i = text.starts_with(kByteOrderMark) ? 3 : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      if (in != In::kString || quote.size() == 1) in = In::kNothing;
    } else if (in == In::kNothing) {
      if (static_cast<unsigned char>(c) >= 0x80) return line;
      if (c == '#') in = In::kComment;
      if (c != '"' && c != '\'') continue;
      in = In::kString;
      const bool triple = text.substr(i + 1, 2) == std::string(2, c);
      quote = text.substr(i, triple ? 3 : 1);
      i += quote.size() - 1;
    } else if (in == In::kString) {
      const bool escapes = c == '\\' && quote[0] == '"';
      if (escapes && text.substr(i + 1, 1) != "\n") ++i;
      if (escapes || text.substr(i, quote.size()) != quote) continue;
      i += quote.size() - 1;
      // Three quotes end a string that may end in two of its own.
      while (quote.size() == 3 && text.substr(i + 1, 1) == quote.substr(0, 1)) ++i;
      in = In::kNothing;
    }
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::vector<TomlEntry>> ParseToml(const std::string& text, const std::string& name) {
  if (const size_t line = LineOfStrangeCharacter(text); line != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", line,
                     ": this is not TOML: only strings in quotes and comments may have characters "
                     "outside ASCII"));
  }
  const toml::parse_result parsed = toml::parse(std::string_view(text), name);
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where(name, parsed.error().source()),
                     ": this is not TOML: ", std::string(parsed.error().description())));
  }
  std::vector<TomlEntry> entries;
  Flatten(parsed.table(), "", name, &entries);
  return entries;
}

absl::StatusOr<std::vector<TomlEntry>> ReadTomlFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size())) && !file.eof()) {
    return absl::NotFoundError(absl::StrCat("the configuration file ", path, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a configuration file has at most ", kMaxFileBytes, " bytes"));
  }
  return ParseToml(text, path);
}

}  // namespace coffer::runtime
