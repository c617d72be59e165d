// Any bytes as a file of pinned releases. What is taken has one form and stays well-formed whatever
// is retired; each release is allowed exactly within its window. The JSON under it: what is taken,
// jsoncpp takes too, and sees the same tree.
#include <json/json.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enclave_core/attestation/measurements.h"
#include "enclave_core/attestation/strict_json.h"
#include "invariant/check.h"

namespace {

namespace attestation = coffer::attestation;
using attestation::Standing;

// Numbers are compared by whether they are numbers: the two keep them in different types.
bool Same(const nlohmann::json& ours, const Json::Value& theirs) {
  if (ours.is_object()) {
    if (!theirs.isObject() || ours.size() != theirs.size()) return false;
    for (const auto& [name, value] : ours.items()) {
      const Json::Value* found = theirs.find(name.data(), name.data() + name.size());
      if (found == nullptr || !Same(value, *found)) return false;
    }
    return true;
  }
  if (ours.is_array()) {
    if (!theirs.isArray() || ours.size() != theirs.size()) return false;
    for (Json::ArrayIndex i = 0; i < theirs.size(); ++i) {
      if (!Same(ours[i], theirs[i])) return false;
    }
    return true;
  }
  if (ours.is_string()) {
    return theirs.isString() && ours.get_ref<const std::string&>() == theirs.asString();
  }
  if (ours.is_number()) return theirs.isNumeric();
  if (ours.is_boolean()) return theirs.isBool() && theirs.asBool() == ours.get<bool>();
  return ours.is_null() && theirs.isNull();
}

void CheckJson(std::string_view text) {
  const auto ours = attestation::ReadStrictJson(text, 1 << 16);
  if (!ours.ok()) return;
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder.settings_["skipBom"] = true;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value theirs;
  std::string errors;
  COFFER_CHECK(reader->parse(text.data(), text.data() + text.size(), &theirs, &errors),
               "what is taken is JSON to another parser");
  COFFER_CHECK(Same(*ours, theirs), "both see one tree");
}

void CheckWindow(const attestation::Measurements& pins, const attestation::Release& release) {
  const attestation::ReportedPcrs reported{release.pcrs.pcr0, release.pcrs.pcr1, release.pcrs.pcr2,
                                           release.pcrs.pcr8};
  const auto standing = [&](absl::Time at) { return attestation::StandingAt(release, at); };
  const absl::Duration second = absl::Seconds(1);
  COFFER_CHECK(standing(release.from - second) == Standing::kNotYet, "not before its time");
  COFFER_CHECK(standing(release.from) == Standing::kAllowed, "from its time on");
  COFFER_CHECK(
      attestation::MatchMeasurements(pins, reported, release.from).standing == Standing::kAllowed,
      "what is pinned is allowed");
  if (!release.until) return;
  COFFER_CHECK(standing(*release.until - second) == Standing::kAllowed, "until its end");
  COFFER_CHECK(standing(*release.until) == Standing::kRetired, "and not beyond");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckJson(text);
  auto pins = attestation::ParseMeasurements(text);
  if (!pins.ok()) return 0;
  const std::string form = attestation::FormatMeasurements(*pins);
  COFFER_CHECK(attestation::ParseMeasurements(form).value() == *pins, "a file has one form");
  for (const attestation::Release& release : pins->releases) CheckWindow(*pins, release);
  for (const attestation::Release& release : attestation::Measurements(*pins).releases) {
    (void)attestation::RetireRelease(*pins, release.name, release.version,
                                     release.from + absl::Hours(1),
                                     attestation::LastRelease::kKeep);
    COFFER_CHECK(attestation::CheckMeasurements(*pins).ok(), "a change keeps the rules");
  }
  return 0;
}
