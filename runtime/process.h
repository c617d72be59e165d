// A process and its environment: signals, systemd, core dumps, memory locks, version.
#ifndef COFFER_RUNTIME_PROCESS_H_
#define COFFER_RUNTIME_PROCESS_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "runtime/dispatcher.h"

struct event;

namespace coffer::runtime {

class EventLoop;

// "0.1.0", as built.
const char* BuildVersion();

// Writes to closed sockets answer with EPIPE, and those beyond a limit on the size of files with
// EFBIG, instead of killing the process. Call it first in main.
void IgnoreSigpipe();

// Calls `on_shutdown` once, on the loop, at the first SIGTERM or SIGINT. A second one ends the
// process at once with exit code 130, also when the loop is stuck. One object a process; on the
// loop's thread or before it runs.
class ShutdownSignals {
 public:
  ShutdownSignals(EventLoop* loop, absl::AnyInvocable<void(int signal)> on_shutdown);
  ~ShutdownSignals();
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

 private:
  static void OnSignal(int signal, short what, void* context);

  absl::AnyInvocable<void(int)> on_shutdown_;
  event* term_;
  event* interrupt_;
  bool fired_ = false;
};

// Calls `on_hangup` on the loop at every SIGHUP: reload what can be reloaded.
class HangupSignal {
 public:
  HangupSignal(EventLoop* loop, Task on_hangup);
  ~HangupSignal();

 private:
  static void OnSignal(int signal, short what, void* self);
  Task on_hangup_;
  event* event_;
};

// sd_notify(3); nothing happens without systemd.
void NotifyReady(const std::string& status);
void NotifyStatus(const std::string& status);
void NotifyStopping();

// Tells systemd, twice in every WatchdogSec, that this dispatcher still turns. Nothing without a
// watchdog.
class Watchdog {
 public:
  explicit Watchdog(Dispatcher* dispatcher);
  bool enabled() const { return period_ > absl::ZeroDuration(); }

 private:
  void Tick();
  Dispatcher* const dispatcher_;
  absl::Duration period_;
  std::unique_ptr<Timer> timer_;
};

// Raises the soft limit of open files to the hard one, so that many connections are not refused for
// want of a descriptor. Returns the limit in force.
uint64_t RaiseFileLimit();

// Starts this program anew, with the same arguments, unless all its symbols were looked up when it
// was started (LD_BIND_NOW, ld.so(8)). A look-up at the first call saves all registers on the
// stack, of its libraries' calls too, and in the wide ones lies what was copied last, which can be
// a secret. Returns OK when there is nothing to do, and an error when it cannot be done. First
// thing in main: nothing is kept.
absl::Status BindSymbolsNow(char** argv);

// No core dumps and no ptrace by others of the same user (I8): PR_SET_DUMPABLE 0, RLIMIT_CORE 0.
absl::Status ForbidCoreDumps();

// Keeps all memory of the process, now and later, out of swap (I8). Fails with a sentence that
// names RLIMIT_MEMLOCK when the limit is too low; the caller decides whether to go on.
absl::Status LockMemory();

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_PROCESS_H_
