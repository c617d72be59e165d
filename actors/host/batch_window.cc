#include "actors/host/batch_window.h"

#include <algorithm>
#include <utility>

#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

namespace v1 = boundary::v1;
using runtime::Level;

constexpr char kComponent[] = "journal";
constexpr absl::Duration kFirstWait = absl::Milliseconds(50);
constexpr absl::Duration kMaxWait = absl::Seconds(5);
// When the link does not say that it is ready again, it is asked again.
constexpr absl::Duration kLinkPoll = absl::Seconds(1);

v1::EventRefusal Refusal(uint32_t index, const v1::Error& error) {
  v1::EventRefusal refusal;
  refusal.set_index(index);
  *refusal.mutable_error() = error;
  return refusal;
}

}  // namespace

BatchWindow::BatchWindow(runtime::Dispatcher* dispatcher, EnclaveClient* client, Owner* owner,
                         size_t capacity)
    : dispatcher_(dispatcher),
      client_(client),
      owner_(owner),
      capacity_(capacity),
      wait_(kFirstWait) {
  client_->Watch([this, alive = std::weak_ptr<bool>(alive_)](bool ready) {
    if (alive.expired() || !ready) return;
    timer_.reset();  // no reason to wait any longer
    wait_ = kFirstWait;
    Pump();
  });
}

BatchWindow::~BatchWindow() = default;

void BatchWindow::Push(Batch batch) {
  COFFER_CHECK(!full(), "a batch was pushed into a full window");
  auto entry = std::make_unique<Entry>();
  entry->batch = std::move(batch);
  if (entry->batch.lines.empty()) entry->state = State::kDone;
  entries_.push_back(std::move(entry));
  if (entries_.back()->state == State::kDone) Deliver();
  Pump();
}

void BatchWindow::Pump() {
  if (timer_ != nullptr) return;
  if (retrying_ && in_flight_ > 0) return;
  if (!client_->ready()) {
    // Watch() wakes us as well; the timer is for a link that changed before we looked.
    if (!entries_.empty()) Retry(kLinkPoll);
    return;
  }
  retrying_ = false;
  for (size_t i = 0; i < entries_.size() && !retrying_; ++i) {
    if (entries_[i]->state == State::kWaiting) Send(*entries_[i]);
  }
}

void BatchWindow::Send(Entry& entry) {
  std::string events = std::exchange(entry.batch.events, {});
  if (events.empty()) events = owner_->BuildEvents(entry.batch);
  entry.state = State::kInFlight;
  ++in_flight_;
  ++counters_.sent;
  // The entry stays until it is done, and so outlives its request.
  client_->CallApplyEvents(std::move(events),
                           [this, &entry, alive = std::weak_ptr<bool>(alive_)](Answer answer) {
                             if (!alive.expired()) OnAnswer(entry, std::move(answer));
                           });
}

void BatchWindow::OnAnswer(Entry& entry, Answer answer) {
  --in_flight_;
  entry.state = State::kWaiting;
  if (!answer.ok()) {
    ++counters_.repeated;
    Retry(wait_);
  } else if (answer->has_error()) {
    OnError(entry, answer->error());
  } else if (answer->has_events_applied() && TakeApplied(entry, answer->events_applied())) {
    entry.state = State::kDone;
    wait_ = kFirstWait;
  } else {
    runtime::Log(Level::kError, kComponent,
                 "the enclave's answer does not fit the events it was given; asking again");
    ++counters_.repeated;
    Retry(wait_);
  }
  Deliver();
  Pump();
}

// The batch as a whole was not taken.
void BatchWindow::OnError(Entry& entry, const v1::Error& error) {
  const bool of_content =
      error.code() == v1::ERROR_MALFORMED || error.code() == v1::ERROR_OUT_OF_RANGE;
  if (of_content && entry.batch.lines.size() == 1) {
    entry.refusals.push_back(Refusal(0, error));
    ++counters_.refused;
    entry.state = State::kDone;
    return;
  }
  ++counters_.repeated;
  if (of_content) {  // one event must not stop the others
    Split(entry);
    retrying_ = true;
    return;
  }
  runtime::Log(Level::kWarn, kComponent, "the enclave did not take a batch; asking again",
               {{"code", v1::ErrorCode_Name(error.code())}, {"error", error.message()}});
  Retry(wait_);
}

bool BatchWindow::TakeApplied(Entry& entry, const v1::EventsApplied& applied) {
  const size_t count = entry.batch.lines.size();
  std::vector<bool> told(count, false);
  const auto tell = [&](uint32_t index) {
    if (index >= count || told[index]) return false;
    told[index] = true;
    return true;
  };
  for (const uint32_t index : applied.duplicates()) {
    if (!tell(index)) return false;
  }
  for (const v1::EventRefusal& refusal : applied.refusals()) {
    if (!tell(refusal.index())) return false;
  }
  const auto others =
      static_cast<size_t>(applied.duplicates_size()) + static_cast<size_t>(applied.refusals_size());
  if (applied.applied() != count - others) return false;
  entry.refusals.assign(applied.refusals().begin(), applied.refusals().end());
  counters_.applied += applied.applied();
  counters_.duplicates += static_cast<uint64_t>(applied.duplicates_size());
  counters_.refused += static_cast<uint64_t>(applied.refusals_size());
  return true;
}

// May make the window one longer than its capacity for a while: log2(events) entries at most.
void BatchWindow::Split(Entry& entry) {
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [&](const auto& other) { return other.get() == &entry; });
  auto second = std::make_unique<Entry>();
  Batch& first = entry.batch;
  const auto middle = first.lines.begin() + static_cast<ptrdiff_t>(first.lines.size() / 2);
  second->batch.chunk = first.chunk;
  second->batch.end = first.end;
  second->batch.lines.assign(middle, first.lines.end());
  second->batch.letters = first.letters;
  first.letters = 0;
  first.lines.erase(middle, first.lines.end());
  first.end = first.chunk->base + second->batch.lines.front().begin;
  entries_.insert(it + 1, std::move(second));
}

void BatchWindow::Retry(absl::Duration wait) {
  retrying_ = true;
  wait_ = std::min(kMaxWait, wait_ * 2);
  if (timer_ != nullptr) return;
  timer_ = dispatcher_->After(wait, [this] {
    timer_.reset();
    Pump();
  });
}

void BatchWindow::Deliver() {
  bool any = false;
  while (!entries_.empty() && entries_.front()->state == State::kDone) {
    const std::unique_ptr<Entry> entry = std::move(entries_.front());
    entries_.pop_front();
    owner_->OnDone(entry->batch, entry->refusals);
    any = true;
  }
  if (any) owner_->OnRoom();
}

}  // namespace coffer::host
