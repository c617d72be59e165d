#include "tools/attest/attested_log.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/verify.h"
#include "tools/attest/document_source.h"

namespace coffer::tools {
namespace {

constexpr const char* kName = "attestation";

}  // namespace

void AddAttestedLogOptions(CLI::App* command, AttestedLogArguments& arguments) {
  command->add_option(
      "--attestation", arguments.document,
      "An attestation document that must name the log's key: it shows that the key "
      "lives in an enclave (coffer verify attestation explains the options for it)");
  AddExpectationOptions(command, arguments.expectations);
}

absl::StatusOr<AttestedLog> AttestedLog::Read(const AttestedLogArguments& arguments,
                                              absl::Time now) {
  AttestedLog attested;
  if (arguments.document.empty()) return attested;
  absl::StatusOr<std::string> document = ReadDocumentFile(arguments.document);
  if (!document.ok()) {
    return absl::Status(document.status().code(),
                        absl::StrCat("--attestation: ", document.status().message()));
  }
  attested.document_ = *std::move(document);
  absl::StatusOr<OwnedExpectations> expectations = ReadExpectations(arguments.expectations, now);
  if (!expectations.ok()) return expectations.status();
  attested.expectations_ = *std::move(expectations);
  return attested;
}

Check AttestedLog::Judge(const std::string& log_key) const {
  if (document_.empty()) {
    return {kName, Outcome::kSkipped,
            "not asked for: --attestation FILE shows whether the log's key lives in an enclave"};
  }
  const absl::StatusOr<audit::VerifierKey> key = audit::VerifierKey::Parse(log_key);
  if (!key.ok()) return {kName, Outcome::kUnknown, "not checked: no key signed the log"};
  attestation::Expectations expected = expectations_.expected;
  expected.log_key = *key;
  const attestation::Verification found = attestation::Verify(document_, expected);
  const int code = found.report.ExitCode();
  const Outcome wanted = code == kNotVerified ? Outcome::kFailed : Outcome::kUnknown;
  if (code != kVerified) {
    std::string why;
    for (const Check& check : found.report.checks) {
      if (check.outcome != wanted) continue;
      absl::StrAppend(&why, why.empty() ? "" : "; ", check.name, ": ", check.sentence);
    }
    return {kName, wanted, why};
  }
  const absl::Time made = absl::FromUnixMillis(static_cast<int64_t>(found.document->timestamp_ms));
  return {kName, Outcome::kPassed,
          absl::StrCat(found.development ? "A DEVELOPMENT DOCUMENT" : "the document",
                       " of the enclave ", found.document->module_id, ", made ",
                       attestation::UtcText(made), ", names the log's key")};
}

}  // namespace coffer::tools
