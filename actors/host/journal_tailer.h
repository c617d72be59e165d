// The actor that turns the journal into events of the enclave.
//
// What it is told: Start, Wake (something may have been appended), ReplayFile, ReplayDeadLetters,
// ReloadRegistry, Stop. What it tells: ApplyEvents to the EnclaveClient, letters to the dead-letter
// file.
//
// Rules: every line is applied, skipped by rule (set_balance, zero), or in the dead letters, and
// nothing ever stops the tail but a disk that takes no dead letters. The cursor moves to a place
// only after all events before it were answered, which the enclave does once their record is
// durable (I5), and after all letters before it are on stable storage. What is in memory is
// bounded: a window of batches, and one chunk of the file.
#ifndef COFFER_ACTORS_HOST_JOURNAL_TAILER_H_
#define COFFER_ACTORS_HOST_JOURNAL_TAILER_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/batch_window.h"
#include "actors/host/dead_letter_replay.h"
#include "actors/host/dead_letters.h"
#include "actors/host/enclave_client.h"
#include "actors/host/journal_line.h"
#include "actors/host/journal_progress.h"
#include "actors/host/registry.h"
#include "actors/host/tail_file.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

struct JournalOptions {
  std::string path;
  std::string dead_letters = "dead-letters.jsonl";  // names in the disk
  std::string cursor = "journal.cursor";
  size_t window = 8;          // batches in flight
  size_t max_events = 2'000;  // a batch; at most 10,000 (boundary.proto)
  size_t chunk_bytes = 512 << 10;
  // When no watcher wakes us earlier; kQuietTicks of them without anything to do make it slower,
  // kQuietFactor times, until there is something.
  absl::Duration poll = absl::Milliseconds(200);
  static constexpr int kQuietTicks = 10;
  static constexpr int kQuietFactor = 5;
  absl::Duration rotation_grace = absl::Seconds(2);
  absl::Duration cursor_interval = absl::Milliseconds(250);
  absl::Duration registry_interval = absl::Seconds(1);
};

// Counted since start. `dead_letters` are lines; one that a crash had left in the file already is
// counted again, not written.
struct JournalMetrics {
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t credits = 0;  // events packed, adjustments among them
  uint64_t skipped_set_balance = 0;
  uint64_t skipped_zero = 0;
  std::array<uint64_t, kRejectReasons> dead_letters{};  // by RejectReason
  uint64_t resolved = 0;                                // dead letters applied by a replay
  uint64_t offset = 0;     // all before it is done, in the file that is read now
  uint64_t lag_bytes = 0;  // not yet read of that file
  uint64_t disk_errors = 0;
  uint64_t read_errors = 0;
  BatchWindow::Counters batches;
  TailFile::Counters tail;
  Registry::Counters registry;
};

struct ReplaySummary {
  uint64_t lines = 0;
  uint64_t events = 0;  // answered by the enclave: applied now or before, or refused
  uint64_t refused = 0;
  uint64_t left =
      0;  // lines in the dead letters because of this replay, or still in there after it
};

class JournalTailer final : private BatchWindow::Owner {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<ReplaySummary>)>;

  // All must outlive this object; `disk` is its own directory. Everything happens on `dispatcher`.
  JournalTailer(runtime::Dispatcher* dispatcher, JournalFiles* files, Disk* disk,
                EnclaveClient* client, Registry* registry, JournalOptions options);
  ~JournalTailer() override;

  // Takes up where the cursor says. Fails when the disk or the journal cannot be read; a journal
  // that does not exist yet is waited for.
  absl::Status Start();
  // Something may have changed: from a FileWatcher. Cheap when nothing did.
  void Wake() { Schedule(); }
  void ReloadRegistry() { (void)registry_->Reload(); }  // its errors are logged and counted there

  // Reads an old journal file to its end, before the tail goes on. Has a cursor of its own, so a
  // replay that a crash cut short goes on where it was, and one that is asked for again is over at
  // once. `done` is called once.
  void ReplayFile(const std::string& path, Done done);
  // Offers the dead letters to the enclave again; those applied are marked as resolved in the file.
  void ReplayDeadLetters(Done done);

  // Saves the cursor and does nothing more. What is in flight is asked again after the next start.
  void Stop();

  JournalMetrics metrics() const;
  // What keeps the journal from going on, a sentence for /readyz; empty when nothing does.
  const std::string& trouble() const {
    return write_trouble_.empty() ? read_trouble_ : write_trouble_;
  }
  // True when all of the journal that is there has been dealt with and the cursor says so.
  bool caught_up() const;

 private:
  struct Job {
    std::string path;  // empty: the dead letters
    Done done;
    std::unique_ptr<TailFile> file;
    std::unique_ptr<DeadLetterReplay> letters;
    ReplaySummary summary;
  };

  // BatchWindow::Owner
  std::string BuildEvents(const Batch& batch) override;
  void OnDone(const Batch& batch, const std::vector<boundary::v1::EventRefusal>& refusals) override;
  void OnRoom() override;

  void Schedule();
  void Work();
  bool ReadSome();
  bool ReadFile(TailFile& file);
  bool ReadLetters();
  bool PushStaged();
  void TakeRead(LineRead read);
  void TakeChunk(std::shared_ptr<const Chunk> chunk);
  // Adds the line's event to `batch`, or counts it, or buries it.
  void TakeLine(const Chunk& chunk, LineRef ref, Batch& batch);
  void AddEvent(const Credit& credit, const ethereum::Address& recipient, std::string* out);
  void Bury(RejectReason reason, int code, std::string_view detail, std::string_view line,
            uint64_t offset);
  void BuryLong(RejectReason reason, const LongLine& line);
  bool SyncLetters();
  bool Commit();
  void SwitchJobs();
  absl::Status BeginJob(Job& job);
  void FinishJob(absl::Status status);
  void OnTick();
  void ArmTick();
  bool quiet() const { return quiet_ticks_ >= JournalOptions::kQuietTicks; }
  bool Drained() const { return window_.empty() && staged_.empty(); }
  // Whose lines are read now; null while dead letters are replayed.
  TailFile* source() { return job_ == nullptr ? &tail_ : job_->file.get(); }

  runtime::Dispatcher* const dispatcher_;
  JournalFiles* const files_;
  Disk* const disk_;
  Registry* const registry_;
  const JournalOptions options_;
  BatchWindow window_;
  TailFile tail_;
  LineParser parser_;
  boundary::v1::ApplyEvents one_;  // a request of one event, used again and again
  Sha256 sha256_;
  std::unique_ptr<DeadLetters> letters_;
  std::unique_ptr<Job> job_;  // instead of the tail
  std::deque<std::unique_ptr<Job>> jobs_;
  std::deque<Batch> staged_;  // of the last chunk, waiting for room in the window
  LinePlace place_;           // of the source's present file
  uint64_t done_ = 0;         // all before this offset of it is answered
  // Letters before this place are of lines before done_; until the lines of the last run's
  // letters have come again, the place that its cursor had.
  uint64_t letters_done_ = 0;
  bool letters_known_ = true;
  uint64_t saved_ = 0;  // by its cursor, with the generation
  uint64_t saved_generation_ = 0;
  bool started_ = false;
  bool scheduled_ = false;
  absl::Time next_commit_ = absl::InfinitePast();
  absl::Time next_registry_ = absl::InfinitePast();
  std::unique_ptr<runtime::Timer> tick_;
  int quiet_ticks_ = 0;  // one after the other that found nothing to do
  JournalProgress progress_;
  JournalMetrics metrics_;
  std::string read_trouble_;
  std::string write_trouble_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_JOURNAL_TAILER_H_
