// `coffer dev-root`: a root for development attestation documents.
#ifndef COFFER_TOOLS_DEV_ROOT_COMMAND_H_
#define COFFER_TOOLS_DEV_ROOT_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>

namespace coffer::tools {

struct DevRootArguments {
  std::string out;
  int days = 5 * 365;
};

CLI::App* AddDevRoot(CLI::App& app, DevRootArguments& arguments);

// The exit code: 0 made; 1 it cannot be written, or there is one already.
int RunDevRoot(const DevRootArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_DEV_ROOT_COMMAND_H_
