#include "actors/host/key_rotation.h"

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "kms";

}  // namespace

absl::Status KeyRotation::Start(const std::string& key_id) {
  if (absl::Status may = MayBegin(); !may.ok()) return may;
  from_epoch_ = epoch_ = 0;
  key_id_ = key_id;
  Begin([this](const boundary::v1::Status& status) { OnStatus(status); });
  return absl::OkStatus();
}

bool KeyRotation::WaitsForSigningKey(const boundary::v1::Status& status) const {
  const boundary::v1::SigningKey* const next = ports_.keys->Next();
  return next != nullptr && next->address() != status.address() && ports_.keys->HasEpoch(epoch_) &&
         ports_.keys->state_keys().at(epoch_).address() == next->address();
}

void KeyRotation::OnStatus(const boundary::v1::Status& status) {
  from_epoch_ = status.state_key_epoch();
  if (status.without_storage()) {
    return Fail("the enclave keeps its state nowhere (--storage none) and has no state key");
  }
  epoch_ = from_epoch_ + 1;
  if (WaitsForSigningKey(status)) {
    return Fail(
        "the next state key is stored already, for a signing key that waits to be adopted: run "
        "coffer rotate signing-key first");
  }
  if (!ports_.keys->HasEpoch(epoch_)) return AskKey();
  // Stored by a rotation that was cut off: the enclave may still hold it.
  Adopt(true);
}

void KeyRotation::AskKey() {
  step_ = RotationStep::kKey;
  ClientFrame frame;
  frame.mutable_rotate_state_key()->set_key_id(key_id_);
  AskWithCredentials(std::move(frame), "a new state key", ServerFrame::kStateKey,
                     [this](const ServerFrame& answer) { OnKey(answer.state_key()); });
}

void KeyRotation::OnKey(const boundary::v1::StateKey& key) {
  if (key.epoch() != epoch_) {
    return Fail(absl::StrCat("the enclave made a state key of epoch ", key.epoch(),
                             " where the next one is ", epoch_));
  }
  // What is there of this epoch was not adopted, so nothing is sealed under it.
  if (absl::Status stored = ports_.keys->ReplaceStateKey(key); !stored.ok()) {
    return Fail(
        absl::StrCat("the new state key cannot be stored and is not used: ", stored.message()));
  }
  if (!ports_.keys->Provides(epoch_)) {
    return Fail(absl::StrCat("the new state key is of a signing key that is not in ",
                             ports_.keys->path(), ", and is not used"));
  }
  Adopt(false);
}

void KeyRotation::Adopt(bool resumed) {
  step_ = RotationStep::kAdopting;
  snapshots_before_ = ports_.stored_snapshots();
  ClientFrame frame;
  frame.mutable_adopt_state_key()->set_epoch(epoch_);
  ports_.enclave->Call(std::move(frame), [this, resumed](absl::StatusOr<ServerFrame> answer) {
    if (answer.ok() && answer->has_state_key_adopted()) {
      return OnAdopted(answer->state_key_adopted());
    }
    // An enclave that was restarted since has forgotten it, and makes another.
    if (resumed && answer.ok() && answer->has_error()) return AskKey();
    Fail(absl::StrCat(
        "the new state key was not adopted: ",
        answer.ok() ? answer->error().message() : std::string(answer.status().message())));
  });
}

void KeyRotation::OnAdopted(const boundary::v1::Status& status) {
  if (status.state_key_epoch() != epoch_) {
    return Fail(absl::StrCat("the enclave adopted the state key of epoch ", epoch_,
                             " and seals under that of epoch ", status.state_key_epoch()));
  }
  Log(Level::kInfo, kComponent, "the enclave seals under a new state key",
      {{"epoch", epoch_}, {"before", from_epoch_}});
  AwaitSnapshot([this] { return ports_.stored_snapshots() > snapshots_before_; },
                [this] {
                  ++done_;
                  step_ = RotationStep::kDone;
                  Log(Level::kInfo, kComponent, "the state is stored under the new state key",
                      {{"epoch", epoch_}});
                });
}

}  // namespace coffer::host
