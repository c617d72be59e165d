// A TOML file as a flat list of keys, so that toml++ is compiled in one place.
#ifndef COFFER_RUNTIME_CONFIG_TOML_H_
#define COFFER_RUNTIME_CONFIG_TOML_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace coffer::runtime {

struct TomlEntry {
  std::string key;    // tables joined by dots
  std::string where;  // "coffer.toml:3:8"
  std::string kind;   // "a string", "an integer", ... for error texts
  // Nothing for kinds that no option takes (dates, arrays of tables, ...).
  std::variant<std::monostate, std::string, int64_t, double, bool, std::vector<std::string>> value;
};

// NotFound if the file cannot be read, InvalidArgument with line and column if it is not TOML. At
// most 1 MiB.
absl::StatusOr<std::vector<TomlEntry>> ReadTomlFile(const std::string& path);

// The same for a text; `name` stands in the error messages.
absl::StatusOr<std::vector<TomlEntry>> ParseToml(const std::string& text, const std::string& name);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_CONFIG_TOML_H_
