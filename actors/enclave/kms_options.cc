#include "actors/enclave/kms_options.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/enclave/kms_channel.h"
#include "enclave_core/kms/remote_client.h"
#include "runtime/log.h"
#include "runtime/os_file.h"

namespace coffer::enclave {
namespace {

using runtime::Endpoint;
using runtime::Level;
using runtime::Log;

constexpr char kComponent[] = "kms";
constexpr uint32_t kParentCid = 3;  // facts of AWS Nitro: the parent instance, seen from an enclave
constexpr uint32_t kHttpsPort = 443;
constexpr size_t kMaxCaBytes = 64 * 1024;

absl::StatusOr<std::string> ReadCa(const std::string& path) {
  std::string pem;
  const absl::Status read = runtime::OsReadPieces(path, [&](std::string_view piece) {
    if (pem.size() <= kMaxCaBytes) pem.append(piece.substr(0, kMaxCaBytes + 1 - pem.size()));
  });
  if (!read.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--insecure-kms-ca: ", read.message()));
  }
  if (pem.empty() || pem.size() > kMaxCaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("--insecure-kms-ca: a PEM file of 1..", kMaxCaBytes, " bytes is needed"));
  }
  return pem;
}

// How to reach the host `name`.
struct Way {
  std::optional<Endpoint> fixed;
  bool through_parent = false;
  Endpoint To(const std::string& name, uint32_t proxy_port) const {
    if (fixed.has_value()) return *fixed;
    Endpoint endpoint;
    if (through_parent) {
      endpoint.kind = Endpoint::Kind::kVsock;
      endpoint.cid = kParentCid;
      endpoint.port = proxy_port;
    } else {
      endpoint.host = name;
      endpoint.port = kHttpsPort;
    }
    return endpoint;
  }
};

}  // namespace

void AddKmsOptions(runtime::ConfigSpec* spec) {
  spec->Add({.name = "kms-endpoint-override",
             .help =
                 "Where KMS of every region is reached, tcp://HOST:PORT, vsock://CID:PORT or "
                 "unix:///PATH; by default the vsock proxy of the parent, or AWS itself outside "
                 "of a Nitro enclave."})
      .Add({.name = "insecure-kms-ca",
            .help = "A PEM file of the CA that KMS's certificate has to come from, instead of "
                    "Amazon's: for a KMS that is not AWS's. Who has that CA gets the credentials."})
      .Add({.name = "insecure-allow-debug",
            .type = runtime::OptionType::kBool,
            .help = "Take a key into an enclave in debug mode, which its host can look into."});
}

absl::StatusOr<KeySource> KeySourceFromOptions(const runtime::Config& config,
                                               attestation::Attester* attester) {
  Way way;
  way.through_parent = attester->kind() == attestation::Kind::kNitro;
  if (const std::string& text = config.String("kms-endpoint-override"); !text.empty()) {
    absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
    if (!endpoint.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--kms-endpoint-override: ", endpoint.status().message()));
    }
    way.fixed = *std::move(endpoint);
  }
  std::string ca_pem;
  if (const std::string& path = config.String("insecure-kms-ca"); !path.empty()) {
    absl::StatusOr<std::string> pem = ReadCa(path);
    if (!pem.ok()) return pem.status();
    ca_pem = *std::move(pem);
    Log(Level::kWarn, kComponent,
        "INSECURE: a KMS is believed that is not AWS's (--insecure-kms-ca): whoever has that CA "
        "gets the credentials",
        {{"ca", path}});
  }
  KeySource source;
  source.allow_debug = config.Bool("insecure-allow-debug");
  if (source.allow_debug) {
    Log(Level::kWarn, kComponent,
        "INSECURE: a key is taken in debug mode, where the host can look into the enclave "
        "(--insecure-allow-debug)");
  }
  source.new_client = [way, ca_pem, attester](
                          kms::Credentials credentials,
                          uint32_t proxy_port) -> absl::StatusOr<std::unique_ptr<kms::Client>> {
    kms::RemoteOptions options;
    // The region was checked to be one label (provisioning/check.cc).
    options.host = absl::StrCat("kms.", credentials.region, ".amazonaws.com");
    options.ca_pem = ca_pem;
    const Endpoint endpoint = way.To(options.host, proxy_port);
    absl::StatusOr<std::unique_ptr<kms::RemoteClient>> client = kms::RemoteClient::Create(
        std::move(options), std::move(credentials), KmsPorts(endpoint, attester));
    if (!client.ok()) return client.status();
    return *std::move(client);
  };
  return source;
}

}  // namespace coffer::enclave
