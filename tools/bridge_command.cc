#include "tools/bridge_command.h"

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "tools/bridge.h"

namespace coffer::tools {

using runtime::Level;
using runtime::Log;

namespace {

int Fail(const std::string& why, int code) {
  std::fprintf(stderr, "coffer: %s\n", why.c_str());
  return code;
}

void LogTotals(const Bridge& bridge) {
  const Bridge::Counters& counters = bridge.counters();
  Log(Level::kInfo, "bridge", "stopped",
      {{"accepted", counters.accepted},
       {"refused", counters.refused},
       {"failed", counters.failed},
       {"bytes_to", counters.bytes_to},
       {"bytes_from", counters.bytes_from}});
}

}  // namespace

int RunBridge(const BridgeArguments& arguments) {
  Bridge::Options options;
  for (const auto& [name, text, endpoint] :
       {std::tuple("--listen", &arguments.listen, &options.listen),
        std::tuple("--to", &arguments.to, &options.to)}) {
    absl::StatusOr<runtime::Endpoint> parsed = runtime::Endpoint::Parse(*text);
    if (!parsed.ok()) return Fail(absl::StrCat(name, ": ", parsed.status().message()), 2);
    *endpoint = *std::move(parsed);
  }
  options.connections = arguments.connections;
  options.connect_timeout = absl::Seconds(arguments.connect_timeout);
  runtime::LogOptions log;
  log.json = arguments.json_log;
  runtime::InitLog(log);
  runtime::EventLoop loop;
  {
    absl::StatusOr<std::unique_ptr<Bridge>> bridge = Bridge::Start(&loop, options);
    if (!bridge.ok()) return Fail(std::string(bridge.status().message()), 1);
    Log(Level::kInfo, "bridge", "listening",
        {{"endpoint", (*bridge)->endpoint().ToString()},
         {"to", options.to.ToString()},
         {"connections", options.connections},
         {"version", runtime::BuildVersion()}});
    for (const std::string& part : InsecureParts(options)) {
      Log(Level::kWarn, "bridge", absl::StrCat("INSECURE: ", part));
    }
    runtime::ShutdownSignals signals(&loop, [&](int signal) {
      Log(Level::kInfo, "bridge", "shutting down",
          {{"signal", signal}, {"connections", (*bridge)->open()}});
      runtime::NotifyStopping();
      (*bridge)->Stop([&loop] { loop.Stop(); });
    });
    runtime::Watchdog watchdog(&loop);
    runtime::NotifyReady(absl::StrCat("listening on ", (*bridge)->endpoint().ToString()));
    loop.Run();
    LogTotals(**bridge);
  }
  return 0;
}

}  // namespace coffer::tools
