#include "actors/host/log/log_publisher.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "runtime/log.h"

namespace coffer::host {

LogPublisher::LogPublisher(Options options, runtime::Dispatcher* dispatcher,
                           runtime::Mailbox<LogCommand>* writer, Cosigner* cosigner)
    : options_(options), dispatcher_(dispatcher), writer_(writer), cosigner_(cosigner) {}

absl::Status LogPublisher::UseLogKey(const std::string& verifier_key) {
  absl::StatusOr<audit::VerifierKey> key = audit::VerifierKey::Parse(verifier_key);
  if (!key.ok() || key->type() != audit::KeyType::kEd25519) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the enclave's log key cannot be read: ",
        key.ok() ? std::string("it is a witness's") : std::string(key.status().message())));
  }
  if (log_key_.has_value() && *log_key_ != *key) {
    Alarm(absl::StrCat("the enclave's log key is ", key->ToString(), " and was ",
                       log_key_->ToString(), ": it writes another log than the one here"));
    return absl::FailedPreconditionError(alarm_);
  }
  log_key_ = *std::move(key);
  return absl::OkStatus();
}

// ---- heads
// ---------------------------------------------------------------------------------------------------------

absl::StatusOr<LogPublisher::Head> LogPublisher::Check(const boundary::v1::AuditCheckpoint& head) {
  if (!log_key_.has_value()) {
    return absl::FailedPreconditionError("a signed head came before the log's key is known");
  }
  const absl::StatusOr<audit::SignedCheckpoint> parsed = audit::ParseCheckpoint(head.note());
  if (!parsed.ok()) return parsed.status();
  if (absl::Status s = audit::VerifyLogSignature(*parsed, *log_key_); !s.ok()) return s;
  const audit::Checkpoint& checkpoint = parsed->checkpoint;
  if (checkpoint.size != head.size() || checkpoint.root.view() != head.root()) {
    return absl::InvalidArgumentError(absl::StrCat("the message about a head of size ", head.size(),
                                                   " is not about the note in it"));
  }
  return Head{checkpoint, head.note()};
}

absl::Status LogPublisher::OnSignedHead(const boundary::v1::AuditCheckpoint& head) {
  absl::StatusOr<Head> checked = Check(head);
  if (!checked.ok()) {
    ++refused_;
    trouble_ = absl::StrCat("a head from the enclave is refused: ", checked.status().message());
    return absl::Status(checked.status().code(), trouble_);
  }
  if (newest_.has_value()) {
    const audit::Checkpoint& before = newest_->checkpoint;
    const audit::Checkpoint& now = checked->checkpoint;
    if (now.size < before.size || (now.size == before.size && now.root != before.root)) {
      ++refused_;
      Alarm(absl::StrCat("the enclave signed two histories: a head of size ", now.size,
                         " with root ", audit::EncodeBase64(now.root.view()), " after one of size ",
                         before.size, " with root ", audit::EncodeBase64(before.root.view())));
      return absl::DataLossError(alarm_);
    }
    if (now.size == before.size) return absl::OkStatus();
  }
  if (!newest_.has_value() ||
      (published_.has_value() && !cycle_ && published_->size == newest_->checkpoint.size)) {
    waiting_since_ = dispatcher_->Now();
  }
  newest_ = *std::move(checked);
  timer_.reset();  // it may be one that waits for witnesses
  Go();
  return absl::OkStatus();
}

// ---- the cycle
// -----------------------------------------------------------------------------------------------------

void LogPublisher::Go() {
  if (cycle_ || timer_ != nullptr || !newest_.has_value()) return;
  const uint64_t size = newest_->checkpoint.size;
  if (wrong_size_ == size) return;
  absl::Duration wait = next_ - dispatcher_->Now();
  if (published_.has_value() && published_->size == size) {
    // Tried again only for the witnesses that did not answer.
    if (published_->satisfied) return;
    wait += options_.ask_again - options_.interval;
  }
  if (wait <= absl::ZeroDuration()) return Begin();
  timer_ = dispatcher_->After(wait, [this] {
    // Destroyed after, because this runs inside it.
    const std::unique_ptr<runtime::Timer> fired = std::move(timer_);
    Go();
  });
}

