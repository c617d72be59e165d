#include "tools/image_command.h"

#include <json/value.h>

#include <iostream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/attestation/eif_signature.h"
#include "enclave_core/attestation/strict_json.h"
#include "host_proxy/json_text.h"
#include "runtime/process.h"
#include "tools/log_access.h"
#include "tools/small_files.h"
#include "tools/verify_report.h"

namespace coffer::tools {
namespace {

using attestation::Eif;
using attestation::EifSection;
using attestation::EifSectionType;

// What `coffer measure` found out.
struct Measured {
  attestation::ImagePcrs pcrs;
  bool is_signed = false;
  std::string subject;
  absl::Status signature;  // OK when right
};

absl::StatusOr<Measured> MeasureImage(const Eif& eif) {
  absl::StatusOr<attestation::ImagePcrs> pcrs = attestation::MeasureEif(eif);
  if (!pcrs.ok()) return pcrs.status();
  Measured measured{*std::move(pcrs), false, "", absl::OkStatus()};
  const absl::StatusOr<attestation::EifSignature> signature = attestation::ReadEifSignature(eif);
  if (signature.ok()) {
    measured.is_signed = true;
    measured.subject = signature->subject;
    measured.signature = attestation::VerifyEifSignature(*signature, measured.pcrs.pcr0);
  }
  return measured;
}

size_t OffsetOf(const EifSection& section, std::string_view file) {
  return static_cast<size_t>(section.data.data() - file.data()) -
         attestation::kEifSectionHeaderBytes;
}

std::string SignatureSentence(const Measured& measured) {
  return measured.signature.ok()
             ? "the signature over PCR0 is right"
             : absl::StrCat("the signature is NOT right: ",
                            Printable(std::string(measured.signature.message())));
}

void Print(const std::string& name, std::string_view file, const Eif& eif,
           const Measured& measured) {
  std::cout << "image  " << Printable(name) << ", " << file.size() << " bytes, EIF version "
            << eif.version << ", " << attestation::ArchitectureName(eif.architecture) << "\n";
  for (const EifSection& section : eif.sections) {
    std::cout << absl::StrFormat("       %-9s %12d bytes at %d\n",
                                 attestation::SectionName(section.type), section.data.size(),
                                 OffsetOf(section, file));
  }
  std::cout << "PCR0   " << attestation::PcrText(measured.pcrs.pcr0) << "\n"
            << "PCR1   " << attestation::PcrText(measured.pcrs.pcr1) << "\n"
            << "PCR2   " << attestation::PcrText(measured.pcrs.pcr2) << "\n";
  if (!measured.is_signed) return;
  std::cout << "PCR8   " << attestation::PcrText(*measured.pcrs.pcr8) << "\n"
            << "signed by " << Printable(measured.subject) << ": " << SignatureSentence(measured)
            << "\n";
}

Json::Value Number(uint64_t value) { return Json::Value(static_cast<Json::UInt64>(value)); }

Json::Value ImageJson(std::string_view file, const Eif& eif, const Measured& measured) {
  Json::Value json;
  json["bytes"] = Number(file.size());
  json["version"] = eif.version;
  json["architecture"] = attestation::ArchitectureName(eif.architecture);
  json["default_memory"] = Number(eif.default_memory);
  json["default_cpus"] = Number(eif.default_cpus);
  for (const EifSection& section : eif.sections) {
    Json::Value& out = json["sections"].append(Json::objectValue);
    out["type"] = attestation::SectionName(section.type);
    out["offset"] = Number(OffsetOf(section, file));
    out["bytes"] = Number(section.data.size());
    out["sha384"] = attestation::PcrText(attestation::Sha384(section.data));
  }
  json["pcr0"] = attestation::PcrText(measured.pcrs.pcr0);
  json["pcr1"] = attestation::PcrText(measured.pcrs.pcr1);
  json["pcr2"] = attestation::PcrText(measured.pcrs.pcr2);
  if (measured.is_signed) {
    json["pcr8"] = attestation::PcrText(*measured.pcrs.pcr8);
    json["signature"]["subject"] = Printable(measured.subject);
    json["signature"]["valid"] = measured.signature.ok();
    json["signature"]["sentence"] = SignatureSentence(measured);
  }
  if (const std::string_view* metadata = eif.Find(EifSectionType::kMetadata)) {
    const absl::StatusOr<Json::Value> value = host_proxy::FromText(*metadata);
    if (value.ok()) json["metadata"] = *value;
  }
  return json;
}

// A finding about the image itself: as JSON on stdout when that was asked for.
int Malformed(const absl::Status& why, bool json) {
  if (!json) {
    BadUsage(why);
    return kNotVerified;
  }
  Json::Value out;
  out["error"] = Printable(std::string(why.message()));
  std::cout << host_proxy::ToText(out);
  return kNotVerified;
}

int Show(const std::string& name, std::string_view file, const Eif& eif, bool json) {
  const absl::StatusOr<Measured> measured = MeasureImage(eif);
  if (!measured.ok()) return Malformed(measured.status(), json);
  if (json) {
    std::cout << host_proxy::ToText(ImageJson(file, eif, *measured));
  } else {
    Print(name, file, eif, *measured);
  }
  return measured->signature.ok() ? kVerified : kNotVerified;
}

// The fields that AWS's reader insists on (EifIdentityInfo), with nothing in them that differs from
// one build to the next.
std::string DefaultMetadata() {
  Json::Value json;
  json["ImageName"] = "coffer";
  json["ImageVersion"] = runtime::BuildVersion();
  Json::Value& build = json["BuildMetadata"];
  build["BuildTime"] = "1970-01-01T00:00:00Z";
  build["BuildTool"] = "coffer";
  build["BuildToolVersion"] = runtime::BuildVersion();
  build["OperatingSystem"] = "Linux";
  build["KernelVersion"] = "unknown";
  json["DockerInfo"] = Json::Value(Json::objectValue);
  json["CustomMetadata"] = Json::Value(Json::objectValue);
  std::string text = host_proxy::ToText(json);
  text.pop_back();  // its newline
  return text;
}

absl::StatusOr<std::string> ReadMetadata(const std::string& path) {
  if (path.empty()) return DefaultMetadata();
  absl::StatusOr<std::string> text = ReadWholeFile(path, attestation::kMaxMetadataBytes);
  if (!text.ok()) return text.status();
  const auto json = attestation::ReadStrictJson(*text, attestation::kMaxMetadataBytes);
  if (!json.ok())
    return absl::InvalidArgumentError(absl::StrCat(path, " ", json.status().message()));
  for (const char* field :
       {"ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"}) {
    if (json->contains(field)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has no \"", field, "\", without which AWS's tools refuse an image"));
  }
  return text;
}

// What an image is made of; `eif` points into `files`.
struct Parts {
  std::vector<std::string> files;
  Eif eif;
};

absl::Status ReadParts(const EifBuildArguments& arguments, Parts& parts) {
  using enum EifSectionType;
  std::vector<std::pair<EifSectionType, std::string>> sections;
  absl::StatusOr<std::string> kernel = ReadWholeFile(arguments.kernel, attestation::kMaxEifBytes);
  if (!kernel.ok()) return kernel.status();
  absl::StatusOr<std::string> metadata = ReadMetadata(arguments.metadata);
  if (!metadata.ok()) return metadata.status();
  sections.emplace_back(kKernel, *std::move(kernel));
  sections.emplace_back(kCmdline, arguments.cmdline);
  sections.emplace_back(kMetadata, *std::move(metadata));
  for (const std::string& path : arguments.ramdisks) {
    absl::StatusOr<std::string> ramdisk = ReadWholeFile(path, attestation::kMaxEifBytes);
    if (!ramdisk.ok()) return ramdisk.status();
    sections.emplace_back(kRamdisk, *std::move(ramdisk));
  }
  parts.eif.architecture = arguments.architecture == "arm64"
                               ? attestation::EifArchitecture::kArm64
                               : attestation::EifArchitecture::kX86_64;
  parts.eif.default_memory = arguments.memory_mib << 20;
  parts.eif.default_cpus = arguments.cpus;
  parts.files.reserve(sections.size());  // so that no text moves once it is pointed to
  for (auto& [type, text] : sections) {
    parts.files.push_back(std::move(text));
    parts.eif.sections.push_back({type, parts.files.back()});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Eif> ReadEifFile(const std::string& path, std::string& bytes) {
  absl::StatusOr<std::string> read = ReadWholeFile(path, attestation::kMaxEifBytes);
  if (!read.ok()) return read.status();
  bytes = *std::move(read);
  absl::StatusOr<Eif> eif = attestation::ParseEif(bytes);
  if (!eif.ok())
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", eif.status().message()));
  return eif;
}

CLI::App* AddMeasure(CLI::App& app, MeasureArguments& arguments) {
  CLI::App* measure =
      app.add_subcommand("measure", "PCR0, PCR1, PCR2 (and PCR8 when signed) of an enclave image");
  measure->add_option("file", arguments.file, "The image (.eif)")->required();
  measure->add_flag("--json", arguments.json, "One JSON object instead of lines");
  measure->footer(
      "Ends with 0; 1 when the image is malformed or its signature is wrong; 2 when it can't be "
      "read.\n"
      "Example: coffer measure coffer.eif");
  return measure;
}

CLI::App* AddEifBuild(CLI::App& app, EifBuildArguments& arguments) {
  CLI::App* eif = app.add_subcommand("eif", "Enclave image files of AWS Nitro");
  eif->require_subcommand(1);
  CLI::App* build =
      eif->add_subcommand("build", "Make an image of a kernel and ramdisks, and measure it");
  build->add_option("--kernel", arguments.kernel, "The kernel (bzImage)")->required();
  build->add_option("--cmdline", arguments.cmdline, "The kernel's command line")->required();
  build
      ->add_option("--ramdisk", arguments.ramdisks,
                   "A ramdisk (cpio, may be compressed); again for more, in this order. The first "
                   "is measured as what boots (PCR1), the others as the application (PCR2)")
      ->required()
      ->allow_extra_args(false);
  build->add_option("--metadata", arguments.metadata,
                    "A JSON file with what AWS's tools show; it is not measured");
  build->add_option("--arch", arguments.architecture, "x86_64 or arm64")
      ->check(CLI::IsMember({"x86_64", "arm64"}))
      ->capture_default_str();
  build
      ->add_option("--memory", arguments.memory_mib,
                   "MiB that the enclave gets when nobody says; not measured")
      ->check(CLI::Range(uint64_t{64}, uint64_t{1} << 24))
      ->capture_default_str();
  build->add_option("--cpus", arguments.cpus, "CPUs, likewise")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  build->add_option("--out", arguments.out, "The image; replaced as a whole")->required();
  build->add_flag("--json", arguments.json, "One JSON object instead of lines");
  build->footer(
      "The same files give the same image, byte for byte. Ends with 0 done, 1 the parts make no "
      "image, 2 a file can't be read or written.\n"
      "Example: coffer eif build --kernel bzImage --cmdline \"console=ttyS0 reboot=k panic=1\" "
      "--ramdisk init.cpio.gz --ramdisk coffer.cpio.gz --out coffer.eif");
  return build;
}

int RunMeasure(const MeasureArguments& arguments) {
  std::string bytes;
  const absl::StatusOr<Eif> eif = ReadEifFile(arguments.file, bytes);
  if (absl::IsInvalidArgument(eif.status())) return Malformed(eif.status(), arguments.json);
  if (!eif.ok()) return BadUsage(eif.status());
  return Show(arguments.file, bytes, *eif, arguments.json);
}

int RunEifBuild(const EifBuildArguments& arguments) {
  Parts parts;
  if (absl::Status status = ReadParts(arguments, parts); !status.ok()) return BadUsage(status);
  const absl::StatusOr<std::string> file = attestation::BuildEif(parts.eif);
  if (!file.ok()) return Malformed(file.status(), arguments.json);
  if (absl::Status status = ReplaceFile(arguments.out, *file, Durability::kRename); !status.ok()) {
    return BadUsage(status);
  }
  const absl::StatusOr<Eif> eif = attestation::ParseEif(*file);
  if (!eif.ok()) return Malformed(eif.status(), arguments.json);
  return Show(arguments.out, *file, *eif, arguments.json);
}

}  // namespace coffer::tools
