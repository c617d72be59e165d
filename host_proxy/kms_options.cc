#include "host_proxy/kms_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/key_files.h"

namespace coffer::host_proxy {

using runtime::OptionType;

namespace {

absl::Status Wrong(const std::string& option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", why));
}

}  // namespace

void AddKmsOptions(runtime::ConfigSpec& spec) {
  spec.Add({.name = "kms.provision",
            .type = OptionType::kBool,
            .help = "Give an enclave that has no key its key at each of its starts, from the "
                    "ciphertexts in <data-dir>/keys."})
      .Add({.name = "kms.region",
            .help = "The region of the KMS keys; without it AWS_REGION, AWS_DEFAULT_REGION, the "
                    "profile's, the instance's."})
      .Add({.name = "kms.credentials",
            .default_text = "auto",
            .help = "Where credentials are taken from, anew each time: auto is the environment, "
                    "then the profile, then the instance's role.",
            .choices = {"auto", "environment", "profile", "instance"}})
      .Add({.name = "kms.profile", .help = "The profile of ~/.aws, instead of AWS_PROFILE."})
      .Add({.name = "kms.ciphertext-file",
            .help = "A file with the signing key as KMS encrypted it; it becomes "
                    "<data-dir>/keys/signing.ciphertext when there is none."})
      .Add({.name = "kms.key-id",
            .help = "The KMS key that --kms.ciphertext-file was encrypted with; KMS finds it "
                    "without."})
      .Add({.name = "kms.encryption-algorithm",
            .help = "Of --kms.ciphertext-file; SYMMETRIC_DEFAULT without."})
      .Add({.name = "kms.encryption-context",
            .type = OptionType::kStringList,
            .help = "NAME=VALUE,...: what the signing key was encrypted with, or will be."})
      .Add({.name = "kms.state-key-id",
            .help = "The KMS key for new state keys; without it the signing key's."})
      .Add({.name = "kms.generate-key-id",
            .help = "Where no signing key is stored, and no record either, have one made under "
                    "this KMS key: it never exists outside of the enclave."})
      .Add({.name = "kms.new-state-key",
            .type = OptionType::kBool,
            .help = "Go on although records are stored and no state key: what was sealed under a "
                    "lost one stays unreadable."})
      .Add({.name = "kms.proxy-port",
            .type = OptionType::kUint64,
            .default_text = "8000",
            .help = "The vsock port where this machine passes bytes on to KMS (vsock-proxy).",
            .min = 1,
            .max = 65535})
      .Add({.name = "kms.timeout",
            .type = OptionType::kDuration,
            .default_text = "2m",
            .help = "How long the enclave may take to open its keys."});
}

absl::StatusOr<std::map<std::string, std::string>> ParseEncryptionContext(
    const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> context;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError("write it as NAME=VALUE");
    }
    if (!context.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second) {
      return absl::InvalidArgumentError(absl::StrCat(pair.substr(0, equals), " comes twice"));
    }
  }
  host::SigningCiphertext probe;
  probe.ciphertext = "-";
  probe.encryption_context = context;
  if (absl::Status s = host::CheckSigning(probe); !s.ok()) return s;
  return context;
}

absl::StatusOr<KmsOptions> ParseKmsOptions(const runtime::Config& config) {
  KmsOptions out;
  out.provisioner.provision = config.Bool("kms.provision");
  if (!out.provisioner.provision) {
    for (const char* name : {"kms.ciphertext-file", "kms.generate-key-id", "kms.new-state-key"}) {
      if (config.IsSet(name)) return Wrong(name, "means something with --kms.provision alone");
    }
  }
  out.credentials.region = config.String("kms.region");
  if (!out.credentials.region.empty()) {
    if (absl::Status s = host::aws::CheckRegion(out.credentials.region); !s.ok()) {
      return Wrong("kms.region", s.message());
    }
  }
  const auto sources = host::aws::ParseSources(config.String("kms.credentials"));
  if (!sources.ok()) return Wrong("kms.credentials", sources.status().message());
  out.credentials.sources = *sources;
  out.credentials.profile = config.String("kms.profile");
  out.ciphertext_file = config.String("kms.ciphertext-file");
  out.key_id = config.String("kms.key-id");
  out.encryption_algorithm = config.String("kms.encryption-algorithm");
  auto context = ParseEncryptionContext(config.StringList("kms.encryption-context"));
  if (!context.ok()) return Wrong("kms.encryption-context", context.status().message());
  out.encryption_context = *context;
  out.provisioner.generate_context = *std::move(context);
  out.provisioner.state_key_id = config.String("kms.state-key-id");
  out.provisioner.generate_key_id = config.String("kms.generate-key-id");
  for (const char* name : {"kms.key-id", "kms.state-key-id", "kms.generate-key-id"}) {
    if (config.String(name).size() > host::kMaxKeyIdBytes) {
      return Wrong(name, "has at most 2048 bytes");
    }
  }
  if (!out.ciphertext_file.empty() && !out.provisioner.generate_key_id.empty()) {
    return Wrong("kms.generate-key-id", "goes not together with --kms.ciphertext-file");
  }
  out.provisioner.new_state_key = config.Bool("kms.new-state-key");
  out.provisioner.proxy_port = static_cast<uint32_t>(config.Uint64("kms.proxy-port"));
  out.provisioner.timeout = config.Duration("kms.timeout");
  if (out.provisioner.timeout < absl::Seconds(5) || out.provisioner.timeout > absl::Minutes(15)) {
    return Wrong("kms.timeout", "must be from 5s to 15m");
  }
  return out;
}

}  // namespace coffer::host_proxy
