#include "runtime/memory_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/runtime/support.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A server process, a client process and the wire between them.
struct World {
  explicit World(uint64_t seed) : scheduler(seed), wire(&scheduler) {
    enclave = scheduler.NewDispatcher("enclave");
    host = scheduler.NewDispatcher("host");
    enclave_net = wire.NewNode(enclave);
    host_net = wire.NewNode(host);
    server = std::make_unique<Server>(enclave_net.get());
    EXPECT_TRUE(server->Listen(at).ok());
  }
  void Dial() {
    host_net->Connect(at, [this](auto made) {
      ++answers;
      connect_status = made.status();
      if (!made.ok()) return;
      (*made)->SetHandler(&client);
      stream = *std::move(made);
    });
  }

  const Endpoint at = Endpoint::Parse("vsock://16:5000").value();
  TestScheduler scheduler;
  MemoryNetwork wire;
  TestDispatcher* enclave;
  TestDispatcher* host;
  std::unique_ptr<Network> enclave_net;
  std::unique_ptr<Network> host_net;
  std::unique_ptr<Server> server;
  Recorder client;
  std::unique_ptr<FramedStream> stream;
  int answers = 0;
  absl::Status connect_status;
};

TEST(MemoryNetworkTest, FramesKeepTheirOrderWhateverTheDelay) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    World world(seed);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(50));
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    ASSERT_NE(world.stream, nullptr);
    for (int i = 0; i < 20; ++i) world.stream->Send(absl::StrCat(i));
    EXPECT_EQ(world.server->recorders[0]->count, 0u);
    world.scheduler.Advance(absl::Seconds(2));
    ASSERT_EQ(world.server->recorders[0]->count, 20u);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(world.server->recorders[0]->frames[static_cast<size_t>(i)], absl::StrCat(i));
    }
    world.server->streams[0]->Send("back");
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_THAT(world.client.frames, ElementsAre("back"));
  }
}

TEST(MemoryNetworkTest, NobodyListensOrTheLinkIsCut) {
  World world(1);
  world.wire.Cut(world.at);
  world.Dial();
  EXPECT_EQ(world.answers, 0) << "the answer comes later";
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.answers, 1);
  EXPECT_THAT(world.connect_status.message(), HasSubstr("refused"));
  world.wire.Heal(world.at);
  world.Dial();
  world.scheduler.RunUntilIdle();
  ASSERT_NE(world.stream, nullptr);
  EXPECT_EQ(world.wire.open_connections(), 1u);
  world.wire.Cut(world.at);
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.client.closed, 1);
  EXPECT_EQ(world.server->recorders[0]->closed, 1);
  EXPECT_EQ(world.wire.open_connections(), 0u);
}

TEST(MemoryNetworkTest, ACrashClosesTheOtherSideAndMayLoseTheEnd) {
  bool lost_some = false;
  bool lost_none = false;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    World world(seed);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(5));
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    for (int i = 0; i < 5; ++i) world.server->streams[0]->Send(absl::StrCat(i));
    world.enclave->Crash();
    EXPECT_EQ(world.client.closed, 0);
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_EQ(world.client.closed, 1);
    for (size_t i = 0; i < world.client.count; ++i) {
      EXPECT_EQ(world.client.frames[i], absl::StrCat(i)) << "a prefix arrives, never a hole";
    }
    lost_some |= world.client.count < 5;
    lost_none |= world.client.count == 5;
    // The dead process' objects go, a new one takes its place.
    world.server.reset();
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_THAT(world.connect_status.message(), HasSubstr("refused"));
    TestDispatcher* again = world.scheduler.NewDispatcher("enclave");
    auto net = world.wire.NewNode(again);
    Server second(net.get());
    ASSERT_TRUE(second.Listen(world.at).ok());
    world.stream.reset();
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    ASSERT_NE(world.stream, nullptr);
    world.stream->Send("hello again");
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_THAT(second.recorders[0]->frames, ElementsAre("hello again"));
  }
  EXPECT_TRUE(lost_some);
  EXPECT_TRUE(lost_none);
}

// The other side sees what a real socket shows: a close between frames or within one.
TEST(MemoryNetworkTest, BytesAreLostInTheMiddleOfAFrameToo) {
  const std::string frame(1000, 'f');
  int within = 0;
  int between = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    World world(seed);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(5));
    world.wire.SetPieces(500, 500);
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    for (int i = 0; i < 3; ++i) world.server->streams[0]->Send(frame);
    world.enclave->Crash();
    world.scheduler.Advance(absl::Seconds(1));
    ASSERT_EQ(world.client.closed, 1);
    for (const std::string& got : world.client.frames) EXPECT_EQ(got, frame);
    const bool torn =
        world.client.close_why.message() == "the peer closed the connection within a frame";
    EXPECT_TRUE(torn || world.client.close_why.message() == "the peer closed the connection");
    EXPECT_FALSE(torn && world.client.count == 3);
    ++(torn ? within : between);
  }
  EXPECT_GT(within, 10);
  EXPECT_GT(between, 10);
}

