// What `coffer provision` is given.
#include <CLI/CLI.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/host/decimal_wei.h"
#include "actors/host/key_files.h"
#include "actors/policy_options.h"
#include "enclave_core/policy/policy.h"
#include "runtime/config.h"
#include "tools/provision_command.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr size_t kMaxCiphertextText = 16 * 1024;

runtime::ConfigSpec PolicySpec() {
  runtime::ConfigSpec spec("coffer provision", "The policy.", "");
  enclave::AddPolicyOptions(&spec);
  return spec;
}

absl::StatusOr<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes)) {
    return absl::InvalidArgumentError("is not base64");
  }
  return bytes;
}

// --max-face-value-eth 0.5 is --max-face-value-wei 500000000000000000.
absl::StatusOr<std::string> WeiOf(const std::string& name, const std::string& value) {
  const absl::StatusOr<host::SignedWei> wei = host::ParseEthToWei(value);
  if (!wei.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", wei.status().message()));
  }
  if (wei->negative) return absl::InvalidArgumentError(absl::StrCat(name, ": is below zero"));
  std::ostringstream digits;
  digits << wei->magnitude;
  return digits.str();
}

// The flags by the names that coffer-enclave knows.
absl::StatusOr<std::vector<std::string>> EnclaveFlags(const std::vector<std::string>& flags) {
  constexpr absl::string_view kEth = "-eth";
  std::vector<std::string> out;
  for (size_t i = 0; i < flags.size(); ++i) {
    std::string name = flags[i].substr(0, flags[i].find('='));
    const bool eth = absl::StartsWith(name, "--") && absl::EndsWith(name, kEth);
    const bool recipient = name == "--allowed-recipient";
    if (!eth && !recipient) {
      out.push_back(flags[i]);
      continue;
    }
    std::string value;
    if (name.size() < flags[i].size()) {
      value = flags[i].substr(name.size() + 1);
    } else if (++i < flags.size()) {
      value = flags[i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(name, ": wants a value"));
    }
    if (eth) {
      absl::StatusOr<std::string> wei = WeiOf(name, value);
      if (!wei.ok()) return wei.status();
      value = *std::move(wei);
      name = absl::StrCat(absl::StripSuffix(name, kEth), "-wei");
    } else {
      name = "--allowed-recipients";
    }
    out.push_back(absl::StrCat(name, "=", value));
  }
  return out;
}

void AddKeyOptions(CLI::App* command, ProvisionArguments& arguments) {
  CLI::Option_group* const what = command->add_option_group("key");
  what->add_option("--ciphertext-file", arguments.ciphertext_file,
                   "A file with the signing key as KMS encrypted it, as it is or in base64");
  what->add_option("--ciphertext", arguments.ciphertext, "The same as an argument, in base64");
  what->add_flag("--generate", arguments.generate,
                 "Have KMS make the signing key, which then never exists outside of an enclave; "
                 "its ciphertext goes to --keys");
  what->require_option(0, 1);
  command->add_option("--kms-key-id", arguments.kms_key_id,
                      "The KMS key of the signing key; with --generate it is needed");
  command->add_option("--state-key-id", arguments.state_key_id,
                      "The KMS key for the state key; without it the signing key's");
  command->add_option("--encryption-algorithm", arguments.encryption_algorithm,
                      "Of the ciphertext; SYMMETRIC_DEFAULT without");
  command
      ->add_option("--encryption-context", arguments.encryption_context,
                   "NAME=VALUE, again for more: what the signing key was encrypted with")
      ->allow_extra_args(false);
  command->add_option(
      "--expected-address", arguments.expected_address,
      "The address that must come out, anything else is refused; while one signing key "
      "follows another, either's");
  command->add_option(
      "--keys", arguments.keys,
      "The folder for the ciphertexts: <data-dir>/keys of the coffer-host that will "
      "store the state, which must not run meanwhile");
}

void AddAwsOptions(CLI::App* command, ProvisionArguments& arguments) {
  command->add_option("--region", arguments.region,
                      "The region of the KMS keys; without it AWS_REGION, AWS_DEFAULT_REGION, the "
                      "profile's, the instance's");
  command
      ->add_option("--credentials", arguments.credentials,
                   "auto: the environment, then ~/.aws, then the instance's role (IMDSv2); or one "
                   "of environment, profile, instance")
      ->capture_default_str();
  command->add_option("--profile", arguments.profile, "The profile of ~/.aws, not AWS_PROFILE's");
  command
      ->add_option("--proxy-port", arguments.proxy_port,
                   "The parent's vsock port that leads to KMS (vsock-proxy)")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
}

}  // namespace

