// coffer: the operator's command.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <string>

#include "runtime/os_env.h"
#include "runtime/process.h"
#include "tools/host_commands.h"

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

int Main(int argc, char** argv) {
  runtime::IgnoreSigpipe();
  Arguments arguments;
  CLI::App app("coffer: looks at a running Coffer and steers it.");
  app.set_version_flag("--version", runtime::BuildVersion());
  app.require_subcommand(1);
  CLI::App* status =
      app.add_subcommand("status", "What the enclave holds, and whether it is ready");
  status->footer("Example: coffer status --host-url http://127.0.0.1:8080");
  CLI::App* accounts = app.add_subcommand("accounts", "The accounts and what they are owed");
  accounts->add_option("id", arguments.account, "One account only");
  accounts->footer("Example: coffer accounts orch-0001 --json");
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
  CLI::App* replay = app.add_subcommand("replay", "Apply journal lines that were not applied yet");
  CLI::Option_group* const what = replay->add_option_group("what");
  what->add_flag("--dead-letters", arguments.dead_letters, "What the host put aside");
  what->add_option("--file", arguments.file, "A journal file of this machine")
      ->check(CLI::ExistingFile);
  what->require_option(1);
  replay->footer(
      "Lines that were applied before change nothing.\nExample: coffer replay --dead-letters\n     "
      "    coffer replay --file journal-2026-01.jsonl");
  for (CLI::App* command : {status, accounts, payouts, replay}) AddHostOptions(command, arguments);
  for (CLI::App* command : {status, accounts, payouts}) {
    command->add_flag("--json", arguments.json, "JSON, one document a line, instead of a table");
  }
  CLI11_PARSE(app, argc, argv);

  absl::StatusOr<HostClient> host = Host(arguments);
  absl::Status result = host.status();
  if (!host.ok()) {
  } else if (status->parsed()) {
    result = ShowStatus(*host, arguments.json, std::cout);
  } else if (accounts->parsed()) {
    result = ShowAccounts(*host, arguments.account, arguments.json, std::cout);
  } else if (payouts->parsed()) {
    result = Payouts(*host, arguments);
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
