// What the commands that read a log have in common: where it is and who is believed.
#ifndef COFFER_TOOLS_LOG_ACCESS_H_
#define COFFER_TOOLS_LOG_ACCESS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/http_fetch.h"
#include "tools/log_source.h"
#include "tools/log_trust.h"

// NOLINTNEXTLINE(readability-identifier-naming): the library's name
namespace CLI {
class App;
}

namespace coffer::tools {

struct LogAccessArguments {
  std::string url;
  std::string folder;
  std::string key;
  std::string policy_file;
  std::string state_file;
  std::string ca_file;
  double timeout = 30;  // seconds, a request
};
// --key, --policy, --state.
void AddTrustOptions(CLI::App* command, LogAccessArguments& arguments);
// --timeout, --ca-file.
void AddHttpOptions(CLI::App* command, LogAccessArguments& arguments);

// Keys and policies as they were given. InvalidArgument, with the option's name, or NotFound.
absl::StatusOr<TrustOptions> ReadTrust(const LogAccessArguments& arguments);

// A source and what it stands on.
struct OpenedLog {
  std::unique_ptr<HttpFetcher> fetcher;  // null for a folder
  std::unique_ptr<LogSource> source;
};
absl::StatusOr<OpenedLog> OpenLog(const LogAccessArguments& arguments);

// The key that a host names in /api/transparency/tee-core/audit/status.
absl::StatusOr<std::string> AskLogKey(HttpFetcher& fetcher);

// The exit code of a bad argument, after its sentence on stderr.
int BadUsage(const absl::Status& why);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_ACCESS_H_
