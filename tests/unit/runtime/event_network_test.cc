#include "runtime/event_network.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/event_loop.h"
#include "runtime/socket_address.h"
#include "tests/unit/runtime/support.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Frame(std::string_view payload) {
  const size_t n = payload.size();
  std::string out = {static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8), static_cast<char>(n)};
  return out.append(payload);
}

std::string SocketPath(std::string_view name) {
  return absl::StrCat(testing::TempDir(), "cf-", getpid(), "-", std::string(name));
}

Endpoint UnixEndpoint(std::string_view name) {
  return Endpoint::Parse(absl::StrCat("unix://", SocketPath(name))).value();
}

class EventNetworkTest : public testing::Test {
 protected:
  void Start(NetworkOptions options = {}, const std::string& where = "tcp://127.0.0.1:0") {
    network = NewEventNetwork(&loop, options);
    server = std::make_unique<Server>(network.get());
    const absl::Status listening = server->Listen(Endpoint::Parse(where).value());
    ASSERT_TRUE(listening.ok()) << listening;
  }

  std::unique_ptr<FramedStream> Dial(const Endpoint& endpoint, Recorder* recorder) {
    absl::StatusOr<std::unique_ptr<FramedStream>> result = absl::UnknownError("no answer");
    bool answered = false;
    network->Connect(endpoint, [&](auto made) {
      answered = true;
      if (made.ok()) (*made)->SetHandler(recorder);
      result = std::move(made);
    });
    EXPECT_FALSE(answered) << "the answer comes later, never from inside Connect";
    EXPECT_TRUE(TurnUntil(loop, [&] { return answered; }));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : nullptr;
  }

  std::unique_ptr<FramedStream> Dial(Recorder* recorder) {
    return Dial(server->listener->endpoint(), recorder);
  }

  // A plain blocking socket, to send what no FramedStream would.
  Fd Raw() {
    const SocketAddress address = LiteralAddress(server->listener->endpoint(), false).value();
    Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), address.get(), address.length), 0);
    return fd;
  }

  bool Turn(absl::FunctionRef<bool()> done, absl::Duration limit = absl::Seconds(10)) {
    return TurnUntil(loop, done, limit);
  }

  Recorder& first() { return *server->recorders.at(0); }

  EventLoop loop;
  std::unique_ptr<Network> network;
  std::unique_ptr<Server> server;
};

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(n, 0);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

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

TEST_F(EventNetworkTest, ManyConnectionsAndTheBoundOnThem) {
  NetworkOptions options;
  options.max_connections = 200;
  Start(options);
  std::vector<Fd> raws;
  for (size_t i = 0; i < 200; ++i) {
    raws.push_back(Raw());
    WriteAll(raws.back().get(), Frame(absl::StrCat("c", i)));
    Turn([&] { return server->recorders.size() == i + 1; });
  }
  ASSERT_TRUE(Turn([&] {
    for (const auto& recorder : server->recorders) {
      if (recorder->count != 1) return false;
    }
    return server->recorders.size() == 200;
  }));
  Fd refused = Raw();
  Turn([] { return false; }, absl::Milliseconds(20));
  char byte;
  EXPECT_LE(recv(refused.get(), &byte, 1, MSG_DONTWAIT), 0);
  EXPECT_EQ(server->recorders.size(), 200u);
  // A closed stream makes room, even while its owner still holds the object.
  raws.pop_back();
  ASSERT_TRUE(Turn([&] { return server->recorders.back()->closed == 1; }));
  Fd next = Raw();
  ASSERT_TRUE(Turn([&] { return server->recorders.size() == 201; }));
}

