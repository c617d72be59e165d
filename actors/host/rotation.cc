#include "actors/host/rotation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/secret_frames.h"
#include "runtime/log.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

std::string_view RotationStepWord(RotationStep step) {
  switch (step) {
    case RotationStep::kIdle:
      return "idle";
    case RotationStep::kAsking:
      return "asking";
    case RotationStep::kKey:
      return "key";
    case RotationStep::kAdopting:
      return "adopting";
    case RotationStep::kSnapshot:
      return "snapshot";
    case RotationStep::kDraining:
      return "draining";
    case RotationStep::kDone:
      return "done";
    case RotationStep::kFailed:
      break;
  }
  return "failed";
}

bool Rotation::under_way() const {
  return step_ == RotationStep::kAsking || step_ == RotationStep::kKey ||
         step_ == RotationStep::kAdopting || step_ == RotationStep::kSnapshot;
}

absl::Status Rotation::MayBegin() const {
  for (const Rotation* rotation : {this, other_}) {
    if (rotation == nullptr || !rotation->under_way()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("a rotation of ", rotation->what_, " is under way, at the step ",
                     std::string(RotationStepWord(rotation->step_))));
  }
  if (!ports_.enclave->ready()) return absl::UnavailableError("the enclave is not ready");
  return absl::OkStatus();
}

void Rotation::Begin(absl::AnyInvocable<void(const boundary::v1::Status&)> then) {
  step_ = RotationStep::kAsking;
  why_.clear();
  ClientFrame frame;
  frame.mutable_status();
  Ask(std::move(frame), "its status", ServerFrame::kStatus,
      [then = std::move(then)](const ServerFrame& answer) mutable { then(answer.status()); });
}

void Rotation::Ask(ClientFrame frame, const char* what, ServerFrame::BodyCase kind, Answered then) {
  ports_.enclave->Call(std::move(frame), [this, what, kind, then = std::move(then)](
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

void Rotation::AskWithCredentials(ClientFrame frame, const char* what, ServerFrame::BodyCase kind,
                                  Answered then) {
  ports_.credentials->Get([this, frame = std::move(frame), what, kind, then = std::move(then)](
                              absl::StatusOr<aws::Credentials> credentials) mutable {
    if (!credentials.ok()) return Fail(std::string(credentials.status().message()));
    PutCredentials(*credentials, options_.proxy_port, CredentialsOf(&frame));
    Ask(std::move(frame), what, kind, std::move(then));
  });
}

void Rotation::AwaitSnapshot(absl::AnyInvocable<bool()> stored, runtime::Task then) {
  step_ = RotationStep::kSnapshot;
  adopted_at_ = ports_.dispatcher->Now();
  snapshot_stored_ = std::move(stored);
  after_snapshot_ = std::move(then);
  LookForSnapshot();
}

void Rotation::LookForSnapshot() {
  if (snapshot_stored_()) {
    return std::exchange(after_snapshot_, nullptr)();
  }
  if (ports_.dispatcher->Now() - adopted_at_ > options_.snapshot_patience) {
    return Fail(absl::StrCat(
        "the new state key is in use, but no snapshot under it was stored within ",
        absl::FormatDuration(options_.snapshot_patience), ": keep the old one's file"));
  }
  poll_ = ports_.dispatcher->After(options_.poll, [this] { LookForSnapshot(); });
}

void Rotation::Fail(const std::string& why) {
  ++failed_;
  step_ = RotationStep::kFailed;
  why_ = why;
  runtime::Log(runtime::Level::kError, "kms", absl::StrCat(what_, " was not rotated"),
               {{"why", why}});
}

}  // namespace coffer::host
