// A dispatcher runs work on one thread, in order. Actors are pinned to one dispatcher for life.
//
// Two implementations: EventLoop (one thread, one libevent loop) and TestDispatcher (virtual time,
// one thread, a seed decides every order). Actors see only this interface, so that they run
// unchanged under both.
#ifndef COFFER_RUNTIME_DISPATCHER_H_
#define COFFER_RUNTIME_DISPATCHER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace coffer::runtime {

using Task = absl::AnyInvocable<void()>;

// A pending timer. Destroying it cancels it; after it has fired it does nothing.
class Timer {
 public:
  virtual ~Timer() = default;
};

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;

  // Runs `task` on this dispatcher's thread, after what was posted before it by the same thread.
  // Thread-safe. One wake-up serves all tasks posted before the loop gets to them. Not for data:
  // messages go through a bounded Mailbox; this is for wake-ups and control.
  virtual void Post(Task task) = 0;

  // Runs `task` once, `delay` from now, unless the timer is destroyed first. Dispatcher thread
  // only.
  [[nodiscard]] virtual std::unique_ptr<Timer> After(absl::Duration delay, Task task) = 0;

  // Monotonic time for intervals and time-outs. Its zero has no meaning.
  virtual absl::Time Now() const = 0;

  // Wall-clock time as the machine claims it; on the enclave side a claim of the host, never
  // trusted.
  virtual absl::Time WallNow() const = 0;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_DISPATCHER_H_
