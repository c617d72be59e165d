#include "tools/bench_command.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coffer::tools {
namespace {

namespace fs = std::filesystem;

constexpr char kSummary[] =
    "Measure Coffer on this machine, each figure beside what the machine can";
constexpr char kHelp[] =
    "\n\nUsage: coffer bench [--harness DIR] [OPTIONS]\n\n"
    "  --harness DIR   the folder of the harness, with run.mjs in it; without it\n"
    "                  ../share/coffer/bench beside the folder of this program, or bench/ of the\n"
    "                  source tree that it was built in\n\n"
    "Everything else goes to the harness, which measures the programs that lie beside this one. "
    "It\n"
    "needs Node 18 or newer. The exit code is the harness's: 0 when all was measured, 1 when a "
    "run\n"
    "failed, 2 when an argument was wrong or something is missing.\n"
    "Example: coffer bench --quick\n"
    "         coffer bench --only idle,payouts --out figures.json\n\n";
constexpr char kScript[] = "run.mjs";

int Fail(const std::string& why) {
  std::cerr << "coffer: " << why << "\n";
  return 2;
}

struct Split {
  std::string harness;            // empty: where it is by default
  std::vector<std::string> rest;  // the harness's
  bool help = false;
};

absl::StatusOr<Split> SplitArguments(const std::vector<std::string>& arguments) {
  constexpr char kOption[] = "--harness";
  Split split;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& one = arguments[i];
    if (one == kOption && i + 1 == arguments.size()) {
      return absl::InvalidArgumentError("--harness needs a folder; see coffer bench --help");
    }
    if (one == kOption) {
      split.harness = arguments[++i];
    } else if (absl::StartsWith(one, absl::StrCat(kOption, "="))) {
      split.harness = one.substr(std::strlen(kOption) + 1);
    } else {
      split.help = split.help || one == "--help" || one == "-h";
      split.rest.push_back(one);
    }
  }
  return split;
}

absl::StatusOr<fs::path> FolderOfThisProgram() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("/proc/self/exe cannot be read: ", error.message()));
  }
  return program.parent_path();
}

// The script, in the folder that was given or in the first of the usual ones that has it.
absl::StatusOr<fs::path> FindScript(const std::string& given, const fs::path& programs) {
  std::vector<fs::path> folders = {programs / "../share/coffer/bench", programs / "../../../bench"};
  if (!given.empty()) folders = {given};
  std::string looked;
  for (const fs::path& folder : folders) {
    const fs::path script = (folder / kScript).lexically_normal();
    std::error_code error;
    if (fs::is_regular_file(script, error)) return script;
    absl::StrAppend(&looked, looked.empty() ? "" : " nor ", script.string());
  }
  return absl::NotFoundError(
      absl::StrCat("the harness is not there: there is no ", looked,
                   given.empty() ? "; give its folder with --harness DIR" : ""));
}

// Comes back only when there is no node: everything else is the harness's to say.
int Become(const fs::path& script, const std::vector<std::string>& rest) {
  std::vector<std::string> words = {"node", script.string()};
  words.insert(words.end(), rest.begin(), rest.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::cout.flush();
  execvp(argv[0], argv.data());
  if (errno == ENOENT) {
    return Fail("node is not on the PATH: the harness needs Node 18 or newer (Debian: nodejs)");
  }
  return Fail(absl::StrCat("node cannot be started: ", std::strerror(errno)));
}

}  // namespace

void AddBench(CLI::App& app) {
  // Main hands its arguments to RunBench before this one could read them.
  app.add_subcommand("bench", kSummary);
}

int RunBench(const std::vector<std::string>& arguments) {
  const absl::StatusOr<Split> split = SplitArguments(arguments);
  if (!split.ok()) return Fail(std::string(split.status().message()));
  if (split->help) std::cout << kSummary << kHelp;
  const absl::StatusOr<fs::path> programs = FolderOfThisProgram();
  if (!programs.ok()) return Fail(std::string(programs.status().message()));
  const absl::StatusOr<fs::path> script = FindScript(split->harness, *programs);
  if (!script.ok() && split->help) {
    std::cout << "Its own options cannot be shown: " << script.status().message() << "\n";
    return 0;
  }
  if (!script.ok()) return Fail(std::string(script.status().message()));
  // What it measures are the programs beside this one.
  if (setenv("COFFER_BIN", programs->c_str(), 1) != 0) {
    return Fail(absl::StrCat("COFFER_BIN cannot be set: ", std::strerror(errno)));
  }
  return Become(*script, split->rest);
}

}  // namespace coffer::tools
