// `coffer measurements add|retire|restore|list|check`: the file of pinned releases
// (docs/measurements.md).
#ifndef COFFER_TOOLS_MEASUREMENTS_COMMAND_H_
#define COFFER_TOOLS_MEASUREMENTS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "enclave_core/attestation/measurements.h"

namespace coffer::tools {

struct MeasurementsArguments {
  std::string file;
  std::string name, version, commit, note;
  std::string eif;
  std::string pcr0, pcr1, pcr2, pcr8;
  std::string from, until, at;  // empty: now, never, now
  bool force = false;
  bool json = false;
};

class MeasurementsCommand {
 public:
  // Adds `measurements` and what is below it.
  explicit MeasurementsCommand(CLI::App& app);

  // The exit code, when one of the subcommands was parsed. 0 done, or allowed; 1 refused, or not
  // allowed; 2 a file can't be read, or an argument is wrong.
  std::optional<int> RunParsed() const;

 private:
  CLI::App* AddVerb(CLI::App* parent, const char* name, const char* about);
  void AddRelease(CLI::App* command);
  void AddTime(CLI::App* command, const char* about);
  void AddPcrs(CLI::App* command, const char* eif_option);

  MeasurementsArguments arguments_;
  CLI::App *add_, *retire_, *restore_, *list_, *check_;
};

// The pinned releases of a file. NotFound, Unavailable; InvalidArgument with the path when it is
// malformed.
absl::StatusOr<attestation::Measurements> ReadMeasurementsFile(const std::string& path);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_MEASUREMENTS_COMMAND_H_
