#include "tools/verify_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "host_proxy/json_text.h"
#include "runtime/os_clock.h"
#include "runtime/os_env.h"
#include "tools/balance_claims.h"
#include "tools/log_mirror.h"
#include "tools/registry_client.h"
#include "tools/scan_progress.h"
#include "tools/verify_log.h"

namespace coffer::tools {
namespace {

constexpr unsigned kMostThreads = 64;
// Of a web server several files are asked for at a time, because each takes its round trip.
constexpr unsigned kHttpThreads = 8;

unsigned Threads(const VerifyArguments& arguments) {
  if (arguments.threads != 0) return arguments.threads;
  if (arguments.access.folder.empty()) return kHttpThreads;
  return std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
}

absl::Status Option(const char* name, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

absl::StatusOr<ethereum::Address> ReadAddress(const char* name, const std::string& text) {
  absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(text);
  if (!address.ok()) return Option(name, address.status());
  return address;
}

absl::StatusOr<std::string> ReadToken(const std::string& file) {
  if (file.empty()) return runtime::OsEnv("COFFER_TOKEN").value_or("");
  std::ifstream in(file);
  std::string token;
  if (!(in >> token)) return absl::NotFoundError("no token can be read from " + file);
  return token;
}

absl::Status ReadRegistryOptions(const VerifyArguments& arguments, VerifyLogOptions& options) {
  if (arguments.registry.empty()) return absl::OkStatus();
  const auto registry = ReadAddress("--registry", arguments.registry);
  if (!registry.ok()) return registry.status();
  const auto audit_address = ReadAddress("--audit-address", arguments.audit_address);
  if (!audit_address.ok()) return audit_address.status();
  options.registry = [rpc = arguments.rpc, registry = *registry,
                      audit_address = *audit_address]() -> absl::StatusOr<AnchoredHead> {
    const absl::StatusOr<RegistryHead> head = ReadRegistry(rpc, registry, audit_address);
    if (!head.ok()) return head.status();
    return AnchoredHead{head->size, head->root, head->equivocated};
  };
  return absl::OkStatus();
}

absl::Status ReadClaimOptions(const VerifyArguments& arguments, VerifyLogOptions& options) {
  if (!arguments.account.empty()) {
    options.account = Claim{.account = arguments.account};
    if (!arguments.balance.empty()) {
      const absl::StatusOr<absl::uint128> wei = ParseWei(arguments.balance);
      if (!wei.ok()) return Option("--balance", wei.status());
      options.account->owed = *wei;
    }
  }
  if (!arguments.accounts_file.empty()) {
    absl::StatusOr<std::vector<Claim>> claims = ReadClaims(arguments.accounts_file);
    if (!claims.ok()) return Option("--accounts", claims.status());
    options.claims = [claims = *std::move(claims)] { return claims; };
  }
  if (!arguments.api.empty()) {
    absl::StatusOr<std::string> token = ReadToken(arguments.token_file);
    if (!token.ok()) return token.status();
    auto fetcher = HttpFetcher::Create(arguments.api, *std::move(token), arguments.access.ca_file,
                                       absl::Seconds(arguments.access.timeout));
    if (!fetcher.ok()) return Option("--api", fetcher.status());
    options.claims = [api = std::shared_ptr<HttpFetcher>(*std::move(fetcher))] {
      return FetchClaims(*api);
    };
  }
  options.full = arguments.full || options.account.has_value() || options.claims != nullptr;
  return absl::OkStatus();
}

absl::StatusOr<VerifyLogOptions> ReadOptions(const VerifyArguments& arguments) {
  VerifyLogOptions options;
  absl::StatusOr<TrustOptions> trust = ReadTrust(arguments.access);
  if (!trust.ok()) return trust.status();
  options.trust = *std::move(trust);
  options.threads = Threads(arguments);
  options.copy = !arguments.access.folder.empty();
  if (!arguments.address.empty()) {
    const auto address = ReadAddress("--address", arguments.address);
    if (!address.ok()) return address.status();
    options.address = *address;
  }
  absl::StatusOr<AttestedLog> attested =
      AttestedLog::Read(arguments.attested, runtime::OsWallNow());
  if (!attested.ok()) return attested.status();
  options.attested = *std::move(attested);
  if (absl::Status status = ReadRegistryOptions(arguments, options); !status.ok()) return status;
  if (absl::Status status = ReadClaimOptions(arguments, options); !status.ok()) return status;
  return options;
}

Json::Value AccountJson(const AccountState& account) {
  Json::Value json;
  json["id"] = Printable(account.id);
  json["recipient"] = ethereum::ToChecksum(account.recipient);
  json["available"] = WeiText(account.available);
  json["reserved"] = WeiText(account.reserved);
  json["paid"] = WeiText(account.paid);
  return json;
}

Json::Value TotalsJson(const LedgerRules& ledger) {
  absl::uint128 available = 0, reserved = 0, paid = 0;
  for (const AccountState& account : ledger.accounts()) {
    available += account.available;
    reserved += account.reserved;
    paid += account.paid;
  }
  const LedgerTotals& totals = ledger.totals();
  Json::Value json;
  json["accounts"] = Json::Value(static_cast<Json::UInt64>(ledger.accounts().size()));
  json["carried_over"] = WeiText(totals.carried_over);
  json["credited"] = WeiText(totals.credited);
  json["adjusted_up"] = WeiText(totals.adjusted_up);
  json["adjusted_down"] = WeiText(totals.adjusted_down);
  json["available"] = WeiText(available);
  json["reserved"] = WeiText(reserved);
  json["paid"] = WeiText(paid);
  json["leaves"] = Json::Value(static_cast<Json::UInt64>(totals.leaves));
  for (size_t kind = 1; kind < totals.by_kind.size(); ++kind) {
    if (totals.by_kind[kind] == 0) continue;
    const std::string name(audit::KindName(static_cast<audit::LeafKind>(kind)));
    json["kinds"][name] = Json::Value(static_cast<Json::UInt64>(totals.by_kind[kind]));
  }
  return json;
}

Json::Value VerdictJson(const LogVerdict& verdict, const VerifyLogOptions& options) {
  Json::Value json = ReportJson(verdict.report);
  if (verdict.head) {
    json["log"]["origin"] = verdict.head->origin;
    json["log"]["size"] = Json::Value(static_cast<Json::UInt64>(verdict.head->size));
    json["log"]["root"] = verdict.head->root.ToHex();
    if (!verdict.key.empty()) json["log"]["key"] = verdict.key;
  }
  if (verdict.ledger == nullptr) return json;
  json["totals"] = TotalsJson(*verdict.ledger);
  if (!options.account) return json;
  const AccountState* account = verdict.ledger->Find(options.account->account);
  if (account != nullptr) json["account"] = AccountJson(*account);
  return json;
}

void AddThreads(CLI::App* command, VerifyArguments& arguments) {
  command
      ->add_option("--threads", arguments.threads,
                   "Threads that read and hash; 0 = by the machine, for a web server 8")
      ->check(CLI::Range(0u, kMostThreads))
      ->capture_default_str();
}

}  // namespace

CLI::App* AddVerifyLog(CLI::App* verify, VerifyArguments& arguments) {
  CLI::App* log = verify->add_subcommand(
      "log", "That the log is one append-only history, signed, and its ledger adds up");
  CLI::Option_group* const where = log->add_option_group("where");
  where->add_option("--url", arguments.access.url,
                    "Where the log is served: http(s)://HOST[:PORT][/PREFIX], below it /log/...");
  where->add_option("--dir", arguments.access.folder, "A folder with checkpoint and tile/...")
      ->check(CLI::ExistingDirectory);
  where->require_option(1);
  AddTrustOptions(log, arguments.access);
  log->add_flag("--full", arguments.full, "Read every leaf and tile, not the head alone");
  CLI::Option* account = log->add_option(
      "--account", arguments.account, "Show what the leaves add up to for this account (--full)");
  log->add_option("--balance", arguments.balance,
                  "Wei that the account is said to be owed: available and reserved")
      ->needs(account);
  CLI::Option* file = log->add_option("--accounts", arguments.accounts_file,
                                      "Compare all balances with a file, as coffer accounts --json "
                                      "prints it (--full)");
  log->add_option("--api", arguments.api,
                  "Compare all balances with a host's HTTP API, http(s)://HOST[:PORT] (--full)")
      ->excludes(file);
  log->add_option(
      "--token-file", arguments.token_file,
      "A file with the API's bearer token; without it the variable COFFER_TOKEN is used");
  log->add_option("--address", arguments.address, "The signing address that the log must be of");
  CLI::Option* rpc = log->add_option("--rpc", arguments.rpc, "A node of the registry's chain");
  CLI::Option* registry =
      log->add_option("--registry", arguments.registry, "The CheckpointRegistry contract");
  CLI::Option* audit_address = log->add_option("--audit-address", arguments.audit_address,
                                               "Under which address the log is registered");
  rpc->needs(registry);
  registry->needs(rpc)->needs(audit_address);
  audit_address->needs(registry);
  AddHttpOptions(log, arguments.access);
  AddThreads(log, arguments);
  AddAttestedLogOptions(log, arguments.attested);
  log->add_flag("--json", arguments.json, "One JSON object instead of lines");
  log->footer(
      "Ends with 0 verified, 1 not verified, 2 could not tell.\n"
      "Example: coffer verify log --url https://pay.example --policy pay.policy\n"
      "         coffer verify log --dir mirror --key \"$KEY\" --full --account orch-1 --balance "
      "500");
  return log;
}

CLI::App* AddLogMirror(CLI::App* log, VerifyArguments& arguments) {
  CLI::App* mirror = log->add_subcommand(
      "mirror", "Copy a log into a folder, verified before its head is put in place");
  mirror
      ->add_option("--url", arguments.access.url,
                   "Where the log is served: http(s)://HOST[:PORT][/PREFIX], below it /log/...")
      ->required();
  mirror->add_option("--dir", arguments.access.folder, "The folder; made when it is missing")
      ->required();
  AddTrustOptions(mirror, arguments.access);
  AddHttpOptions(mirror, arguments.access);
  AddThreads(mirror, arguments);
  mirror->add_flag("--json", arguments.json, "One JSON object instead of lines");
  mirror->footer(
      "Only what is missing is downloaded; interrupted, it goes on where it was. Ends with 0 done, "
      "1 "
      "not verified, 2 could not tell.\n"
      "Example: coffer log mirror --url https://pay.example --dir mirror --policy pay.policy");
  return mirror;
}

int RunVerifyLog(const VerifyArguments& arguments) {
  absl::StatusOr<VerifyLogOptions> options = ReadOptions(arguments);
  if (!options.ok()) return BadUsage(options.status());
  const absl::StatusOr<OpenedLog> log = OpenLog(arguments.access);
  if (!log.ok()) return BadUsage(log.status());
  if (log->fetcher != nullptr) {
    options->trust.ask_key = [&] { return AskLogKey(*log->fetcher); };
  }
  std::optional<ScanProgress> progress(std::in_place);
  options->on_progress = [&](uint64_t done, uint64_t total) { (*progress)(done, total); };
  const LogVerdict verdict = VerifyLog(*log->source, *options);
  progress.reset();
  if (arguments.json) {
    std::cout << host_proxy::ToText(VerdictJson(verdict, *options));
  } else {
    PrintReport(verdict.report, std::cout);
  }
  return verdict.report.ExitCode();
}

int RunLogMirror(const VerifyArguments& arguments) {
  absl::StatusOr<TrustOptions> trust = ReadTrust(arguments.access);
  if (!trust.ok()) return BadUsage(trust.status());
  LogAccessArguments remote = arguments.access;
  remote.folder.clear();
  const absl::StatusOr<OpenedLog> log = OpenLog(remote);
  if (!log.ok()) return BadUsage(log.status());
  MirrorOptions options;
  options.trust = *std::move(trust);
  options.trust.ask_key = [&] { return AskLogKey(*log->fetcher); };
  options.threads = arguments.threads != 0 ? arguments.threads : kHttpThreads;
  std::optional<ScanProgress> progress(std::in_place);
  options.on_progress = [&](uint64_t done, uint64_t total) { (*progress)(done, total); };
  const Report report = MirrorLog(*log->source, arguments.access.folder, options);
  progress.reset();
  if (arguments.json) {
    std::cout << host_proxy::ToText(ReportJson(report));
  } else {
    PrintReport(report, std::cout);
  }
  return report.ExitCode();
}

}  // namespace coffer::tools
