// The keys' part of the host: the folder of ciphertexts, the credentials, who provisions the
// enclave and who rotates its state key. On the main loop.
#ifndef COFFER_HOST_PROXY_HOST_KEYS_H_
#define COFFER_HOST_PROXY_HOST_KEYS_H_

#include <json/value.h>

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "actors/host/aws/credential_chain.h"
#include "actors/host/http_client.h"
#include "actors/host/key_provisioner.h"
#include "actors/host/key_rotation.h"
#include "actors/host/key_store.h"
#include "host_proxy/kms_options.h"
#include "host_proxy/router.h"
#include "runtime/event_loop.h"

namespace coffer::host_proxy {

class HostKeys {
 public:
  // Opens `folder`, and takes the ciphertext file over when there is none in it yet.
  // `stored_records`: the last record that is stored, 0: none; `stored_snapshots`: how many were
  // stored since the start. Errors say what is wrong with which file or option.
  struct Ports {
    runtime::EventLoop* loop = nullptr;
    runtime::Random* random = nullptr;
    host::EnclaveClient* enclave = nullptr;
    std::function<uint64_t()> stored_records;
    std::function<uint64_t()> stored_snapshots;
  };
  static absl::StatusOr<std::unique_ptr<HostKeys>> Create(Ports ports, KmsOptions options,
                                                          host::aws::AwsEnvironment environment,
                                                          const std::string& folder);

  host::Provisioner* provisioner() { return provisioner_.get(); }
  const host::KeyProvisioner& counters() const { return *provisioner_; }
  const host::KeyRotation& rotation() const { return *rotation_; }
  const host::KeyStore& store() const { return *store_; }

  //   POST /api/tee/rotate-state-key   admin   {"key_id": "..."}, or nothing
  //   GET  /api/tee/rotate-state-key   viewer  how far it is
  void AddTo(Router& router);

 private:
  HostKeys() = default;
  static absl::Status TakeOver(const KmsOptions& options, host::KeyStore& store);
  Json::Value RotationJson() const;
  void PostRotation(const RoutedRequest& request, HttpResponder respond);

  std::unique_ptr<host::KeyStore> store_;
  std::unique_ptr<host::HttpClient> http_;
  std::unique_ptr<host::aws::CredentialChain> credentials_;
  std::unique_ptr<host::KeyProvisioner> provisioner_;
  std::unique_ptr<host::KeyRotation> rotation_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_KEYS_H_
