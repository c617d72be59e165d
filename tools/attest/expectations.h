// What the one who verifies an attestation says on the command line, read.
#ifndef COFFER_TOOLS_ATTEST_EXPECTATIONS_H_
#define COFFER_TOOLS_ATTEST_EXPECTATIONS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/attestation/verify.h"

// NOLINTNEXTLINE(readability-identifier-naming): the library's name
namespace CLI {
class App;
}

namespace coffer::tools {

// Texts as they were given; empty: not given.
struct ExpectationArguments {
  std::vector<std::string> pcr0;  // hex, one or more
  std::vector<std::string> pcrs;  // N=HEX
  std::string measurements;       // a file
  std::string address, policy_hash, log_key;
  std::string root;  // a PEM file
  std::string at;    // RFC 3339, or seconds since 1970
  std::string max_age;
  bool allow_debug = false;
  bool any_image = false;
};
// --pcr0, --pcr, --measurements, --root, --at, --max-age, --allow-debug, --any-image.
void AddExpectationOptions(CLI::App* command, ExpectationArguments& arguments);

// Expectations and what they point to.
struct OwnedExpectations {
  attestation::Expectations expected;
  std::shared_ptr<const attestation::Certificate> root;
  std::shared_ptr<const attestation::Measurements> measurements;
};
// `now`: the time that is meant without --at. InvalidArgument with the option's name, or what keeps
// a file from being read.
absl::StatusOr<OwnedExpectations> ReadExpectations(const ExpectationArguments& arguments,
                                                   absl::Time now);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_EXPECTATIONS_H_
