#include "runtime/event_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime/network_fixture.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(EventNetworkTest, FramesGoBothWaysOverTcpAndUnix) {
  for (const std::string& where :
       {std::string("tcp://127.0.0.1:0"), std::string("tcp://localhost:0"),
        UnixEndpoint("both").ToString()}) {
    SCOPED_TRACE(where);
    Start({}, where);
    Recorder client;
    auto stream = Dial(&client);
    ASSERT_NE(stream, nullptr);
    stream->Send("hello");
    stream->Send(std::string(300000, 'x'));
    ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 2; }));
    EXPECT_EQ(first().frames[0], "hello");
    EXPECT_EQ(first().frames[1], std::string(300000, 'x'));
    server->streams[0]->Send("back");
    ASSERT_TRUE(Turn([&] { return client.count == 1; }));
    EXPECT_THAT(client.frames, ElementsAre("back"));
    EXPECT_EQ(stream->PendingOutput(), 0u);
    stream.reset();
    ASSERT_TRUE(Turn([&] { return first().closed == 1; }));
    EXPECT_THAT(first().close_why.message(), HasSubstr("closed the connection"));
  }
}

TEST_F(EventNetworkTest, SecretsGoAsFramesInTheirOrder) {
  Start();
  Recorder client;
  auto stream = Dial(&client);
  ASSERT_NE(stream, nullptr);
  std::string secret(200000, 's');
  stream->Send("before");
  stream->SendSecret(secret);
  secret.assign(secret.size(), 0);
  stream->Send("after");
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 3; }));
  EXPECT_THAT(first().frames, ElementsAre("before", std::string(200000, 's'), "after"));
  EXPECT_EQ(stream->PendingOutput(), 0u);
  // What was not sent goes with the stream.
  server->streams[0]->PauseReading();
  stream->SendSecret(std::string(1u << 20, 's'));
  stream.reset();
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn([&] { return first().closed == 1; }));
}

TEST_F(EventNetworkTest, OwnedFramesGoInTheirOrderHoweverLong) {
  Start();
  Recorder client;
  auto stream = Dial(&client);
  ASSERT_NE(stream, nullptr);
  std::vector<std::string> frames;
  for (const size_t size : {size_t{1}, size_t{16'383}, size_t{16'384}, size_t{3} << 20}) {
    frames.emplace_back(size, static_cast<char>('a' + frames.size()));
    stream->SendOwned(frames.back());
    frames.emplace_back("between");
    stream->Send(frames.back());
  }
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == frames.size(); }));
  EXPECT_TRUE(first().frames == frames);
  EXPECT_EQ(stream->PendingOutput(), 0u);
  // What was not sent goes with the stream.
  server->streams[0]->PauseReading();
  stream->SendOwned(std::string(1u << 20, 'x'));
  stream.reset();
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn([&] { return first().closed == 1; }));
}

TEST_F(EventNetworkTest, AFrameMayBeTornAtAnyByte) {
  Start();
  const std::string bytes = Frame("first") + Frame("2") + Frame("third frame");
  Fd raw = Raw();
  size_t want = 0;
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    WriteAll(raw.get(), std::string_view(bytes).substr(0, cut));
    Turn([] { return false; }, absl::Milliseconds(2));
    WriteAll(raw.get(), std::string_view(bytes).substr(cut));
    want += 3;
    ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == want; })) << cut;
  }
  for (size_t i = 0; i < want; i += 3) {
    EXPECT_EQ(first().frames[i], "first");
    EXPECT_EQ(first().frames[i + 1], "2");
    EXPECT_EQ(first().frames[i + 2], "third frame");
  }
}

TEST_F(EventNetworkTest, ForbiddenLengthsCloseTheConnectionAndTheListenerGoesOn) {
  Start();
  const struct {
    const char* name;
    std::string bytes;
    const char* why;
  } kCases[] = {
      {"zero", std::string(4, '\0'), "a frame of 0 bytes"},
      {"one too many", std::string("\x01\x00\x00\x01", 4), "a frame of 16777217 bytes"},
      {"the largest number", std::string(4, '\xff'), "a frame of 4294967295 bytes"},
      {"after a good frame", Frame("ok") + std::string(4, '\xff'), "4294967295"},
      {"an HTTP request", "GET / HTTP/1.1\r\n\r\n", "a frame of 1195725856 bytes"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    const size_t at = server->recorders.size();
    Fd raw = Raw();
    WriteAll(raw.get(), test.bytes);
    ASSERT_TRUE(
        Turn([&] { return server->recorders.size() > at && server->recorders[at]->closed == 1; }));
    EXPECT_EQ(server->recorders[at]->close_why.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(server->recorders[at]->close_why.message(), HasSubstr(test.why));
    char byte;
    EXPECT_LE(recv(raw.get(), &byte, 1, 0), 0) << "the socket must be closed";
  }
  Recorder client;
  auto stream = Dial(&client);
  stream->Send("still here");
  ASSERT_TRUE(Turn([&] { return server->recorders.back()->count == 1; }));
}

TEST_F(EventNetworkTest, TheLargestFrameArrives) {
  Start();
  Recorder client;
  auto stream = Dial(&client);
  stream->Send(std::string(kMaxFrameBytes, 'm'));
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 1; }));
  EXPECT_EQ(first().bytes, kMaxFrameBytes);
}

