// Typed configuration. A program declares its options once; values come from a TOML file, the
// environment and flags, in that order of strength: a flag wins over the environment, the
// environment over the file, the file over defaults.
#ifndef COFFER_RUNTIME_CONFIG_H_
#define COFFER_RUNTIME_CONFIG_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coffer::runtime {

enum class OptionType {
  kString,
  kInt64,
  kUint64,
  kBool,        // --name, --no-name, --name=true|false
  kDuration,    // 500ms, 2s, 1h30m; never negative
  kBytes,       // 4096, 64KiB, 16MiB, 1GB
  kStringList,  // an array in TOML; a,b,c in a flag or the environment; a repeated flag adds
};

struct OptionSpec {
  // As in the file, dots for tables: "journal.cursor-path". The flag is --journal.cursor-path, the
  // variable COFFER_JOURNAL_CURSOR_PATH. Underscores and dashes are the same in files and flags.
  std::string name = {};
  OptionType type = OptionType::kString;
  std::string default_text = {};      // as written in a flag; empty = the type's zero
  std::string help = {};              // one sentence
  bool secret = false;                // its value is never printed, nor echoed in an error
  bool required = false;              // must come from somewhere, and a string must not be empty
  std::vector<std::string> env = {};  // further variable names, weaker than COFFER_...
  std::vector<std::string> choices = {};  // of a string; empty = any
  uint64_t min = 0;                       // of kUint64 and kBytes
  uint64_t max = std::numeric_limits<uint64_t>::max();
};

// What the program runs with. Asking for a name that was not declared, or as another type, is a bug
// (COFFER_CHECK).
class Config {
 public:
  const std::string& String(const std::string& name) const;
  int64_t Int64(const std::string& name) const;
  uint64_t Uint64(const std::string& name) const;
  bool Bool(const std::string& name) const;
  absl::Duration Duration(const std::string& name) const;
  uint64_t Bytes(const std::string& name) const;
  const std::vector<std::string>& StringList(const std::string& name) const;

  // True when the value came from anywhere but the default.
  bool IsSet(const std::string& name) const;
  // "default", "coffer.toml:3", "environment COFFER_LISTEN", "flag --listen".
  const std::string& Source(const std::string& name) const;
  // One line an option: name = value, and its source. Secrets show as "(set, masked)" or "(not
  // set)".
  std::string Effective() const;

 private:
  friend class ConfigSpec;
  using Value =
      std::variant<std::string, int64_t, uint64_t, bool, absl::Duration, std::vector<std::string>>;
  struct Entry {
    OptionSpec spec;
    Value value;
    std::string source;
    int strength = 0;  // 0 default, 1 file, 2 environment, 3 flag
  };
  const Entry& At(const std::string& name, OptionType type) const;
  static std::string Show(const Entry& entry);

  std::map<std::string, Entry> entries_;  // sorted, for printing
};

using Environment = absl::flat_hash_map<std::string, std::string>;

class ConfigSpec {
 public:
  // `summary` and `example` are paragraphs of --help; the example may have several lines.
  ConfigSpec(std::string program, std::string summary, std::string example);

  // A name declared twice, or a default of the wrong form, is a bug.
  ConfigSpec& Add(OptionSpec option);
  // Words that are not flags are collected instead of refused. `what` names them in --help, as in
  // "COMMAND".
  ConfigSpec& AllowWords(std::string what);

  enum class Action { kRun, kHelp, kVersion, kCheckConfig };
  struct Loaded {
    Action action = Action::kRun;
    Config config;
    std::vector<std::string> words;
  };
  // `args` without the program's name. --config FILE (or COFFER_CONFIG) names the file; without it
  // there is none. Errors are InvalidArgument (NotFound for the file), name file, line and key,
  // variable or flag, and say what was expected. With kHelp and kVersion nothing else was read.
  absl::StatusOr<Loaded> Load(const std::vector<std::string>& args, const Environment& env) const;

  std::string Help() const;
  // The flags alone, for a program that takes these among others.
  std::string FlagsHelp() const;

  // For mains: Load with the process environment; answers --help, --version and --check-config
  // (which prints the effective configuration) and exits 0; on an error prints it and exits 2.
  Loaded LoadOrExit(int argc, const char* const* argv) const;

 private:
  absl::Status ReadFile(const std::string& path, Config* config) const;
  absl::Status ReadEnvironment(const Environment& env, Config* config) const;
  absl::Status ReadFlags(const std::vector<std::string>& args, Loaded* loaded,
                         std::string* file) const;
  // Takes the flag at `*at` and its value; `*at` ends on the last argument used.
  absl::Status TakeFlag(const std::vector<std::string>& args, size_t* at, Loaded* loaded,
                        std::string* file) const;
  absl::Status SetFlag(const std::string& flag, const std::string& value, Config* config) const;
  absl::Status CheckRequired(const Config& config) const;
  static std::string FlagHelp(const OptionSpec& option);
  // " (did you mean ...?)" or nothing.
  std::string Suggest(const std::string& name, const std::string& prefix) const;
  static absl::Status SetText(Config::Entry* entry, const std::string& text,
                              const std::string& source, int strength);

  const std::string program_;
  const std::string summary_;
  const std::string example_;
  std::string words_;
  std::vector<OptionSpec> options_;
  Config defaults_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_CONFIG_H_