TEST(MemoryNetworkTest, ACutTellsBothSidesOfAReset) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    World world(seed);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(5));
    world.wire.SetPieces(1000, 0);
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    world.server->streams[0]->Send("to the host");
    world.stream->Send("to the enclave");
    world.wire.Reset(world.at);
    world.stream->Send("after the cut");
    world.scheduler.Advance(absl::Seconds(1));
    Recorder& server = *world.server->recorders[0];
    for (Recorder* end : {&world.client, &server}) {
      EXPECT_EQ(end->closed, 1);
      EXPECT_THAT(end->close_why.message(), HasSubstr("reset by peer"));
      EXPECT_LE(end->count, 1u);
    }
    // A partial frame of the old connection is no part of the new one.
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    world.stream->Send("new");
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_THAT(world.server->recorders[1]->frames, ElementsAre("new"));
  }
}

// A reader that pauses inside OnFrame gets the rest of a piece later, also the half of a frame.
TEST(MemoryNetworkTest, APauseInTheMiddleOfAPiece) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    World world(seed);
    world.wire.SetDelay(absl::Milliseconds(1), absl::Milliseconds(5));
    world.wire.SetPieces(500, 1000);
    world.server->prepare = [](Recorder& recorder) {
      recorder.hook = [](FramedStream& stream) { stream.PauseReading(); };
    };
    world.Dial();
    world.scheduler.Advance(absl::Seconds(1));
    for (int i = 0; i < 12; ++i) world.stream->Send(absl::StrCat("frame ", i));
    for (size_t i = 1; i <= 12; ++i) {
      world.scheduler.Advance(absl::Seconds(1));
      ASSERT_EQ(world.server->recorders[0]->count, i) << "seed " << seed;
      EXPECT_EQ(world.server->recorders[0]->frames.back(), absl::StrCat("frame ", i - 1));
      world.server->streams[0]->ResumeReading();
    }
    world.scheduler.Advance(absl::Seconds(1));
    EXPECT_EQ(world.server->recorders[0]->count, 12u);
  }
}

TEST(MemoryNetworkTest, ACrashBeforeTheAcceptanceIsToldToo) {
  World world(5);
  world.wire.SetDelay(absl::Milliseconds(10), absl::Milliseconds(10));
  world.Dial();
  world.scheduler.RunUntil([&] { return world.stream != nullptr; }, absl::Seconds(1));
  ASSERT_TRUE(world.server->streams.empty());
  world.enclave->Crash();
  world.scheduler.Advance(absl::Seconds(1));
  EXPECT_EQ(world.client.closed, 1);
}

TEST(MemoryNetworkTest, APausedReaderPushesBack) {
  World world(2);
  world.server->paused = true;
  world.Dial();
  world.scheduler.RunUntilIdle();
  const std::string chunk(64u << 10, 'c');
  size_t sent = 0;
  while (world.stream->PendingOutput() <= world.stream->OutputLimit()) {
    world.stream->Send(chunk);
    ++sent;
  }
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.server->recorders[0]->count, 0u);
  EXPECT_EQ(world.client.writable, 0);
  world.server->streams[0]->ResumeReading();
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.server->recorders[0]->count, sent);
  EXPECT_EQ(world.client.writable, 1);
  EXPECT_EQ(world.stream->PendingOutput(), 0u);
}

TEST(MemoryNetworkTest, DestructionInCallbacksAndOrderlyClose) {
  World world(3);
  world.server->prepare = [&](Recorder& recorder) {
    recorder.hook = [&](FramedStream&) { world.server->streams.clear(); };
  };
  world.Dial();
  world.scheduler.RunUntilIdle();
  world.stream->Send("a");
  world.stream->Send("b");
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.server->recorders[0]->count, 1u);
  EXPECT_EQ(world.server->recorders[0]->closed, 0);
  EXPECT_EQ(world.client.closed, 1);

  world.server->prepare = nullptr;
  world.Dial();
  world.scheduler.RunUntilIdle();
  world.stream->Send("last words");
  world.stream->CloseAfterFlush();
  world.stream->Send("ignored");
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(world.client.closed, 2);
  EXPECT_EQ(world.client.close_why.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(world.server->recorders[1]->frames, ElementsAre("last words"));
  EXPECT_EQ(world.server->recorders[1]->closed, 1);
}

TEST(MemoryNetworkTest, AnEndpointInUseIsRefused) {
  World world(4);
  Server rival(world.host_net.get());
  EXPECT_EQ(rival.Listen(world.at).code(), absl::StatusCode::kFailedPrecondition);
  world.server.reset();
  EXPECT_TRUE(rival.Listen(world.at).ok());
}

}  // namespace
}  // namespace coffer::runtime
