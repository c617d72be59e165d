#include "enclave_core/audit/report.h"

#include <algorithm>
#include <utility>

namespace coffer::audit {

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed:
      return "passed";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kSkipped:
      return "skipped";
    case Outcome::kUnknown:
      break;
  }
  return "unknown";
}

void Report::Add(std::string name, Outcome outcome, std::string sentence) {
  checks.push_back({std::move(name), outcome, std::move(sentence)});
}

const Check* Report::Find(std::string_view name) const {
  const auto found = std::find_if(checks.begin(), checks.end(),
                                  [&](const Check& check) { return check.name == name; });
  return found == checks.end() ? nullptr : &*found;
}

bool Report::Failed() const { return ExitCode() == kNotVerified; }

int Report::ExitCode() const {
  int code = kVerified;
  for (const Check& check : checks) {
    if (check.outcome == Outcome::kFailed) return kNotVerified;
    if (check.outcome == Outcome::kUnknown) code = kCouldNotTell;
  }
  return code;
}

}  // namespace coffer::audit
