#include "enclave_core/error.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "invariant/check.h"

namespace coffer {
namespace {

constexpr absl::string_view kCodePayload = "coffer.boundary.v1.ErrorCode";
constexpr absl::string_view kRulePayload = "coffer.boundary.v1.Error.rule";

}  // namespace

absl::Status Refuse(boundary::v1::ErrorCode code, absl::string_view sentence) {
  absl::Status status = absl::FailedPreconditionError(sentence);
  status.SetPayload(kCodePayload, absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

absl::Status RefuseByRule(absl::string_view rule, absl::string_view sentence) {
  absl::Status status = Refuse(boundary::v1::ERROR_POLICY, sentence);
  status.SetPayload(kRulePayload, absl::Cord(rule));
  return status;
}

std::string RuleOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kRulePayload);
  return payload.has_value() ? std::string(*payload) : std::string();
}

boundary::v1::ErrorCode CodeOf(const absl::Status& status) {
  COFFER_CHECK(!status.ok(), "an OK status has no error code");
  const auto payload = status.GetPayload(kCodePayload);
  int code = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &code)) {
    return boundary::v1::ERROR_INTERNAL;
  }
  return static_cast<boundary::v1::ErrorCode>(code);
}

void ToProto(const absl::Status& status, boundary::v1::Error* out) {
  out->set_code(CodeOf(status));
  out->set_message(std::string(status.message()));
  out->set_rule(RuleOf(status));
}

}  // namespace coffer
