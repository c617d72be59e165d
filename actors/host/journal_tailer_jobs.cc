// Of JournalTailer: what is made durable, and the replays that take the tail's place.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/journal_tailer.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

using runtime::Level;
using runtime::Log;
constexpr char kComponent[] = "journal";

}  // namespace

bool JournalTailer::SyncLetters() {
  const absl::Status status = letters_->Sync();
  if (status.ok()) {
    write_trouble_.clear();
    return true;
  }
  ++metrics_.disk_errors;
  write_trouble_ =
      absl::StrCat("the journal waits, its dead letters cannot be written: ", status.message());
  static runtime::LogEvery log(absl::Seconds(10));
  log.Log(Level::kError, kComponent,
          "the dead letters cannot be written; the journal waits, nothing is lost",
          {{"file", letters_->name()}, {"error", status}});
  return false;
}

// The letters first: a cursor that is past a line must never be more durable than the line's
// letter.
bool JournalTailer::Commit() {
  if (!SyncLetters()) return false;
  TailFile* const file = source();
  if (file == nullptr || (done_ == saved_ && file->place().generation == saved_generation_))
    return true;
  const absl::Status status = file->Save(done_, letters_done_);
  if (status.ok()) {
    saved_ = done_;
    saved_generation_ = file->place().generation;
    return true;
  }
  ++metrics_.disk_errors;
  write_trouble_ = absl::StrCat("the journal's cursor cannot be saved: ", status.message());
  static runtime::LogEvery log(absl::Seconds(10));
  log.Log(Level::kError, kComponent, "the cursor cannot be saved; trying again",
          {{"error", status}});
  return false;
}

void JournalTailer::ReplayFile(const std::string& path, Done done) {
  auto job = std::make_unique<Job>();
  job->path = path;
  job->done = std::move(done);
  jobs_.push_back(std::move(job));
  Schedule();
}

void JournalTailer::ReplayDeadLetters(Done done) { ReplayFile("", std::move(done)); }

absl::Status JournalTailer::BeginJob(Job& job) {
  if (job.path.empty()) {
    if (!SyncLetters()) return absl::UnavailableError("the dead letters cannot be written");
    auto letters = DeadLetterReplay::Open(disk_, options_.dead_letters, letters_->size());
    if (!letters.ok()) return letters.status();
    job.letters = *std::move(letters);
    return absl::OkStatus();
  }
  job.file = std::make_unique<TailFile>(
      files_, disk_,
      TailFile::Options{
          .path = job.path,
          .cursor = "replay-" + ToHex(sha256_.Hash(job.path)).substr(0, 16) + ".cursor",
          .follow = false,
          .chunk_bytes = options_.chunk_bytes,
          .rotation_grace = options_.rotation_grace});
  return job.file->Start(dispatcher_->Now());
}

// From the tail to a waiting job, once nothing of the tail is under way.
void JournalTailer::SwitchJobs() {
  if (job_ != nullptr || jobs_.empty() || !Drained() || !Commit()) return;
  job_ = std::move(jobs_.front());
  jobs_.pop_front();
  Log(Level::kInfo, kComponent, "replay begins",
      {{"of", job_->path.empty() ? options_.dead_letters : job_->path}});
  if (absl::Status status = BeginJob(*job_); !status.ok()) {
    FinishJob(std::move(status));
    return;
  }
  if (job_->file != nullptr) {
    place_ = job_->file->place();
    done_ = saved_ = place_.offset;
    saved_generation_ = place_.generation;
  }
  Schedule();
}

void JournalTailer::FinishJob(absl::Status status) {
  const std::unique_ptr<Job> job = std::move(job_);
  const ReplaySummary& summary = job->summary;
  Log(status.ok() ? Level::kInfo : Level::kError, kComponent,
      status.ok() ? "replay is done" : "replay failed",
      {{"of", job->path.empty() ? options_.dead_letters : job->path},
       {"lines", summary.lines},
       {"events", summary.events},
       {"refused", summary.refused},
       {"left", summary.left},
       {"error", status}});
  place_ = tail_.place();
  done_ = saved_ = place_.offset;
  saved_generation_ = place_.generation;
  Schedule();
  if (status.ok()) {
    job->done(summary);
  } else {
    job->done(std::move(status));
  }
}

bool JournalTailer::caught_up() const {
  return started_ && job_ == nullptr && jobs_.empty() && Drained() && tail_.is_open() &&
         tail_.lag_bytes() == 0 && done_ == saved_;
}

JournalMetrics JournalTailer::metrics() const {
  JournalMetrics metrics = metrics_;
  metrics.offset = done_;
  metrics.lag_bytes = (job_ != nullptr && job_->file != nullptr ? *job_->file : tail_).lag_bytes();
  metrics.batches = window_.counters();
  metrics.tail = tail_.counters();
  metrics.registry = registry_->counters();
  return metrics;
}

}  // namespace coffer::host
