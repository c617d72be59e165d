// What the rotations of an enclave's keys have in common: the questions to the enclave, one after
// the other, any of which may end the rotation; the credentials for those that KMS answers; and the
// wait until the state is stored under a new state key.
#ifndef COFFER_ACTORS_HOST_ROTATION_H_
#define COFFER_ACTORS_HOST_ROTATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/aws/credentials.h"
#include "actors/host/enclave_client.h"
#include "actors/host/key_store.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

enum class RotationStep : uint8_t {
  kIdle,      // "idle": none since the start
  kAsking,    // "asking": which key is in use
  kKey,       // "key": a new one is being made
  kAdopting,  // "adopting": it is stored
  kSnapshot,  // "snapshot": it is in use; the state is sealed under it and stored
  kDraining,  // "draining": of signing keys, the older one still has payouts to bring to their end
  kDone,      // "done"
  kFailed,    // "failed": with a reason; the next try goes on where this one ended
};
std::string_view RotationStepWord(RotationStep step);

class Rotation {
 public:
  struct Options {
    uint32_t proxy_port = 8000;
    absl::Duration poll = absl::Milliseconds(200);
    absl::Duration snapshot_patience = absl::Minutes(10);
    absl::Duration drain_poll = absl::Seconds(2);  // how often a draining key is looked after
    // An operator's word (--expected-address). The signing key that it names stays one of those
    // that the folder has in use, or the next start would be refused.
    std::optional<ethereum::Address> expected_address;
  };
  // All outlive the rotation. `stored_snapshots` counts those that were made durable;
  // `oldest_key_epoch` is of the oldest state key that what is stored needs, 0: nothing is stored.
  struct Ports {
    runtime::Dispatcher* dispatcher = nullptr;
    EnclaveClient* enclave = nullptr;
    KeyStore* keys = nullptr;
    aws::CredentialsSource* credentials = nullptr;
    std::function<uint64_t()> stored_snapshots;
    std::function<uint32_t()> oldest_key_epoch;
  };

  // Neither begins while the other is under way: both have the next state key made.
  void NotBeside(const Rotation* other) { other_ = other; }
  // From the first question until the state is stored under the new key.
  bool under_way() const;
  uint64_t done() const { return done_; }
  uint64_t failed() const { return failed_; }

 protected:
  using Answered = absl::AnyInvocable<void(const boundary::v1::ServerFrame&)>;

  // `what` is rotated, as in "the state key".
  Rotation(const char* what, Options options, Ports ports)
      : options_(options), ports_(std::move(ports)), what_(what) {}
  ~Rotation() = default;

  // FailedPrecondition while this or the other is under way; Unavailable when the enclave is not
  // ready.
  absl::Status MayBegin() const;
  // Asks for the status, with which everything begins.
  void Begin(absl::AnyInvocable<void(const boundary::v1::Status&)> then);
  // One question; what is no answer of `kind` ends the rotation.
  void Ask(boundary::v1::ClientFrame frame, const char* what,
           boundary::v1::ServerFrame::BodyCase kind, Answered then);
  // The same for a frame that carries credentials, which are fetched first.
  void AskWithCredentials(boundary::v1::ClientFrame frame, const char* what,
                          boundary::v1::ServerFrame::BodyCase kind, Answered then);
  // Looks every now and then whether the snapshot under the new state key is stored.
  void AwaitSnapshot(absl::AnyInvocable<bool()> stored, runtime::Task then);
  void Fail(const std::string& why);

  const Options options_;
  Ports ports_;
  RotationStep step_ = RotationStep::kIdle;
  std::string why_;  // kFailed
  uint64_t done_ = 0;

 private:
  void LookForSnapshot();

  const char* const what_;
  const Rotation* other_ = nullptr;
  uint64_t failed_ = 0;
  absl::Time adopted_at_;
  absl::AnyInvocable<bool()> snapshot_stored_;
  runtime::Task after_snapshot_;
  std::unique_ptr<runtime::Timer> poll_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_ROTATION_H_
