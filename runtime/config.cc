#include "runtime/config.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "invariant/check.h"
#include "runtime/config_values.h"
#include "runtime/os_env.h"
#include "runtime/process.h"

namespace coffer::runtime {
namespace {

const char* Placeholder(OptionType type) {
  switch (type) {
    case OptionType::kString:
      return " TEXT";
    case OptionType::kInt64:
    case OptionType::kUint64:
      return " NUMBER";
    case OptionType::kBool:
      return "";
    case OptionType::kDuration:
      return " DURATION";
    case OptionType::kBytes:
      return " BYTES";
    case OptionType::kStringList:
      return " A,B,...";
  }
  return "";
}

}  // namespace

const Config::Entry& Config::At(const std::string& name, OptionType type) const {
  const auto found = entries_.find(name);
  COFFER_CHECK(found != entries_.end(), "an option was read that was never declared");
  COFFER_CHECK(found->second.spec.type == type, "an option was read as another type");
  return found->second;
}

const std::string& Config::String(const std::string& name) const {
  return std::get<std::string>(At(name, OptionType::kString).value);
}
int64_t Config::Int64(const std::string& name) const {
  return std::get<int64_t>(At(name, OptionType::kInt64).value);
}
uint64_t Config::Uint64(const std::string& name) const {
  return std::get<uint64_t>(At(name, OptionType::kUint64).value);
}
bool Config::Bool(const std::string& name) const {
  return std::get<bool>(At(name, OptionType::kBool).value);
}
absl::Duration Config::Duration(const std::string& name) const {
  return std::get<absl::Duration>(At(name, OptionType::kDuration).value);
}
uint64_t Config::Bytes(const std::string& name) const {
  return std::get<uint64_t>(At(name, OptionType::kBytes).value);
}
const std::vector<std::string>& Config::StringList(const std::string& name) const {
  return std::get<std::vector<std::string>>(At(name, OptionType::kStringList).value);
}

bool Config::IsSet(const std::string& name) const {
  const auto found = entries_.find(name);
  COFFER_CHECK(found != entries_.end(), "an option was read that was never declared");
  return found->second.strength > 0;
}

const std::string& Config::Source(const std::string& name) const {
  const auto found = entries_.find(name);
  COFFER_CHECK(found != entries_.end(), "an option was read that was never declared");
  return found->second.source;
}

std::string Config::Show(const Entry& entry) {
  if (entry.spec.secret) return entry.strength > 0 ? "(set, masked)" : "(not set)";
  switch (entry.spec.type) {
    case OptionType::kString:
      return absl::StrCat("\"", std::get<std::string>(entry.value), "\"");
    case OptionType::kInt64:
      return absl::StrCat(std::get<int64_t>(entry.value));
    case OptionType::kUint64:
      return absl::StrCat(std::get<uint64_t>(entry.value));
    case OptionType::kBool:
      return std::get<bool>(entry.value) ? "true" : "false";
    case OptionType::kDuration:
      return absl::FormatDuration(std::get<absl::Duration>(entry.value));
    case OptionType::kBytes:
      return FormatBytes(std::get<uint64_t>(entry.value));
    case OptionType::kStringList:
      return absl::StrCat("[", absl::StrJoin(std::get<std::vector<std::string>>(entry.value), ", "),
                          "]");
  }
  return "";
}

std::string Config::Effective() const {
  std::string out;
  for (const auto& [name, entry] : entries_) {
    absl::StrAppend(&out, name, " = ", Show(entry), "  # ", entry.source, "\n");
  }
  return out;
}

std::string ConfigSpec::FlagHelp(const OptionSpec& option) {
  std::string out =
      absl::StrCat("  --", option.name, Placeholder(option.type), "\n      ", option.help);
  if (!option.choices.empty()) {
    absl::StrAppend(&out, " One of: ", absl::StrJoin(option.choices, ", "), ".");
  }
  if (option.required) absl::StrAppend(&out, " Required.");
  if (!option.default_text.empty()) absl::StrAppend(&out, " Default: ", option.default_text, ".");
  return out + "\n";
}

std::string ConfigSpec::FlagsHelp() const {
  std::string out;
  for (const OptionSpec& option : options_) absl::StrAppend(&out, FlagHelp(option));
  return out;
}

std::string ConfigSpec::Help() const {
  std::string out =
      absl::StrCat(summary_, "\n\nusage: ", program_, " [--config FILE] [--name value ...]");
  if (!words_.empty()) absl::StrAppend(&out, " ", words_);
  absl::StrAppend(&out, "\n\n", example_, "\n\noptions:\n");
  for (const OptionSpec& option : options_) {
    absl::StrAppend(&out, FlagHelp(option), "      Variable: ", VariableOf(option.name));
    for (const std::string& variable : option.env) absl::StrAppend(&out, " or ", variable);
    absl::StrAppend(&out, "\n");
  }
  absl::StrAppend(
      &out,
      "  --config FILE\n      A TOML file with the options above; dots in names are tables."
      "\n      Variable: COFFER_CONFIG\n"
      "  --check-config\n      Read everything, print what would be used, and exit.\n"
      "  --version\n  --help\n\n"
      "Flags win over variables, variables over the file, the file over defaults.\n");
  return out;
}

ConfigSpec::Loaded ConfigSpec::LoadOrExit(int argc, const char* const* argv) const {
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  absl::StatusOr<Loaded> loaded = Load(args, OsEnvironment());
  if (!loaded.ok()) {
    std::fprintf(stderr, "%s: %s\n(%s --help lists every option)\n", program_.c_str(),
                 std::string(loaded.status().message()).c_str(), program_.c_str());
    std::exit(2);
  }
  if (loaded->action == Action::kRun) return *std::move(loaded);
  std::string text;
  if (loaded->action == Action::kHelp) text = Help();
  if (loaded->action == Action::kVersion) text = absl::StrCat(program_, " ", BuildVersion(), "\n");
  if (loaded->action == Action::kCheckConfig) text = loaded->config.Effective();
  std::fputs(text.c_str(), stdout);
  std::exit(0);
}

}  // namespace coffer::runtime
