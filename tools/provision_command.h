// `coffer provision`: gives an enclave its key, directly, once its attestation was verified.
#ifndef COFFER_TOOLS_PROVISION_COMMAND_H_
#define COFFER_TOOLS_PROVISION_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "actors/host/aws/credential_chain.h"
#include "actors/host/key_files.h"
#include "proto/boundary.pb.h"
#include "tools/attest/expectations.h"

// NOLINTNEXTLINE(readability-identifier-naming): the library's name
namespace CLI {
class App;
}

namespace coffer::tools {

struct ProvisionArguments {
  std::string endpoint;
  std::string ciphertext_file;
  std::string ciphertext;  // base64
  bool generate = false;
  std::string kms_key_id, state_key_id, encryption_algorithm;
  std::vector<std::string> encryption_context;  // NAME=VALUE
  std::string expected_address;
  std::string keys;  // a folder
  std::string region, credentials = "auto", profile;
  uint32_t proxy_port = 8000;
  ExpectationArguments expectations;
  bool skip_attestation = false;
  double timeout = 120;  // seconds
  bool dry_run = false;
  std::vector<std::string> policy_flags;  // what is left: options of coffer-enclave's policy
};

CLI::App* AddProvision(CLI::App& app, ProvisionArguments& arguments);
// Exit codes: 0 the enclave has its key (or, with --dry-run, could be given it); 1 it has none, and
// was sent no credentials or refused them; 2 wrong arguments.
int RunProvision(ProvisionArguments arguments);

// ---- the parts, for tests

// The ciphertext's bytes: of a file as they are, or in base64 when all of it is that; or of the
// argument, in base64. InvalidArgument, or what keeps the file from being read.
absl::StatusOr<std::string> ReadCiphertext(const ProvisionArguments& arguments);
// The policy that the flags say, serialized; empty without any. Besides coffer-enclave's options:
// --NAME-eth for each --NAME-wei, and --allowed-recipient, one at a time.
absl::StatusOr<std::string> PolicyOf(const std::vector<std::string>& flags,
                                     boundary::v1::Profile profile);
// The request without its credentials, as people read it, and the credentials masked.
void DescribeRequest(const boundary::v1::ClientFrame& request,
                     const host::aws::Credentials& credentials, std::ostream& out);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_PROVISION_COMMAND_H_
