#include "tools/attest/expectations.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/pcrs.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr size_t kMaxPemBytes = 64 * 1024;

absl::Status Option(const char* name, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
}

absl::Status ReadPcrs(const ExpectationArguments& arguments, attestation::Expectations& expected) {
  for (const std::string& hex : arguments.pcr0) {
    absl::StatusOr<std::string> value = attestation::ParsePcr(hex);
    if (!value.ok()) return Option("--pcr0", value.status());
    expected.pcrs[0].push_back(*std::move(value));
  }
  for (const std::string& text : arguments.pcrs) {
    const size_t equals = text.find('=');
    uint32_t index = 0;
    if (equals == std::string::npos || !absl::SimpleAtoi(text.substr(0, equals), &index) ||
        index >= attestation::kMaxPcrs) {
      return absl::InvalidArgumentError("--pcr: it is N=HEX, with N from 0 to 31");
    }
    absl::StatusOr<std::string> value = attestation::ParsePcr(text.substr(equals + 1));
    if (!value.ok()) return Option("--pcr", value.status());
    expected.pcrs[index].push_back(*std::move(value));
  }
  return absl::OkStatus();
}

absl::Status ReadTimes(const ExpectationArguments& arguments, absl::Time now,
                       attestation::Expectations& expected) {
  expected.at = now;
  int64_t seconds = 0;
  std::string error;
  if (absl::SimpleAtoi(arguments.at, &seconds)) {
    expected.at = absl::FromUnixSeconds(seconds);
  } else if (!arguments.at.empty() &&
             !absl::ParseTime(absl::RFC3339_full, arguments.at, &expected.at, &error)) {
    return absl::InvalidArgumentError(
        "--at: give a time as in 2026-01-31T12:00:00Z, or seconds since 1970");
  }
  if (arguments.max_age.empty()) return absl::OkStatus();
  absl::Duration age;
  if (!absl::ParseDuration(arguments.max_age, &age) || age <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--max-age: give a duration as in 90s, 5m or 1h");
  }
  expected.max_age = age;
  return absl::OkStatus();
}

absl::Status ReadUserData(const ExpectationArguments& arguments,
                          attestation::Expectations& expected) {
  if (!arguments.address.empty()) {
    const auto address = ethereum::AddressFromText(arguments.address);
    if (!address.ok()) return Option("--address", address.status());
    expected.address = *address;
  }
  if (!arguments.policy_hash.empty()) {
    const auto hash = ethereum::Hash::FromHex(arguments.policy_hash);
    if (!hash.ok()) return Option("--policy-hash", hash.status());
    expected.policy_hash = *hash;
  }
  if (!arguments.log_key.empty()) {
    const auto key = audit::VerifierKey::Parse(arguments.log_key);
    if (!key.ok()) return Option("--log-key", key.status());
    expected.log_key = *key;
  }
  return absl::OkStatus();
}

absl::Status ReadFiles(const ExpectationArguments& arguments, OwnedExpectations& read) {
  if (!arguments.root.empty()) {
    const absl::StatusOr<std::string> pem = ReadWholeFile(arguments.root, kMaxPemBytes);
    if (!pem.ok()) return Option("--root", pem.status());
    absl::StatusOr<attestation::Certificate> root = attestation::Certificate::FromPem(*pem);
    if (!root.ok()) return Option("--root", root.status());
    read.root = std::make_shared<attestation::Certificate>(*std::move(root));
    read.expected.root = read.root.get();
  }
  if (arguments.measurements.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> json =
      ReadWholeFile(arguments.measurements, attestation::kMaxMeasurementsBytes);
  if (!json.ok()) return Option("--measurements", json.status());
  absl::StatusOr<attestation::Measurements> parsed = attestation::ParseMeasurements(*json);
  if (!parsed.ok()) return Option("--measurements", parsed.status());
  read.measurements = std::make_shared<attestation::Measurements>(*std::move(parsed));
  read.expected.measurements = read.measurements.get();
  return absl::OkStatus();
}

}  // namespace

void AddExpectationOptions(CLI::App* command, ExpectationArguments& arguments) {
  command
      ->add_option("--pcr0", arguments.pcr0,
                   "PCR0 of the image that is meant, in hex; again for another that is allowed too")
      ->allow_extra_args(false);
  command
      ->add_option("--pcr", arguments.pcrs,
                   "N=HEX: another register, as in 8=...; again for more, or for more values")
      ->allow_extra_args(false);
  command->add_option("--measurements", arguments.measurements,
                      "A file of pinned releases (coffer measurements), instead of --pcr0");
  command->add_option("--root", arguments.root,
                      "A PEM file with the root to trust instead of AWS's: for development");
  command->add_option("--at", arguments.at,
                      "The time to verify for, as in 2026-01-31T12:00:00Z; without it, now");
  command->add_option("--max-age", arguments.max_age, "How old the document may be, as in 5m");
  command->add_flag("--allow-debug", arguments.allow_debug,
                    "Accept an enclave in debug mode, which proves nothing of its image");
  command->add_flag("--any-image", arguments.any_image,
                    "Accept any image: the document then proves nothing of what runs");
}

absl::StatusOr<OwnedExpectations> ReadExpectations(const ExpectationArguments& arguments,
                                                   absl::Time now) {
  OwnedExpectations read;
  read.expected.allow_debug = arguments.allow_debug;
  read.expected.any_image = arguments.any_image;
  if (absl::Status status = ReadPcrs(arguments, read.expected); !status.ok()) return status;
  if (absl::Status status = ReadTimes(arguments, now, read.expected); !status.ok()) return status;
  if (absl::Status status = ReadUserData(arguments, read.expected); !status.ok()) return status;
  if (absl::Status status = ReadFiles(arguments, read); !status.ok()) return status;
  return read;
}

}  // namespace coffer::tools
