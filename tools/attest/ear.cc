#include "tools/attest/ear.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "tools/attest/report_text.h"

namespace coffer::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string Hex(std::string_view bytes) { return ethereum::ToHex(bytes).substr(2); }

// The worst outcome of the checks named; those that are not there don't count.
Outcome WorstOf(const Report& report, std::initializer_list<const char*> names) {
  Outcome worst = Outcome::kSkipped;
  for (const char* name : names) {
    const Check* const check = report.Find(name);
    if (check == nullptr) continue;
    if (check->outcome == Outcome::kFailed) return Outcome::kFailed;
    if (check->outcome == Outcome::kUnknown) worst = Outcome::kUnknown;
    if (check->outcome == Outcome::kPassed && worst == Outcome::kSkipped) worst = check->outcome;
  }
  return worst;
}

Trust TrustOf(Outcome outcome, Trust failed) {
  if (outcome == Outcome::kPassed) return Trust::kAffirming;
  return outcome == Outcome::kFailed ? failed : Trust::kNone;
}

struct Vector {
  Trust identity, configuration, executables, hardware;
};

Vector VectorOf(const attestation::Verification& found) {
  const Report& report = found.report;
  if (WorstOf(report, {"cose", "algorithm", "fields", "chain", "usage", "validity", "validity-at",
                       "signature"}) != Outcome::kPassed) {
    return {Trust::kCryptoFailed, Trust::kCryptoFailed, Trust::kCryptoFailed, Trust::kCryptoFailed};
  }
  Vector vector{};
  vector.identity =
      TrustOf(WorstOf(report, {"address", "policy", "log", "pcr3", "pcr4"}), Trust::kUnrecognized);
  vector.executables =
      TrustOf(WorstOf(report, {"image", "pcr0", "pcr1", "pcr2", "pcr8"}), Trust::kContraindicated);
  vector.hardware = TrustOf(WorstOf(report, {"root"}), Trust::kUnrecognized);
  if (found.development && vector.hardware == Trust::kAffirming) vector.hardware = Trust::kWarning;
  vector.configuration = TrustOf(WorstOf(report, {"debug"}), Trust::kContraindicated);
  if (found.document && found.document->IsDebug() && vector.configuration == Trust::kAffirming) {
    vector.configuration = Trust::kWarning;
  }
  return vector;
}

// EAR's tiers. Never better than the worst of the vector, nor than the exit code.
const char* StatusOf(const attestation::Verification& found, const Vector& vector) {
  switch (found.report.ExitCode()) {
    case kVerified:
      break;
    case kNotVerified:
      return "contraindicated";
    default:
      return "none";
  }
  const bool warning =
      vector.hardware == Trust::kWarning || vector.configuration == Trust::kWarning;
  return warning ? "warning" : "affirming";
}

Json DocumentJson(const attestation::Verification& found) {
  const attestation::Document& document = *found.document;
  Json json;
  json["module_id"] = document.module_id;
  json["timestamp_ms"] = document.timestamp_ms;
  for (const auto& [index, value] : document.pcrs) json["pcrs"][absl::StrCat(index)] = Hex(value);
  json["root_sha256"] = found.root_fingerprint;
  json["public_key"] = document.public_key ? Json(Hex(*document.public_key)) : Json();
  json["user_data"] = document.user_data ? Json(Hex(*document.user_data)) : Json();
  json["nonce"] = document.nonce ? Json(Hex(*document.nonce)) : Json();
  if (!found.user_data) return json;
  const attestation::UserData& bound = *found.user_data;
  Json& out = json["bound"];
  out["profile"] = bound.profile == attestation::Profile::kCore ? "core" : "signer";
  if (bound.address) out["address"] = ethereum::ToChecksum(*bound.address);
  if (bound.draining) out["draining_address"] = ethereum::ToChecksum(*bound.draining);
  if (bound.audit_address) out["audit_address"] = ethereum::ToChecksum(*bound.audit_address);
  if (bound.policy_hash) out["policy_hash"] = bound.policy_hash->ToHex();
  if (bound.log_key) out["log_key"] = bound.log_key->ToString();
  if (bound.sequence) out["sequence"] = *bound.sequence;
  return json;
}

}  // namespace

Json EarJson(const attestation::Verification& found, const attestation::Expectations& expected,
             absl::Time now) {
  const int code = found.report.ExitCode();
  Json json;
  json["verified"] = code == kCouldNotTell ? Json() : Json(code == kVerified);
  json["development"] = found.development;
  json["eat_profile"] = "tag:github.com,2023:veraison/ear";
  json["iat"] = absl::ToUnixSeconds(now);
  json["ear.verifier-id"] = {{"developer", "Coffer"}, {"build", "coffer " COFFER_VERSION}};
  if (expected.nonce) json["eat_nonce"] = Hex(*expected.nonce);
  const Vector vector = VectorOf(found);
  Json& enclave = json["submods"]["nitro-enclave"];
  enclave["ear.status"] = StatusOf(found, vector);
  enclave["ear.trustworthiness-vector"] = {
      {"instance-identity", static_cast<int>(vector.identity)},
      {"configuration", static_cast<int>(vector.configuration)},
      {"executables", static_cast<int>(vector.executables)},
      {"hardware", static_cast<int>(vector.hardware)}};
  enclave["coffer.at"] = attestation::UtcText(expected.at);
  enclave["coffer.checks"] = Json::array();
  for (const Check& check : found.report.checks) {
    enclave["coffer.checks"].push_back({{"name", check.name},
                                        {"outcome", std::string(OutcomeName(check.outcome))},
                                        {"sentence", Utf8(check.sentence)}});
  }
  if (found.document) enclave["coffer.document"] = DocumentJson(found);
  return json;
}

}  // namespace coffer::tools
