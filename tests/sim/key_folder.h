// What the host keeps of the enclave's keys, and whence it has credentials.
#ifndef COFFER_TESTS_SIM_KEY_FOLDER_H_
#define COFFER_TESTS_SIM_KEY_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "actors/host/aws/credentials.h"
#include "actors/host/key_provisioner.h"
#include "actors/host/key_store.h"
#include "actors/host/rotation.h"
#include "runtime/test_dispatcher.h"

namespace coffer::sim {

// Lets the host into the simulated KMS.
class SimCredentials final : public host::aws::CredentialsSource {
 public:
  explicit SimCredentials(runtime::Dispatcher* dispatcher) : dispatcher_(dispatcher) {}
  void Get(Done done) override {
    dispatcher_->Post([done = std::move(done)]() mutable {
      host::aws::Credentials out;
      out.region = "eu-west-1";
      out.access_key_id = "AKIAEXAMPLE";
      out.secret_access_key = *ethereum::SecretBytes::CopyOf("sesame");
      out.session_token = *ethereum::SecretBytes::CopyOf("token");
      done(std::move(out));
    });
  }

 private:
  runtime::Dispatcher* const dispatcher_;
};

inline host::KeyProvisioner::Options SimProvisionerOptions() {
  host::KeyProvisioner::Options options;
  options.provision = true;
  options.timeout = absl::Seconds(10);
  options.first_retry = absl::Milliseconds(50);
  options.max_retry = absl::Seconds(1);
  return options;
}

inline host::Rotation::Options SimRotationOptions() {
  host::Rotation::Options options;
  options.poll = absl::Milliseconds(20);
  options.snapshot_patience = absl::Seconds(30);
  options.drain_poll = absl::Milliseconds(200);
  return options;
}

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_KEY_FOLDER_H_