TEST_F(EventNetworkTest, ASilentPeerWithinAFrameIsDroppedAndAnIdleOneIsNot) {
  NetworkOptions options;
  options.mid_frame_timeout = absl::Milliseconds(50);
  Start(options);
  Fd idle = Raw();
  WriteAll(idle.get(), Frame("whole"));
  ASSERT_TRUE(Turn([&] { return server->recorders.size() == 1 && first().count == 1; }));
  Fd torn = Raw();
  WriteAll(torn.get(), Frame("never whole").substr(0, 7));
  ASSERT_TRUE(
      Turn([&] { return server->recorders.size() == 2 && server->recorders[1]->closed == 1; }));
  EXPECT_THAT(server->recorders[1]->close_why.message(), HasSubstr("a part of a frame"));
  Turn([] { return false; }, absl::Milliseconds(120));
  EXPECT_EQ(first().closed, 0);
}

TEST_F(EventNetworkTest, APausedReaderHoldsTheSenderBack) {
  Start();
  server->paused = true;
  server->prepare = [](Recorder& recorder) { recorder.keep = false; };
  Recorder client;
  auto stream = Dial(&client);
  ASSERT_TRUE(Turn([&] { return server->streams.size() == 1; }));
  // An owner that keeps the rule: it stops above the limit and goes on at OnWritable.
  constexpr size_t kTotal = 100u << 20;
  const std::string chunk(64u << 10, 'c');
  size_t sent = 0;
  size_t peak = 0;
  auto produce = [&] {
    while (sent < kTotal && stream->PendingOutput() <= stream->OutputLimit()) {
      stream->Send(chunk);
      sent += chunk.size();
      peak = std::max(peak, stream->PendingOutput());
    }
  };
  produce();
  Turn(
      [&] {
        produce();
        return false;
      },
      absl::Milliseconds(200));
  EXPECT_LT(sent, size_t{24} << 20) << "the paused reader did not push back";
  EXPECT_EQ(first().count, 0u);
  const size_t stuck = sent;
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn(
      [&] {
        produce();
        return first().bytes == kTotal;
      },
      absl::Seconds(60)));
  EXPECT_GT(sent, stuck);
  EXPECT_GT(client.writable, 0);
  EXPECT_LE(peak, stream->OutputLimit() + chunk.size() + 4);
}

TEST_F(EventNetworkTest, AnOwnerThatIgnoresTheLimitLosesTheStream) {
  NetworkOptions options;
  options.output_limit = 1u << 20;
  options.output_ceiling = 8u << 20;
  Start(options);
  server->paused = true;
  Recorder client;
  auto stream = Dial(&client);
  const std::string chunk(1u << 20, 'c');
  for (int i = 0; i < 64; ++i) stream->Send(chunk);
  EXPECT_EQ(client.closed, 0) << "never from inside Send";
  EXPECT_LE(stream->PendingOutput(), options.output_ceiling);
  ASSERT_TRUE(Turn([&] { return client.closed == 1; }));
  EXPECT_THAT(client.close_why.message(), HasSubstr("reads too slowly"));
  stream->Send("ignored");
}

TEST_F(EventNetworkTest, PauseInsideOnFrameStopsDeliveryAndResumeGoesOn) {
  Start();
  server->prepare = [](Recorder& recorder) {
    recorder.hook = [](FramedStream& stream) { stream.PauseReading(); };
  };
  Fd raw = Raw();
  WriteAll(raw.get(), Frame("a") + Frame("b") + Frame("c"));
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 1; }));
  for (size_t want = 2; want <= 3; ++want) {
    Turn([] { return false; }, absl::Milliseconds(10));
    EXPECT_EQ(first().count, want - 1);
    server->streams[0]->ResumeReading();
    ASSERT_TRUE(Turn([&] { return first().count == want; }));
  }
  EXPECT_THAT(first().frames, ElementsAre("a", "b", "c"));
}

TEST_F(EventNetworkTest, AStreamMayBeDestroyedInItsCallbacks) {
  Start();
  server->prepare = [this](Recorder& recorder) {
    recorder.hook = [this](FramedStream&) { server->streams.clear(); };
  };
  Fd raw = Raw();
  WriteAll(raw.get(), Frame("a") + Frame("b"));
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 1; }));
  Turn([] { return false; }, absl::Milliseconds(10));
  EXPECT_EQ(first().count, 1u);
  EXPECT_EQ(first().closed, 0) << "the owner's own close is not reported";

  server->prepare = [this](Recorder& recorder) {
    recorder.closed_hook = [this](FramedStream&) { server->streams.clear(); };
  };
  Fd second = Raw();
  WriteAll(second.get(), std::string(4, '\0'));
  ASSERT_TRUE(
      Turn([&] { return server->recorders.size() == 2 && server->recorders[1]->closed == 1; }));
  EXPECT_TRUE(server->streams.empty());
}

