// LogPublisher: the actor that takes the log's signed heads from the enclave to the public. On the
// main dispatcher.
//
// Takes heads as they come (OnSignedHead), keeps the newest and runs one cycle at a time, at most
// one an interval:
//   CutLog (the tiles of that size, compared with its root) -> Cosigner, if there are witnesses ->
//   PublishLog -> the observers
// What it accepts: LogEvent, the LogWriter's answers.
//
// A head that the log's key did not sign, that is smaller than one before it, or whose root is not
// that of the files is never published. The last two mean that there are two histories: an alarm,
// which stays until a restart.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_PUBLISHER_H_
#define COFFER_ACTORS_HOST_LOG_LOG_PUBLISHER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/log/messages.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"
#include "proto/audit.pb.h"
#include "runtime/dispatcher.h"
#include "runtime/mailbox.h"

namespace coffer::host {

class LogPublisher final : public runtime::Actor<LogEvent> {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(1);  // from the start of one cycle to that of the next
    absl::Duration ask_again = absl::Seconds(15);  // witnesses, for a head that is published
  };
  struct Published {
    uint64_t size = 0;
    audit::Hash root;
    std::string note;       // as it is in `checkpoint`
    bool satisfied = true;  // the quorum of witnesses; true when there are none to ask
    std::string sentence;   // who cosigned
  };
  // For /readyz and the metrics.
  struct Status {
    uint64_t signed_size = 0;     // of the newest head of the enclave
    uint64_t published_size = 0;  // since start
    bool satisfied = true;        // of what is published
    std::string witnesses;        // a sentence of the last cycle
    absl::Duration age;           // since the last publication; infinite before the first
    absl::Duration waiting;       // of the oldest head that is newer than what is published
    uint64_t cycles = 0;
    uint64_t refused = 0;  // heads
    std::string trouble;   // why the last cycle or head did not go through; empty when it did
    std::string alarm;     // two histories; stays
  };
  using Observer = absl::AnyInvocable<void(const Published&)>;

  // `writer` is the LogWriter's mailbox; its answers come to the mailbox that this is bound to,
  // which needs room for two. `cosigner` may be null. All must outlive the dispatcher's loop.
  LogPublisher(Options options, runtime::Dispatcher* dispatcher,
               runtime::Mailbox<LogCommand>* writer, Cosigner* cosigner);

  // The key that heads must be signed with (AuditState.log_key). InvalidArgument for a text that
  // is none; FailedPrecondition, and an alarm, for another one than before: this is another log.
  absl::Status UseLogKey(const std::string& verifier_key);
  // A head that the enclave signed, asked for or not. Not OK with a sentence when it is refused.
  absl::Status OnSignedHead(const boundary::v1::AuditCheckpoint& head);
  // Called with each head once it is published. Set before the first head.
  void Watch(Observer observer) { observers_.push_back(std::move(observer)); }

  const std::optional<audit::VerifierKey>& log_key() const { return log_key_; }
  Status status() const;

  void Receive(LogEvent event) override;

 private:
  struct Head {
    audit::Checkpoint checkpoint;
    std::string note;
  };

  absl::StatusOr<Head> Check(const boundary::v1::AuditCheckpoint& head);
  // Starts a cycle if there is something to publish, or arms the timer for when it may start.
  void Go();
  void Begin();
  void On(const LogCut& cut);
  void On(const LogPublished& published);
  void Cosigned(Cosigner::Cosigned cosigned);
  void PublishNote();
  // The cycle is over; what is left is tried at the next interval.
  void End(const absl::Status& status);
  void Alarm(const std::string& sentence);

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  runtime::Mailbox<LogCommand>* const writer_;
  Cosigner* const cosigner_;
  std::optional<audit::VerifierKey> log_key_;
  std::vector<Observer> observers_;

  std::optional<Head> newest_;
  bool cycle_ = false;    // under way
  Head current_;          // of the cycle
  Published publishing_;  // likewise
  std::optional<Published> published_;
  std::optional<uint64_t> wrong_size_;  // of a head that is not of this log, not tried again
  absl::Time next_ = absl::InfinitePast();
  absl::Time published_at_ = absl::InfinitePast();
  absl::Time waiting_since_;
  std::unique_ptr<runtime::Timer> timer_;
  uint64_t cycles_ = 0;
  uint64_t refused_ = 0;
  std::string witnesses_;
  std::string trouble_;
  std::string alarm_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_PUBLISHER_H_
