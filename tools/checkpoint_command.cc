#include "tools/checkpoint_command.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/decimal_wei.h"
#include "runtime/backoff.h"
#include "runtime/log.h"
#include "runtime/os_env.h"
#include "runtime/process.h"
#include "tools/checkpoint_publish.h"
#include "tools/key_file.h"

namespace coffer::tools {

using runtime::Level;
using runtime::Log;

namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongArgument = 2;
constexpr int kAlarm = 3;
constexpr char kKeyVariable[] = "COFFER_PUBLISH_KEY";
constexpr absl::Duration kHostTimeout = absl::Seconds(15);
constexpr absl::Duration kFirstPause = absl::Seconds(2);

absl::Status Wrong(const std::string& option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", why));
}

absl::StatusOr<absl::Duration> ReadDuration(const std::string& option, const std::string& text) {
  absl::Duration out;
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds)) {
    out = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &out)) {
    return Wrong(option, "write it as 10s, 5m or 1h");
  }
  if (out < absl::Seconds(1) || out > absl::Hours(24 * 30)) {
    return Wrong(option, "must be from 1s to 720h");
  }
  return out;
}

// The key of whoever pays the gas. It leaves the environment with this.
absl::StatusOr<std::optional<ethereum::PrivateKey>> ReadKey(const PublishArguments& arguments) {
  std::string variable = runtime::OsEnv(kKeyVariable).value_or("");
  runtime::OsForgetEnv(kKeyVariable);
  absl::StatusOr<std::optional<ethereum::PrivateKey>> out{std::optional<ethereum::PrivateKey>()};
  const bool from_variable = !variable.empty();
  if (from_variable && !arguments.key_file.empty()) {
    out = Wrong("--key-file", absl::StrCat("the variable ", kKeyVariable, " is set too; which?"));
  } else if (from_variable || !arguments.key_file.empty()) {
    absl::StatusOr<ethereum::PrivateKey> key =
        from_variable ? EthereumKeyFromHex(variable)
                      : ReadEthereumKey(arguments.key_file, arguments.password_file);
    if (key.ok()) {
      out = std::optional<ethereum::PrivateKey>(*std::move(key));
    } else {
      out = Wrong(from_variable ? kKeyVariable : "--key-file", key.status().message());
    }
  } else if (!arguments.dry_run) {
    out = Wrong("--key-file", absl::StrCat("is needed, or the variable ", kKeyVariable,
                                           ": somebody must pay the gas"));
  }
  OPENSSL_cleanse(variable.data(), variable.size());
  return out;
}

struct Settings {
  PublishOptions publish;
  absl::Duration interval;
};

absl::StatusOr<Settings> ReadSettings(const PublishArguments& arguments) {
  Settings out;
  const auto registry = ethereum::AddressFromText(arguments.registry);
  if (!registry.ok()) return Wrong("--registry", registry.status().message());
  out.publish.registry = *registry;
  if (!arguments.audit_address.empty()) {
    const auto audit_address = ethereum::AddressFromText(arguments.audit_address);
    if (!audit_address.ok()) return Wrong("--audit-address", audit_address.status().message());
    out.publish.audit_address = *audit_address;
  }
  const auto interval = ReadDuration("--interval", arguments.interval);
  if (!interval.ok()) return interval.status();
  out.interval = *interval;
  const auto stuck = ReadDuration("--stuck-after", arguments.stuck_after);
  if (!stuck.ok()) return stuck.status();
  out.publish.sender.stuck_after = *stuck;
  // Gwei have nine decimals, as ETH has eighteen: read as ETH, a billion times too much.
  const auto fee = host::ParseEthToWei(arguments.max_fee_gwei);
  constexpr uint64_t kGweiPerEth = 1'000'000'000;
  if (!fee.ok() || fee->negative || fee->magnitude < kGweiPerEth ||
      fee->magnitude % kGweiPerEth != 0 || fee->magnitude / kGweiPerEth > uint64_t{1} << 60) {
    return Wrong("--max-fee-gwei", "must be an amount of gwei, as in 0.5 or 30");
  }
  out.publish.sender.max_fee = fee->magnitude / kGweiPerEth;
  out.publish.sender.chain_id = arguments.chain_id;
  out.publish.dry_run = arguments.dry_run;
  return out;
}

