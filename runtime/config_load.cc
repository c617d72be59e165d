#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "invariant/check.h"
#include "runtime/config.h"
#include "runtime/config_toml.h"
#include "runtime/config_values.h"

namespace coffer::runtime {
namespace {

enum Strength { kDefault = 0, kFile = 1, kEnvironment = 2, kFlag = 3 };

std::string Canonical(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

const char* Expected(OptionType type) {
  switch (type) {
    case OptionType::kString:
      return "expected a string";
    case OptionType::kInt64:
      return "expected an integer";
    case OptionType::kUint64:
      return "expected an integer that is not negative";
    case OptionType::kBool:
      return "expected true or false";
    case OptionType::kDuration:
      return "expected a duration such as \"500ms\", \"2s\" or \"5m\"";
    case OptionType::kBytes:
      return "expected a number of bytes such as 4096, \"64KiB\" or \"16MiB\"";
    case OptionType::kStringList:
      return "expected a list of strings";
  }
  return "";
}

// The value as it was given, for an error text; nothing of a secret, and never much.
std::string Echo(const OptionSpec& spec, const std::string& text) {
  if (spec.secret) return "";
  std::string shown;
  for (char c : text.substr(0, 60)) shown += c >= ' ' && c <= '~' ? c : '?';
  return absl::StrCat(", got \"", shown, "\"");
}

absl::Status Wrong(const std::string& source, const OptionSpec& spec, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(source, ": ", spec.name, ": ", why));
}

bool ParseBool(const std::string& text, bool* value) {
  *value = text == "true" || text == "1" || text == "yes" || text == "on";
  return *value || text == "false" || text == "0" || text == "no" || text == "off";
}

bool DigitsOnly(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool ParseSigned(const std::string& text, int64_t* value) {
  return DigitsOnly(text.substr(text.starts_with('-') ? 1 : 0)) && absl::SimpleAtoi(text, value);
}

// A kUint64 or kBytes within its limits.
absl::StatusOr<uint64_t> ParseNatural(const OptionSpec& spec, const std::string& source,
                                      const std::string& text) {
  uint64_t number = 0;
  bool parsed = DigitsOnly(text) && absl::SimpleAtoi(text, &number);
  if (spec.type == OptionType::kBytes) {
    const absl::StatusOr<uint64_t> bytes = ParseBytesText(text);
    parsed = bytes.ok();
    if (parsed) number = *bytes;
  }
  if (!parsed) return Wrong(source, spec, absl::StrCat(Expected(spec.type), Echo(spec, text)));
  if (number >= spec.min && number <= spec.max) return number;
  return Wrong(source, spec,
               absl::StrCat("expected a number from ", spec.min, " to ", spec.max,
                            spec.secret ? "" : absl::StrCat(", got ", number)));
}

// A value of a file as the text that a flag would have; nothing if the kinds do not go together.
std::optional<std::string> TextOf(const TomlEntry& item, OptionType type) {
  if (const auto* text = std::get_if<std::string>(&item.value)) {
    if (type == OptionType::kString || type == OptionType::kDuration ||
        type == OptionType::kBytes) {
      return *text;
    }
  } else if (const auto* number = std::get_if<int64_t>(&item.value)) {
    if (type == OptionType::kInt64 || type == OptionType::kUint64 || type == OptionType::kBytes) {
      return absl::StrCat(*number);
    }
  } else if (const auto* flag = std::get_if<bool>(&item.value)) {
    if (type == OptionType::kBool) return *flag ? "true" : "false";
  }
  return std::nullopt;
}

}  // namespace

ConfigSpec::ConfigSpec(std::string program, std::string summary, std::string example)
    : program_(std::move(program)), summary_(std::move(summary)), example_(std::move(example)) {}

ConfigSpec& ConfigSpec::Add(OptionSpec option) {
  COFFER_CHECK(option.name == Canonical(option.name),
               "an option's name has dashes, not underscores");
  COFFER_CHECK(defaults_.entries_.count(option.name) == 0, "an option was declared twice");
  Config::Entry entry;
  entry.spec = option;
  std::string text = option.default_text;
  if (text.empty()) {
    // The type's zero, which the option's own limits need not allow.
    entry.spec.min = 0;
    entry.spec.choices.clear();
    if (option.type == OptionType::kDuration) text = "0s";
    if (option.type == OptionType::kBool) text = "false";
    if (option.type == OptionType::kInt64 || option.type == OptionType::kUint64 ||
        option.type == OptionType::kBytes) {
      text = "0";
    }
  }
  const absl::Status set = SetText(&entry, text, "default", kDefault);
  COFFER_CHECK(set.ok(), "an option's default is not of its type");
  entry.spec = option;
  defaults_.entries_.emplace(option.name, std::move(entry));
  options_.push_back(std::move(option));
  return *this;
}

ConfigSpec& ConfigSpec::AllowWords(std::string what) {
  words_ = std::move(what);
  return *this;
}

absl::Status ConfigSpec::SetText(Config::Entry* entry, const std::string& text,
                                 const std::string& source, int strength) {
  const OptionSpec& spec = entry->spec;
  const std::string got = Echo(spec, text);
  const std::string expected = absl::StrCat(Expected(spec.type), got);
  Config::Value value;
  switch (spec.type) {
    case OptionType::kString:
      if (!spec.choices.empty() &&
          std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
        return Wrong(source, spec,
                     absl::StrCat("expected one of ", absl::StrJoin(spec.choices, ", "), got));
      }
      value = text;
      break;
    case OptionType::kInt64: {
      int64_t number = 0;
      if (!ParseSigned(text, &number)) return Wrong(source, spec, expected);
      value = number;
      break;
    }
    case OptionType::kUint64:
    case OptionType::kBytes: {
      const absl::StatusOr<uint64_t> number = ParseNatural(spec, source, text);
      if (!number.ok()) return number.status();
      value = *number;
      break;
    }
    case OptionType::kBool: {
      bool flag = false;
      if (!ParseBool(text, &flag)) return Wrong(source, spec, expected);
      value = flag;
      break;
    }
    case OptionType::kDuration: {
      const absl::StatusOr<absl::Duration> duration = ParseDurationText(text);
      if (!duration.ok()) return Wrong(source, spec, expected);
      value = *duration;
      break;
    }
    case OptionType::kStringList: {
      std::vector<std::string> items = absl::StrSplit(text, ',', absl::SkipEmpty());
      // A flag that is given again adds to itself; a stronger source replaces a weaker one.
      if (entry->strength == kFlag && strength == kFlag) {
        auto& have = std::get<std::vector<std::string>>(entry->value);
        items.insert(items.begin(), have.begin(), have.end());
      }
      value = std::move(items);
      break;
    }
  }
  entry->value = std::move(value);
  entry->source = source;
  entry->strength = strength;
  return absl::OkStatus();
}

std::string ConfigSpec::Suggest(const std::string& name, const std::string& prefix) const {
  std::vector<std::string> names;
  for (const OptionSpec& option : options_) names.push_back(option.name);
  if (!prefix.empty()) names.insert(names.end(), {"config", "help", "version", "check-config"});
  const std::string nearest = NearestName(name, names);
  return nearest.empty() ? "" : absl::StrCat("; did you mean ", prefix, nearest, "?");
}

absl::Status ConfigSpec::ReadFile(const std::string& path, Config* config) const {
  const absl::StatusOr<std::vector<TomlEntry>> file = ReadTomlFile(path);
  if (!file.ok()) return file.status();
  for (const TomlEntry& item : *file) {
    const std::string name = Canonical(item.key);
    const auto found = config->entries_.find(name);
    if (found == config->entries_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(item.where, ": ", item.key, " is not an option", Suggest(name, "")));
    }
    Config::Entry& entry = found->second;
    if (entry.strength == kFile) return Wrong(item.where, entry.spec, "is given twice");
    const auto* list = std::get_if<std::vector<std::string>>(&item.value);
    if (list != nullptr && entry.spec.type == OptionType::kStringList) {
      // Not by way of a text: an element may contain a comma.
      entry.value = *list;
      entry.source = item.where;
      entry.strength = kFile;
      continue;
    }
    const std::optional<std::string> text = TextOf(item, entry.spec.type);
    if (!text.has_value()) {
      return Wrong(item.where, entry.spec,
                   absl::StrCat(Expected(entry.spec.type), ", got ", item.kind));
    }
    absl::Status set = SetText(&entry, *text, item.where, kFile);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status ConfigSpec::ReadEnvironment(const Environment& env, Config* config) const {
  for (const OptionSpec& option : options_) {
    std::vector<std::string> variables = {VariableOf(option.name)};
    variables.insert(variables.end(), option.env.begin(), option.env.end());
    for (const std::string& variable : variables) {
      const auto found = env.find(variable);
      // Set and empty is how container files write "not set".
      if (found == env.end() || found->second.empty()) continue;
      absl::Status set = SetText(&config->entries_.at(option.name), found->second,
                                 absl::StrCat("environment ", variable), kEnvironment);
      if (!set.ok()) return set;
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status ConfigSpec::SetFlag(const std::string& flag, const std::string& value,
                                 Config* config) const {
  Config::Entry& entry = config->entries_.at(flag);
  const std::string source = absl::StrCat("flag --", flag);
  if (entry.strength == kFlag && entry.spec.type != OptionType::kStringList) {
    return absl::InvalidArgumentError(absl::StrCat(source, " is given twice"));
  }
  return SetText(&entry, value, source, kFlag);
}

absl::Status ConfigSpec::ReadFlags(const std::vector<std::string>& args, Loaded* loaded,
                                   std::string* file) const {
  bool flags_over = false;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (flags_over || !arg.starts_with("--")) {
      if (words_.empty() || (!flags_over && arg.starts_with("-") && arg.size() > 1)) {
        // Not shown: it may be a key that was meant for another flag.
        return absl::InvalidArgumentError(absl::StrCat(
            "argument number ", i + 1, " is not expected; flags are written --name value"));
      }
      loaded->words.push_back(arg);
      continue;
    }
    if (arg == "--") {
      flags_over = true;
      continue;
    }
    absl::Status taken = TakeFlag(args, &i, loaded, file);
    if (!taken.ok()) return taken;
  }
  return absl::OkStatus();
}

absl::Status ConfigSpec::TakeFlag(const std::vector<std::string>& args, size_t* at, Loaded* loaded,
                                  std::string* file) const {
  const auto& entries = loaded->config.entries_;
  const auto is_bool = [&](const std::string& name) {
    const auto found = entries.find(name);
    return found != entries.end() && found->second.spec.type == OptionType::kBool;
  };
  const std::string& arg = args[*at];
  const size_t equals = arg.find('=');
  const bool has_value = equals != std::string::npos;
  const std::string flag = Canonical(arg.substr(2, has_value ? equals - 2 : equals));
  const bool known = entries.count(flag) > 0;
  if (!known && !has_value && flag.starts_with("no-") && is_bool(flag.substr(3))) {
    return SetFlag(flag.substr(3), "false", &loaded->config);
  }
  if (!known && !has_value && flag == "check-config") {
    loaded->action = Action::kCheckConfig;
    return absl::OkStatus();
  }
  if (!known && flag != "config") {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " is not a flag of ", program_, Suggest(flag, "--")));
  }
  std::string value = "true";
  if (has_value) {
    value = arg.substr(equals + 1);
  } else if (!is_bool(flag)) {
    if (*at + 1 >= args.size()) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag, " needs a value"));
    }
    value = args[++*at];
  }
  if (known) return SetFlag(flag, value, &loaded->config);
  *file = value;
  return absl::OkStatus();
}

