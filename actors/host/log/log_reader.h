// LogReader: the actor that reads the log's folder, on a dispatcher of its own, because reading
// blocks there. It answers questions about the published log and keeps the index in step with it.
//
// Accepts LogQuestion: a function over LogView that makes the answer there, on the reader's thread
// (what an answer costs, its text included, is not spent on the main loop). Answers are called on
// the home dispatcher. The mailbox is bounded; one question too many is answered Unavailable.
//
// Between questions the index grows by a slice (a few ms), and then rests for at least as long as
// the slice took, so that a million new leaves take half a core at most and no question waits long.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_READER_H_
#define COFFER_ACTORS_HOST_LOG_LOG_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/log/log_view.h"
#include "actors/host/log/messages.h"
#include "runtime/dispatcher.h"
#include "runtime/mailbox.h"

namespace coffer::host {

struct LogQuestion {
  absl::AnyInvocable<void(LogView&)> run;
};

class LogReader final : public runtime::Actor<LogQuestion>, public LogProofs {
 public:
  struct Options {
    std::string folder;      // <data-dir>/log
    std::string index_path;  // a file beside it; a folder that is served has no business with it
    size_t questions = 256;  // waiting, at most
    absl::Duration poll = absl::Seconds(1);       // a new head that nobody tells of is looked for
    uint64_t slice = 512;                         // leaves indexed at a time
    absl::Duration rest = absl::Milliseconds(4);  // after a slice, at least
  };
  // A copy, from any thread.
  struct Stats {
    uint64_t questions = 0;
    uint64_t overloads = 0;  // questions that were turned away
    uint64_t failures = 0;   // answers withheld because the files do not lead to the signed root
    uint64_t published = 0;  // leaves
    uint64_t indexed = 0;    // of them, that can be found by id
    uint64_t rebuilds = 0;   // of the index, after damage
    std::string trouble;     // why the index does not go on; empty when it does
  };

  // `own`: the reader's thread alone. `home`: where questions come from and answers go. Both
  // outlive this object.
  LogReader(Options options, runtime::Dispatcher* own, runtime::Dispatcher* home);

  // On `own`; Stop, too, after which no answer comes any more (or when `own` has ended).
  void Start();
  void Stop();
  // On `own`: there may be a new head.
  void Wake();

  // On `home`: `question` runs on the reader's thread, `done` later on `home`, once.
  template <typename T>
  void Ask(absl::AnyInvocable<absl::StatusOr<T>(LogView&)> question,
           absl::AnyInvocable<void(absl::StatusOr<T>)> done);

  void Consistency(uint64_t first, uint64_t second, Done done) override;
  Stats stats() const;

  void Receive(LogQuestion question) override;

 private:
  void Tick();
  // One slice of the index, if it is at most so many leaves behind; how many it had.
  uint64_t Grow(uint64_t most_behind);
  void Publish();

  const Options options_;
  runtime::Dispatcher* const own_;
  runtime::Dispatcher* const home_;
  runtime::Mailbox<LogQuestion> questions_;
  LogFolder files_;
  LogIndexer indexer_;
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> asked_{0};
  std::atomic<uint64_t> overloads_{0};
  LogView view_;
  std::unique_ptr<runtime::Timer> timer_;
  bool stopped_ = false;
  mutable std::mutex mutex_;
  Stats stats_;  // guarded by mutex_
};

template <typename T>
void LogReader::Ask(absl::AnyInvocable<absl::StatusOr<T>(LogView&)> question,
                    absl::AnyInvocable<void(absl::StatusOr<T>)> done) {
  asked_.fetch_add(1, std::memory_order_relaxed);
  // Shared, because a message that the mailbox does not take must still be answered.
  auto reply = std::make_shared<absl::AnyInvocable<void(absl::StatusOr<T>)>>(std::move(done));
  LogQuestion message{[this, reply, question = std::move(question)](LogView& view) mutable {
    home_->Post([reply, answer = question(view)]() mutable { (*reply)(std::move(answer)); });
  }};
  if (questions_.TrySend(std::move(message))) return;
  overloads_.fetch_add(1, std::memory_order_relaxed);
  home_->Post([reply] {
    (*reply)(absl::UnavailableError(
        "the reader of the log has more questions than it can answer now: ask again in a moment"));
  });
}

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_READER_H_
