// Has the enclave sign with another key, while it goes on working:
//
//   a new key, and a state key that it vouches for (rotate_signing_key) -> both stored here,
//   durably, the state key first -> adopted (adopt_signing_key) -> the snapshot under the new state
//   key is stored -> the older key drains -> it is retired: the new one is the folder's root
//
// Before the adoption nothing is signed with the new key, after it everything that is new. What the
// older key began is brought to its end under it; whoever drives the payouts has it retired, and
// says OnRetired.
//
// A stored key that follows the root is the record that somebody asked for the rotation. So one
// that was cut off is gone on with by itself, whenever the enclave gets ready: what is stored and
// not adopted is adopted, what is retired and not noted in the folder is noted.
#ifndef COFFER_ACTORS_HOST_SIGNING_KEY_ROTATION_H_
#define COFFER_ACTORS_HOST_SIGNING_KEY_ROTATION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "actors/host/rotation.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

class SigningKeyRotation final : public Rotation {
 public:
  struct Progress {
    RotationStep step = RotationStep::kIdle;
    // The key that is or was in use before, and the one after it; none: not known.
    std::optional<ethereum::Address> from;
    std::optional<ethereum::Address> to;
    uint64_t open_payouts = 0;  // of `from`, when the enclave last said so; while it drains
    // kFailed; or kDraining, when `from` is retired and the folder cannot say so yet.
    std::string why;
  };

  // Watches the enclave from now on, which calls this object as long as it lives.
  SigningKeyRotation(Options options, Ports ports);

  // FailedPrecondition while a rotation is under way; Unavailable when the enclave is not ready.
  // Where one key drains already, this changes nothing.
  absl::Status Start();
  Progress progress() const;
  // The enclave has wiped the key of this address: the newer one is the root.
  void OnRetired(const ethereum::Address& address);

 private:
  // Where a key follows the root: asks how far it is, and goes on. Nothing while a rotation is
  // under way.
  void Look();
  void LookIn(absl::Duration wait);
  void OnLook(const boundary::v1::Status& status);
  void OnStatus(const boundary::v1::Status& status);
  // What to do about the key that follows the root.
  void GoOn(const boundary::v1::Status& status);
  void AskKey();
  void OnKey(const boundary::v1::NextSigningKey& made);
  // What is wrong with it; empty: nothing.
  std::string Wrong(const boundary::v1::NextSigningKey& made) const;
  void Adopt();
  void OnAdopted(const boundary::v1::Status& status);
  void Drain(uint64_t open_payouts);
  // Whether all that is stored is sealed under state keys that the newer key vouches for.
  bool StoredIsOurs() const;
  // The folder's part of it, once nothing that is stored needs the older key's state keys.
  absl::Status NoteRetired();
  void ConfirmRetired();
  void Retire();

  uint32_t state_key_epoch_ = 0;  // as the rotation began
  std::optional<ethereum::Address> from_;
  std::optional<ethereum::Address> to_;
  uint64_t open_payouts_ = 0;
  std::string unnoted_;  // why the folder does not say yet that a key is retired
  std::unique_ptr<runtime::Timer> look_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_SIGNING_KEY_ROTATION_H_
