// What a verification found: every check by its name, with a sentence. Of logs, receipts and
// attestations.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_REPORT_H_
#define COFFER_ENCLAVE_CORE_AUDIT_REPORT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::audit {

enum class Outcome : uint8_t {
  kPassed,
  kFailed,   // shown to be wrong
  kSkipped,  // not asked for, or not part of this version
  kUnknown,  // could not be found out: the source, a node or a file was out of reach
};
// "passed", "failed", "skipped", "unknown".
std::string_view OutcomeName(Outcome outcome);

struct Check {
  std::string name;  // stable: docs/transparency.md and docs/verify.md list them
  Outcome outcome = Outcome::kSkipped;
  std::string sentence;
};

// Exit codes of everything that verifies.
inline constexpr int kVerified = 0;
inline constexpr int kNotVerified = 1;
inline constexpr int kCouldNotTell = 2;

struct Report {
  std::vector<Check> checks;

  void Add(std::string name, Outcome outcome, std::string sentence);
  const Check* Find(std::string_view name) const;
  bool Failed() const;
  // kNotVerified when a check failed; else kCouldNotTell when one is unknown; else kVerified.
  int ExitCode() const;
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_REPORT_H_
