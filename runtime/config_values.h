// The texts of configuration values, and names that are nearly right.
#ifndef COFFER_RUNTIME_CONFIG_VALUES_H_
#define COFFER_RUNTIME_CONFIG_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coffer::runtime {

// 500ms, 2s, 1h30m, 0s. InvalidArgument for negative, infinite and unit-less ones; the message says
// what is expected and not what was given, because that may be a secret.
absl::StatusOr<absl::Duration> ParseDurationText(const std::string& text);

// 4096, 512B, 64KiB, 16MiB, 1GiB, 1TiB, and KB, MB, GB, TB for powers of 1000.
absl::StatusOr<uint64_t> ParseBytesText(const std::string& text);

// The shortest exact form that ParseBytesText reads back.
std::string FormatBytes(uint64_t bytes);

// COFFER_JOURNAL_CURSOR_PATH for "journal.cursor-path".
std::string VariableOf(const std::string& name);

// The candidate within a few edits of `name`; empty when none is near.
std::string NearestName(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_CONFIG_VALUES_H_