int CodeOf(const absl::Status& status) { return absl::IsDataLoss(status) ? kAlarm : kFailed; }

int GiveUp(const absl::Status& why, int code) {
  std::cerr << "coffer: " << why.message() << "\n";
  return code;
}

// Which chain this is: the node is asked, and must agree with what was given.
absl::Status CheckChain(BlockingChain& chain, uint64_t* chain_id) {
  const absl::StatusOr<Json::Value> answer =
      chain.Call("eth_chainId", Json::Value(Json::arrayValue));
  if (!answer.ok()) return answer.status();
  const absl::StatusOr<uint64_t> id = host::ParseQuantity(*answer);
  if (!id.ok()) return id.status();
  if (*chain_id != 0 && *chain_id != *id) {
    return absl::FailedPreconditionError(
        absl::StrCat("the node at ", chain.name(), " is on chain ", *id, ", not on ", *chain_id));
  }
  *chain_id = *id;
  return absl::OkStatus();
}

int RunOnce(Publisher& publisher) {
  const absl::StatusOr<PublishResult> result = publisher.Once();
  if (!result.ok()) return GiveUp(result.status(), CodeOf(result.status()));
  std::cout << Describe(*result) << "\n";
  return result->equivocated ? kAlarm : kDone;
}

struct Totals {
  uint64_t looks = 0, submitted = 0, failures = 0, alarms = 0, gas = 0;
};

void LogResult(const PublishResult& result, Totals& totals) {
  using Kind = PublishResult::Kind;
  if (result.receipt) {
    ++totals.submitted;
    totals.gas += result.receipt->gas_used;
  }
  if (result.equivocated) ++totals.alarms;
  const Level level = result.equivocated                  ? Level::kError
                      : result.kind == Kind::kNothingToDo ? Level::kDebug
                                                          : Level::kInfo;
  Log(level, "publish", Describe(result),
      {{"size", result.statement.size}, {"submitted", totals.submitted}, {"gas", totals.gas}});
}

int Watch(BlockingChain& chain, Publisher& publisher, absl::Duration interval) {
  Totals totals;
  runtime::Backoff backoff(std::min(kFirstPause, interval), interval, chain.random());
  // Half of it is jitter, so that many watchers of one log do not send at once.
  runtime::Backoff pace(interval, interval, chain.random());
  while (!chain.cancelled()) {
    ++totals.looks;
    const absl::StatusOr<PublishResult> result = publisher.Once();
    if (absl::IsCancelled(result.status())) {
      Log(Level::kInfo, "publish", "interrupted", {{"why", result.status()}});
      break;
    }
    if (result.ok()) {
      LogResult(*result, totals);
      backoff.Reset();
    } else {
      ++totals.failures;
      const bool alarm = absl::IsDataLoss(result.status());
      if (alarm) ++totals.alarms;
      Log(alarm ? Level::kError : Level::kWarn, "publish", alarm ? "ALARM" : "not submitted",
          {{"why", result.status()}, {"failures", totals.failures}});
    }
    if (!chain.Sleep(result.ok() ? pace.Next() : backoff.Next())) break;
  }
  Log(Level::kInfo, "publish", "stopped",
      {{"looks", totals.looks},
       {"submitted", totals.submitted},
       {"failures", totals.failures},
       {"alarms", totals.alarms},
       {"gas", totals.gas}});
  return kDone;
}

}  // namespace