absl::Status ConfigSpec::CheckRequired(const Config& config) const {
  for (const OptionSpec& option : options_) {
    if (!option.required) continue;
    const Config::Entry& entry = config.entries_.at(option.name);
    const auto* text = std::get_if<std::string>(&entry.value);
    if (entry.strength > 0 && (text == nullptr || !text->empty())) continue;
    return absl::InvalidArgumentError(absl::StrCat(option.name, " is required: give --",
                                                   option.name, ", set ", VariableOf(option.name),
                                                   ", or write it in the file of --config"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ConfigSpec::Loaded> ConfigSpec::Load(const std::vector<std::string>& args,
                                                    const Environment& env) const {
  Loaded loaded;
  loaded.config = defaults_;
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (arg == "--help" || arg == "-h") loaded.action = Action::kHelp;
    if (arg == "--version") loaded.action = Action::kVersion;
    if (loaded.action != Action::kRun) return loaded;
  }
  // Flags are read first because they name the file, into a copy; then every source in order of
  // strength.
  std::string file;
  if (const auto found = env.find("COFFER_CONFIG"); found != env.end()) file = found->second;
  Loaded flags = loaded;
  absl::Status status = ReadFlags(args, &flags, &file);
  if (status.ok() && !file.empty()) status = ReadFile(file, &loaded.config);
  if (status.ok()) status = ReadEnvironment(env, &loaded.config);
  if (!status.ok()) return status;
  for (auto& [name, entry] : flags.config.entries_) {
    if (entry.strength == kFlag) loaded.config.entries_.at(name) = entry;
  }
  loaded.action = flags.action;
  loaded.words = std::move(flags.words);
  status = CheckRequired(loaded.config);
  if (!status.ok()) return status;
  return loaded;
}

}  // namespace coffer::runtime
