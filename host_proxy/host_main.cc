// coffer-host: reads its options, puts the host together, runs until it is told to stop.
#include <cstdio>
#include <string>

#include "host_proxy/host_app.h"
#include "host_proxy/host_options.h"
#include "runtime/log.h"
#include "runtime/os_env.h"
#include "runtime/process.h"

namespace coffer::host_proxy {
namespace {

using Action = runtime::ConfigSpec::Action;

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "coffer-host: %s\n", std::string(status.message()).c_str());
  return code;
}

int Main(int argc, char** argv) {
  runtime::IgnoreSigpipe();
  const runtime::ConfigSpec spec = HostConfigSpec();
  const absl::StatusOr<runtime::ConfigSpec::Loaded> loaded =
      spec.Load({argv + 1, argv + argc}, runtime::OsEnvironment());
  if (!loaded.ok()) return Fail(loaded.status(), 2);
  if (loaded->action == Action::kHelp || loaded->action == Action::kVersion) {
    std::printf("%s", loaded->action == Action::kHelp
                          ? spec.Help().c_str()
                          : (std::string("coffer-host ") + runtime::BuildVersion() + "\n").c_str());
    return 0;
  }
  for (const char* secret : {"COFFER_HTTP_VIEWER_TOKEN", "COFFER_HTTP_ADMIN_TOKEN"}) {
    runtime::OsForgetEnv(secret);
  }
  absl::StatusOr<HostOptions> options = ParseHostOptions(loaded->config);
  if (!options.ok()) return Fail(options.status(), 2);
  if (loaded->action == Action::kCheckConfig) {
    std::printf("%s", loaded->config.Effective().c_str());
    return 0;
  }
  runtime::InitLog(options->log);
  std::fprintf(stderr, "%s", loaded->config.Effective().c_str());
  runtime::EventLoop loop;
  {
    absl::StatusOr<std::unique_ptr<HostApp>> app = HostApp::Start(&loop, *std::move(options));
    if (!app.ok()) return Fail(app.status(), 1);
    for (const std::string& line : (*app)->Banner()) {
      runtime::Log(line.find("INSECURE") == 0 ? runtime::Level::kWarn : runtime::Level::kInfo,
                   "host", line);
    }
    runtime::ShutdownSignals shutdown(&loop, [&](int) { (*app)->Stop([&] { loop.Stop(); }); });
    runtime::HangupSignal hangup(&loop, [&] { (*app)->Reload(); });
    runtime::Watchdog watchdog(&loop);
    runtime::NotifyReady("waiting for the enclave");
    loop.Run();
  }
  runtime::Log(runtime::Level::kInfo, "host", "stopped");
  return 0;
}

}  // namespace
}  // namespace coffer::host_proxy

int main(int argc, char** argv) { return coffer::host_proxy::Main(argc, argv); }
