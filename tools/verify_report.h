// A report (enclave_core/audit/report.h) as a program reads it; report_text.h: as a person does.
#ifndef COFFER_TOOLS_VERIFY_REPORT_H_
#define COFFER_TOOLS_VERIFY_REPORT_H_

#include <json/value.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/attest/report_text.h"

namespace coffer::tools {

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

// {"verified": true|false|null, "checks": [{"name", "outcome", "sentence"}]}; null = could not
// tell.
Json::Value ReportJson(const Report& report);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFY_REPORT_H_
