#include "runtime/event_loop.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "invariant/check.h"
#include "runtime/os_clock.h"

namespace coffer::runtime {
namespace {

timeval LoopDelay(absl::Duration delay) {
  // libevent adds this to its clock: a hundred years are for ever and do not overflow.
  return absl::ToTimeval(std::clamp(delay, absl::ZeroDuration(), absl::Hours(24) * 365 * 100));
}

// Credentials and tokens pass through libevent's buffers, which it moves and splits as it likes and
// frees as they are; so whatever it frees is wiped (I8). This is no more than once for each byte
// that was read or written.
void WipeAndFree(void* memory) {
  if (memory != nullptr) explicit_bzero(memory, malloc_usable_size(memory));
  free(memory);
}

void* WipeAndRealloc(void* memory, size_t size) {
  if (memory == nullptr) return malloc(size);
  void* const grown = malloc(size);
  if (grown == nullptr) return nullptr;
  memcpy(grown, memory, std::min(size, malloc_usable_size(memory)));
  WipeAndFree(memory);
  return grown;
}

bool UseWipedMemory() {
  event_set_mem_functions(&malloc, &WipeAndRealloc, &WipeAndFree);
  return true;
}

event_base* NewBase() {
  static const bool threads_ready = UseWipedMemory() && evthread_use_pthreads() == 0;
  COFFER_CHECK(threads_ready, "libevent has no thread support");
  event_base* base = event_base_new();
  COFFER_CHECK(base != nullptr, "libevent gave no event base");
  return base;
}

class LoopTimer final : public Timer {
 public:
  LoopTimer(event_base* base, absl::Duration delay, Task task) : task_(std::move(task)) {
    event_ = evtimer_new(base, &LoopTimer::OnFire, this);
    COFFER_CHECK(event_ != nullptr, "out of memory for a timer");
    const timeval after = LoopDelay(delay);
    evtimer_add(event_, &after);
  }
  ~LoopTimer() override { event_free(event_); }

 private:
  static void OnFire(evutil_socket_t, short, void* self) {
    // The task may destroy this timer: it runs from the stack.
    Task task = std::move(static_cast<LoopTimer*>(self)->task_);
    task();
  }

  event* event_;
  Task task_;
};

}  // namespace

EventLoop::EventLoop() : base_(NewBase()), wake_(evtimer_new(base_, &EventLoop::OnWake, this)) {
  COFFER_CHECK(wake_ != nullptr, "out of memory for an event");
}

EventLoop::~EventLoop() {
  // A task's captures may post again when they are destroyed, so this goes on until nothing is
  // left.
  for (;;) {
    std::deque<Task> dropped = std::move(turn_);
    turn_.clear();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (!posted_.empty()) {
        dropped.push_back(std::move(posted_.front()));
        posted_.pop_front();
      }
    }
    if (dropped.empty()) break;
  }
  event_free(wake_);
  event_base_free(base_);
}

void EventLoop::Post(Task task) {
  std::lock_guard<std::mutex> lock(mutex_);
  posted_.push_back(std::move(task));
  if (!wake_armed_) ArmWakeLocked();
}

// A timer of no length, and not event_active: libevent runs events that became active in a callback
// before it looks at sockets again, so a task that posts itself would starve them. Timers come
// round after the next look.
void EventLoop::ArmWakeLocked() {
  wake_armed_ = true;
  ++wakeups_;
  const timeval now{0, 0};
  evtimer_add(wake_, &now);
}

void EventLoop::OnWake(evutil_socket_t, short, void* self) {
  static_cast<EventLoop*>(self)->RunTurn();
}

void EventLoop::RunTurn() {
  if (turn_.empty()) {
    std::lock_guard<std::mutex> lock(mutex_);
    turn_.swap(posted_);
  }
  // wake_armed_ stays set meanwhile: what is posted during the turn needs no wake-up of its own.
  for (size_t i = 0; i < kMaxTasksPerTurn && !turn_.empty(); ++i) {
    Task task = std::move(turn_.front());
    turn_.pop_front();
    task();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  wake_armed_ = false;
  if (!turn_.empty() || !posted_.empty()) ArmWakeLocked();
}

std::unique_ptr<Timer> EventLoop::After(absl::Duration delay, Task task) {
  return std::make_unique<LoopTimer>(base_, delay, std::move(task));
}

absl::Time EventLoop::Now() const { return OsMonotonicNow(); }

absl::Time EventLoop::WallNow() const { return OsWallNow(); }

void EventLoop::Run() { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }

void EventLoop::Stop() {
  Post([this] { event_base_loopbreak(base_); });
}

uint64_t EventLoop::wakeups() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return wakeups_;
}

namespace {

constexpr int kBackgroundNice = 10;

// Of the calling thread alone: Linux has a nice value for each (setpriority(2), "C library/kernel
// differences"). A refusal costs speed and nothing else.
void YieldToOthers() {
  const auto self = static_cast<id_t>(gettid());
  setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + kBackgroundNice);
}

}  // namespace

EventLoopThread::EventLoopThread(std::string name, Priority priority)
    : thread_([this, name = name.substr(0, 15), priority] {
        pthread_setname_np(pthread_self(), name.c_str());
        if (priority == Priority::kBackground) YieldToOthers();
        loop_.Run();
      }) {}

EventLoopThread::~EventLoopThread() { StopAndJoin(); }

void EventLoopThread::StopAndJoin() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

void EventLoopThread::RunAndWait(Task task) {
  COFFER_CHECK(std::this_thread::get_id() != thread_.get_id(), "a loop would wait for itself");
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  loop_.Post([&] {
    task();
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    ready.notify_one();
  });
  std::unique_lock<std::mutex> lock(mutex);
  ready.wait(lock, [&] { return done; });
}

}  // namespace coffer::runtime
