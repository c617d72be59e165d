#include "runtime/event_loop.h"

#include <event2/buffer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "runtime/gate.h"
#include "runtime/mailbox.h"
#include "tests/support/own_memory.h"
#include "tests/unit/runtime/support.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;

TEST(EventLoopTest, RunsTasksInOrderAndStopsAfterThem) {
  EventLoop loop;
  std::vector<int> ran;
  for (int i = 0; i < 5; ++i) loop.Post([&ran, i] { ran.push_back(i); });
  loop.Stop();
  loop.Post([&ran] { ran.push_back(99); });
  loop.Run();
  EXPECT_THAT(std::vector<int>(ran.begin(), ran.begin() + 5), ElementsAre(0, 1, 2, 3, 4));
}

TEST(EventLoopTest, OneWakeUpServesABatch) {
  EventLoop loop;
  int ran = 0;
  for (int i = 0; i < 100; ++i) loop.Post([&ran] { ++ran; });
  EXPECT_EQ(loop.wakeups(), 1u);
  loop.Stop();
  loop.Run();
  EXPECT_EQ(ran, 100);
}

TEST(EventLoopTest, ATaskThatPostsItselfDoesNotStarveTimers) {
  EventLoop loop;
  bool fired = false;
  uint64_t spins = 0;
  std::function<void()> spin = [&] {
    ++spins;
    if (!fired) loop.Post(spin);
  };
  loop.Post(spin);
  auto timer = loop.After(absl::Milliseconds(5), [&] {
    fired = true;
    loop.Stop();
  });
  loop.Run();
  EXPECT_TRUE(fired);
  EXPECT_GT(spins, 1u);
}

TEST(EventLoopTest, DestroyedTimersDoNotFire) {
  EventLoop loop;
  bool fired = false;
  auto timer = loop.After(absl::Milliseconds(1), [&] { fired = true; });
  timer.reset();
  EXPECT_FALSE(TurnUntil(
      loop, [&] { return fired; }, absl::Milliseconds(20)));
}

TEST(EventLoopTest, ATimerMayDestroyItself) {
  EventLoop loop;
  std::unique_ptr<Timer> timer;
  auto held = std::make_shared<int>(7);
  int seen = 0;
  timer = loop.After(absl::Milliseconds(1), [&timer, &seen, held] {
    timer.reset();
    seen = *held;
  });
  EXPECT_TRUE(TurnUntil(loop, [&] { return seen == 7; }));
}

TEST(EventLoopTest, PendingTasksAreDestroyedWithTheLoop) {
  auto held = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.Post([held] {});
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(EventLoopTest, ManyThreadsPostAndEachKeepsItsOrder) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 20000;
  EventLoopThread runner("rt-test-with-a-long-name");
  std::vector<int> next(kThreads, 0);
  int total = 0;
  bool ordered = true;
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        runner.loop()->Post([&, t, i] {
          ordered = ordered && next[static_cast<size_t>(t)]++ == i;
          ++total;
        });
      }
    });
  }
  for (auto& poster : posters) poster.join();
  runner.RunAndWait([] {});
  runner.StopAndJoin();
  EXPECT_TRUE(ordered);
  EXPECT_EQ(total, kThreads * kTasks);
  EXPECT_LT(runner.loop()->wakeups(), static_cast<uint64_t>(kThreads * kTasks));
}

// --- mailboxes ---

struct Adder : Actor<std::unique_ptr<int>> {
  void Receive(std::unique_ptr<int> message) override {
    seen.push_back(*message);
    ++in_batch;
  }
  void EndOfBatch() override { batches.push_back(std::exchange(in_batch, 0)); }
  std::vector<int> seen;
  std::vector<int> batches;
  int in_batch = 0;
};

TEST(EventLoopThreadTest, ABackgroundThreadYieldsAndItsCreatorDoesNot) {
  const auto own = [] { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); };
  const int before = own();
  int normal = 0, background = 0;
  EventLoopThread("normal").RunAndWait([&] { normal = own(); });
  EventLoopThread("back", EventLoopThread::Priority::kBackground).RunAndWait([&] {
    background = own();
  });
  EXPECT_EQ(normal, before);
  EXPECT_EQ(background, std::min(19, before + 10));
  EXPECT_EQ(own(), before);
}

