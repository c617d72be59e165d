#include "tools/measurements_command.h"

#include <json/value.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/attestation/eif_signature.h"
#include "host_proxy/json_text.h"
#include "runtime/os_clock.h"
#include "tools/image_command.h"
#include "tools/log_access.h"
#include "tools/small_files.h"
#include "tools/verify_report.h"

namespace coffer::tools {
namespace {

using attestation::Measurements;
using attestation::Release;

absl::Status Option(const char* name, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

absl::StatusOr<absl::Time> ReadTime(const char* option, const std::string& text) {
  if (text.empty()) return absl::FromUnixSeconds(absl::ToUnixSeconds(runtime::OsWallNow()));
  absl::StatusOr<absl::Time> time = attestation::ParseUtc(text);
  if (!time.ok()) return Option(option, time.status());
  return time;
}

absl::Status ReadPcr(const char* option, const std::string& text, std::string& out) {
  absl::StatusOr<std::string> pcr = attestation::ParsePcr(text);
  if (!pcr.ok()) return Option(option, pcr.status());
  out = *std::move(pcr);
  return absl::OkStatus();
}

// Of an image that is signed, its signature must be right: what nobody could boot is not pinned.
absl::StatusOr<attestation::ImagePcrs> PcrsOfImage(const std::string& path) {
  std::string bytes;
  const absl::StatusOr<attestation::Eif> eif = ReadEifFile(path, bytes);
  if (!eif.ok()) return eif.status();
  absl::StatusOr<attestation::ImagePcrs> pcrs = attestation::MeasureEif(*eif);
  if (!pcrs.ok() || !pcrs->pcr8) return pcrs;
  const absl::StatusOr<attestation::EifSignature> signature = attestation::ReadEifSignature(*eif);
  if (!signature.ok()) return signature.status();
  const absl::Status right = attestation::VerifyEifSignature(*signature, pcrs->pcr0);
  if (!right.ok())
    return absl::InvalidArgumentError(absl::StrCat(path, ": its signature ", right.message()));
  return pcrs;
}

absl::StatusOr<attestation::ImagePcrs> ReadPcrs(const MeasurementsArguments& arguments) {
  if (!arguments.eif.empty()) return PcrsOfImage(arguments.eif);
  attestation::ImagePcrs pcrs;
  absl::Status status = ReadPcr("--pcr0", arguments.pcr0, pcrs.pcr0);
  status.Update(ReadPcr("--pcr1", arguments.pcr1, pcrs.pcr1));
  status.Update(ReadPcr("--pcr2", arguments.pcr2, pcrs.pcr2));
  if (!arguments.pcr8.empty())
    status.Update(ReadPcr("--pcr8", arguments.pcr8, pcrs.pcr8.emplace()));
  if (!status.ok()) return status;
  return pcrs;
}

// Of an image all registers, of a person those that were given.
absl::StatusOr<attestation::ReportedPcrs> ReadReported(const MeasurementsArguments& arguments) {
  attestation::ReportedPcrs reported;
  if (!arguments.eif.empty()) {
    const absl::StatusOr<attestation::ImagePcrs> pcrs = PcrsOfImage(arguments.eif);
    if (!pcrs.ok()) return pcrs.status();
    // An enclave whose image is not signed reports zeros.
    return attestation::ReportedPcrs{
        pcrs->pcr0, pcrs->pcr1, pcrs->pcr2,
        pcrs->pcr8.value_or(std::string(attestation::kPcrBytes, '\0'))};
  }
  absl::Status status = ReadPcr("--pcr0", arguments.pcr0, reported.pcr0);
  if (!arguments.pcr1.empty())
    status.Update(ReadPcr("--pcr1", arguments.pcr1, reported.pcr1.emplace()));
  if (!arguments.pcr2.empty())
    status.Update(ReadPcr("--pcr2", arguments.pcr2, reported.pcr2.emplace()));
  if (!arguments.pcr8.empty())
    status.Update(ReadPcr("--pcr8", arguments.pcr8, reported.pcr8.emplace()));
  if (!status.ok()) return status;
  return reported;
}

Json::Value ReleaseJson(const Release& release) {
  Json::Value json;
  json["name"] = release.name;
  json["version"] = release.version;
  if (!release.commit.empty()) json["commit"] = release.commit;
  json["pcr0"] = attestation::PcrText(release.pcrs.pcr0);
  json["pcr1"] = attestation::PcrText(release.pcrs.pcr1);
  json["pcr2"] = attestation::PcrText(release.pcrs.pcr2);
  if (release.pcrs.pcr8) json["pcr8"] = attestation::PcrText(*release.pcrs.pcr8);
  json["from"] = attestation::FormatUtc(release.from);
  if (release.until) json["until"] = attestation::FormatUtc(*release.until);
  if (!release.note.empty()) json["note"] = Printable(release.note);
  return json;
}

// A refusal that is about the pins themselves, not about the arguments.
int Refused(const absl::Status& why) {
  BadUsage(why);
  return kNotVerified;
}

enum class WhenMissing { kRefuse, kMake };

// Reads, changes and replaces the file, alone at it. Nothing is written when `change` fails.
int Change(const std::string& path, WhenMissing missing,
           const std::function<absl::Status(Measurements&)>& change, const std::string& done) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const absl::StatusOr<runtime::Fd> lock =
      LockPath(folder.empty() ? "." : folder, WhenLocked::kWait);
  if (!lock.ok()) return BadUsage(lock.status());
  absl::StatusOr<Measurements> measurements = ReadMeasurementsFile(path);
  if (absl::IsNotFound(measurements.status()) && missing == WhenMissing::kMake)
    measurements = Measurements();
  if (!measurements.ok()) return BadUsage(measurements.status());
  if (absl::Status status = change(*measurements); !status.ok()) return Refused(status);
  const std::string text = attestation::FormatMeasurements(*measurements);
  // What was written must be read again.
  if (const auto again = attestation::ParseMeasurements(text);
      !again.ok() || *again != *measurements) {
    return BadUsage(again.ok() ? absl::InternalError("the file would not be read as it was meant")
                               : again.status());
  }
  if (absl::Status status = ReplaceFile(path, text, Durability::kSynced); !status.ok())
    return BadUsage(status);
  std::cout << Printable(done) << "\n";
  return kVerified;
}

int RunAdd(const MeasurementsArguments& arguments) {
  Release release;
  release.name = arguments.name;
  release.version = arguments.version;
  release.commit = arguments.commit;
  release.note = arguments.note;
  absl::StatusOr<attestation::ImagePcrs> pcrs = ReadPcrs(arguments);
  if (!pcrs.ok()) return BadUsage(pcrs.status());
  release.pcrs = *std::move(pcrs);
  const absl::StatusOr<absl::Time> from = ReadTime("--from", arguments.from);
  if (!from.ok()) return BadUsage(from.status());
  release.from = *from;
  if (!arguments.until.empty()) {
    const absl::StatusOr<absl::Time> until = ReadTime("--until", arguments.until);
    if (!until.ok()) return BadUsage(until.status());
    release.until = *until;
  }
  const std::string done = absl::StrCat(
      release.name, " ", release.version, " is allowed from ", attestation::FormatUtc(release.from),
      release.until ? absl::StrCat(" until ", attestation::FormatUtc(*release.until)) : " on",
      "; PCR0 ", attestation::PcrText(release.pcrs.pcr0));
  return Change(
      arguments.file, WhenMissing::kMake,
      [&](Measurements& measurements) {
        return attestation::AddRelease(measurements, std::move(release));
      },
      done);
}

int RunRetire(const MeasurementsArguments& arguments) {
  const absl::StatusOr<absl::Time> at = ReadTime("--at", arguments.at);
  if (!at.ok()) return BadUsage(at.status());
  const auto last =
      arguments.force ? attestation::LastRelease::kMayGo : attestation::LastRelease::kKeep;
  return Change(
      arguments.file, WhenMissing::kRefuse,
      [&](Measurements& measurements) {
        absl::Status status =
            attestation::RetireRelease(measurements, arguments.name, arguments.version, *at, last);
        if (!absl::IsFailedPrecondition(status)) return status;
        return absl::FailedPreconditionError(
            absl::StrCat(status.message(), "; add the next one first, or say --force"));
      },
      absl::StrCat(arguments.name, " ", arguments.version, " is retired from ",
                   attestation::FormatUtc(*at), " on"));
}

int RunRestore(const MeasurementsArguments& arguments) {
  return Change(
      arguments.file, WhenMissing::kRefuse,
      [&](Measurements& measurements) {
        return attestation::RestoreRelease(measurements, arguments.name, arguments.version);
      },
      absl::StrCat(arguments.name, " ", arguments.version, " is allowed again, without end"));
}

int RunList(const MeasurementsArguments& arguments) {
  const absl::StatusOr<absl::Time> at = ReadTime("--at", arguments.at);
  if (!at.ok()) return BadUsage(at.status());
  const absl::StatusOr<Measurements> measurements = ReadMeasurementsFile(arguments.file);
  if (!measurements.ok()) return BadUsage(measurements.status());
  Json::Value json;
  json["at"] = attestation::FormatUtc(*at);
  json["releases"] = Json::Value(Json::arrayValue);
  for (const Release& release : measurements->releases) {
    const char* standing = attestation::StandingName(attestation::StandingAt(release, *at));
    Json::Value& out = json["releases"].append(ReleaseJson(release));
    out["standing"] = standing;
    if (arguments.json) continue;
    std::cout << absl::StrFormat(
        "%-8s %s %s  PCR0 %s...  from %s%s%s\n", standing, release.name, release.version,
        attestation::PcrText(release.pcrs.pcr0).substr(0, 16), attestation::FormatUtc(release.from),
        release.until ? " until " + attestation::FormatUtc(*release.until) : "",
        release.note.empty() ? "" : "  " + Printable(release.note));
  }
  if (arguments.json) {
    std::cout << host_proxy::ToText(json);
  } else if (measurements->releases.empty()) {
    std::cout << "no release is pinned: every enclave is refused\n";
  }
  return kVerified;
}

int RunCheck(const MeasurementsArguments& arguments) {
  const absl::StatusOr<absl::Time> at = ReadTime("--at", arguments.at);
  if (!at.ok()) return BadUsage(at.status());
  const absl::StatusOr<Measurements> measurements = ReadMeasurementsFile(arguments.file);
  if (!measurements.ok()) return BadUsage(measurements.status());
  const absl::StatusOr<attestation::ReportedPcrs> reported = ReadReported(arguments);
  if (!reported.ok()) return BadUsage(reported.status());
  const attestation::MeasurementMatch match =
      attestation::MatchMeasurements(*measurements, *reported, *at);
  const bool allowed = match.standing == attestation::Standing::kAllowed;
  const char* standing = attestation::StandingName(match.standing);
  if (arguments.json) {
    Json::Value json;
    json["at"] = attestation::FormatUtc(*at);
    json["allowed"] = allowed;
    json["standing"] = standing;
    json["sentence"] = match.sentence;
    if (match.release != nullptr) json["release"] = ReleaseJson(*match.release);
    std::cout << host_proxy::ToText(json);
  } else {
    std::cout << standing << ": " << match.sentence << "\n";
  }
  return allowed ? kVerified : kNotVerified;
}

}  // namespace

absl::StatusOr<Measurements> ReadMeasurementsFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path, attestation::kMaxMeasurementsBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<Measurements> measurements = attestation::ParseMeasurements(*text);
  if (measurements.ok()) return measurements;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", measurements.status().message()));
}

