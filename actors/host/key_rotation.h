// Has the enclave take another state key, while it goes on working:
//
//   a new key (rotate_state_key) -> stored here, durably -> adopted (adopt_state_key) -> the
//   snapshot under it is stored
//
// Before the adoption nothing is sealed under the new key, after it everything is. A rotation that
// was cut off in between is gone on with: a key that is stored and not adopted is adopted first.
#ifndef COFFER_ACTORS_HOST_KEY_ROTATION_H_
#define COFFER_ACTORS_HOST_KEY_ROTATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/aws/credentials.h"
#include "actors/host/enclave_client.h"
#include "actors/host/key_store.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

class KeyRotation {
 public:
  enum class Step : uint8_t {
    kIdle,      // "idle": none since the start
    kAsking,    // "asking": which key is in use
    kKey,       // "key": a new one is being made
    kAdopting,  // "adopting": it is stored
    kSnapshot,  // "snapshot": it is in use; the state is sealed under it and stored
    kDone,      // "done"
    kFailed,    // "failed": with a reason; the next try goes on where this one ended
  };
  static std::string_view StepWord(Step step);
  struct Progress {
    Step step = Step::kIdle;
    uint32_t from_epoch = 0;
    uint32_t epoch = 0;  // the new one; 0: not known yet
    std::string why;     // kFailed
  };
  struct Options {
    uint32_t proxy_port = 8000;
    absl::Duration poll = absl::Milliseconds(200);
    absl::Duration snapshot_patience = absl::Minutes(10);
  };

  // All outlive this object. `stored_snapshots` counts those that were made durable.
  KeyRotation(Options options, runtime::Dispatcher* dispatcher, EnclaveClient* enclave,
              KeyStore* keys, aws::CredentialsSource* credentials,
              absl::AnyInvocable<uint64_t()> stored_snapshots);

  // FailedPrecondition while one is under way; Unavailable when the enclave is not ready. `key_id`:
  // the KMS key to use from now on; empty: the one in use.
  absl::Status Start(const std::string& key_id);
  const Progress& progress() const { return progress_; }
  uint64_t done() const { return done_; }
  uint64_t failed() const { return failed_; }

 private:
  void OnStatus(const boundary::v1::Status& status);
  void AskKey();
  void OnCredentials(absl::StatusOr<aws::Credentials> credentials);
  void OnKey(const boundary::v1::StateKey& key);
  void Adopt(bool resumed);
  void OnAdopted(const boundary::v1::Status& status);
  void AwaitSnapshot();
  // One question; what is no answer of `kind` ends the rotation.
  void Ask(boundary::v1::ClientFrame frame, const char* what,
           boundary::v1::ServerFrame::BodyCase kind,
           absl::AnyInvocable<void(const boundary::v1::ServerFrame&)> then);
  void Fail(const std::string& why);

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  EnclaveClient* const enclave_;
  KeyStore* const keys_;
  aws::CredentialsSource* const credentials_;
  absl::AnyInvocable<uint64_t()> stored_snapshots_;
  Progress progress_;
  std::string key_id_;
  uint64_t snapshots_before_ = 0;
  absl::Time adopted_at_;
  std::unique_ptr<runtime::Timer> poll_;
  uint64_t done_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_ROTATION_H_
