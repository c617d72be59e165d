// The text of measurements: JSON in one form.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "enclave_core/attestation/measurements.h"
#include "enclave_core/attestation/strict_json.h"

namespace coffer::attestation {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr const char* kPlatform = "nitro";

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckFields(const json& object, std::initializer_list<const char*> known) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return Wrong("has a field that is not known; known are ", absl::StrJoin(known, ", "));
  }
  return absl::OkStatus();
}

enum class Presence { kRequired, kOptional };

// Empty when it is optional and missing.
absl::Status ReadText(const json& object, const char* field, Presence presence, std::string& out) {
  const auto found = object.find(field);
  if (found == object.end()) {
    if (presence == Presence::kOptional) return absl::OkStatus();
    return Wrong(field, " is missing");
  }
  if (!found->is_string()) return Wrong(field, " is no string");
  out = found->get_ref<const std::string&>();
  if (out.empty()) return Wrong(field, " is empty");
  return absl::OkStatus();
}

// A file has one form: lower case, without 0x.
absl::Status ReadPcr(const json& object, const char* field, std::string& out) {
  std::string text;
  if (absl::Status status = ReadText(object, field, Presence::kRequired, text); !status.ok())
    return status;
  absl::StatusOr<std::string> pcr = ParsePcr(text);
  if (!pcr.ok()) return Wrong(field, ": ", pcr.status().message());
  if (PcrText(*pcr) != text) return Wrong(field, " must be in lower case, without 0x");
  out = *std::move(pcr);
  return absl::OkStatus();
}

absl::Status ReadTime(const json& object, const char* field, absl::Time& out) {
  std::string text;
  if (absl::Status status = ReadText(object, field, Presence::kRequired, text); !status.ok())
    return status;
  const absl::StatusOr<absl::Time> time = ParseUtc(text);
  if (!time.ok()) return Wrong(field, ": ", time.status().message());
  out = *time;
  return absl::OkStatus();
}

absl::StatusOr<Release> ReadRelease(const json& object) {
  if (!object.is_object()) return Wrong("is no JSON object");
  Release release;
  absl::Status status = CheckFields(object, {"name", "version", "commit", "pcr0", "pcr1", "pcr2",
                                             "pcr8", "from", "until", "note"});
  status.Update(ReadText(object, "name", Presence::kRequired, release.name));
  status.Update(ReadText(object, "version", Presence::kRequired, release.version));
  status.Update(ReadText(object, "commit", Presence::kOptional, release.commit));
  status.Update(ReadPcr(object, "pcr0", release.pcrs.pcr0));
  status.Update(ReadPcr(object, "pcr1", release.pcrs.pcr1));
  status.Update(ReadPcr(object, "pcr2", release.pcrs.pcr2));
  if (object.contains("pcr8")) status.Update(ReadPcr(object, "pcr8", release.pcrs.pcr8.emplace()));
  status.Update(ReadTime(object, "from", release.from));
  if (object.contains("until")) status.Update(ReadTime(object, "until", release.until.emplace()));
  status.Update(ReadText(object, "note", Presence::kOptional, release.note));
  if (!status.ok()) return status;
  return release;
}

nlohmann::ordered_json ReleaseJson(const Release& release) {
  nlohmann::ordered_json out;
  out["name"] = release.name;
  out["version"] = release.version;
  if (!release.commit.empty()) out["commit"] = release.commit;
  out["pcr0"] = PcrText(release.pcrs.pcr0);
  out["pcr1"] = PcrText(release.pcrs.pcr1);
  out["pcr2"] = PcrText(release.pcrs.pcr2);
  if (release.pcrs.pcr8) out["pcr8"] = PcrText(*release.pcrs.pcr8);
  out["from"] = FormatUtc(release.from);
  if (release.until) out["until"] = FormatUtc(*release.until);
  if (!release.note.empty()) out["note"] = release.note;
  return out;
}

}  // namespace

absl::StatusOr<Measurements> ParseMeasurements(std::string_view text) {
  const absl::StatusOr<json> root = ReadStrictJson(text, kMaxMeasurementsBytes);
  if (!root.ok()) return Wrong("measurements: ", root.status().message());
  if (absl::Status status = CheckFields(*root, {"format", "platform", "releases"}); !status.ok()) {
    return Wrong("measurements: ", status.message());
  }
  if (root->value("format", json()) != kFormat || !root->at("format").is_number_integer()) {
    return Wrong("measurements: format must be ", kFormat, "; another is of a later version");
  }
  if (root->value("platform", json()) != kPlatform) {
    return Wrong("measurements: platform must be \"", kPlatform, "\"");
  }
  const auto releases = root->find("releases");
  if (releases == root->end() || !releases->is_array())
    return Wrong("measurements: releases must be a list");
  if (releases->size() > kMaxReleases) {
    return Wrong("measurements: has ", releases->size(), " releases, more than the ", kMaxReleases,
                 " that it may");
  }
  Measurements measurements;
  for (const json& object : *releases) {
    absl::StatusOr<Release> release = ReadRelease(object);
    if (!release.ok()) {
      return Wrong("measurements: release ", measurements.releases.size() + 1, ": ",
                   release.status().message());
    }
    measurements.releases.push_back(*std::move(release));
  }
  if (absl::Status status = CheckMeasurements(measurements); !status.ok()) {
    return Wrong("measurements: ", status.message());
  }
  return measurements;
}

std::string FormatMeasurements(const Measurements& measurements) {
  nlohmann::ordered_json out;
  out["format"] = kFormat;
  out["platform"] = kPlatform;
  out["releases"] = nlohmann::ordered_json::array();
  for (const Release& release : measurements.releases)
    out["releases"].push_back(ReleaseJson(release));
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace coffer::attestation