CLI::App* AddProvision(CLI::App& app, ProvisionArguments& arguments) {
  CLI::App* command =
      app.add_subcommand("provision", "Give an enclave its key, once its attestation was verified");
  command
      ->add_option("--endpoint", arguments.endpoint,
                   "The enclave: vsock://CID:PORT, tcp://HOST:PORT or unix:///PATH")
      ->envname("PAYMENTS_SIGNER_ENDPOINT")
      ->required();
  AddKeyOptions(command, arguments);
  AddAwsOptions(command, arguments);
  AddExpectationOptions(command, arguments.expectations);
  command->add_flag("--insecure-skip-attestation", arguments.skip_attestation,
                    "Send the credentials to whatever answers there: for development");
  command->add_option("--timeout", arguments.timeout, "Seconds for each answer of the enclave")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  command->add_flag("--dry-run", arguments.dry_run,
                    "Do all but send it; show what would be sent, secrets masked");
  command->allow_extras();
  command->footer([] {
    return absl::StrCat(
        "The policy, for an enclave that was started without one (any --NAME-wei also as "
        "--NAME-eth, and --allowed-recipient 0x... once for each):\n",
        PolicySpec().FlagsHelp(),
        "\nPrints the address. Ends with 1 when the enclave has no key afterwards.\n"
        "Example: coffer provision --ciphertext-file key.bin --endpoint vsock://16:5000 --region "
        "us-east-2 "
        "\\\n           --measurements releases.json --expected-address 0x... --keys "
        "/var/lib/coffer/keys\n"
        "         coffer provision --generate --kms-key-id alias/coffer --endpoint "
        "vsock://16:5000 \\\n           --measurements releases.json --keys /var/lib/coffer/keys "
        "\\\n           --chain-id 42161 --ticket-broker 0x... --max-face-value-eth 0.5");
  });
  return command;
}

absl::StatusOr<std::string> ReadCiphertext(const ProvisionArguments& arguments) {
  const bool file = !arguments.ciphertext_file.empty();
  const std::string name = file ? arguments.ciphertext_file : "--ciphertext";
  absl::StatusOr<std::string> bytes = arguments.ciphertext;
  if (file) {
    bytes = ReadWholeFile(arguments.ciphertext_file, kMaxCiphertextText);
    if (!bytes.ok()) return bytes.status();
    // What aws kms encrypt prints. KMS's blobs begin with bytes that no text has.
    std::string text = *bytes;
    absl::StripAsciiWhitespace(&text);
    if (absl::StatusOr<std::string> decoded = FromBase64(text); decoded.ok()) bytes = decoded;
  } else {
    bytes = FromBase64(arguments.ciphertext);
  }
  if (!bytes.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " ", bytes.status().message()));
  }
  if (bytes->empty() || bytes->size() > host::kMaxCiphertextBytes) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is no ciphertext of KMS's: it has ",
                                                   bytes->size(), " bytes, and not 1 to ",
                                                   host::kMaxCiphertextBytes));
  }
  return bytes;
}

absl::StatusOr<std::string> PolicyOf(const std::vector<std::string>& flags,
                                     boundary::v1::Profile profile) {
  if (flags.empty()) return std::string();
  const absl::StatusOr<std::vector<std::string>> named = EnclaveFlags(flags);
  if (!named.ok()) return named.status();
  const absl::StatusOr<runtime::ConfigSpec::Loaded> loaded = PolicySpec().Load(*named, {});
  if (!loaded.ok()) return loaded.status();
  if (loaded->action != runtime::ConfigSpec::Action::kRun) {
    return absl::InvalidArgumentError("the policy is given by its flags alone");
  }
  const absl::StatusOr<policy::Policy> policy = enclave::PolicyFromOptions(loaded->config, profile);
  if (!policy.ok()) return policy.status();
  boundary::v1::Policy proto;
  policy::ToProto(*policy, &proto);
  return proto.SerializeAsString();
}

}  // namespace coffer::tools
