#include "actors/host/signing_key_rotation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::NextSigningKey;
using boundary::v1::ServerFrame;
using boundary::v1::SigningKeyState;
using boundary::v1::Status;
using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "kms";

// Null: the enclave does not speak of it.
const SigningKeyState* Find(const Status& status, std::string_view address) {
  for (const SigningKeyState& key : status.signing_keys()) {
    if (key.address() == address) return &key;
  }
  return nullptr;
}

SigningKeyState::Use UseOf(const Status& status, std::string_view address) {
  const SigningKeyState* const key = Find(status, address);
  return key == nullptr ? SigningKeyState::USE_UNSPECIFIED : key->use();
}

std::optional<ethereum::Address> AddressOf(std::string_view bytes) {
  const absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(bytes);
  return address.ok() ? std::optional(*address) : std::nullopt;
}

std::string Checksum(const std::optional<ethereum::Address>& address) {
  return address.has_value() ? ethereum::ToChecksum(*address) : "an unknown address";
}

}  // namespace

SigningKeyRotation::SigningKeyRotation(Options options, Ports ports)
    : Rotation("the signing key", options, std::move(ports)) {
  ports_.enclave->Watch([this](bool ready) {
    if (ready) Look();
  });
}

absl::Status SigningKeyRotation::Start() {
  if (absl::Status may = MayBegin(); !may.ok()) return may;
  from_.reset();
  to_.reset();
  open_payouts_ = 0;
  Begin([this](const Status& status) { OnStatus(status); });
  return absl::OkStatus();
}

SigningKeyRotation::Progress SigningKeyRotation::progress() const {
  Progress progress{step_, from_, to_, open_payouts_, ""};
  if (step_ == RotationStep::kFailed) progress.why = why_;
  if (step_ == RotationStep::kDraining) progress.why = unnoted_;
  if (from_.has_value()) return progress;
  // Nothing was asked yet; the folder knows which keys there are.
  const std::optional<SigningCiphertext> root = ports_.keys->Root();
  if (root.has_value()) progress.from = root->address;
  if (ports_.keys->Next() != nullptr) progress.to = AddressOf(ports_.keys->Next()->address());
  return progress;
}

// ---- by itself

void SigningKeyRotation::LookIn(absl::Duration wait) {
  look_ = ports_.dispatcher->After(wait, [this] { Look(); });
}

void SigningKeyRotation::Look() {
  look_.reset();
  // A ready enclave says so again.
  if (ports_.keys->Next() == nullptr || under_way() || !ports_.enclave->ready()) return;
  ClientFrame frame;
  frame.mutable_status();
  ports_.enclave->Call(std::move(frame), [this](absl::StatusOr<ServerFrame> answer) {
    if (answer.ok() && answer->has_status()) OnLook(answer->status());
  });
}

void SigningKeyRotation::OnLook(const Status& status) {
  if (under_way() || ports_.keys->Next() == nullptr) return;
  if (!MayBegin().ok()) return LookIn(options_.drain_poll);
  GoOn(status);
}

// ---- step by step

void SigningKeyRotation::OnStatus(const Status& status) {
  if (status.without_storage()) {
    return Fail("the enclave keeps its state nowhere (--storage none) and has no state key");
  }
  state_key_epoch_ = status.state_key_epoch();
  if (ports_.keys->Next() != nullptr) return GoOn(status);
  const std::optional<SigningCiphertext> root = ports_.keys->Root();
  if (!root.has_value() || root->address != AddressOf(status.address())) {
    return Fail(absl::StrCat("the enclave signs with the key of ",
                             Checksum(AddressOf(status.address())), ", whose ciphertext is not in ",
                             ports_.keys->path(),
                             ": only a key that KMS opens can be followed by another"));
  }
  from_ = root->address;
  AskKey();
}

void SigningKeyRotation::GoOn(const Status& status) {
  from_ = ports_.keys->Root()->address;
  to_ = AddressOf(ports_.keys->Next()->address());
  const SigningKeyState* const older = Find(status, from_.has_value() ? from_->view() : "");
  if (older != nullptr && older->use() == SigningKeyState::USE_RETIRED) {
    step_ = RotationStep::kDraining;  // whoever asked for this: nothing is under way any more
    return ConfirmRetired();
  }
  switch (UseOf(status, to_->view())) {
    case SigningKeyState::USE_CURRENT:
      return Drain(older == nullptr ? 0 : older->open_payouts());
    case SigningKeyState::USE_DRAINING:
    case SigningKeyState::USE_RETIRED:
      return Fail(absl::StrCat("another signing key follows that of ", Checksum(to_),
                               " already, and is not in ", ports_.keys->path(),
                               ": put its signing-<epoch>.json back from a backup"));
    default:
      // One that it was given waits. One that it made itself, for a host that died after storing
      // it, it does not speak of.
      return Adopt();
  }
}

void SigningKeyRotation::AskKey() {
  step_ = RotationStep::kKey;
  ClientFrame frame;
  frame.mutable_rotate_signing_key();
  AskWithCredentials(std::move(frame), "a new signing key", ServerFrame::kNextSigningKey,
                     [this](const ServerFrame& answer) { OnKey(answer.next_signing_key()); });
}

