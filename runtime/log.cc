#include "runtime/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/os_clock.h"

namespace coffer::runtime {
namespace {

// A hostile value must not fill the disk either.
constexpr size_t kMaxValueBytes = 4096;

// Length of the UTF-8 sequence at `at` (RFC 3629: no overlong forms, no surrogates, at most
// U+10FFFF); 0 if broken.
size_t Utf8Length(std::string_view text, size_t at, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(at);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length == 0 || at + length > text.size()) return 0;
  constexpr uint8_t kLeadMask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  *code = lead & kLeadMask[length];
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    *code = *code << 6 | (byte(at + i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (*code < kLeast[length] || *code > 0x10ffff) return 0;
  if (*code >= 0xd800 && *code <= 0xdfff) return 0;
  return length;
}

// What could break a line, drive a terminal, or turn the reading direction.
bool MustEscape(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

// A quoted string, legal JSON.
void AppendQuoted(std::string_view text, std::string* out) {
  const size_t end = std::min(text.size(), kMaxValueBytes);
  out->push_back('"');
  for (size_t at = 0; at < end;) {
    uint32_t code = 0;
    const size_t length = Utf8Length(text, at, &code);
    if (length == 0) {
      out->append("\xef\xbf\xbd");  // U+FFFD
      ++at;
      continue;
    }
    if (code == '"' || code == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(code));
    } else if (code == '\n') {
      out->append("\\n");
    } else if (MustEscape(code)) {
      absl::StrAppendFormat(out, "\\u%04x", code);
    } else {
      out->append(text.substr(at, length));
    }
    at += length;
  }
  if (text.size() > end) absl::StrAppend(out, "... (", text.size(), " bytes)");
  out->push_back('"');
}

bool IsPlain(std::string_view text) {
  if (text.empty() || text.size() > 200) return false;
  for (char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

void AppendValue(bool json, const LogField::Value& value, std::string* out) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    if (!json && IsPlain(*text)) {
      out->append(*text);
    } else {
      AppendQuoted(*text, out);
    }
  } else if (const auto* number = std::get_if<int64_t>(&value)) {
    absl::StrAppend(out, *number);
  } else if (const auto* natural = std::get_if<uint64_t>(&value)) {
    absl::StrAppend(out, *natural);
  } else if (const auto* real = std::get_if<double>(&value)) {
    if (std::isfinite(*real)) {
      absl::StrAppendFormat(out, "%.6g", *real);
    } else {
      out->append("null");  // JSON has no NaN and no infinity
    }
  } else {
    out->append(std::get<bool>(value) ? "true" : "false");
  }
}

const char* NameOf(Level level) {
  constexpr const char* kNames[] = {"debug", "info", "warn", "error", "off"};
  return kNames[static_cast<int>(level)];
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      break;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::err;
}

class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::FILE* out) : out_(out) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::fwrite(message.payload.data(), 1, message.payload.size(), out_);
    std::fflush(out_);
  }
  void flush_() override {}

  std::FILE* const out_;
};

struct State {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

State MakeState(const LogOptions& options) {
  State state;
  state.logger =
      std::make_shared<spdlog::logger>("coffer", std::make_shared<FileSink>(options.out));
  state.logger->set_level(ToSpdlog(options.level));
  state.json = options.json;
  return state;
}

// Never destroyed: threads may log while the process ends.
State& TheState() {
  static State* const state = new State(MakeState({}));
  return *state;
}

void Write(Level level, std::string line) {
  line.push_back('\n');
  TheState().logger->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

std::string Format(bool json, absl::Time time, Level level, std::string_view component,
                   std::string_view message, const LogField* begin, const LogField* end) {
  const std::string stamp = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
  std::string out;
  if (json) {
    absl::StrAppend(&out, "{\"time\":\"", stamp, "\",\"level\":\"", NameOf(level),
                    "\",\"component\":");
    AppendQuoted(component, &out);
    out.append(",\"message\":");
    AppendQuoted(message, &out);
    for (const LogField* field = begin; field != end; ++field) {
      out.push_back(',');
      AppendQuoted(field->key, &out);
      out.push_back(':');
      AppendValue(true, field->value, &out);
    }
    out.push_back('}');
    return out;
  }
  absl::StrAppendFormat(&out, "%s %-5s ", stamp, NameOf(level));
  out.append(component);
  out.append(": ");
  // Quoting without its quotes: the message is a sentence.
  std::string sentence;
  AppendQuoted(message, &sentence);
  out.append(sentence, 1, sentence.size() - 2);
  for (const LogField* field = begin; field != end; ++field) {
    out.push_back(' ');
    out.append(field->key);
    out.push_back('=');
    AppendValue(false, field->value, &out);
  }
  return out;
}

}  // namespace

void InitLog(const LogOptions& options) { TheState() = MakeState(options); }

bool LogEnabled(Level level) { return TheState().logger->should_log(ToSpdlog(level)); }

std::string FormatLogLine(bool json, absl::Time time, Level level, std::string_view component,
                          std::string_view message, std::initializer_list<LogField> fields) {
  return Format(json, time, level, component, message, fields.begin(), fields.end());
}

void Log(Level level, std::string_view component, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  Write(level, FormatLogLine(TheState().json, OsWallNow(), level, component, message, fields));
}

absl::Status ParseLogLevel(std::string_view text, Level* level) {
  for (Level candidate : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
    if (text != NameOf(candidate)) continue;
    *level = candidate;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the log level is one of debug, info, warn, error");
}

void LogEvery::Log(Level level, std::string_view component, std::string_view message,
                   std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  uint64_t suppressed = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const absl::Time now = OsMonotonicNow();
    if (now < next_) {
      ++suppressed_;
      return;
    }
    next_ = now + period_;
    suppressed = std::exchange(suppressed_, 0);
  }
  if (suppressed == 0) return runtime::Log(level, component, message, fields);
  std::vector<LogField> more(fields);
  more.emplace_back("suppressed", suppressed);
  Write(level, Format(TheState().json, OsWallNow(), level, component, message, more.data(),
                      more.data() + more.size()));
}

}  // namespace coffer::runtime
