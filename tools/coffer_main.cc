// coffer: the operator's command.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/os_env.h"
#include "runtime/process.h"
#include "tools/attest/attestation_command.h"
#include "tools/bench_command.h"
#include "tools/bridge_command.h"
#include "tools/call_command.h"
#include "tools/checkpoint_command.h"
#include "tools/dev_root_command.h"
#include "tools/host_commands.h"
#include "tools/image_command.h"
#include "tools/measurements_command.h"
#include "tools/provision_command.h"
#include "tools/verify_command.h"
#include "tools/witness_command.h"

namespace coffer::tools {
namespace {

struct Arguments {
  std::string url = "http://127.0.0.1:8080";
  std::string token_file;
  double timeout = 60;
  bool json = false;
  std::string account;
  uint64_t payout = 0;
  bool open_only = false;
  bool run = false, pause = false, resume = false;
  bool dead_letters = false;
  std::string file;
  std::string key_id;
  bool wait_drained = false;
};

// The token comes from a file or the environment, because arguments are visible to everybody in ps.
absl::StatusOr<std::string> Token(const Arguments& arguments) {
  if (arguments.token_file.empty()) return runtime::OsEnv("COFFER_TOKEN").value_or("");
  std::ifstream file(arguments.token_file);
  std::string token;
  if (!(file >> token)) {
    return absl::NotFoundError("no token can be read from " + arguments.token_file);
  }
  return token;
}

absl::StatusOr<HostClient> Host(const Arguments& arguments) {
  absl::StatusOr<std::string> token = Token(arguments);
  if (!token.ok()) return token.status();
  return HostClient::Make(arguments.url, *std::move(token), absl::Seconds(arguments.timeout));
}

absl::Status Payouts(const HostClient& host, const Arguments& arguments) {
  for (const auto& [wanted, action] : {std::pair(arguments.run, "run"),
                                       {arguments.pause, "pause"},
                                       {arguments.resume, "resume"}}) {
    if (wanted) return ControlPayouts(host, action, std::cout);
  }
  return ShowPayouts(host, arguments.payout, arguments.open_only, arguments.json, std::cout);
}

void AddHostOptions(CLI::App* command, Arguments& arguments) {
  command
      ->add_option("--host-url", arguments.url,
                   "Where coffer-host serves: http://HOST:PORT or unix:///PATH")
      ->envname("COFFER_HOST_URL")
      ->capture_default_str();
  command->add_option("--token-file", arguments.token_file,
                      "A file with the bearer token; without it the variable COFFER_TOKEN is used");
  command->add_option("--timeout", arguments.timeout, "Seconds to wait for an answer")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
}

CLI::App* AddPayouts(CLI::App& app, Arguments& arguments) {
  CLI::App* payouts = app.add_subcommand("payouts", "The payouts, and pausing and starting them");
  payouts->add_option("id", arguments.payout, "One payout only");
  payouts->add_flag("--open", arguments.open_only, "Only those that are not final");
  CLI::Option* run = payouts->add_flag("--run", arguments.run, "Look for accounts to pay now");
  CLI::Option* pause = payouts->add_flag("--pause", arguments.pause, "Start no payout from now on");
  CLI::Option* resume = payouts->add_flag("--resume", arguments.resume, "End a pause");
  run->excludes(pause)->excludes(resume);
  pause->excludes(resume);
  payouts->footer(
      "Example: coffer payouts --open\n         coffer payouts --pause --token-file "
      "/etc/coffer/admin.token");
  return payouts;
}

CLI::App* AddReplay(CLI::App& app, Arguments& arguments) {
  CLI::App* replay = app.add_subcommand("replay", "Apply journal lines that were not applied yet");
  CLI::Option_group* const what = replay->add_option_group("what");
  what->add_flag("--dead-letters", arguments.dead_letters, "What the host put aside");
  what->add_option("--file", arguments.file, "A journal file of this machine")
      ->check(CLI::ExistingFile);
  what->require_option(1);
  replay->footer(
      "Lines that were applied before change nothing.\nExample: coffer replay --dead-letters\n     "
      "    coffer replay --file journal-2026-01.jsonl");
  return replay;
}

CLI::App* AddBridge(CLI::App& app, BridgeArguments& arguments) {
  CLI::App* bridge = app.add_subcommand(
      "bridge", "Pass bytes between tcp, unix and vsock sockets, for what may not open vsock");
  const std::string forms = ": tcp://HOST:PORT, unix:///PATH or vsock://CID:PORT";
  bridge->add_option("--listen", arguments.listen, "Where to listen" + forms)->required();
  bridge->add_option("--to", arguments.to, "What each connection is passed on to" + forms)
      ->required();
  bridge
      ->add_option("--connections", arguments.connections,
                   "Connections at a time; one more is closed at once")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  bridge
      ->add_option("--connect-timeout", arguments.connect_timeout,
                   "Seconds in which the other side must be reached")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  bridge->add_flag("--json-log", arguments.json_log, "Log lines as JSON");
  bridge->footer(
      "Runs until SIGTERM. The log has the bytes of each connection, and the totals at the end.\n"
      "Example: coffer bridge --listen tcp://127.0.0.1:5001 --to vsock://16:5000\n"
      "         coffer bridge --listen vsock://2:5000 --to unix:///run/coffer/enclave.sock");
  return bridge;
}

CLI::App* AddCall(CLI::App& app, CallArguments& arguments) {
  CLI::App* call =
      app.add_subcommand("call", "One request of the JSON protocol to an enclave, by hand");
  call->add_option("method", arguments.method, "The method, as in address or status")->required();
  CLI::Option* param = call->add_option(
      "--param", arguments.params,
      "NAME=VALUE, again for more; a VALUE that is JSON is sent as JSON, else as a string");
  param->allow_extra_args(false);
  call->add_option("--json", arguments.json,
                   "All parameters as a JSON object; - reads it from standard input, which keeps "
                   "secrets out of ps")
      ->excludes(param);
  call->add_option("--endpoint", arguments.endpoint,
                   "The enclave: tcp://HOST:PORT, unix:///PATH or vsock://CID:PORT")
      ->envname("PAYMENTS_SIGNER_ENDPOINT")
      ->required();
  call->add_option("--timeout", arguments.timeout, "How long to wait, as in 10s or 500ms")
      ->capture_default_str();
  call->footer(
      "Prints the answer, indented. Ends with 1 when the answer is an error, with 2 when there is "
      "none.\n"
      "Example: coffer call address --endpoint tcp://127.0.0.1:5000\n"
      "         coffer call balance --param orchestrator_id=orch-1 --endpoint vsock://16:5000");
  return call;
}

struct RotateCommands {
  const CLI::App* state_key;
  const CLI::App* signing_key;
};

RotateCommands AddRotate(CLI::App& app, Arguments& arguments) {
  CLI::App* rotate = app.add_subcommand("rotate", "Change keys while everything goes on");
  rotate->require_subcommand(1);
  CLI::App* state_key =
      rotate->add_subcommand("state-key", "Have the state sealed under a new key from now on");
  state_key->add_option("--kms-key-id", arguments.key_id,
                        "The KMS key to use from now on; without it the one in use");
  AddHostOptions(state_key, arguments);
  state_key->footer(
      "The running coffer-host does it: it stores the new key's ciphertext before the enclave "
      "uses it. This waits, and says how far it is, until the state is stored under the new key; "
      "a rotation that was cut off is gone on with.\n"
      "Example: coffer rotate state-key --token-file /etc/coffer/admin.token");
  CLI::App* signing_key = rotate->add_subcommand(
      "signing-key", "Have what is new signed by a new key, with another address, from now on");
  signing_key->add_flag("--wait-drained", arguments.wait_drained,
                        "Wait until the older key is retired, which takes as long as its payouts "
                        "and its deposit do");
  AddHostOptions(signing_key, arguments);
  signing_key->footer(
      "The running coffer-host does it: it stores the new key's ciphertext before the enclave "
      "uses it. This waits, and says how far it is, until the new key is in use and the older one "
      "drains. A rotation that was cut off is gone on with by the host itself. While one key "
      "drains there is no other rotation: this shows that one.\n"
      "Example: coffer rotate signing-key --token-file /etc/coffer/admin.token\n"
      "         coffer rotate signing-key --wait-drained --token-file /etc/coffer/admin.token");
  return {state_key, signing_key};
}

int Main(int argc, char** argv) {
  runtime::IgnoreSigpipe();
  // Its arguments are another program's, which this one must not try to understand.
  if (argc > 1 && std::string_view(argv[1]) == "bench") return RunBench({argv + 2, argv + argc});
  Arguments arguments;
  BridgeArguments bridge_arguments;
  CallArguments call_arguments;
  PublishArguments publish_arguments;
  WitnessArguments witness_arguments;
  VerifyArguments verify_arguments;
  AttestationArguments attestation_arguments;
  MeasureArguments measure_arguments;
  EifBuildArguments eif_arguments;
  DevRootArguments root_arguments;
  ProvisionArguments provision_arguments;
  CLI::App app(
      "coffer: looks at a running Coffer, steers it, measures it, bridges its sockets, verifies "
      "its "
      "log and witnesses it.");
  app.set_version_flag("--version", runtime::BuildVersion());
  app.require_subcommand(1);
  CLI::App* status =
      app.add_subcommand("status", "What the enclave holds, and whether it is ready");
  status->footer("Example: coffer status --host-url http://127.0.0.1:8080");
  CLI::App* accounts = app.add_subcommand("accounts", "The accounts and what they are owed");
  accounts->add_option("id", arguments.account, "One account only");
  accounts->footer("Example: coffer accounts orch-0001 --json");
  CLI::App* payouts = AddPayouts(app, arguments);
  CLI::App* replay = AddReplay(app, arguments);
  for (CLI::App* command : {status, accounts, payouts, replay}) AddHostOptions(command, arguments);
  for (CLI::App* command : {status, accounts, payouts}) {
    command->add_flag("--json", arguments.json, "JSON, one document a line, instead of a table");
  }
  const RotateCommands rotate = AddRotate(app, arguments);
  const CLI::App* provision = AddProvision(app, provision_arguments);
  const CLI::App* bridge = AddBridge(app, bridge_arguments);
  const CLI::App* call = AddCall(app, call_arguments);
  const CLI::App* publish = AddCheckpointPublish(app, publish_arguments);
  const CLI::App* witness = AddWitness(app, witness_arguments);
  const CLI::App* dev_root = AddDevRoot(app, root_arguments);
  CLI::App* verify = app.add_subcommand("verify", "Check what an operator shows, believing nobody");
  verify->require_subcommand(1);
  const CLI::App* verify_log = AddVerifyLog(verify, verify_arguments);
  const CLI::App* verify_receipt = AddVerifyReceipt(verify, verify_arguments);
  CLI::App* verify_attestation = verify->add_subcommand(
      "attestation", "That an approved image in a TEE holds the key: its attestation document");
  AddAttestationOptions(verify_attestation, "coffer verify attestation", attestation_arguments);
  CLI::App* log = app.add_subcommand("log", "Keep copies of a transparency log");
  log->require_subcommand(1);
  const CLI::App* mirror = AddLogMirror(log, verify_arguments);
  const CLI::App* measure = AddMeasure(app, measure_arguments);
  const CLI::App* eif_build = AddEifBuild(app, eif_arguments);
  MeasurementsCommand measurements(app);
  AddBench(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (provision->parsed()) {
    provision_arguments.policy_flags = provision->remaining();
    return RunProvision(std::move(provision_arguments));
  }
  if (bridge->parsed()) return RunBridge(bridge_arguments);
  if (call->parsed()) return RunCall(call_arguments);
  if (publish->parsed()) return RunCheckpointPublish(publish_arguments);
  if (witness->parsed()) return RunWitness(witness_arguments);
  if (dev_root->parsed()) return RunDevRoot(root_arguments);
  if (verify_log->parsed()) return RunVerifyLog(verify_arguments);
  if (verify_receipt->parsed()) return RunVerifyReceipt(verify_arguments);
  if (verify_attestation->parsed()) return RunVerifyAttestation(attestation_arguments);
  if (mirror->parsed()) return RunLogMirror(verify_arguments);
  if (measure->parsed()) return RunMeasure(measure_arguments);
  if (eif_build->parsed()) return RunEifBuild(eif_arguments);
  if (const std::optional<int> code = measurements.RunParsed()) return *code;

  absl::StatusOr<HostClient> host = Host(arguments);
  absl::Status result = host.status();
  if (!host.ok()) {
  } else if (status->parsed()) {
    result = ShowStatus(*host, arguments.json, std::cout);
  } else if (accounts->parsed()) {
    result = ShowAccounts(*host, arguments.account, arguments.json, std::cout);
  } else if (payouts->parsed()) {
    result = Payouts(*host, arguments);
  } else if (rotate.state_key->parsed()) {
    result = RotateStateKey(*host, arguments.key_id, std::cout);
  } else if (rotate.signing_key->parsed()) {
    result = RotateSigningKey(*host, arguments.wait_drained, std::cout);
  } else if (arguments.dead_letters) {
    result = ReplayDeadLetters(*host, std::cout);
  } else {
    result = ReplayFile(*host, arguments.file, std::cout);
  }
  if (result.ok()) return 0;
  std::cout.flush();
  std::cerr << "coffer: " << result.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace coffer::tools

int main(int argc, char** argv) { return coffer::tools::Main(argc, argv); }
