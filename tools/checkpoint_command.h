// The command line of `coffer checkpoint`.
#ifndef COFFER_TOOLS_CHECKPOINT_COMMAND_H_
#define COFFER_TOOLS_CHECKPOINT_COMMAND_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace coffer::tools {

struct PublishArguments {
  std::string url = "http://127.0.0.1:8080";
  std::string rpc;
  std::string registry;
  std::string audit_address;
  std::string key_file;
  std::string password_file;
  std::string ca_file;
  std::string interval = "600s";
  std::string stuck_after = "120s";
  std::string max_fee_gwei = "100";
  uint64_t chain_id = 0;
  bool watch = false;
  bool once = false;
  bool dry_run = false;
  bool json_log = false;
};

// Adds `checkpoint` with `publish` below it; the result is `publish`.
CLI::App* AddCheckpointPublish(CLI::App& app, PublishArguments& arguments);

// The exit code: 0 done, or nothing to do; 1 it could not be done; 2 an argument is wrong; 3 an
// alarm: the log went back or has two histories. With --watch, 0 after SIGTERM.
int RunCheckpointPublish(const PublishArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_CHECKPOINT_COMMAND_H_