TEST_F(EventNetworkTest, OutOfDescriptorsTheListenerRestsAndRecovers) {
  Start();
  Fd waiting = Raw();
  ASSERT_TRUE(Turn([&] { return server->recorders.size() == 1; }));
  const SocketAddress address = LiteralAddress(server->listener->endpoint(), false).value();
  Fd late(socket(AF_INET, SOCK_STREAM, 0));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;  // every new descriptor is refused
  setrlimit(RLIMIT_NOFILE, &none);
  ASSERT_EQ(connect(late.get(), address.get(), address.length), 0);
  timespec cpu_before{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_before);
  Turn([] { return false; }, absl::Milliseconds(250));
  timespec cpu_after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_after);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(server->recorders.size(), 1u);
  EXPECT_LT(absl::DurationFromTimespec(cpu_after) - absl::DurationFromTimespec(cpu_before),
            absl::Milliseconds(150))
      << "the listener spins";
  ASSERT_TRUE(Turn([&] { return server->recorders.size() == 2; }));
}

TEST_F(EventNetworkTest, ConnectSaysWhyItFailed) {
  NetworkOptions options;
  options.connect_timeout = absl::Milliseconds(100);
  network = NewEventNetwork(&loop, options);
  const struct {
    std::string where;
    const char* why;
  } kCases[] = {
      {"tcp://127.0.0.1:1", "Connection refused"},
      {"unix:///nonexistent/socket", "No such file"},
  };
  for (const auto& test : kCases) {
    absl::Status status;
    bool answered = false;
    network->Connect(Endpoint::Parse(test.where).value(), [&](auto made) {
      status = made.status();
      answered = true;
    });
    ASSERT_TRUE(Turn([&] { return answered; }));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr(test.where));
    EXPECT_THAT(status.message(), HasSubstr(test.why));
  }
  // A full backlog of a listener that never accepts: the handshake never ends.
  Fd full(socket(AF_INET, SOCK_STREAM, 0));
  SocketAddress any = LiteralAddress(Endpoint::Parse("tcp://127.0.0.1:0").value(), true).value();
  ASSERT_EQ(bind(full.get(), any.get(), any.length), 0);
  ASSERT_EQ(listen(full.get(), 0), 0);
  const std::string port = LocalAddress(full.get()).ToString();
  int answers = 0;
  int late = 0;
  std::vector<std::unique_ptr<FramedStream>> made_streams;
  Recorder recorder;
  for (int i = 0; i < 4; ++i) {
    network->Connect(Endpoint::Parse("tcp://" + port).value(), [&](auto made) {
      ++answers;
      if (made.ok()) {
        (*made)->SetHandler(&recorder);
        made_streams.push_back(*std::move(made));
      } else if (absl::IsDeadlineExceeded(made.status())) {
        ++late;
      }
    });
  }
  ASSERT_TRUE(Turn([&] { return answers == 4; }));
  EXPECT_GT(late, 0);
}

TEST_F(EventNetworkTest, DestroyingTheNetworkDropsConnectionsInTheMaking) {
  network = NewEventNetwork(&loop);
  bool answered = false;
  for (const char* where : {"tcp://127.0.0.1:1", "tcp://no-such-name.invalid:1"}) {
    network->Connect(Endpoint::Parse(where).value(), [&](auto) { answered = true; });
  }
  auto tick = loop.After(absl::ZeroDuration(), [&] { network.reset(); });
  Turn([] { return false; }, absl::Milliseconds(50));
  (void)answered;  // a refusal may have come first; that nothing breaks is the point
}