MeasurementsCommand::MeasurementsCommand(CLI::App& app) {
  CLI::App* parent =
      app.add_subcommand("measurements", "The pinned releases: which images may hold the key");
  parent->require_subcommand(1);
  add_ = AddVerb(parent, "add", "Allow a release, beside those that are allowed");
  AddRelease(add_);
  AddPcrs(add_, "--from-eif");
  add_->add_option("--commit", arguments_.commit, "The commit that it was built from, whole");
  add_->add_option("--from", arguments_.from, "Since when, as in 2026-11-29T19:00:00Z; else now");
  add_->add_option("--until", arguments_.until, "Until when; else without end");
  add_->add_option("--note", arguments_.note, "A line for people");
  add_->footer(
      "The file is made when it is missing. Ends with 0 done, 1 refused, 2 a file or an argument "
      "is "
      "wrong.\n"
      "Example: coffer measurements add --file pins.json --name coffer --version 1.1.0 "
      "--from-eif coffer.eif");
  retire_ = AddVerb(parent, "retire", "Stop allowing a release");
  AddRelease(retire_);
  AddTime(retire_, "From when on it is refused, as in 2026-12-06T12:00:00Z; else now");
  retire_->add_flag("--force", arguments_.force, "Even when no release is left that is allowed");
  retire_->footer(
      "Example: coffer measurements retire --file pins.json --name coffer --version 1.0.0");
  restore_ = AddVerb(parent, "restore", "Allow a retired release again: a roll-back");
  AddRelease(restore_);
  restore_->footer(
      "Example: coffer measurements restore --file pins.json --name coffer --version 1.0.0");
  list_ = AddVerb(parent, "list", "All releases of the file, and how they stand");
  AddTime(list_, "At which time; else now");
  list_->footer("Example: coffer measurements list --file pins.json");
  check_ = AddVerb(parent, "check", "Whether an image is allowed");
  AddPcrs(check_, "--eif");
  AddTime(check_, "At which time; else now");
  check_->footer(
      "Ends with 0 allowed, 1 not allowed, 2 could not tell.\n"
      "Example: coffer measurements check --file pins.json --eif coffer.eif\n"
      "         coffer measurements check --file pins.json --pcr0 \"$PCR0\" --at "
      "2026-11-29T19:00:00Z");
  for (CLI::App* command : {list_, check_}) {
    command->add_flag("--json", arguments_.json, "One JSON object instead of lines");
  }
}

