// What a verification found: every check by its name, with a sentence.
#ifndef COFFER_TOOLS_VERIFY_REPORT_H_
#define COFFER_TOOLS_VERIFY_REPORT_H_

#include <json/value.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace coffer::tools {

// What the skipped check "attestation" says, of a log and of a receipt.
inline constexpr const char* kNotAttested =
    "not available in this version: nothing here shows that the log's key lives in an enclave "
    "(that comes with attestation)";

enum class Outcome {
  kPassed,
  kFailed,   // shown to be wrong
  kSkipped,  // not asked for, or not part of this version
  kUnknown,  // could not be found out: the source, a node or a file was out of reach
};
// "passed", "failed", "skipped", "unknown".
std::string_view OutcomeName(Outcome outcome);

struct Check {
  std::string name;  // stable: docs/transparency.md lists them
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

// What is wrong with one thing, in the order found. Only the first few are kept as sentences, so
// that a log that is wrong from one end to the other costs no memory.
class Problems {
 public:
  static constexpr size_t kKept = 8;
  void Add(std::string sentence);
  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  const std::vector<std::string>& first() const { return first_; }
  // All that were kept, and how many more there are.
  std::string Sentence() const;

 private:
  size_t count_ = 0;
  std::vector<std::string> first_;
};

// `text` with everything that a terminal could take for a command, or that would end a line or turn
// the direction of writing, shown as '?': what comes out of a log or a server is a stranger's.
// UTF-8, or else all beyond ASCII is '?'.
std::string Printable(std::string text);

void PrintReport(const Report& report, std::ostream& out);
// {"verified": true|false|null, "checks": [{"name", "outcome", "sentence"}]}; null = could not
// tell.
Json::Value ReportJson(const Report& report);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFY_REPORT_H_
