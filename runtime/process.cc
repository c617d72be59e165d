#include "runtime/process.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"
#include "runtime/os_env.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {
namespace {

// Of memory that is locked. The usual frame, some hundred KB, is made of memory that is kept: what
// the system gives and takes back is filled with zeros, page by page, each time.
constexpr int kLargePieceBytes = 4 << 20;
constexpr int kKeptBytes = 16 << 20;
constexpr int kGrowthBytes = 1 << 20;
constexpr int kExitBySignal = 130;

void ExitHard(int) { _exit(kExitBySignal); }

event* NewSignal(EventLoop* loop, int signal, event_callback_fn callback, void* self) {
  event* made = evsignal_new(loop->base(), signal, callback, self);
  COFFER_CHECK(made != nullptr && evsignal_add(made, nullptr) == 0, "a signal cannot be watched");
  return made;
}

// A newline in a status would begin another assignment.
std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

}  // namespace

const char* BuildVersion() { return COFFER_VERSION; }

void IgnoreSigpipe() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

ShutdownSignals::ShutdownSignals(EventLoop* loop, absl::AnyInvocable<void(int)> on_shutdown)
    : on_shutdown_(std::move(on_shutdown)),
      term_(NewSignal(loop, SIGTERM, &ShutdownSignals::OnSignal, this)),
      interrupt_(NewSignal(loop, SIGINT, &ShutdownSignals::OnSignal, this)) {}

ShutdownSignals::~ShutdownSignals() {
  event_free(term_);
  event_free(interrupt_);
}

void ShutdownSignals::OnSignal(int signal, short, void* context) {
  auto* self = static_cast<ShutdownSignals*>(context);
  if (std::exchange(self->fired_, true)) _exit(kExitBySignal);
  // From now on the kernel itself calls the exit: a loop that hangs while shutting down can still
  // be ended.
  event_del(self->term_);
  event_del(self->interrupt_);
  ::signal(SIGTERM, &ExitHard);
  ::signal(SIGINT, &ExitHard);
  self->on_shutdown_(signal);
}

HangupSignal::HangupSignal(EventLoop* loop, Task on_hangup)
    : on_hangup_(std::move(on_hangup)),
      event_(NewSignal(loop, SIGHUP, &HangupSignal::OnSignal, this)) {}

HangupSignal::~HangupSignal() { event_free(event_); }

void HangupSignal::OnSignal(int, short, void* self) {
  static_cast<HangupSignal*>(self)->on_hangup_();
}

void NotifyReady(const std::string& status) {
  sd_notify(0, absl::StrCat("READY=1\nSTATUS=", OneLine(status)).c_str());
}

void NotifyStatus(const std::string& status) {
  sd_notify(0, absl::StrCat("STATUS=", OneLine(status)).c_str());
}

void NotifyStopping() { sd_notify(0, "STOPPING=1"); }

Watchdog::Watchdog(Dispatcher* dispatcher) : dispatcher_(dispatcher) {
  uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) <= 0 || micros == 0) return;
  period_ = absl::Microseconds(micros) / 2;
  Tick();
}

void Watchdog::Tick() {
  sd_notify(0, "WATCHDOG=1");
  timer_ = dispatcher_->After(period_, [this] { Tick(); });
}

absl::Status BindSymbolsNow(char** argv) {
  constexpr char kVariable[] = "LD_BIND_NOW";
  if (OsEnv(kVariable).has_value()) return absl::OkStatus();
  if (setenv(kVariable, "1", 1) == 0) execv("/proc/self/exe", argv);
  return absl::UnavailableError(
      absl::StrCat("this program cannot be started anew: ", ErrnoText(errno)));
}

absl::Status ForbidCoreDumps() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return absl::InternalError(absl::StrCat("prctl(PR_SET_DUMPABLE) failed: ", ErrnoText(errno)));
  }
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) {
    return absl::InternalError(absl::StrCat("setrlimit(RLIMIT_CORE) failed: ", ErrnoText(errno)));
  }
  return absl::OkStatus();
}

uint64_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

absl::Status LockMemory() {
  // Under a finite limit MCL_FUTURE would succeed now and make a later allocation fail, in the
  // middle of work.
  rlimit limit{};
  if (geteuid() != 0 &&
      (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)) {
    return absl::FailedPreconditionError(
        "memory is not locked against swapping: RLIMIT_MEMLOCK is finite; raise it to unlimited "
        "(ulimit -l, LimitMEMLOCK= in systemd)");
  }
  // What is freed but kept stays locked, too, so large pieces go back to the system at once, and of
  // the rest all but kKeptBytes. Given a threshold, glibc leaves it as it is, and does not raise it
  // with each large piece that is freed.
  mallopt(M_MMAP_THRESHOLD, kLargePieceBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kGrowthBytes);
  // A page is locked from the moment at which there is something in it (mlock(2), MCL_ONFAULT).
  // What nobody touches need not be there: the rest of libraries, and of each thread's stack of 8
  // MiB.
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return absl::OkStatus();
  if (errno == EINVAL && mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("memory cannot be locked against swapping: ", ErrnoText(errno),
                   "; raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= in systemd)"));
}

}  // namespace coffer::runtime
