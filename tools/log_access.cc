#include "tools/log_access.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "host_proxy/json_text.h"
#include "tools/small_files.h"
#include "tools/verify_report.h"

namespace coffer::tools {

void AddTrustOptions(CLI::App* command, LogAccessArguments& arguments) {
  command->add_option("--key", arguments.key,
                      "The log's verifier key, as in coffer/0x...+1f2e3d4c+AQ...");
  command->add_option("--policy", arguments.policy_file,
                      "A C2SP tlog-policy file: the log's key, witnesses and their quorum");
  command->add_option("--state", arguments.state_file,
                      "Where the last verified head is remembered; without it a file for each log "
                      "in ~/.local/state/coffer");
}

void AddHttpOptions(CLI::App* command, LogAccessArguments& arguments) {
  command->add_option("--timeout", arguments.timeout, "Seconds to wait for each file")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command->add_option("--ca-file", arguments.ca_file,
                      "PEM file with the authorities to trust instead of the system's");
}

absl::StatusOr<TrustOptions> ReadTrust(const LogAccessArguments& arguments) {
  TrustOptions trust;
  trust.state_file = arguments.state_file;
  if (!arguments.key.empty()) {
    absl::StatusOr<audit::VerifierKey> key = audit::VerifierKey::Parse(arguments.key);
    if (!key.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--key: ", key.status().message()));
    }
    trust.key = *std::move(key);
  }
  if (!arguments.policy_file.empty()) {
    const absl::StatusOr<std::string> text =
        ReadWholeFile(arguments.policy_file, audit::kMaxPolicyBytes);
    if (!text.ok()) return text.status();
    absl::StatusOr<audit::QuorumPolicy> policy = audit::QuorumPolicy::Parse(*text);
    if (!policy.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--policy ", arguments.policy_file, ": ", policy.status().message()));
    }
    trust.policy = *std::move(policy);
  }
  return trust;
}

absl::StatusOr<OpenedLog> OpenLog(const LogAccessArguments& arguments) {
  OpenedLog opened;
  if (!arguments.folder.empty()) {
    opened.source = std::make_unique<FolderSource>(arguments.folder);
    return opened;
  }
  absl::StatusOr<std::unique_ptr<HttpFetcher>> fetcher =
      HttpFetcher::Create(arguments.url, "", arguments.ca_file, absl::Seconds(arguments.timeout));
  if (!fetcher.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--url: ", fetcher.status().message()));
  }
  opened.fetcher = *std::move(fetcher);
  opened.source = std::make_unique<HttpSource>(opened.fetcher.get());
  return opened;
}

absl::StatusOr<std::string> AskLogKey(HttpFetcher& fetcher) {
  const absl::StatusOr<std::string> answer =
      fetcher.Get("/api/transparency/tee-core/audit/status", 1u << 20);
  if (!answer.ok()) return answer.status();
  const absl::StatusOr<Json::Value> json = host_proxy::FromText(*answer);
  if (!json.ok() || !json->isObject() || !(*json)["log_key"].isString()) {
    return absl::UnavailableError(
        absl::StrCat(fetcher.name(), " has no \"log_key\" in its audit status"));
  }
  return (*json)["log_key"].asString();
}

int BadUsage(const absl::Status& why) {
  std::cerr << "coffer: " << Printable(std::string(why.message())) << "\n";
  return kCouldNotTell;
}

}  // namespace coffer::tools
