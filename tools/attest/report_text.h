// A report (enclave_core/audit/report.h) as a person reads it. Needs no library, for the
// stand-alone verifier's sake.
#ifndef COFFER_TOOLS_ATTEST_REPORT_TEXT_H_
#define COFFER_TOOLS_ATTEST_REPORT_TEXT_H_

#include <ostream>
#include <string>

#include "enclave_core/audit/report.h"

namespace coffer::tools {

using audit::Check;
using audit::kCouldNotTell;
using audit::kNotVerified;
using audit::kVerified;
using audit::Outcome;
using audit::OutcomeName;
using audit::Report;

// `text` when it is UTF-8, which JSON must be and a stranger's words need not; else with '?' for
// all beyond ASCII.
std::string Utf8(const std::string& text);

// `text` with everything that a terminal could take for a command, or that would end a line or turn
// the direction of writing, shown as '?': what comes out of a log or a server is a stranger's.
// UTF-8, or else all beyond ASCII is '?'.
std::string Printable(std::string text);

// A line for each check, and the verdict.
void PrintReport(const Report& report, std::ostream& out);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_REPORT_TEXT_H_
