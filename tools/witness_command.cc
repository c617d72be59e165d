#include "tools/witness_command.h"

#include <cstdio>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "runtime/log.h"
#include "runtime/os_random.h"
#include "runtime/process.h"
#include "tools/key_file.h"
#include "tools/witness_daemon.h"

namespace coffer::tools {

using runtime::Level;
using runtime::Log;

namespace {

constexpr absl::Duration kDrainTime = absl::Seconds(5);

int Fail(const std::string& why, int code) {
  std::fprintf(stderr, "coffer: %s\n", why.c_str());
  return code;
}

absl::StatusOr<WitnessOptions> ReadOptions(const WitnessArguments& arguments) {
  WitnessOptions options;
  absl::StatusOr<runtime::Endpoint> listen = runtime::Endpoint::Parse(arguments.listen);
  if (!listen.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--listen: ", listen.status().message()));
  }
  if (listen->kind == runtime::Endpoint::Kind::kVsock) {
    return absl::InvalidArgumentError("--listen: HTTP is served on tcp or unix");
  }
  options.listen = *std::move(listen);
  if (!audit::IsKeyName(arguments.name)) {
    return absl::InvalidArgumentError(
        "--name: a key's name has no spaces and no plus sign, as in witness.example/w1");
  }
  options.name = arguments.name;
  for (const std::string& vkey : arguments.logs) {
    absl::StatusOr<audit::VerifierKey> log = audit::VerifierKey::Parse(vkey);
    if (!log.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--log: ", log.status().message()));
    }
    if (log->type() != audit::KeyType::kEd25519) {
      return absl::InvalidArgumentError(
          absl::StrCat("--log: ", log->name(), " is a witness's key, not a log's"));
    }
    options.logs.push_back(*std::move(log));
  }
  options.state_folder = arguments.state;
  options.key_file = arguments.key_file.empty() ? arguments.state + "/key" : arguments.key_file;
  return options;
}

// Makes a key where there is none.
absl::Status Generate(const WitnessOptions& options) {
  // The state's folder is where the key goes by default.
  if (absl::StatusOr<WitnessStore> store = WitnessStore::Open(options.state_folder); !store.ok()) {
    return store.status();
  }
  runtime::OsRandom random;
  absl::Status made = MakeWitnessKey(options.key_file, options.name, random);
  if (absl::IsAlreadyExists(made)) return absl::OkStatus();
  if (made.ok()) Log(Level::kInfo, "witness", "made a new key", {{"file", options.key_file}});
  return made;
}

void Banner(const WitnessDaemon& daemon, const WitnessOptions& options) {
  Log(Level::kInfo, "witness", "listening",
      {{"endpoint", daemon.endpoint().ToString()},
       {"state", options.state_folder},
       {"version", runtime::BuildVersion()}});
  Log(Level::kInfo, "witness",
      absl::StrCat("for policies: witness <name> ", daemon.vkey(), " http://<this host>"));
  for (const audit::VerifierKey& log : options.logs) {
    Log(Level::kInfo, "witness", "watches", {{"log", log.name()}});
  }
  for (const std::string& log : daemon.new_logs()) {
    Log(Level::kWarn, "witness",
        "nothing is stored of this log: the first head that is shown will be believed",
        {{"log", log}});
  }
  if (!daemon.endpoint().IsLocal()) {
    Log(Level::kWarn, "witness",
        "INSECURE: other machines reach it without TLS: nobody can forge what it cosigns, but "
        "answers can be held back or read on the way; put a TLS proxy in front");
  }
}

}  // namespace

CLI::App* AddWitness(CLI::App& app, WitnessArguments& arguments) {
  CLI::App* witness = app.add_subcommand(
      "witness", "Watch transparency logs and cosign their heads while they only grow");
  witness
      ->add_option("--listen", arguments.listen, "Where to serve: tcp://HOST:PORT or unix:///PATH")
      ->capture_default_str();
  witness
      ->add_option("--state", arguments.state,
                   "The folder of what was cosigned; never delete or copy it")
      ->required();
  witness->add_option("--log", arguments.logs, "A log's verifier key; again for more")
      ->required()
      ->allow_extra_args(false);
  witness->add_option("--name", arguments.name, "This witness's name, as in witness.example/w1")
      ->required();
  witness->add_option("--key-file", arguments.key_file,
                      "Its private key, mode 0600; without it STATE/key");
  witness->add_flag("--generate", arguments.generate, "Make the key when there is none");
  witness->add_flag("--json-log", arguments.json_log, "Log lines as JSON");
  witness->footer(
      "Speaks c2sp.org/tlog-witness: POST /add-checkpoint; GET /healthz and /metrics. Runs until "
      "SIGTERM.\n"
      "Example: coffer witness --state /var/lib/coffer-witness --name witness.example/w1 "
      "--generate "
      "\\\n             --log coffer/0x...+0f1e2d3c+AQ...");
  return witness;
}

int RunWitness(const WitnessArguments& arguments) {
  const absl::StatusOr<WitnessOptions> options = ReadOptions(arguments);
  if (!options.ok()) return Fail(std::string(options.status().message()), 2);
  runtime::LogOptions log;
  log.json = arguments.json_log;
  runtime::InitLog(log);
  if (const absl::Status core = runtime::ForbidCoreDumps(); !core.ok()) {
    Log(Level::kWarn, "witness", "core dumps are not forbidden", {{"why", core}});
  }
  if (arguments.generate) {
    if (const absl::Status made = Generate(*options); !made.ok()) {
      return Fail(std::string(made.message()), 1);
    }
  }
  runtime::EventLoop loop;
  {
    absl::StatusOr<std::unique_ptr<WitnessDaemon>> daemon = WitnessDaemon::Start(&loop, *options);
    if (!daemon.ok()) return Fail(std::string(daemon.status().message()), 1);
    Banner(**daemon, *options);
    std::unique_ptr<runtime::Timer> drain;
    const absl::Duration tick = absl::Milliseconds(20);
    // Answers under way go out, but nobody holds up the end by not reading his.
    std::function<void(absl::Duration)> end_when_drained = [&](absl::Duration left) {
      if ((*daemon)->connections() == 0 || left <= absl::ZeroDuration()) return loop.Stop();
      drain = loop.After(tick, [&, left] { end_when_drained(left - tick); });
    };
    runtime::ShutdownSignals signals(&loop, [&](int signal) {
      Log(Level::kInfo, "witness", "shutting down", {{"signal", signal}});
      runtime::NotifyStopping();
      (*daemon)->Drain();
      end_when_drained(kDrainTime);
    });
    runtime::Watchdog watchdog(&loop);
    runtime::NotifyReady(absl::StrCat("listening on ", (*daemon)->endpoint().ToString()));
    loop.Run();
  }
  Log(Level::kInfo, "witness", "stopped");
  return 0;
}

}  // namespace coffer::tools