CLI::App* AddCheckpointPublish(CLI::App& app, PublishArguments& arguments) {
  CLI::App* checkpoint = app.add_subcommand("checkpoint", "Heads of the transparency log");
  checkpoint->require_subcommand(1);
  CLI::App* publish = checkpoint->add_subcommand(
      "publish", "Submit the log's signed head to a CheckpointRegistry on a chain");
  publish->add_option("--url", arguments.url, "The host that serves the log: http(s)://HOST[:PORT]")
      ->envname("COFFER_HOST_URL")
      ->capture_default_str();
  publish->add_option("--rpc", arguments.rpc, "A node of the chain: http(s)://HOST[:PORT]/...")
      ->envname("COFFER_RPC_URL")
      ->required();
  publish->add_option("--registry", arguments.registry, "The registry's address, 0x...")
      ->required();
  publish->add_option("--chain-id", arguments.chain_id,
                      "The chain that the node must be on; without it, whichever it is on");
  publish->add_option("--audit-address", arguments.audit_address,
                      "The log's audit address; without it, the one that the host shows first");
  publish->add_option("--key-file", arguments.key_file,
                      absl::StrCat("The key that pays the gas, any funded one: 64 hex digits or a "
                                   "version 3 keystore, mode 0600; or the variable ",
                                   kKeyVariable));
  publish->add_option("--password-file", arguments.password_file, "The keystore's password");
  publish->add_option("--max-fee-gwei", arguments.max_fee_gwei, "Most gwei a gas, tip included")
      ->capture_default_str();
  publish
      ->add_option("--stuck-after", arguments.stuck_after,
                   "After how long a transaction is sent again with higher fees")
      ->capture_default_str();
  publish->add_option("--ca-file", arguments.ca_file,
                      "A PEM file of the authorities to trust for https; empty: the system's");
  CLI::Option* once =
      publish->add_flag("--once", arguments.once, "One look, and end (the default)");
  publish->add_flag("--watch", arguments.watch, "Go on until SIGTERM, with a look each interval")
      ->excludes(once);
  publish
      ->add_option("--interval", arguments.interval,
                   "Longest time between two looks; half of it is jitter")
      ->capture_default_str();
  publish->add_flag("--dry-run", arguments.dry_run, "Say what would be sent, and send nothing");
  publish->add_flag("--json-log", arguments.json_log, "Log lines as JSON");
  publish->footer(
      "Nothing is sent when the registry has the head already. Ends with 0 when done, 1 when it "
      "could\nnot be done, 2 for a wrong argument, 3 when the log went back or has two histories.\n"
      "Example: coffer checkpoint publish --url http://127.0.0.1:8080 --rpc https://node.example "
      "\\\n"
      "             --registry 0x5FbDB2315678afecb367f032d93F642f64180aa3 --key-file gas.key "
      "--watch");
  return publish;
}

int RunCheckpointPublish(const PublishArguments& arguments) {
  absl::StatusOr<Settings> settings = ReadSettings(arguments);
  absl::StatusOr<std::optional<ethereum::PrivateKey>> key = ReadKey(arguments);
  if (!settings.ok()) return GiveUp(settings.status(), kWrongArgument);
  if (!key.ok()) return GiveUp(key.status(), kWrongArgument);
  const auto host = HttpFetcher::Create(arguments.url, "", arguments.ca_file, kHostTimeout);
  if (!host.ok()) return GiveUp(Wrong("--url", host.status().message()), kWrongArgument);
  runtime::LogOptions log;
  log.json = arguments.json_log;
  runtime::InitLog(log);
  runtime::EventLoop loop;
  const auto chain =
      BlockingChain::Make(&loop, {.url = arguments.rpc, .ca_file = arguments.ca_file});
  if (!chain.ok()) return GiveUp(Wrong("--rpc", chain.status().message()), kWrongArgument);
  runtime::ShutdownSignals signals(&loop, [&](int) { (*chain)->Cancel(); });
  PublishOptions options = settings->publish;
  if (absl::Status fits = CheckChain(**chain, &options.sender.chain_id); !fits.ok()) {
    return GiveUp(fits, kFailed);
  }
  const uint64_t chain_id = options.sender.chain_id;
  Publisher publisher(chain->get(), host->get(), *key ? &**key : nullptr, std::move(options));
  if (!arguments.watch) return RunOnce(publisher);
  Log(Level::kInfo, "publish", "watching",
      {{"host", (*host)->name()},
       {"node", (*chain)->name()},
       {"chain_id", chain_id},
       {"registry", arguments.registry},
       {"from", *key ? ethereum::ToChecksum((*key)->address()) : std::string("nobody (dry run)")},
       {"interval_seconds", absl::ToInt64Seconds(settings->interval)},
       {"version", runtime::BuildVersion()}});
  runtime::NotifyReady("watching");
  return Watch(**chain, publisher, settings->interval);
}

}  // namespace coffer::tools