std::string SigningKeyRotation::Wrong(const NextSigningKey& made) const {
  if (made.signing_key().epoch() != ports_.keys->root_epoch() + 1) {
    return absl::StrCat("a signing key of epoch ", made.signing_key().epoch(),
                        " where the next one is ", ports_.keys->root_epoch() + 1);
  }
  if (made.state_key().epoch() <= state_key_epoch_) {
    return absl::StrCat("a state key of epoch ", made.state_key().epoch(), " where that of epoch ",
                        state_key_epoch_, " is in use");
  }
  if (made.state_key().address() != made.signing_key().address()) {
    return "a state key that is another signing key's";
  }
  return "";
}

void SigningKeyRotation::OnKey(const NextSigningKey& made) {
  if (const std::string wrong = Wrong(made); !wrong.empty()) {
    return Fail(absl::StrCat("the enclave made ", wrong));
  }
  // The state key first: with the signing key the rotation is on record, and then nothing may be
  // missing. What is there of the state key's epoch was not adopted, so nothing is sealed under it.
  absl::Status stored = ports_.keys->ReplaceStateKey(made.state_key());
  if (stored.ok()) stored = ports_.keys->PutNext(made.signing_key());
  if (!stored.ok()) {
    return Fail(
        absl::StrCat("the new signing key cannot be stored and is not used: ", stored.message()));
  }
  to_ = AddressOf(made.signing_key().address());
  Adopt();
}

void SigningKeyRotation::Adopt() {
  step_ = RotationStep::kAdopting;
  ClientFrame frame;
  frame.mutable_adopt_signing_key()->set_address(std::string(to_->view()));
  Ask(std::move(frame), "the adoption of the stored signing key, which it is given when it starts",
      ServerFrame::kSigningKeyAdopted,
      [this](const ServerFrame& answer) { OnAdopted(answer.signing_key_adopted()); });
}

void SigningKeyRotation::OnAdopted(const Status& status) {
  if (status.address() != to_->view()) {
    return Fail(absl::StrCat("the enclave adopted the signing key of ", Checksum(to_),
                             " and signs with that of ", Checksum(AddressOf(status.address()))));
  }
  Log(Level::kInfo, kComponent, "the enclave signs with a new key",
      {{"address", Checksum(to_)}, {"before", Checksum(from_)}});
  const SigningKeyState* const older = Find(status, from_.has_value() ? from_->view() : "");
  const uint64_t open = older == nullptr ? 0 : older->open_payouts();
  // Made at this adoption or, by an enclave that was given both keys, when it was loaded.
  AwaitSnapshot([this] { return StoredIsOurs(); }, [this, open] { Drain(open); });
}

void SigningKeyRotation::Drain(uint64_t open_payouts) {
  open_payouts_ = open_payouts;
  if (std::exchange(step_, RotationStep::kDraining) != RotationStep::kDraining) {
    Log(Level::kInfo, kComponent, "the older signing key drains",
        {{"address", Checksum(from_)}, {"open_payouts", open_payouts}});
  }
  LookIn(options_.drain_poll);
}

void SigningKeyRotation::OnRetired(const ethereum::Address& address) {
  const std::optional<SigningCiphertext> root = ports_.keys->Root();
  if (!root.has_value() || root->address != address || ports_.keys->Next() == nullptr) return;
  if (under_way()) return;  // it looks after the older key once it is through
  from_ = address;
  to_ = AddressOf(ports_.keys->Next()->address());
  ConfirmRetired();
}

// A status says what a crash may still take back. The answer to this, asked again of a key that is
// retired, comes when that is stored.
void SigningKeyRotation::ConfirmRetired() {
  ClientFrame frame;
  frame.mutable_retire_signing_key()->set_address(std::string(from_->view()));
  ports_.enclave->Call(std::move(frame), [this](absl::StatusOr<ServerFrame> answer) {
    if (under_way() || ports_.keys->Next() == nullptr) return;
    if (answer.ok() && answer->has_signing_key_retired()) return Retire();
    LookIn(options_.drain_poll);
  });
}

bool SigningKeyRotation::StoredIsOurs() const {
  const auto& kept = ports_.keys->state_keys();
  const auto sealed = kept.find(ports_.oldest_key_epoch());
  return sealed != kept.end() && sealed->second.address() == to_->view();
}

absl::Status SigningKeyRotation::NoteRetired() {
  if (from_.has_value() && options_.expected_address == from_) {
    return absl::FailedPreconditionError(
        absl::StrCat("--expected-address names the retired key: have it name ", Checksum(to_),
                     ", and start this host again"));
  }
  // From then on enclaves are given none of the older key's state keys.
  if (!StoredIsOurs()) {
    return absl::FailedPreconditionError(
        "what is stored needs a state key of the retired one: there is no snapshot after it yet");
  }
  return ports_.keys->MakeRoot(*to_);
}

void SigningKeyRotation::Retire() {
  if (absl::Status noted = NoteRetired(); !noted.ok()) {
    // No harm: an enclave that is given a retired key all the same drops it.
    const std::string why(noted.message());
    if (std::exchange(unnoted_, why) != why) {
      Log(Level::kWarn, kComponent,
          "a signing key is retired, and that cannot be noted yet; it is tried again",
          {{"address", Checksum(from_)}, {"why", why}});
    }
    step_ = RotationStep::kDraining;
    open_payouts_ = 0;
    return LookIn(options_.drain_poll);
  }
  unnoted_.clear();
  ++done_;
  open_payouts_ = 0;
  look_.reset();
  step_ = RotationStep::kDone;
  Log(Level::kInfo, kComponent, "the older signing key is retired",
      {{"address", Checksum(from_)}, {"in_use", Checksum(to_)}});
}

}  // namespace coffer::host
