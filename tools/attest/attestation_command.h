// `coffer verify attestation`, which is `coffer-verify` when it stands alone.
#ifndef COFFER_TOOLS_ATTEST_ATTESTATION_COMMAND_H_
#define COFFER_TOOLS_ATTEST_ATTESTATION_COMMAND_H_

#include <string>

#include "tools/attest/expectations.h"

namespace coffer::tools {

struct AttestationArguments {
  std::string document;  // a file; "-": standard input
  std::string url;
  std::string nonce;  // hex, or "auto"
  std::string token_file, ca_file;
  double timeout = 30;  // seconds
  ExpectationArguments expectations;
  bool json = false;
};

// The options and the footer; `name` is how the command is called in its examples.
void AddAttestationOptions(CLI::App* command, const std::string& name,
                           AttestationArguments& arguments);
// Prints what was found. Exit codes: kVerified, kNotVerified; kCouldNotTell also when the arguments
// are wrong or the document can't be had.
int RunVerifyAttestation(const AttestationArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_ATTESTATION_COMMAND_H_
