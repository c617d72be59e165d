// coffer-host: reads its options, puts the host together, runs until it is told to stop.
#include <openssl/crypto.h>

#include <cstdio>
#include <string>

#include "host_proxy/host_app.h"
#include "host_proxy/host_options.h"
#include "host_proxy/local_key.h"
#include "runtime/log.h"
#include "runtime/os_env.h"
#include "runtime/process.h"

namespace coffer::host_proxy {
namespace {

using Action = runtime::ConfigSpec::Action;

// The enclave is not the one that this host is to work with, or the local one ended. Starting again
// would not help, so that a supervisor can tell it from 1.
constexpr int kUnfitEnclave = 3;

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "coffer-host: %s\n", std::string(status.message()).c_str());
  return code;
}

int Main(int argc, char** argv) {
  runtime::IgnoreSigpipe();
  const runtime::ConfigSpec spec = HostConfigSpec();
  runtime::Environment environment = runtime::OsEnvironment();
  const SignerEnvironment signer = ReadSignerEnvironment(environment);
  for (const char* secret : {"PAYMENT_PRIVATE_KEY", "PAYMENT_KEYSTORE_PASSWORD",
                             "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}) {
    if (auto it = environment.find(secret); it != environment.end()) {
      OPENSSL_cleanse(it->second.data(), it->second.size());
    }
  }
  absl::StatusOr<LocalKey> key = LocalKey::TakeFromEnvironment();
  if (!key.ok()) return Fail(key.status(), 2);
  absl::StatusOr<host::aws::AwsEnvironment> aws = host::aws::AwsEnvironment::Take();
  if (!aws.ok()) return Fail(aws.status(), 2);
  TranslateSignerVariables(environment);
  const absl::StatusOr<runtime::ConfigSpec::Loaded> loaded =
      spec.Load({argv + 1, argv + argc}, environment);
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
  absl::StatusOr<HostOptions> options = ParseHostOptions(loaded->config, signer);
  if (!options.ok()) return Fail(options.status(), 2);
  if (loaded->action == Action::kCheckConfig) {
    std::printf("%s", loaded->config.Effective().c_str());
    return 0;
  }
  runtime::InitLog(options->log);
  std::fprintf(stderr, "%s", loaded->config.Effective().c_str());
  for (const std::string& notice : options->signer.notices) {
    runtime::Log(runtime::Level::kWarn, "host", notice);
  }
  int code = 0;
  runtime::EventLoop loop;
  {
    absl::StatusOr<std::unique_ptr<HostApp>> app =
        HostApp::Start(&loop, *std::move(options), *std::move(key), *std::move(aws));
    if (!app.ok()) return Fail(app.status(), 1);
    for (const std::string& line : (*app)->Banner()) {
      runtime::Log(line.find("INSECURE") == 0 ? runtime::Level::kWarn : runtime::Level::kInfo,
                   "host", line);
    }
    runtime::ShutdownSignals shutdown(&loop, [&](int) { (*app)->Stop([&] { loop.Stop(); }); });
    (*app)->OnUnfit([&](const std::string& why) {
      runtime::Log(runtime::Level::kError, "host", why);
      code = kUnfitEnclave;
      (*app)->Stop([&] { loop.Stop(); });
    });
    runtime::HangupSignal hangup(&loop, [&] { (*app)->Reload(); });
    runtime::Watchdog watchdog(&loop);
    (*app)->WhenStarted([] { runtime::NotifyReady("waiting for the enclave"); });
    loop.Run();
  }
  runtime::Log(runtime::Level::kInfo, "host", "stopped");
  return code;
}

}  // namespace
}  // namespace coffer::host_proxy

int main(int argc, char** argv) { return coffer::host_proxy::Main(argc, argv); }
