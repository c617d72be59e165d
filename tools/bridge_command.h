// `coffer bridge`: runs a Bridge until SIGTERM.
#ifndef COFFER_TOOLS_BRIDGE_COMMAND_H_
#define COFFER_TOOLS_BRIDGE_COMMAND_H_

#include <cstdint>
#include <string>

namespace coffer::tools {

struct BridgeArguments {
  std::string listen;
  std::string to;
  uint64_t connections = 256;
  double connect_timeout = 10;  // seconds
  bool json_log = false;
};

// The exit code: 0 after SIGTERM, 1 when it cannot listen, 2 when an argument is wrong. Speaks on
// stderr.
int RunBridge(const BridgeArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_BRIDGE_COMMAND_H_
