#include "runtime/test_dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace coffer::runtime {
namespace {

using testing::ElementsAre;

// Two dispatchers and timers that interleave; the string is what happened.
std::string Play(uint64_t seed, uint64_t* trace) {
  TestScheduler scheduler(seed);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  TestDispatcher* b = scheduler.NewDispatcher("b");
  std::string log;
  for (char c : {'1', '2', '3', '4'}) {
    a->Post([&log, c] { log += c; });
    b->Post([&log, c, a] {
      log += static_cast<char>(c + ('a' - '1'));
      a->Post([&log] { log += '.'; });
    });
  }
  auto t1 = a->After(absl::Seconds(1), [&] { log += 'X'; });
  auto t2 = b->After(absl::Seconds(1), [&] { log += 'Y'; });
  scheduler.RunUntilIdle();
  scheduler.Advance(absl::Seconds(1));
  *trace = scheduler.trace();
  return log;
}

TEST(TestSchedulerTest, TheSameSeedGivesTheSameRunAndSeedsDiffer) {
  std::set<std::string> runs;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    uint64_t first = 0;
    uint64_t second = 0;
    const std::string run = Play(seed, &first);
    EXPECT_EQ(run, Play(seed, &second));
    EXPECT_EQ(first, second);
    runs.insert(run);
    std::string digits;
    for (char c : run) {
      if (c >= '1' && c <= '4') digits += c;
    }
    EXPECT_EQ(digits, "1234") << "one poster's order was broken in " << run;
  }
  EXPECT_GT(runs.size(), 20u);
}

TEST(TestSchedulerTest, TimersFireInVirtualTimeAndInItsOrder) {
  TestScheduler scheduler(1);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  std::vector<std::string> log;
  const absl::Time start = a->Now();
  auto late = a->After(absl::Seconds(3), [&] {
    EXPECT_EQ(a->Now() - start, absl::Seconds(3));
    log.push_back("late");
  });
  std::unique_ptr<Timer> chained;
  auto early = a->After(absl::Seconds(1), [&] {
    log.push_back("early");
    chained = a->After(absl::Seconds(1), [&] { log.push_back("chained"); });
  });
  auto cancelled = a->After(absl::Seconds(1), [&] { log.push_back("cancelled"); });
  cancelled.reset();
  scheduler.RunUntilIdle();
  EXPECT_TRUE(log.empty());
  scheduler.Advance(absl::Seconds(10));
  EXPECT_THAT(log, ElementsAre("early", "chained", "late"));
  EXPECT_EQ(a->Now() - start, absl::Seconds(10));
}

TEST(TestSchedulerTest, ATimerDestroyedWhenAlreadyDueDoesNotFire) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    TestScheduler scheduler(seed);
    TestDispatcher* a = scheduler.NewDispatcher("a");
    int fired = 0;
    std::unique_ptr<Timer> one;
    std::unique_ptr<Timer> two;
    one = a->After(absl::Seconds(1), [&] {
      ++fired;
      two.reset();
    });
    two = a->After(absl::Seconds(1), [&] {
      ++fired;
      one.reset();
    });
    scheduler.Advance(absl::Seconds(2));
    EXPECT_EQ(fired, 1);
  }
}

TEST(TestSchedulerTest, ACrashDropsTasksAndTimers) {
  TestScheduler scheduler(1);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  int ran = 0;
  int told = 0;
  auto held = std::make_shared<int>(0);
  a->OnCrash([&] { ++told; });
  a->Post([&ran, held] { ++ran; });
  auto timer = a->After(absl::Seconds(1), [&ran, held] { ++ran; });
  a->Crash();
  a->Crash();
  a->Post([&ran] { ++ran; });
  auto after = a->After(absl::ZeroDuration(), [&ran] { ++ran; });
  scheduler.Advance(absl::Seconds(5));
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(a->alive());
  timer.reset();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TestSchedulerTest, StepRunsOneTaskAndRunUntilStopsAtTheCondition) {
  TestScheduler scheduler(3);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  int ran = 0;
  a->Post([&] { ++ran; });
  a->Post([&] { ++ran; });
  EXPECT_TRUE(scheduler.Step());
  EXPECT_EQ(ran, 1);
  EXPECT_TRUE(scheduler.Step());
  EXPECT_FALSE(scheduler.Step());
  auto timer = a->After(absl::Minutes(5), [&] { ++ran; });
  EXPECT_FALSE(scheduler.RunUntil([&] { return ran == 3; }, absl::Minutes(4)));
  EXPECT_TRUE(scheduler.RunUntil([&] { return ran == 3; }, absl::Minutes(10)));
}

TEST(TestSchedulerTest, TheWallClockMayLie) {
  TestScheduler scheduler(1);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  const absl::Time honest = a->WallNow();
  EXPECT_EQ(absl::FormatTime(honest, absl::UTCTimeZone()), "2026-01-01T00:00:00+00:00");
  scheduler.Advance(absl::Hours(1));
  a->set_wall_offset(-absl::Hours(2));
  EXPECT_EQ(a->WallNow() - honest, -absl::Hours(1));
}

TEST(TestSchedulerDeathTest, EndlessTasksAreABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TestScheduler scheduler(1);
  TestDispatcher* a = scheduler.NewDispatcher("a");
  std::function<void()> again = [&] { a->Post(again); };
  a->Post(again);
  EXPECT_DEATH(scheduler.RunUntilIdle(1000), "never come to rest");
}

}  // namespace
}  // namespace coffer::runtime
