#include "tools/dev_root_command.h"

#include <openssl/crypto.h>

#include <filesystem>
#include <iostream>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/certificates.h"
#include "enclave_core/attestation/development.h"
#include "runtime/os_clock.h"
#include "tools/key_file.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr char kSecretName[] = "coffer-dev-root.key";
constexpr char kCertificateName[] = "coffer-dev-root.pem";

absl::Status MakeRoot(const DevRootArguments& arguments) {
  const std::filesystem::path folder(arguments.out);
  const std::string secret = (folder / kSecretName).string();
  const std::string certificate = (folder / kCertificateName).string();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat(arguments.out, " cannot be made: ", error.message()));
  }
  absl::StatusOr<attestation::DevelopmentRootFiles> root =
      attestation::MakeDevelopmentRoot(runtime::OsWallNow(), arguments.days);
  if (!root.ok()) return root.status();
  // The key first: a certificate without it is of no use.
  absl::Status written = WriteNewSecretFile(secret, root->secret_pem);
  OPENSSL_cleanse(root->secret_pem.data(), root->secret_pem.size());
  if (written.ok()) written = ReplaceFile(certificate, root->certificate_pem, Durability::kSynced);
  if (!written.ok()) return written;
  const absl::StatusOr<attestation::Certificate> made =
      attestation::Certificate::FromPem(root->certificate_pem);
  if (!made.ok()) return made.status();
  std::cout
      << "A root for development was made. What is attested under it proves nothing about a TEE.\n"
      << "  key          " << secret << "   (mode 0600) coffer-enclave --attestor dev --dev-root "
      << secret << "\n"
      << "  certificate  " << certificate << "   coffer verify attestation --root " << certificate
      << "\n"
      << "  sha-256      " << made->Fingerprint() << "\n"
      << "  valid until  "
      << absl::FormatTime(absl::RFC3339_sec, made->not_after(), absl::UTCTimeZone()) << "\n";
  return absl::OkStatus();
}

}  // namespace

CLI::App* AddDevRoot(CLI::App& app, DevRootArguments& arguments) {
  CLI::App* command = app.add_subcommand(
      "dev-root",
      "Make a root for attestation documents where there is no TEE; not for production");
  command->add_option("--out", arguments.out, "The folder for the two files; made when missing")
      ->required();
  command->add_option("--days", arguments.days, "How long the root is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  command->footer(
      "Replaces no key that is there.\n"
      "Example: coffer dev-root --out ~/coffer-dev");
  return command;
}

int RunDevRoot(const DevRootArguments& arguments) {
  const absl::Status made = MakeRoot(arguments);
  if (made.ok()) return 0;
  std::cerr << "coffer: " << made.message() << "\n";
  return 1;
}

}  // namespace coffer::tools