void LogPublisher::Begin() {
  cycle_ = true;
  ++cycles_;
  next_ = dispatcher_->Now() + options_.interval;
  current_ = *newest_;
  writer_->Send(CutLog{current_.checkpoint.size, current_.checkpoint.root});
}

void LogPublisher::Receive(LogEvent event) {
  std::visit([this](const auto& e) { On(e); }, event);
}

void LogPublisher::On(const LogCut& cut) {
  if (!cycle_ || cut.size != current_.checkpoint.size) return;
  if (absl::IsDataLoss(cut.status)) {
    wrong_size_ = cut.size;
    Alarm(std::string(cut.status.message()));
  }
  if (!cut.status.ok()) return End(cut.status);
  publishing_ = {current_.checkpoint.size, current_.checkpoint.root, current_.note, true, ""};
  if (cosigner_ == nullptr) return PublishNote();
  cosigner_->Cosign(current_.checkpoint, current_.note,
                    [this](Cosigner::Cosigned cosigned) { Cosigned(std::move(cosigned)); });
}

void LogPublisher::Cosigned(Cosigner::Cosigned cosigned) {
  publishing_.satisfied = cosigned.satisfied;
  publishing_.sentence = witnesses_ = std::move(cosigned.sentence);
  // The head is what the log signed; the witnesses' part may add lines and nothing else.
  const absl::StatusOr<audit::SignedCheckpoint> parsed = audit::ParseCheckpoint(cosigned.note);
  if (parsed.ok() && parsed->checkpoint == current_.checkpoint &&
      audit::VerifyLogSignature(*parsed, *log_key_).ok()) {
    publishing_.note = std::move(cosigned.note);
  } else {
    publishing_.satisfied = false;
    publishing_.sentence = witnesses_ =
        "the witnesses' note is not the head that they were asked "
        "to cosign; it is published without them";
  }
  PublishNote();
}

void LogPublisher::PublishNote() {
  const bool known = published_.has_value() && published_->size == publishing_.size &&
                     published_->note == publishing_.note;
  if (known) return End(absl::OkStatus());  // no witness more than the last time
  writer_->Send(PublishLog{publishing_.size, publishing_.note});
}

void LogPublisher::On(const LogPublished& published) {
  if (!cycle_ || published.size != current_.checkpoint.size) return;
  if (!published.status.ok()) return End(published.status);
  published_ = publishing_;
  published_at_ = dispatcher_->Now();
  waiting_since_ = published_at_;
  for (Observer& observer : observers_) observer(*published_);
  End(absl::OkStatus());
}

void LogPublisher::End(const absl::Status& status) {
  cycle_ = false;
  const std::string before = std::exchange(
      trouble_, status.ok() ? ""
                            : absl::StrCat("the log's head of size ", current_.checkpoint.size,
                                           " is not published yet: ", status.message()));
  if (before.empty() && !trouble_.empty() && !absl::IsUnavailable(status)) {
    runtime::Log(runtime::Level::kError, "log", trouble_);
  }
  Go();
}

void LogPublisher::Alarm(const std::string& sentence) {
  if (alarm_.empty()) {
    runtime::Log(runtime::Level::kError, "log", sentence);
    alarm_ = sentence;  // the first one tells most
  }
}

LogPublisher::Status LogPublisher::status() const {
  Status status;
  const absl::Time now = dispatcher_->Now();
  status.age = now - published_at_;
  if (newest_.has_value()) {
    status.signed_size = newest_->checkpoint.size;
    if (!published_.has_value() || published_->size < status.signed_size) {
      status.waiting = now - waiting_since_;
    }
  }
  if (published_.has_value()) {
    status.published_size = published_->size;
    status.satisfied = published_->satisfied;
  }
  status.witnesses = witnesses_;
  status.cycles = cycles_;
  status.refused = refused_;
  status.trouble = trouble_;
  status.alarm = alarm_;
  return status;
}

}  // namespace coffer::host
