#include "runtime/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/backoff.h"
#include "runtime/event_loop.h"
#include "runtime/metrics.h"
#include "runtime/os_env.h"
#include "runtime/os_random.h"
#include "runtime/socket_address.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/runtime/support.h"

namespace coffer::runtime {
namespace {

using testing::HasSubstr;

TEST(ShutdownSignalsTest, TheFirstSignalIsHandledOnTheLoop) {
  for (int signal : {SIGTERM, SIGINT}) {
    // In a child: the second signal's handler stays behind.
    EXPECT_EXIT(
        {
          EventLoop loop;
          ShutdownSignals signals(&loop, [&](int got) {
            if (got == signal) loop.Stop();
          });
          loop.Post([signal] { raise(signal); });
          loop.Run();
          std::_Exit(7);
        },
        testing::ExitedWithCode(7), "");
  }
}

TEST(ShutdownSignalsTest, TheSecondEndsTheProcessEvenIfTheLoopHangs) {
  EXPECT_EXIT(
      {
        EventLoop loop;
        ShutdownSignals signals(&loop, [](int) {
          raise(SIGTERM);  // the loop never turns again
          std::_Exit(1);
        });
        loop.Post([] { raise(SIGINT); });
        loop.Run();
      },
      testing::ExitedWithCode(130), "");
}

TEST(HangupSignalTest, IsCalledEveryTime) {
  EventLoop loop;
  int calls = 0;
  HangupSignal hangup(&loop, [&] { ++calls; });
  for (int want = 1; want <= 2; ++want) {
    raise(SIGHUP);
    EXPECT_TRUE(TurnUntil(loop, [&] { return calls == want; }));
  }
}

// A systemd that listens.
class NotifyTest : public testing::Test {
 protected:
  NotifyTest() : path_(absl::StrCat(testing::TempDir(), "cf-notify-", getpid())) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~NotifyTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    unlink(path_.c_str());
  }
  std::string Next() {
    char text[1000];
    const ssize_t n = recv(socket_.get(), text, sizeof(text), 0);
    return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
  }
  const std::string path_;
  Fd socket_;
};

TEST_F(NotifyTest, TellsSystemd) {
  NotifyReady("serving\nWATCHDOG=trigger");
  EXPECT_EQ(Next(), "READY=1\nSTATUS=serving WATCHDOG=trigger");
  NotifyStatus("busy");
  EXPECT_EQ(Next(), "STATUS=busy");
  NotifyStopping();
  EXPECT_EQ(Next(), "STOPPING=1");
}

TEST_F(NotifyTest, TheWatchdogTicksTwiceAPeriod) {
  TestScheduler scheduler(1);
  TestDispatcher* dispatcher = scheduler.NewDispatcher("main");
  EXPECT_FALSE(Watchdog(dispatcher).enabled());
  setenv("WATCHDOG_USEC", "2000000", 1);
  setenv("WATCHDOG_PID", absl::StrCat(getpid()).c_str(), 1);
  Watchdog watchdog(dispatcher);
  EXPECT_TRUE(watchdog.enabled());
  EXPECT_EQ(Next(), "WATCHDOG=1");
  EXPECT_EQ(Next(), "");
  scheduler.Advance(absl::Seconds(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Next(), "WATCHDOG=1");
  EXPECT_EQ(Next(), "");
}

TEST(ProcessTest, NoCoreDumps) {
  EXPECT_EXIT(
      {
        const absl::Status status = ForbidCoreDumps();
        rlimit limit{};
        getrlimit(RLIMIT_CORE, &limit);
        std::_Exit(status.ok() && prctl(PR_GET_DUMPABLE) == 0 && limit.rlim_max == 0 ? 7 : 1);
      },
      testing::ExitedWithCode(7), "");
}

TEST(ProcessTest, StartsAnewOnceSoThatNothingIsLookedUpLater) {
  setenv("LD_BIND_NOW", "1", 1);
  EXPECT_TRUE(BindSymbolsNow(nullptr).ok());
  unsetenv("LD_BIND_NOW");
  // The program that is started anew lists its tests, and ends well.
  std::string name = "test";
  std::string list = "--gtest_list_tests";
  std::string none = "--gtest_filter=None.*";
  std::array<char*, 4> arguments = {name.data(), list.data(), none.data(), nullptr};
  EXPECT_EXIT(
      {
        const absl::Status status = BindSymbolsNow(arguments.data());
        std::_Exit(status.ok() ? 1 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ProcessTest, LockingMemoryWorksOrSaysWhatToRaise) {
  EXPECT_EXIT(
      {
        const absl::Status status = LockMemory();
        const bool named = status.message().find("RLIMIT_MEMLOCK") != absl::string_view::npos;
        std::_Exit(status.ok() || named ? 7 : 1);
      },
      testing::ExitedWithCode(7), "");
}

// Kilobytes of this process that are in memory and locked there.
uint64_t LockedKilobytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("Locked:", 0) == 0) return std::strtoull(line.c_str() + 7, nullptr, 10);
  }
  return 0;
}

TEST(ProcessTest, WhatIsTouchedIsLockedAndTheRestIsNotThere) {
#if defined(COFFER_ADDRESS_SANITIZER) || defined(COFFER_THREAD_SANITIZER)
  GTEST_SKIP() << "sanitizers disable mlockall";
#endif
  EXPECT_EXIT(
      {
        constexpr size_t kBytes = 64u << 20;
        constexpr size_t kTouched = 8u << 20;
        std::string before(kTouched, 'a');
        if (!LockMemory().ok()) std::_Exit(7);  // not allowed here: the test above looks at that
        const uint64_t locked = LockedKilobytes();
        if (locked < kTouched >> 10) std::_Exit(1);  // what was there before
        void* const room =
            mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED || LockedKilobytes() > locked + (kTouched >> 10)) std::_Exit(2);
        std::memset(room, 'b', kTouched);
        const uint64_t more = LockedKilobytes() - locked;
        std::_Exit(more < kTouched >> 10 || more > kBytes >> 11 ? 3 : 7);
      },
      testing::ExitedWithCode(7), "");
}

TEST(ProcessTest, Version) { EXPECT_THAT(BuildVersion(), HasSubstr(".")); }

TEST(OsEnvTest, AForgottenSecretIsGoneFromTheBlock) {
  setenv("COFFER_TEST_SECRET", "hunter2", 1);
  EXPECT_EQ(OsEnv("COFFER_TEST_SECRET"), "hunter2");
  EXPECT_EQ(OsEnvironment().at("COFFER_TEST_SECRET"), "hunter2");
  const char* const place = getenv("COFFER_TEST_SECRET");
  OsForgetEnv("COFFER_TEST_SECRET");
  EXPECT_EQ(OsEnv("COFFER_TEST_SECRET"), std::nullopt);
  EXPECT_STREQ(place, "") << "the old bytes are wiped";
  OsForgetEnv("COFFER_TEST_SECRET");
}

TEST(RandomTest, SeedsRepeatAndTheKernelDoesNot) {
  uint8_t a[33] = {};
  uint8_t b[33] = {};
  SeededRandom(7).Fill(absl::MakeSpan(a));
  SeededRandom(7).Fill(absl::MakeSpan(b));
  EXPECT_EQ(std::memcmp(a, b, sizeof(a)), 0);
  SeededRandom(8).Fill(absl::MakeSpan(b));
  EXPECT_NE(std::memcmp(a, b, sizeof(a)), 0);
  // First output of SplitMix64 for the seed 1234567 (published test vector).
  EXPECT_EQ(SeededRandom(1234567).NextUint64(), 6457827717110365317ull);
  OsRandom kernel;
  EXPECT_NE(kernel.NextUint64(), kernel.NextUint64());
}

TEST(RandomTest, BelowIsBelow) {
  SeededRandom random(1);
  uint64_t seen = 0;
  for (int i = 0; i < 1000; ++i) seen |= 1ull << random.Below(10);
  EXPECT_EQ(seen, (1ull << 10) - 1);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(BackoffTest, GrowsToItsMaximumWithJitter) {
  SeededRandom random(3);
  Backoff backoff(absl::Milliseconds(100), absl::Seconds(1), &random);
  for (int round = 0; round < 2; ++round) {
    absl::Duration ceiling = absl::Milliseconds(100);
    bool jitter = false;
    for (int i = 0; i < 20; ++i) {
      const absl::Duration wait = backoff.Next();
      EXPECT_GE(wait, ceiling / 2);
      EXPECT_LE(wait, ceiling);
      jitter |= wait != ceiling && wait != ceiling / 2;
      ceiling = std::min(ceiling * 2, absl::Seconds(1));
    }
    EXPECT_TRUE(jitter);
    EXPECT_EQ(backoff.attempts(), 20);
    backoff.Reset();
    EXPECT_EQ(backoff.attempts(), 0);
  }
}

TEST(MetricsTest, SeriesAreThereAtZeroAndCount) {
  Metrics metrics;
  metrics.Counter("coffer_lines_total", "Lines.", {{"result", "applied"}});
  auto& dead = metrics.Counter("coffer_lines_total", "Lines.", {{"result", "dead"}});
  metrics.Gauge("coffer_queue_length", "Queue.").Set(3);
  metrics.Histogram("coffer_credit_seconds", "Latency.", LatencyBuckets()).Observe(0.002);
  dead.Increment();
  EXPECT_EQ(&metrics.Counter("coffer_lines_total", "Lines.", {{"result", "dead"}}), &dead);
  const std::string text = metrics.Text();
  for (const char* want :
       {"# HELP coffer_lines_total Lines.", "# TYPE coffer_lines_total counter",
        "coffer_lines_total{result=\"applied\"} 0", "coffer_lines_total{result=\"dead\"} 1",
        "coffer_queue_length 3", "coffer_credit_seconds_bucket{le=\"0.0025\"} 1",
        "coffer_credit_seconds_count 1"}) {
    EXPECT_THAT(text, HasSubstr(want));
  }
}

TEST(MetricsDeathTest, NamesHaveRules) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Metrics metrics;
  EXPECT_DEATH(metrics.Counter("lines_total", "h"), "begins with coffer_");
  EXPECT_DEATH(metrics.Counter("coffer_lines", "h"), "ends with _total");
  EXPECT_DEATH(metrics.Gauge("coffer_Queue", "h"), "lower-case");
}

}  // namespace
}  // namespace coffer::runtime
