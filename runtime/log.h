// Structured logs: one line an event, with key-value fields, as text or JSON, on stderr.
//
// A value may come from a hostile peer: control characters, broken UTF-8 and overlong texts are
// made safe here, so that no value can forge a line or drive a terminal. Key material is never
// handed to a log (I8).
#ifndef COFFER_RUNTIME_LOG_H_
#define COFFER_RUNTIME_LOG_H_

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace coffer::runtime {

enum class Level {
  kDebug,
  kInfo,
  kWarn,
  kError,
  kOff,  // of LogOptions only: nothing is written
};

// Keys are literals of ours. The value is copied by the time Log returns.
struct LogField {
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  // The status' text lives in the status, which outlives the call.
  LogField(std::string_view k, const absl::Status& v)
      : key(k), value(std::string_view(v.message().data(), v.message().size())) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(Widen(v)) {}

  std::string_view key;
  Value value;

 private:
  template <typename T>
  static Value Widen(T v) {
    if constexpr (std::signed_integral<T>) return static_cast<int64_t>(v);
    return static_cast<uint64_t>(v);
  }
};

struct LogOptions {
  Level level = Level::kInfo;
  bool json = false;
  std::FILE* out = stderr;  // must stay open
};

// Before threads run. Without it: kInfo, text, stderr.
void InitLog(const LogOptions& options);

bool LogEnabled(Level level);

// Log(Level::kInfo, "journal", "replay done", {{"lines", n}, {"seconds", s}}). Thread-safe.
void Log(Level level, std::string_view component, std::string_view message,
         std::initializer_list<LogField> fields = {});

// "debug", "info", "warn", "error".
absl::Status ParseLogLevel(std::string_view text, Level* level);

// The line without its newline, for Log and for tests.
std::string FormatLogLine(bool json, absl::Time time, Level level, std::string_view component,
                          std::string_view message, std::initializer_list<LogField> fields);

// For events that may come in floods: at most one line in `period`; the next one says how many were
// left out
// ("suppressed"). One object a place; thread-safe.
class LogEvery {
 public:
  explicit LogEvery(absl::Duration period) : period_(period) {}
  void Log(Level level, std::string_view component, std::string_view message,
           std::initializer_list<LogField> fields = {});

 private:
  const absl::Duration period_;
  std::mutex mutex_;
  absl::Time next_ = absl::InfinitePast();
  uint64_t suppressed_ = 0;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_LOG_H_
