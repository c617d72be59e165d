#include "runtime/config_values.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace coffer::runtime {
namespace {

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

struct Unit {
  const char* name;
  uint64_t bytes;
};
constexpr Unit kUnits[] = {
    {"", 1},
    {"B", 1},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"KB", 1000},
    {"MB", 1000ull * 1000},
    {"GB", 1000ull * 1000 * 1000},
    {"TB", 1000ull * 1000 * 1000 * 1000},
};

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDurationText(const std::string& text) {
  absl::Duration duration;
  if (text.empty() || !IsDigit(text[0]) || !absl::ParseDuration(text, &duration) ||
      duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError("expected a duration such as 500ms, 2s or 5m");
  }
  return duration;
}

absl::StatusOr<uint64_t> ParseBytesText(const std::string& text) {
  const absl::Status wrong =
      absl::InvalidArgumentError("expected a number of bytes such as 4096, 64KiB or 16MiB");
  size_t at = 0;
  uint64_t number = 0;
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (; at < text.size() && IsDigit(text[at]); ++at) {
    const uint64_t digit = static_cast<uint64_t>(text[at] - '0');
    if (number > (kMax - digit) / 10) return wrong;
    number = number * 10 + digit;
  }
  if (at == 0) return wrong;
  const std::string unit_name = text.substr(at);
  for (const Unit& unit : kUnits) {
    if (unit_name != unit.name) continue;
    if (number > kMax / unit.bytes) return wrong;
    return number * unit.bytes;
  }
  return wrong;
}

std::string FormatBytes(uint64_t bytes) {
  const Unit* best = &kUnits[0];
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && (unit.bytes & (unit.bytes - 1)) == 0 && unit.bytes > best->bytes &&
        bytes % unit.bytes == 0) {
      best = &unit;
    }
  }
  return absl::StrCat(bytes / best->bytes, best->name);
}

std::string VariableOf(const std::string& name) {
  std::string variable = "COFFER_";
  for (char c : name) {
    variable += c == '.' || c == '-' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return variable;
}

std::string NearestName(const std::string& name, const std::vector<std::string>& candidates) {
  if (name.size() > 100) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace coffer::runtime
