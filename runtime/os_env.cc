#include "runtime/os_env.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string_view>

namespace coffer::runtime {

std::optional<std::string> OsEnv(const char* name) {
  const char* value = getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

absl::flat_hash_map<std::string, std::string> OsEnvironment() {
  absl::flat_hash_map<std::string, std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

void OsForgetEnv(const char* name) {
  char* value = getenv(name);
  if (value == nullptr) return;
  explicit_bzero(value, strlen(value));
  unsetenv(name);
}

}  // namespace coffer::runtime
