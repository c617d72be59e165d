// The keys' part of the host: the folder of ciphertexts, the credentials, who provisions the
// enclave and who rotates its keys. On the main loop.
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
#include "actors/host/signing_key_rotation.h"
#include "host_proxy/kms_options.h"
#include "host_proxy/router.h"
#include "runtime/event_loop.h"

namespace coffer::host_proxy {

class HostKeys {
 public:
  // Opens `folder`, and takes the ciphertext file over when there is none in it yet.
  // `stored_records`: the last record that is stored, 0: none; `stored_snapshots`: how many were
  // stored since the start; `oldest_key_epoch`: of the oldest state key that what is stored needs,
  // 0: nothing is stored. Errors say what is wrong with which file or option. `enclave` calls this
  // object as long as it lives.
  struct Ports {
    runtime::EventLoop* loop = nullptr;
    runtime::Random* random = nullptr;
    host::EnclaveClient* enclave = nullptr;
    std::function<uint64_t()> stored_records;
    std::function<uint64_t()> stored_snapshots;
    std::function<uint32_t()> oldest_key_epoch;
  };
  static absl::StatusOr<std::unique_ptr<HostKeys>> Create(Ports ports, KmsOptions options,
                                                          host::aws::AwsEnvironment environment,
                                                          const std::string& folder);

  host::Provisioner* provisioner() { return provisioner_.get(); }
  const host::KeyProvisioner& counters() const { return *provisioner_; }
  const host::KeyRotation& rotation() const { return *rotation_; }
  const host::SigningKeyRotation& signing_rotation() const { return *signing_rotation_; }
  const host::KeyStore& store() const { return *store_; }

  // The enclave has wiped the signing key of this address; called by who had it do that.
  void OnSigningKeyRetired(const ethereum::Address& address) {
    signing_rotation_->OnRetired(address);
  }

  //   POST /api/tee/rotate-state-key     admin   {"key_id": "..."}, or nothing
  //   GET  /api/tee/rotate-state-key     viewer  how far it is
  //   POST /api/tee/rotate-signing-key   admin   nothing
  //   GET  /api/tee/rotate-signing-key   viewer  how far it is
  void AddTo(Router& router);

 private:
  HostKeys() = default;
  static absl::Status TakeOver(const KmsOptions& options, host::KeyStore& store);
  Json::Value RotationJson() const;
  Json::Value SigningRotationJson() const;
  void PostRotation(const RoutedRequest& request, HttpResponder respond);
  void PostSigningRotation(const RoutedRequest& request, HttpResponder respond);

  std::unique_ptr<host::KeyStore> store_;
  std::unique_ptr<host::HttpClient> http_;
  std::unique_ptr<host::aws::CredentialChain> credentials_;
  std::unique_ptr<host::KeyProvisioner> provisioner_;
  std::unique_ptr<host::KeyRotation> rotation_;
  std::unique_ptr<host::SigningKeyRotation> signing_rotation_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_KEYS_H_
