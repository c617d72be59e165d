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
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "actors/host/rotation.h"

namespace coffer::host {

class KeyRotation final : public Rotation {
 public:
  struct Progress {
    RotationStep step = RotationStep::kIdle;
    uint32_t from_epoch = 0;
    uint32_t epoch = 0;  // the new one; 0: not known yet
    std::string why;     // kFailed
  };

  KeyRotation(Options options, Ports ports)
      : Rotation("the state key", options, std::move(ports)) {}

  // FailedPrecondition while a rotation is under way; Unavailable when the enclave is not ready.
  // `key_id`: the KMS key to use from now on; empty: the one in use.
  absl::Status Start(const std::string& key_id);
  Progress progress() const { return {step_, from_epoch_, epoch_, why_}; }

 private:
  void OnStatus(const boundary::v1::Status& status);
  void AskKey();
  void OnKey(const boundary::v1::StateKey& key);
  void Adopt(bool resumed);
  void OnAdopted(const boundary::v1::Status& status);
  // Whether the state key of the new epoch is stored for a signing key that is not adopted yet.
  bool WaitsForSigningKey(const boundary::v1::Status& status) const;

  uint32_t from_epoch_ = 0;
  uint32_t epoch_ = 0;
  uint64_t snapshots_before_ = 0;
  std::string key_id_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_ROTATION_H_
