#include "actors/host/key_rotation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/secret_frames.h"
#include "runtime/log.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "kms";

}  // namespace

std::string_view KeyRotation::StepWord(Step step) {
  switch (step) {
    case Step::kIdle:
      return "idle";
    case Step::kAsking:
      return "asking";
    case Step::kKey:
      return "key";
    case Step::kAdopting:
      return "adopting";
    case Step::kSnapshot:
      return "snapshot";
    case Step::kDone:
      return "done";
    case Step::kFailed:
      break;
  }
  return "failed";
}

KeyRotation::KeyRotation(Options options, runtime::Dispatcher* dispatcher, EnclaveClient* enclave,
                         KeyStore* keys, aws::CredentialsSource* credentials,
                         absl::AnyInvocable<uint64_t()> stored_snapshots)
    : options_(options),
      dispatcher_(dispatcher),
      enclave_(enclave),
      keys_(keys),
      credentials_(credentials),
      stored_snapshots_(std::move(stored_snapshots)) {}

absl::Status KeyRotation::Start(const std::string& key_id) {
  const bool under_way = progress_.step != Step::kIdle && progress_.step != Step::kDone &&
                         progress_.step != Step::kFailed;
  if (under_way) {
    return absl::FailedPreconditionError(absl::StrCat("a rotation is under way, at the step ",
                                                      std::string(StepWord(progress_.step))));
  }
  if (!enclave_->ready()) return absl::UnavailableError("the enclave is not ready");
  progress_ = Progress();
  progress_.step = Step::kAsking;
  key_id_ = key_id;
  ClientFrame frame;
  frame.mutable_status();
  Ask(std::move(frame), "its status", ServerFrame::kStatus,
      [this](const ServerFrame& answer) { OnStatus(answer.status()); });
  return absl::OkStatus();
}

void KeyRotation::Ask(ClientFrame frame, const char* what, ServerFrame::BodyCase kind,
                      absl::AnyInvocable<void(const ServerFrame&)> then) {
  enclave_->Call(std::move(frame), [this, what, kind, then = std::move(then)](
                                       absl::StatusOr<ServerFrame> answer) mutable {
    if (!answer.ok()) {
      return Fail(
          absl::StrCat("the enclave was asked for ", what, ": ", answer.status().message()));
    }
    if (answer->has_error()) {
      return Fail(absl::StrCat("the enclave refused ", what, ": ", answer->error().message()));
    }
    if (answer->body_case() != kind) {
      return Fail(absl::StrCat("the enclave was asked for ", what, " and answered something else"));
    }
    then(*answer);
  });
}

void KeyRotation::OnStatus(const boundary::v1::Status& status) {
  progress_.from_epoch = status.state_key_epoch();
  if (status.without_storage()) {
    return Fail("the enclave keeps its state nowhere (--storage none) and has no state key");
  }
  progress_.epoch = progress_.from_epoch + 1;
  if (!keys_->HasEpoch(progress_.epoch)) return AskKey();
  // Stored by a rotation that was cut off: the enclave may still hold it.
  Adopt(true);
}

void KeyRotation::AskKey() {
  progress_.step = Step::kKey;
  credentials_->Get([this](absl::StatusOr<aws::Credentials> credentials) {
    OnCredentials(std::move(credentials));
  });
}

void KeyRotation::OnCredentials(absl::StatusOr<aws::Credentials> credentials) {
  if (!credentials.ok()) return Fail(std::string(credentials.status().message()));
  ClientFrame frame;
  PutCredentials(*credentials, options_.proxy_port,
                 frame.mutable_rotate_state_key()->mutable_aws());
  frame.mutable_rotate_state_key()->set_key_id(key_id_);
  Ask(std::move(frame), "a new state key", ServerFrame::kStateKey,
      [this](const ServerFrame& answer) { OnKey(answer.state_key()); });
}

void KeyRotation::OnKey(const boundary::v1::StateKey& key) {
  if (key.epoch() != progress_.epoch) {
    return Fail(absl::StrCat("the enclave made a state key of epoch ", key.epoch(),
                             " where the next one is ", progress_.epoch));
  }
  // What is there of this epoch was not adopted, so nothing is sealed under it.
  if (absl::Status stored = keys_->ReplaceStateKey(key); !stored.ok()) {
    return Fail(
        absl::StrCat("the new state key cannot be stored and is not used: ", stored.message()));
  }
  Adopt(false);
}

void KeyRotation::Adopt(bool resumed) {
  progress_.step = Step::kAdopting;
  snapshots_before_ = stored_snapshots_();
  ClientFrame frame;
  frame.mutable_adopt_state_key()->set_epoch(progress_.epoch);
  enclave_->Call(std::move(frame), [this, resumed](absl::StatusOr<ServerFrame> answer) {
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
  if (status.state_key_epoch() != progress_.epoch) {
    return Fail(absl::StrCat("the enclave adopted the state key of epoch ", progress_.epoch,
                             " and seals under that of epoch ", status.state_key_epoch()));
  }
  Log(Level::kInfo, kComponent, "the enclave seals under a new state key",
      {{"epoch", progress_.epoch}, {"before", progress_.from_epoch}});
  progress_.step = Step::kSnapshot;
  adopted_at_ = dispatcher_->Now();
  AwaitSnapshot();
}

void KeyRotation::AwaitSnapshot() {
  if (stored_snapshots_() > snapshots_before_) {
    ++done_;
    progress_.step = Step::kDone;
    Log(Level::kInfo, kComponent, "the state is stored under the new state key",
        {{"epoch", progress_.epoch}});
    return;
  }
  if (dispatcher_->Now() - adopted_at_ > options_.snapshot_patience) {
    return Fail(absl::StrCat(
        "the new state key is in use, but no snapshot under it was stored within ",
        absl::FormatDuration(options_.snapshot_patience), ": keep the old one's file"));
  }
  poll_ = dispatcher_->After(options_.poll, [this] { AwaitSnapshot(); });
}

void KeyRotation::Fail(const std::string& why) {
  ++failed_;
  progress_.step = Step::kFailed;
  progress_.why = why;
  Log(Level::kError, kComponent, "the state key was not rotated", {{"why", why}});
}

}  // namespace coffer::host
