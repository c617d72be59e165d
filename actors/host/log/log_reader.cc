#include "actors/host/log/log_reader.h"

#include <algorithm>

namespace coffer::host {
namespace {

constexpr uint64_t kAnyGap = UINT64_MAX;

}  // namespace

LogReader::LogReader(Options options, runtime::Dispatcher* own, runtime::Dispatcher* home)
    : options_(std::move(options)),
      own_(own),
      home_(home),
      questions_(own, "log reader", options_.questions),
      files_(options_.folder),
      indexer_({}, options_.index_path),
      view_(&files_, &indexer_, &failures_) {
  questions_.Bind(this);
}

void LogReader::Start() { Tick(); }

void LogReader::Stop() {
  stopped_ = true;
  timer_.reset();
  const absl::StatusOr<std::shared_ptr<const PublishedHead>> head = files_.Published();
  if (head.ok()) indexer_.Commit(LogTree(&files_, *head));
}

void LogReader::Wake() {
  if (timer_ != nullptr) Tick();
}

void LogReader::Receive(LogQuestion question) {
  // Whoever has seen a head asks for its leaves next: they are findable at once, unless the index
  // is far behind, when each question would pay for a slice.
  Grow(options_.slice);
  question.run(view_);
  Publish();
}

void LogReader::Tick() {
  if (stopped_) return;
  const absl::Time began = own_->Now();
  const bool more = Grow(kAnyGap) > 0;
  const absl::Duration took = own_->Now() - began;
  Publish();
  timer_ = own_->After(more ? std::max(options_.rest, took) : options_.poll, [this] { Tick(); });
}

uint64_t LogReader::Grow(uint64_t most_behind) {
  const absl::StatusOr<std::shared_ptr<const PublishedHead>> head = files_.Published();
  if (!head.ok() || stopped_) return 0;
  if ((*head)->checkpoint.size > most_behind &&
      (*head)->checkpoint.size - most_behind > indexer_.size()) {
    return 0;
  }
  const LogTree tree(&files_, *head);
  return indexer_.Step(tree, options_.slice, own_->Now());
}

void LogReader::Consistency(uint64_t first, uint64_t second, Done done) {
  Ask<audit::Proof>([first, second](LogView& view) { return view.Consistency(first, second); },
                    std::move(done));
}

void LogReader::Publish() {
  const absl::StatusOr<std::shared_ptr<const PublishedHead>> head = files_.Published();
  std::lock_guard<std::mutex> lock(mutex_);
  if (head.ok()) stats_.published = (*head)->checkpoint.size;
  stats_.indexed = indexer_.size();
  stats_.rebuilds = indexer_.rebuilds();
  stats_.trouble = indexer_.trouble();
}

LogReader::Stats LogReader::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  Stats stats = stats_;
  stats.questions = asked_.load(std::memory_order_relaxed);
  stats.overloads = overloads_.load(std::memory_order_relaxed);
  stats.failures = failures_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace coffer::host