TEST(EventLoopTest, WhatLibeventGivesBackIsWiped) {
  EventLoop loop;
  const test_support::Planted secret;
  evbuffer* buffer = evbuffer_new();
  std::string text = secret.Make();
  // Across pieces of the buffer, which it joins by copying.
  for (const char c : text) {
    ASSERT_EQ(evbuffer_add(buffer, &c, 1), 0);
    evbuffer_expand(buffer, 4096);
  }
  explicit_bzero(text.data(), text.size());
  ASSERT_NE(evbuffer_pullup(buffer, -1), nullptr);
  EXPECT_GE(secret.Count(), 1u);
  evbuffer_drain(buffer, text.size());
  evbuffer_free(buffer);
  EXPECT_EQ(secret.Count(), 0u);
}

TEST(MailboxTest, AFullMailboxLeavesTheMessageAlone) {
  EventLoop loop;
  Adder adder;
  Mailbox<std::unique_ptr<int>> mailbox(&loop, "adder", 2);
  mailbox.Bind(&adder);
  EXPECT_TRUE(mailbox.TrySend(std::make_unique<int>(1)));
  EXPECT_TRUE(mailbox.TrySend(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(mailbox.TrySend(std::move(third)));
  ASSERT_NE(third, nullptr) << "a refused message still belongs to its sender";
  EXPECT_EQ(mailbox.size(), 2u);
  EXPECT_EQ(mailbox.capacity(), 2u);
  loop.Stop();
  loop.Run();
  EXPECT_TRUE(mailbox.TrySend(std::move(third)));
  EXPECT_EQ(third, nullptr);
  loop.Stop();
  loop.Run();
  EXPECT_THAT(adder.seen, ElementsAre(1, 2, 3));
  EXPECT_THAT(adder.batches, ElementsAre(2, 1));
}

TEST(MailboxTest, ARunIsBoundedSoThatOthersGetTheirTurn) {
  EventLoop loop;
  Adder adder;
  Mailbox<std::unique_ptr<int>> mailbox(&loop, "adder", 1000);
  mailbox.Bind(&adder);
  for (int i = 0; i < 600; ++i) mailbox.Send(std::make_unique<int>(i));
  EXPECT_EQ(loop.wakeups(), 1u) << "one wake-up, not one a message";
  TurnUntil(loop, [&] { return adder.seen.size() == 600; });
  EXPECT_THAT(adder.batches, ElementsAre(256, 256, 88));
}

TEST(MailboxDeathTest, OverflowBehindTheDoorStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EventLoop loop;
  Mailbox<int> mailbox(&loop, "small", 1);
  mailbox.Send(1);
  EXPECT_DEATH(mailbox.Send(2), "mailbox overflow behind the admission door");
}

TEST(MailboxTest, ManySendersToOneActorLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 5000;
  EventLoopThread runner("adder");
  Adder adder;
  Mailbox<std::unique_ptr<int>> mailbox(runner.loop(), "adder", 64);
  mailbox.Bind(&adder);
  std::vector<std::thread> senders;
  for (int t = 0; t < kThreads; ++t) {
    senders.emplace_back([&] {
      for (int i = 0; i < kMessages; ++i) {
        auto message = std::make_unique<int>(i);
        while (!mailbox.TrySend(std::move(message))) std::this_thread::yield();
      }
    });
  }
  for (auto& sender : senders) sender.join();
  for (bool empty = false; !empty;) {
    runner.RunAndWait([&] { empty = mailbox.size() == 0; });
  }
  runner.StopAndJoin();
  EXPECT_EQ(adder.seen.size(), static_cast<size_t>(kThreads * kMessages));
}

// --- gate ---

TEST(GateTest, ClosesWhenTheLastPassIsGone) {
  Gate gate;
  int drained = 0;
  auto first = gate.Enter();
  auto second = gate.Enter();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(gate.inside(), 2u);
  gate.Close([&] { ++drained; });
  EXPECT_FALSE(gate.Enter().has_value());
  first.reset();
  EXPECT_EQ(drained, 0);
  Gate::Pass moved = *std::move(second);
  second.reset();  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(drained, 0) << "the pass was moved, not given back";
  { const Gate::Pass last = std::move(moved); }
  EXPECT_EQ(drained, 1);
}

TEST(GateTest, AnEmptyGateDrainsAtOnce) {
  Gate gate;
  bool drained = false;
  gate.Close([&] { drained = true; });
  EXPECT_TRUE(drained);
}

TEST(GateDeathTest, DestructionWithWorkInFlightStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto gate = std::make_unique<Gate>();
        auto pass = gate->Enter();
        gate.reset();
      },
      "work in flight");
}

}  // namespace
}  // namespace coffer::runtime
