#include "runtime/test_dispatcher.h"

#include <algorithm>

#include "invariant/check.h"

namespace coffer::runtime {
namespace {

// 2026-01-01T00:00:00Z
constexpr int64_t kWallStartUnixSeconds = 1767225600;

absl::Time VirtualStart() { return absl::UnixEpoch(); }

// Shared by the timer its owner holds and the task in the queue; whichever goes first wins.
struct TimerState {
  Task task;
};

class TestTimer final : public Timer {
 public:
  explicit TestTimer(std::shared_ptr<TimerState> state) : state_(std::move(state)) {}
  ~TestTimer() override {
    // Moved out first: the destructor of what the task holds may look at this timer again.
    Task dropped = std::move(state_->task);
    state_->task = nullptr;
  }

 private:
  std::shared_ptr<TimerState> state_;
};

}  // namespace

void TestDispatcher::Post(Task task) {
  scheduler_->PostFrom(scheduler_->running_, this, std::move(task));
}

std::unique_ptr<Timer> TestDispatcher::After(absl::Duration delay, Task task) {
  auto state = std::make_shared<TimerState>(TimerState{std::move(task)});
  // A source of its own for every timer: two that fall due together may fire in either order.
  scheduler_->PostAt(scheduler_->now_ + std::max(delay, absl::ZeroDuration()),
                     scheduler_->NewSource(), this, [state] {
                       if (!state->task) return;
                       Task due = std::move(state->task);
                       state->task = nullptr;
                       due();
                     });
  return std::make_unique<TestTimer>(std::move(state));
}

absl::Time TestDispatcher::Now() const { return scheduler_->now_; }

absl::Time TestDispatcher::WallNow() const {
  return absl::FromUnixSeconds(kWallStartUnixSeconds) + (scheduler_->now_ - VirtualStart()) +
         wall_offset_;
}

void TestDispatcher::Freeze(absl::Duration duration) {
  frozen_until_ = std::max(frozen_until_, scheduler_->now_ + duration);
  scheduler_->Defer(this);
}

void TestDispatcher::Crash() {
  if (!alive_) return;
  alive_ = false;
  scheduler_->Drop(this);
  std::vector<Task> listeners = std::move(crash_listeners_);
  crash_listeners_.clear();
  for (Task& listener : listeners) listener();
}

TestScheduler::TestScheduler(uint64_t seed) : random_(seed), now_(VirtualStart()) {}

TestScheduler::~TestScheduler() {
  // What tasks hold may post or start timers when it is destroyed: nobody is alive to take it.
  for (auto& dispatcher : dispatchers_) dispatcher->alive_ = false;
  for (auto& dispatcher : dispatchers_) Drop(dispatcher.get());
}

TestDispatcher* TestScheduler::NewDispatcher(std::string name) {
  dispatchers_.push_back(
      std::unique_ptr<TestDispatcher>(new TestDispatcher(this, std::move(name), NewSource())));
  return dispatchers_.back().get();
}

void TestScheduler::PostFrom(uint64_t source, TestDispatcher* to, Task task) {
  if (!to->alive_) return;
  if (to->frozen_until_ > now_) return PostAt(to->frozen_until_, source, to, std::move(task));
  for (Queue& queue : runnable_) {
    if (queue.to == to && queue.source == source) {
      queue.tasks.push_back(std::move(task));
      return;
    }
  }
  runnable_.push_back(Queue{to, source, {}});
  runnable_.back().tasks.push_back(std::move(task));
}

void TestScheduler::PostAt(absl::Time time, uint64_t source, TestDispatcher* to, Task task) {
  if (!to->alive_) return;
  timed_.emplace(std::make_pair(std::max(time, now_), ++timed_count_),
                 TimedTask{to, source, std::move(task)});
}

bool TestScheduler::Step() {
  // Also what is due now counts as runnable (a timer of no length, a delivery without delay).
  while (!timed_.empty() && timed_.begin()->first.first <= now_) FireNext(now_);
  if (runnable_.empty()) return false;
  const size_t chosen = runnable_.size() == 1 ? 0 : random_.Below(runnable_.size());
  Task task = std::move(runnable_[chosen].tasks.front());
  runnable_[chosen].tasks.pop_front();
  const uint64_t id = runnable_[chosen].to->id_;
  Mix(id);
  Mix(runnable_[chosen].source);
  if (runnable_[chosen].tasks.empty()) {
    runnable_.erase(runnable_.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  ++steps_;
  const uint64_t outer = std::exchange(running_, id);
  task();
  running_ = outer;
  return true;
}

size_t TestScheduler::RunUntilIdle(size_t max_steps) {
  size_t count = 0;
  while (Step()) {
    COFFER_CHECK(++count <= max_steps, "the simulated tasks never come to rest");
  }
  return count;
}

bool TestScheduler::FireNext(absl::Time limit) {
  if (timed_.empty() || timed_.begin()->first.first > limit) return false;
  now_ = std::max(now_, timed_.begin()->first.first);
  Mix(static_cast<uint64_t>(absl::ToInt64Nanoseconds(now_ - VirtualStart())));
  while (!timed_.empty() && timed_.begin()->first.first <= now_) {
    TimedTask due = std::move(timed_.begin()->second);
    timed_.erase(timed_.begin());
    PostFrom(due.source, due.to, std::move(due.task));
  }
  return true;
}

void TestScheduler::Advance(absl::Duration duration) {
  const absl::Time end = now_ + duration;
  RunUntilIdle();
  while (FireNext(end)) RunUntilIdle();
  now_ = end;
}

bool TestScheduler::RunUntil(absl::FunctionRef<bool()> done, absl::Duration limit) {
  const absl::Time end = now_ + limit;
  for (;;) {
    if (done()) return true;
    if (Step()) continue;
    if (!FireNext(end)) return false;
  }
}

void TestScheduler::Drop(TestDispatcher* dispatcher) {
  // Taken out first, destroyed last: a task's captures may call back into the scheduler.
  std::deque<Queue> queues;
  for (size_t i = 0; i < runnable_.size();) {
    if (runnable_[i].to == dispatcher) {
      queues.push_back(std::move(runnable_[i]));
      runnable_.erase(runnable_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  std::vector<TimedTask> timed;
  for (auto it = timed_.begin(); it != timed_.end();) {
    if (it->second.to == dispatcher) {
      timed.push_back(std::move(it->second));
      it = timed_.erase(it);
    } else {
      ++it;
    }
  }
}

void TestScheduler::Defer(TestDispatcher* dispatcher) {
  for (size_t i = 0; i < runnable_.size();) {
    if (runnable_[i].to != dispatcher) {
      ++i;
      continue;
    }
    Queue queue = std::move(runnable_[i]);
    runnable_.erase(runnable_.begin() + static_cast<std::ptrdiff_t>(i));
    for (Task& task : queue.tasks) {
      PostAt(dispatcher->frozen_until_, queue.source, dispatcher, std::move(task));
    }
  }
}

void TestScheduler::Mix(uint64_t value) {
  trace_ = (trace_ ^ value) * 0x100000001b3;  // FNV-1a, a word at a time
  trace_ ^= trace_ >> 29;
}

}  // namespace coffer::runtime
