// The real dispatcher: one thread, one libevent loop.
#ifndef COFFER_RUNTIME_EVENT_LOOP_H_
#define COFFER_RUNTIME_EVENT_LOOP_H_

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "runtime/dispatcher.h"

struct event;
struct event_base;

namespace coffer::runtime {

class EventLoop final : public Dispatcher {
 public:
  // At most this many posted tasks run before sockets and timers get their turn.
  static constexpr size_t kMaxTasksPerTurn = 128;

  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  // Tasks that were never run are destroyed. Timers and sockets of this loop must be gone already.
  ~EventLoop() override;

  void Post(Task task) override;
  // Kernel timers of this kind tick every 1 to 4 ms: a timer may fire up to one tick early.
  std::unique_ptr<Timer> After(absl::Duration delay, Task task) override;
  absl::Time Now() const override;
  absl::Time WallNow() const override;

  // Runs on the calling thread, which becomes the dispatcher's thread, until Stop. May be called
  // again.
  void Run();
  // Lets Run() return once the tasks posted before are done. Thread-safe.
  void Stop();

  // For the parts that talk to libevent (sockets, signals). Loop thread, or before Run().
  event_base* base() { return base_; }
  // Wake-ups asked of libevent so far: fewer than tasks posted, which is the point.
  uint64_t wakeups() const;

 private:
  static void OnWake(int fd, short what, void* self);
  void RunTurn();
  void ArmWakeLocked();

  event_base* base_;
  event* wake_;
  mutable std::mutex mutex_;
  std::deque<Task> posted_;  // guarded by mutex_
  bool wake_armed_ = false;  // guarded by mutex_
  uint64_t wakeups_ = 0;     // guarded by mutex_
  std::deque<Task> turn_;    // loop thread
};

// An EventLoop with a thread of its own. The destructor stops the loop and joins.
class EventLoopThread {
 public:
  // How the machine shares its cores when they are all wanted: kBackground has about a tenth of
  // what another thread gets (10 steps of nice(2)), and all that the others leave.
  enum class Priority { kNormal, kBackground };

  // `name` is what ps and gdb show, cut to 15 bytes (pthread_setname_np).
  explicit EventLoopThread(std::string name, Priority priority = Priority::kNormal);
  ~EventLoopThread();

  EventLoop* loop() { return &loop_; }
  // Runs `task` on the loop and waits for it. For set-up and tear-down; never from the loop itself.
  void RunAndWait(Task task);
  // Stops and joins now; what is on the loop can then be destroyed by the caller's thread.
  // Idempotent.
  void StopAndJoin();

 private:
  EventLoop loop_;
  std::thread thread_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_EVENT_LOOP_H_
