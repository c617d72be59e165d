// The process environment, read in one place (the lint on nondeterminism bans getenv elsewhere).
#ifndef COFFER_RUNTIME_OS_ENV_H_
#define COFFER_RUNTIME_OS_ENV_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace coffer::runtime {

// Empty when the variable is not set; set and empty is a value.
std::optional<std::string> OsEnv(const char* name);

// Every variable, for programs that look names up later.
absl::flat_hash_map<std::string, std::string> OsEnvironment();

// Overwrites a variable's value in the environment block and removes it, so that a secret that came
// this way is no longer readable in /proc/PID/environ nor inherited. Call it before other threads
// run.
void OsForgetEnv(const char* name);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_ENV_H_