CLI::App* MeasurementsCommand::AddVerb(CLI::App* parent, const char* name, const char* about) {
  CLI::App* command = parent->add_subcommand(name, about);
  command->add_option("--file", arguments_.file, "The file, as in deploy/measurements")->required();
  return command;
}

void MeasurementsCommand::AddRelease(CLI::App* command) {
  command->add_option("--name", arguments_.name, "The release's name")->required();
  command->add_option("--version", arguments_.version, "Its version")->required();
}

void MeasurementsCommand::AddTime(CLI::App* command, const char* about) {
  command->add_option("--at", arguments_.at, about);
}

void MeasurementsCommand::AddPcrs(CLI::App* command, const char* eif_option) {
  CLI::Option* eif = command->add_option(eif_option, arguments_.eif, "An image (.eif) to measure");
  CLI::Option_group* const what = command->add_option_group("registers");
  CLI::Option* pcr0 = command->add_option("--pcr0", arguments_.pcr0, "PCR0, 96 hexadecimal digits");
  CLI::Option* pcr1 = command->add_option("--pcr1", arguments_.pcr1, "PCR1");
  CLI::Option* pcr2 = command->add_option("--pcr2", arguments_.pcr2, "PCR2");
  command->add_option("--pcr8", arguments_.pcr8, "PCR8, of a signed image")->needs(pcr0);
  what->add_options(eif, pcr0);
  what->require_option(1);
  pcr1->needs(pcr0);
  pcr2->needs(pcr0);
  // A pin has all three registers.
  if (command == add_) pcr0->needs(pcr1)->needs(pcr2);
}

std::optional<int> MeasurementsCommand::RunParsed() const {
  if (add_->parsed()) return RunAdd(arguments_);
  if (retire_->parsed()) return RunRetire(arguments_);
  if (restore_->parsed()) return RunRestore(arguments_);
  if (list_->parsed()) return RunList(arguments_);
  if (check_->parsed()) return RunCheck(arguments_);
  return std::nullopt;
}

}  // namespace coffer::tools
