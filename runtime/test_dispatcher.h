// Deterministic dispatchers for tests and the simulator: virtual time, one thread, and a seed that
// decides every order the contract of Dispatcher leaves open. The same seed and the same calls give
// the same run.
#ifndef COFFER_RUNTIME_TEST_DISPATCHER_H_
#define COFFER_RUNTIME_TEST_DISPATCHER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "runtime/dispatcher.h"
#include "runtime/random.h"

namespace coffer::runtime {

class TestScheduler;

// One logical thread of a simulated process. Made by, and owned by, a TestScheduler.
class TestDispatcher final : public Dispatcher {
 public:
  void Post(Task task) override;
  std::unique_ptr<Timer> After(absl::Duration delay, Task task) override;
  absl::Time Now() const override;
  // Starts at 2026-01-01T00:00:00Z and goes with virtual time, plus the offset set below.
  absl::Time WallNow() const override;

  // A wall clock that lies; may go back.
  void set_wall_offset(absl::Duration offset) { wall_offset_ = offset; }

  // Like the process being killed: pending tasks and timers are dropped, later ones are ignored,
  // and the crash listeners are told. The object stays valid, so that what still points at it can
  // be destroyed afterwards.
  void Crash();
  bool alive() const { return alive_; }
  // Like the process being stopped (SIGSTOP) for so long: nothing runs, what falls due meanwhile
  // runs afterwards, in its order.
  void Freeze(absl::Duration duration);
  // Called once, at the crash, after the tasks are gone.
  void OnCrash(Task listener) { crash_listeners_.push_back(std::move(listener)); }
  const std::string& name() const { return name_; }

 private:
  friend class TestScheduler;
  TestDispatcher(TestScheduler* scheduler, std::string name, uint64_t id)
      : scheduler_(scheduler), name_(std::move(name)), id_(id) {}

  TestScheduler* const scheduler_;
  const std::string name_;
  const uint64_t id_;
  bool alive_ = true;
  absl::Time frozen_until_ = absl::InfinitePast();
  absl::Duration wall_offset_ = absl::ZeroDuration();
  std::vector<Task> crash_listeners_;
};

class TestScheduler {
 public:
  explicit TestScheduler(uint64_t seed);
  TestScheduler(const TestScheduler&) = delete;
  TestScheduler& operator=(const TestScheduler&) = delete;
  ~TestScheduler();

  // Owned by the scheduler; valid until it is destroyed.
  TestDispatcher* NewDispatcher(std::string name);

  // Runs one task, chosen by the seed among the sources that have one. False when nothing can run
  // now.
  bool Step();
  // Runs until nothing can run without time passing. More than `max_steps` steps mean a loop that
  // never ends: the process stops.
  size_t RunUntilIdle(size_t max_steps = 100'000'000);
  // Moves time, running everything that falls due on the way, in order of its time.
  void Advance(absl::Duration duration);
  // Goes from timer to timer until `done` holds; false if it did not within `limit` of virtual
  // time.
  bool RunUntil(absl::FunctionRef<bool()> done, absl::Duration limit);

  absl::Time Now() const { return now_; }
  uint64_t steps() const { return steps_; }
  // A digest of every choice made so far: equal digests, equal runs.
  uint64_t trace() const { return trace_; }
  // The source of the run's choices; faults are drawn from it too.
  Random& random() { return random_; }

  // For simulated devices. Tasks of one source keep their order; different sources are interleaved
  // by the seed.
  uint64_t NewSource() { return ++last_id_; }
  void PostFrom(uint64_t source, TestDispatcher* to, Task task);
  // Runs `task` as if posted at that time (now, if it is past).
  void PostAt(absl::Time time, uint64_t source, TestDispatcher* to, Task task);

 private:
  friend class TestDispatcher;
  struct TimedTask {
    TestDispatcher* to;
    uint64_t source;
    Task task;
  };
  struct Queue {
    TestDispatcher* to;
    uint64_t source;
    std::deque<Task> tasks;
  };

  // Makes what is due at the earliest time, if that is no later than `limit`, runnable.
  bool FireNext(absl::Time limit);
  void Drop(TestDispatcher* dispatcher);
  // What is runnable there runs when it is no longer frozen.
  void Defer(TestDispatcher* dispatcher);
  void Mix(uint64_t value);

  SeededRandom random_;
  absl::Time now_;
  uint64_t last_id_ = 0;
  uint64_t running_ = 0;  // id of the dispatcher whose task runs; 0 is the test itself
  uint64_t steps_ = 0;
  uint64_t timed_count_ = 0;
  uint64_t trace_ = 0xcbf29ce484222325;
  std::vector<std::unique_ptr<TestDispatcher>> dispatchers_;
  std::deque<Queue> runnable_;  // every one has a task
  std::map<std::pair<absl::Time, uint64_t>, TimedTask> timed_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_TEST_DISPATCHER_H_
