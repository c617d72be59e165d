// How coffer-host gives the enclave its keys: the options kms.*.
#ifndef COFFER_HOST_PROXY_KMS_OPTIONS_H_
#define COFFER_HOST_PROXY_KMS_OPTIONS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "actors/host/aws/credential_chain.h"
#include "actors/host/key_provisioner.h"
#include "runtime/config.h"

namespace coffer::host_proxy {

struct KmsOptions {
  host::KeyProvisioner::Options provisioner;
  host::aws::CredentialChain::Options credentials;
  // What becomes signing.ciphertext when there is none yet; empty: nothing.
  std::string ciphertext_file;
  std::string key_id;
  std::string encryption_algorithm;
  std::map<std::string, std::string> encryption_context;
};

void AddKmsOptions(runtime::ConfigSpec& spec);
// InvalidArgument names the option. The expected address is filled in by the caller.
absl::StatusOr<KmsOptions> ParseKmsOptions(const runtime::Config& config);

// NAME=VALUE pairs, at most 8. InvalidArgument says which is wrong.
absl::StatusOr<std::map<std::string, std::string>> ParseEncryptionContext(
    const std::vector<std::string>& pairs);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_KMS_OPTIONS_H_
