// The command line of `coffer witness`.
#ifndef COFFER_TOOLS_WITNESS_COMMAND_H_
#define COFFER_TOOLS_WITNESS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace coffer::tools {

struct WitnessArguments {
  std::string listen = "tcp://127.0.0.1:7380";
  std::string state;
  std::vector<std::string> logs;
  std::string name;
  std::string key_file;
  bool generate = false;
  bool json_log = false;
};

CLI::App* AddWitness(CLI::App& app, WitnessArguments& arguments);

// Runs until SIGTERM or SIGINT. The exit code: 0; 1 it could not start; 2 an argument is wrong.
int RunWitness(const WitnessArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_WITNESS_COMMAND_H_
