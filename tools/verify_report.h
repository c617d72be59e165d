// A report (enclave_core/audit/report.h) as a person and as a program read it.
#ifndef COFFER_TOOLS_VERIFY_REPORT_H_
#define COFFER_TOOLS_VERIFY_REPORT_H_

#include <json/value.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "enclave_core/audit/report.h"

namespace coffer::tools {

// What the skipped check "attestation" says, of a log and of a receipt.
inline constexpr const char* kNotAttested =
    "not available in this version: nothing here shows that the log's key lives in an enclave "
    "(that comes with attestation)";

using audit::Check;
using audit::kCouldNotTell;
using audit::kNotVerified;
using audit::kVerified;
using audit::Outcome;
using audit::OutcomeName;
using audit::Report;

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
