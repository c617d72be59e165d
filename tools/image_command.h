// `coffer measure` and `coffer eif build`: enclave images, without nitro-cli.
#ifndef COFFER_TOOLS_IMAGE_COMMAND_H_
#define COFFER_TOOLS_IMAGE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/attestation/eif.h"

namespace coffer::tools {

struct MeasureArguments {
  std::string file;
  bool json = false;
};
struct EifBuildArguments {
  std::string kernel;
  std::string cmdline;
  std::vector<std::string> ramdisks;
  std::string metadata;  // a file; empty: one that says little
  std::string out;
  std::string architecture = "x86_64";
  uint64_t memory_mib = 1024;
  uint64_t cpus = 2;
  bool json = false;
};

CLI::App* AddMeasure(CLI::App& app, MeasureArguments& arguments);
// Adds `eif` with `build` below it; the result is `build`.
CLI::App* AddEifBuild(CLI::App& app, EifBuildArguments& arguments);

// Exit codes of both: 0 done; 1 the image is malformed, or signed wrongly; 2 a file can't be read
// or written, or an argument is wrong.
int RunMeasure(const MeasureArguments& arguments);
int RunEifBuild(const EifBuildArguments& arguments);

// The image of a file, read strictly; its text lives in `bytes`. NotFound and Unavailable when it
// can't be read, InvalidArgument when it is malformed.
absl::StatusOr<attestation::Eif> ReadEifFile(const std::string& path, std::string& bytes);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_IMAGE_COMMAND_H_