TEST_F(EventNetworkTest, UnixSocketsAreOursAloneAndStaleOnesAreReplaced) {
  const Endpoint endpoint = UnixEndpoint("stale");
  {
    // What a killed process leaves behind.
    Fd dead = ListenOn(endpoint).value();
  }
  struct stat info {};
  ASSERT_EQ(lstat(endpoint.path.c_str(), &info), 0);
  Start({}, endpoint.ToString());
  ASSERT_EQ(lstat(endpoint.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  Server rival(network.get());
  const absl::Status in_use = rival.Listen(endpoint);
  EXPECT_EQ(in_use.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(in_use.message(), HasSubstr("another process listens"));
  server->listener.reset();
  EXPECT_NE(lstat(endpoint.path.c_str(), &info), 0) << "the file goes with the listener";

  const int file = open(endpoint.path.c_str(), O_CREAT | O_WRONLY, 0600);
  close(file);
  const absl::Status not_socket = rival.Listen(endpoint);
  EXPECT_THAT(not_socket.message(), HasSubstr("is not a socket"));
  EXPECT_EQ(lstat(endpoint.path.c_str(), &info), 0) << "a file that is no socket is not touched";
  unlink(endpoint.path.c_str());
}

TEST_F(EventNetworkTest, TwoListenersOnOneTcpPortAreRefused) {
  Start();
  Server rival(network.get());
  const absl::Status in_use = rival.Listen(server->listener->endpoint());
  EXPECT_EQ(in_use.code(), absl::StatusCode::kFailedPrecondition) << in_use;
}

TEST_F(EventNetworkTest, VsockGoesTheSameWayWhereTheMachineLoopsBack) {
  Fd probe(socket(AF_VSOCK, SOCK_STREAM, 0));
  if (!probe.valid()) GTEST_SKIP() << "this kernel has no AF_VSOCK";
  const Endpoint any = Endpoint::Parse("vsock://4294967295:0").value();
  network = NewEventNetwork(&loop);
  server = std::make_unique<Server>(network.get());
  const absl::Status listening = server->Listen(any);
  if (!listening.ok()) GTEST_SKIP() << "no vsock listener on this machine: " << listening;
  EXPECT_NE(server->listener->endpoint().port, 0u);
  Endpoint self = server->listener->endpoint();
  self.cid = 1;  // VMADDR_CID_LOCAL
  absl::StatusOr<std::unique_ptr<FramedStream>> made = absl::UnknownError("");
  bool answered = false;
  Recorder client;
  network->Connect(self, [&](auto result) {
    made = std::move(result);
    if (made.ok()) (*made)->SetHandler(&client);
    answered = true;
  });
  ASSERT_TRUE(Turn([&] { return answered; }, absl::Seconds(15)));
  if (!made.ok()) GTEST_SKIP() << "CID 1 does not loop back here: " << made.status();
  (*made)->Send("through vsock");
  ASSERT_TRUE(Turn([&] { return !server->recorders.empty() && first().count == 1; }));
}

TEST(EventNetworkThreadTest, TwoLoopsEcho) {
  EventLoopThread server_thread("server");
  EventLoopThread client_thread("client");
  struct Echo : StreamHandler {
    void OnFrame(FramedStream& stream, std::string payload) override { stream.Send(payload); }
    void OnWritable(FramedStream&) override {}
    void OnClosed(FramedStream&, const absl::Status&) override {}
  } echo;
  std::unique_ptr<Network> server_net;
  std::unique_ptr<Network> client_net;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<FramedStream>> accepted;
  std::unique_ptr<FramedStream> dialled;
  Recorder recorder;
  Endpoint endpoint;
  server_thread.RunAndWait([&] {
    server_net = NewEventNetwork(server_thread.loop());
    listener = server_net
                   ->Listen(Endpoint::Parse("tcp://127.0.0.1:0").value(),
                            [&](auto stream) {
                              stream->SetHandler(&echo);
                              accepted.push_back(std::move(stream));
                            })
                   .value();
    endpoint = listener->endpoint();
  });
  client_thread.RunAndWait([&] {
    client_net = NewEventNetwork(client_thread.loop());
    client_net->Connect(endpoint, [&](auto made) {
      dialled = std::move(made).value();
      dialled->SetHandler(&recorder);
      for (int i = 0; i < 10000; ++i) dialled->Send(absl::StrCat("frame ", i));
    });
  });
  for (size_t got = 0; got < 10000;) {
    client_thread.RunAndWait([&] { got = recorder.count; });
  }
  client_thread.RunAndWait([&] {
    dialled.reset();
    client_net.reset();
  });
  server_thread.RunAndWait([&] {
    accepted.clear();
    listener.reset();
    server_net.reset();
  });
  EXPECT_EQ(recorder.frames.front(), "frame 0");
  EXPECT_EQ(recorder.frames.back(), "frame 9999");
}

}  // namespace
}  // namespace coffer::runtime
