#include "host_proxy/signer_options.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/socket_address.h"

namespace coffer::host_proxy {

using runtime::OptionType;

namespace {

constexpr char kTimeoutVariable[] = "PAYMENTS_SIGNER_TIMEOUT_SECONDS";
constexpr char kNone[] = "none";

absl::Status Wrong(const std::string& option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", why));
}

bool IsSet(const runtime::Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found != environment.end() && !found->second.empty();
}

absl::StatusOr<runtime::Endpoint> LocalEndpoint(const std::string& data_dir) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::absolute(data_dir, error);
  if (error) return Wrong("data-dir", error.message());
  absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(
      absl::StrCat("unix://", (folder.lexically_normal() / "enclave.sock").string()));
  absl::Status usable = endpoint.status();
  if (usable.ok()) usable = runtime::LiteralAddress(*endpoint, true).status();
  if (!usable.ok()) return Wrong("data-dir", usable.message());
  return endpoint;
}

// What is there and not used, as one sentence; nothing when all is used.
void NoteIgnoredKeys(const SignerEnvironment& environment, const std::string& endpoint,
                     std::vector<std::string>& notices) {
  std::string names;
  if (environment.private_key) absl::StrAppend(&names, ", PAYMENT_PRIVATE_KEY");
  if (environment.keystore || environment.password) {
    absl::StrAppend(&names, ", PAYMENT_KEYSTORE_*");
  }
  if (names.empty()) return;
  notices.push_back(absl::StrCat("ignored, because the signer is the enclave at ", endpoint, ": ",
                                 names.substr(2)));
}

}  // namespace

std::string SignerModeName(SignerMode mode) {
  switch (mode) {
    case SignerMode::kRemote:
      return "remote";
    case SignerMode::kLocal:
      return "local";
    case SignerMode::kNone:
      break;
  }
  return kNone;
}

void AddSignerOptions(runtime::ConfigSpec& spec) {
  spec.Add({.name = "enclave",
            .default_text = "tcp://127.0.0.1:5000",
            .help = "The enclave's endpoint: vsock://CID:PORT, tcp://HOST:PORT or unix:///PATH; "
                    "none: there is no signer.",
            .env = {"PAYMENTS_SIGNER_ENDPOINT"}})
      .Add({.name = "enclave-timeout",
            .type = OptionType::kDuration,
            .default_text = "60s",
            .help = "How long an answer of the enclave is waited for.",
            .env = {kTimeoutVariable}})
      .Add({.name = "expected-address",
            .help = "The address that the enclave's key must have, 0x...; another one stops this "
                    "host. While one signing key follows another it may be either's.",
            .env = {"PAYMENTS_SIGNER_EXPECTED_ADDRESS"}})
      .Add({.name = "local-enclave",
            .help = "coffer-enclave, started with PAYMENT_PRIVATE_KEY or PAYMENT_KEYSTORE_PATH "
                    "where no --enclave is given; the one beside coffer-host unless named."})
      .Add({.name = "local-enclave-config",
            .help = "Its TOML file; COFFER_ENCLAVE_X becomes its variable COFFER_X."});
}

void TranslateSignerVariables(runtime::Environment& environment) {
  const auto found = environment.find(kTimeoutVariable);
  double seconds = 0;
  if (found == environment.end() || !absl::SimpleAtod(found->second, &seconds)) return;
  found->second += "s";
}

SignerEnvironment ReadSignerEnvironment(const runtime::Environment& environment) {
  constexpr std::string_view kPrefix = "COFFER_ENCLAVE_";
  SignerEnvironment out;
  if (const auto it = environment.find("PAYMENTS_SIGNER_ENDPOINT"); it != environment.end()) {
    out.endpoint = it->second;
  }
  out.private_key = IsSet(environment, "PAYMENT_PRIVATE_KEY");
  out.keystore = IsSet(environment, "PAYMENT_KEYSTORE_PATH");
  out.password = IsSet(environment, "PAYMENT_KEYSTORE_PASSWORD") ||
                 IsSet(environment, "PAYMENT_KEYSTORE_PASSWORD_FILE");
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kPrefix)) continue;
    out.for_enclave[absl::StrCat("COFFER_", name.substr(kPrefix.size()))] = value;
  }
  return out;
}

absl::StatusOr<SignerOptions> ParseSignerOptions(const runtime::Config& config,
                                                 const SignerEnvironment& environment,
                                                 const std::string& data_dir) {
  SignerOptions options;
  const std::string& chosen = config.String("enclave");
  const bool local_key = environment.private_key || environment.keystore;
  if (!environment.endpoint.empty() && environment.endpoint != chosen) {
    options.notices.push_back(absl::StrCat("PAYMENTS_SIGNER_ENDPOINT says ", environment.endpoint,
                                           " and is not used: ", config.Source("enclave"), " says ",
                                           chosen));
  }
  if (!config.IsSet("enclave") && local_key) {
    options.mode = SignerMode::kLocal;
    absl::StatusOr<runtime::Endpoint> endpoint = LocalEndpoint(data_dir);
    if (!endpoint.ok()) return endpoint.status();
    options.endpoint = *std::move(endpoint);
    options.local_environment = environment.for_enclave;
  } else if (chosen == kNone) {
    options.mode = SignerMode::kNone;
    NoteIgnoredKeys(environment, kNone, options.notices);
  } else {
    const absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(chosen);
    if (!endpoint.ok()) return Wrong("enclave", endpoint.status().message());
    options.endpoint = *endpoint;
    NoteIgnoredKeys(environment, chosen, options.notices);
  }
  options.local_enclave = config.String("local-enclave");
  options.local_enclave_config = config.String("local-enclave-config");
  if (const std::string& text = config.String("expected-address"); !text.empty()) {
    const absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(text);
    if (!address.ok()) return Wrong("expected-address", address.status().message());
    options.expected_address = *address;
  }
  return options;
}

}  // namespace coffer::host_proxy
