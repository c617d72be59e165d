// `coffer call`: one request of the length-prefixed JSON protocol (docs/protocol.md) by hand.
#ifndef COFFER_TOOLS_CALL_COMMAND_H_
#define COFFER_TOOLS_CALL_COMMAND_H_

#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coffer::tools {

struct CallArguments {
  std::string method;
  std::vector<std::string> params;  // NAME=VALUE
  std::string json;                 // an object; "-" reads it from standard input
  std::string endpoint;
  std::string timeout = "10s";
};

// {"method":...,"params":{...}}. A parameter's value is JSON where it is valid JSON, digit by digit
// as written, and a string otherwise. Errors name parameters, never their values, which may be
// secrets.
absl::StatusOr<std::string> CallRequest(const CallArguments& arguments, std::istream& input);

// Prints the result to stdout, or an error to stderr. The exit code: 0; 1 when the answer is an
// error; 2 when an argument is wrong or nobody answers.
int RunCall(const CallArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_CALL_COMMAND_H_