TEST_F(EventNetworkTest, TheListenerMayBeDestroyedWhileItAccepts) {
  network = NewEventNetwork(&loop);
  std::unique_ptr<Listener> listener;
  std::unique_ptr<FramedStream> kept;
  Recorder recorder;
  listener = network
                 ->Listen(Endpoint::Parse("tcp://127.0.0.1:0").value(),
                          [&](std::unique_ptr<FramedStream> stream) {
                            listener.reset();
                            stream->SetHandler(&recorder);
                            kept = std::move(stream);
                          })
                 .value();
  Recorder client;
  auto stream = Dial(listener->endpoint(), &client);
  stream->Send("x");
  ASSERT_TRUE(Turn([&] { return recorder.count == 1; })) << "accepted streams live on";
}

TEST_F(EventNetworkTest, CloseAfterFlushDeliversEverythingFirst) {
  Start();
  server->prepare = [](Recorder& recorder) { recorder.keep = false; };
  Recorder client;
  auto stream = Dial(&client);
  ASSERT_TRUE(Turn([&] { return server->streams.size() == 1; }));
  // Unread input at the closing side must not make the kernel throw the answer away.
  server->streams[0]->Send("unread");
  for (int i = 0; i < 40; ++i) stream->Send(std::string(1u << 20, 'z'));
  stream->CloseAfterFlush();
  EXPECT_EQ(client.closed, 0);
  server->prepare = nullptr;
  first().closed_hook = [this](FramedStream&) { server->streams.clear(); };
  ASSERT_TRUE(Turn([&] { return first().closed == 1 && client.closed == 1; }));
  EXPECT_EQ(first().bytes, size_t{40} << 20);
  EXPECT_EQ(client.close_why.code(), absl::StatusCode::kCancelled);
}

TEST_F(EventNetworkTest, CloseAfterFlushDoesNotWaitForEver) {
  NetworkOptions options;
  options.flush_timeout = absl::Milliseconds(50);
  Start(options);
  server->paused = true;
  Recorder client;
  auto stream = Dial(&client);
  for (int i = 0; i < 40; ++i) stream->Send(std::string(1u << 20, 'z'));
  stream->CloseAfterFlush();
  ASSERT_TRUE(Turn([&] { return client.closed == 1; }));
  EXPECT_EQ(client.close_why.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(EventNetworkTest, APeerThatHasSaidAllStillGetsItsAnswers) {
  Start();
  server->prepare = [](Recorder& recorder) { recorder.stay_open = true; };
  Fd raw = Raw();
  WriteAll(raw.get(), Frame("one") + Frame("two"));
  ASSERT_EQ(shutdown(raw.get(), SHUT_WR), 0);
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().input_ended == 1; }));
  EXPECT_THAT(first().frames, ElementsAre("one", "two"));
  EXPECT_EQ(first().closed, 0);
  server->streams[0]->Send("answer");
  server->streams[0]->CloseAfterFlush();
  ASSERT_TRUE(Turn([&] { return first().closed == 1; }));
  char got[64];
  EXPECT_EQ(recv(raw.get(), got, sizeof(got), 0), 10);
  EXPECT_EQ(std::string(got + 4, 6), "answer");
  EXPECT_EQ(recv(raw.get(), got, sizeof(got), 0), 0);
  EXPECT_EQ(first().input_ended, 1);
}

TEST_F(EventNetworkTest, FramesBehindAPauseAreDeliveredThoughTheirSenderHasEnded) {
  Start();
  server->paused = true;
  server->prepare = [](Recorder& recorder) { recorder.stay_open = true; };
  Fd raw = Raw();
  WriteAll(raw.get(), Frame("one") + Frame("two"));
  ASSERT_EQ(shutdown(raw.get(), SHUT_WR), 0);
  ASSERT_TRUE(Turn([&] { return !server->streams.empty(); }));
  Turn([] { return false; }, absl::Milliseconds(20));
  first().hook = [](FramedStream& stream) { stream.PauseReading(); };
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn([&] { return first().count == 1; }));
  Turn([] { return false; }, absl::Milliseconds(20));
  EXPECT_EQ(first().count, 1u);
  EXPECT_EQ(first().closed, 0);
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn([&] { return first().count == 2; }));
  server->streams[0]->ResumeReading();
  ASSERT_TRUE(Turn([&] { return first().input_ended == 1; }));
  EXPECT_EQ(first().closed, 0);
}

TEST_F(EventNetworkTest, APartOfAFrameAtTheEndIsTorn) {
  Start();
  server->prepare = [](Recorder& recorder) { recorder.stay_open = true; };
  Fd raw = Raw();
  WriteAll(raw.get(), Frame("one") + std::string("\0\0\0\x09half", 8));
  ASSERT_EQ(shutdown(raw.get(), SHUT_WR), 0);
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().closed == 1; }));
  EXPECT_EQ(first().input_ended, 0);
  EXPECT_THAT(first().close_why.message(), HasSubstr("within a frame"));
}

}  // namespace
}  // namespace coffer::runtime
