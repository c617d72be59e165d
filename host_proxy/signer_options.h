// Which signer the host works with: an enclave elsewhere (remote), one that it starts itself as a
// child with a key of its own machine (local), or none.
#ifndef COFFER_HOST_PROXY_SIGNER_OPTIONS_H_
#define COFFER_HOST_PROXY_SIGNER_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/config.h"
#include "runtime/endpoint.h"

namespace coffer::host_proxy {

enum class SignerMode { kRemote, kLocal, kNone };
// "remote", "local", "none".
std::string SignerModeName(SignerMode mode);

// What of the signer's configuration comes from the environment alone; the names are the payment
// service's specification's.
struct SignerEnvironment {
  std::string endpoint;      // PAYMENTS_SIGNER_ENDPOINT
  bool private_key = false;  // PAYMENT_PRIVATE_KEY is set
  bool keystore = false;     // PAYMENT_KEYSTORE_PATH is set
  bool password = false;     // PAYMENT_KEYSTORE_PASSWORD or _PASSWORD_FILE is set
  // For the enclave that is started in mode local: COFFER_X for each COFFER_ENCLAVE_X.
  runtime::Environment for_enclave;
};

struct SignerOptions {
  SignerMode mode = SignerMode::kRemote;
  runtime::Endpoint endpoint;  // without a meaning in mode none
  std::optional<ethereum::Address> expected_address;
  std::string local_enclave;         // a program, or empty: the one beside this program
  std::string local_enclave_config;  // a TOML file, or empty
  runtime::Environment local_environment;
  std::vector<std::string> notices;  // for the log: what was given and is not used
};

void AddSignerOptions(runtime::ConfigSpec& spec);

// Makes PAYMENTS_SIGNER_TIMEOUT_SECONDS, a number, the duration that --enclave-timeout wants.
void TranslateSignerVariables(runtime::Environment& environment);

SignerEnvironment ReadSignerEnvironment(const runtime::Environment& environment);

// An endpoint that was chosen (flag, variable, file) wins over a local key, which is then ignored,
// with a notice; a local key over the default endpoint. `data_dir` is where the local enclave's
// socket is. InvalidArgument names the option.
absl::StatusOr<SignerOptions> ParseSignerOptions(const runtime::Config& config,
                                                 const SignerEnvironment& environment,
                                                 const std::string& data_dir);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_SIGNER_OPTIONS_H_
