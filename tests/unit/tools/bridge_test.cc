// The bridge between real sockets of this machine, on a loop that the test turns itself.
#include "tools/bridge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/socket_address.h"

namespace coffer::tools {
namespace {

using runtime::Endpoint;
using runtime::Fd;
using ::testing::HasSubstr;

Endpoint UnixEndpoint(const std::string& name) {
  return Endpoint::Parse(absl::StrCat("unix://", testing::TempDir(), "cb-", getpid(), "-", name))
      .value();
}

// A plain socket with a time-out, so that a bridge that hangs fails a test instead of stopping it.
Fd WithTimeout(int fd) {
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return Fd(fd);
}

Fd Dial(const Endpoint& endpoint) {
  const runtime::SocketAddress address = runtime::LiteralAddress(endpoint, false).value();
  Fd fd = WithTimeout(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), address.get(), address.length), 0) << endpoint.ToString();
  return fd;
}

// The other side: listens, and hands out what connects.
struct Target {
  explicit Target(const Endpoint& at) : endpoint(at), fd(runtime::ListenOn(at).value()) {
    if (at.kind != Endpoint::Kind::kTcp) return;
    const std::string bound = runtime::LocalAddress(fd.get()).ToString();
    endpoint = Endpoint::Parse(absl::StrCat("tcp://", bound)).value();
  }
  ~Target() {
    if (endpoint.kind == Endpoint::Kind::kUnix) unlink(endpoint.path.c_str());
  }
  Fd Accept() const {
    pollfd ready{fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, 10'000), 1) << "nobody connects";
    return WithTimeout(accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  Endpoint endpoint;
  Fd fd;
};

void Write(const Fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(n, 0);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

std::string Read(const Fd& fd, size_t bytes) {
  std::string out(bytes, 0);
  size_t at = 0;
  while (at < bytes) {
    const ssize_t n = recv(fd.get(), &out[at], bytes - at, 0);
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  out.resize(at);
  return out;
}

bool AtEnd(const Fd& fd) {
  char byte;
  return recv(fd.get(), &byte, 1, 0) == 0;
}

class BridgeTest : public ::testing::Test {
 protected:
  void Start(const Endpoint& listen, const Endpoint& to, size_t connections = 1000) {
    Bridge::Options options;
    options.listen = listen;
    options.to = to;
    options.connections = connections;
    options.connect_timeout = absl::Seconds(5);
    thread_.RunAndWait([&] {
      bridge_ = Bridge::Start(thread_.loop(), options).value();
      endpoint_ = bridge_->endpoint();
    });
  }
  ~BridgeTest() override {
    thread_.RunAndWait([&] { bridge_.reset(); });
    thread_.StopAndJoin();
  }
  Bridge::Counters Counters() {
    Bridge::Counters counters;
    thread_.RunAndWait([&] { counters = bridge_->counters(); });
    return counters;
  }
  size_t Open() {
    size_t open = 0;
    thread_.RunAndWait([&] { open = bridge_->open(); });
    return open;
  }
  size_t Buffered() {
    size_t bytes = 0;
    thread_.RunAndWait([&] { bytes = bridge_->buffered(); });
    return bytes;
  }
  bool OpenBecomes(size_t wanted) {
    for (int i = 0; i < 500; ++i) {
      if (Open() == wanted) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  const Endpoint tcp_ = Endpoint::Parse("tcp://127.0.0.1:0").value();
  runtime::EventLoopThread thread_{"bridge"};
  std::unique_ptr<Bridge> bridge_;
  Endpoint endpoint_;
};

struct Kinds {
  const char* listen;
  const char* to;
};

class BridgeKindsTest : public BridgeTest, public ::testing::WithParamInterface<Kinds> {
 protected:
  Endpoint Make(const std::string& kind, const char* name) {
    return kind == "tcp" ? tcp_ : UnixEndpoint(name);
  }
};

TEST_P(BridgeKindsTest, BytesAndEndsPassInBothDirections) {
  Target target(Make(GetParam().to, "to"));
  Start(Make(GetParam().listen, "listen"), target.endpoint);
  Fd client = Dial(endpoint_);
  Fd server = target.Accept();
  Write(client, "question");
  EXPECT_EQ(Read(server, 8), "question");
  // The client says no more; the other side still answers.
  shutdown(client.get(), SHUT_WR);
  EXPECT_TRUE(AtEnd(server));
  Write(server, "a long answer");
  EXPECT_EQ(Read(client, 13), "a long answer");
  EXPECT_EQ(Open(), 1u);
  server = Fd();
  EXPECT_TRUE(AtEnd(client));
  EXPECT_TRUE(OpenBecomes(0));
  EXPECT_EQ(Counters().bytes_to, 8u);
  EXPECT_EQ(Counters().bytes_from, 13u);
}

TEST_P(BridgeKindsTest, TheOtherSideMayEndFirst) {
  Target target(Make(GetParam().to, "to"));
  Start(Make(GetParam().listen, "listen"), target.endpoint);
  Fd client = Dial(endpoint_);
  Fd server = target.Accept();
  Write(server, "goodbye");
  shutdown(server.get(), SHUT_WR);
  EXPECT_EQ(Read(client, 100), "goodbye");
  Write(client, "and you");
  client = Fd();
  EXPECT_EQ(Read(server, 100), "and you");
  EXPECT_TRUE(OpenBecomes(0));
}

INSTANTIATE_TEST_SUITE_P(All, BridgeKindsTest,
                         ::testing::Values(Kinds{"tcp", "tcp"}, Kinds{"tcp", "unix"},
                                           Kinds{"unix", "tcp"}, Kinds{"unix", "unix"}),
                         [](const auto& kinds) {
                           return absl::StrCat(kinds.param.listen, "_", kinds.param.to);
                         });

TEST_F(BridgeTest, ASlowReaderHoldsTheWriterBackAndNothingIsLost) {
  constexpr size_t kTotal = 64u << 20;
  Target target(UnixEndpoint("slow"));
  Start(tcp_, target.endpoint);
  Fd client = Dial(endpoint_);
  Fd server = target.Accept();
  const auto byte_at = [](size_t i) { return static_cast<char>((i * 2654435761u) >> 13); };
  std::thread writer([&] {
    std::string piece(1u << 16, 0);
    for (size_t at = 0; at < kTotal; at += piece.size()) {
      for (size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(at + i);
      Write(client, piece);
    }
    shutdown(client.get(), SHUT_WR);
  });
  // While nobody reads, no more than the limit and one read are held.
  size_t most = 0;
  for (int i = 0; i < 30; ++i) {
    most = std::max(most, Buffered());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GT(most, 0u);
  EXPECT_LT(Counters().bytes_to, 8u << 20) << "the writer was not held back";
  size_t received = 0;
  bool same = true;
  std::string piece(1u << 17, 0);
  for (;;) {
    const ssize_t n = recv(server.get(), piece.data(), piece.size(), 0);
    if (n <= 0) break;
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      same = same && piece[i] == byte_at(received + i);
    }
    received += static_cast<size_t>(n);
    if (received % 16 == 0) most = std::max(most, Buffered());
  }
  writer.join();
  EXPECT_EQ(received, kTotal);
  EXPECT_TRUE(same);
  EXPECT_LE(most, (256u << 10) + (64u << 10) + 1);
  EXPECT_EQ(Counters().bytes_to, kTotal);
}

TEST_F(BridgeTest, FiveHundredConnectionsAtATime) {
  constexpr size_t kMany = 500;
  Target target(UnixEndpoint("many"));
  Start(tcp_, target.endpoint, kMany);
  std::vector<std::pair<Fd, Fd>> pairs;
  for (size_t i = 0; i < kMany; ++i) {
    Fd client = Dial(endpoint_);
    pairs.emplace_back(std::move(client), target.Accept());
  }
  EXPECT_EQ(Open(), kMany);
  for (size_t i = 0; i < kMany; ++i) Write(pairs[i].first, absl::StrCat("number ", 1000 + i));
  for (size_t i = 0; i < kMany; ++i) {
    EXPECT_EQ(Read(pairs[i].second, 11), absl::StrCat("number ", 1000 + i));
    Write(pairs[i].second, absl::StrCat("answer ", 1000 + i));
  }
  for (size_t i = 0; i < kMany; ++i) {
    EXPECT_EQ(Read(pairs[i].first, 11), absl::StrCat("answer ", 1000 + i));
  }
  Fd one_more = Dial(endpoint_);
  EXPECT_TRUE(AtEnd(one_more)) << "one more than allowed is closed";
  EXPECT_EQ(Counters().refused, 1u);
  pairs.clear();
  EXPECT_TRUE(OpenBecomes(0));
  EXPECT_EQ(Counters().accepted, kMany);
}

TEST_F(BridgeTest, NobodyOnTheOtherSideClosesTheClient) {
  Start(tcp_, UnixEndpoint("nobody"));
  Fd client = Dial(endpoint_);
  EXPECT_TRUE(AtEnd(client));
  EXPECT_TRUE(OpenBecomes(0));
  EXPECT_EQ(Counters().failed, 1u);
}

TEST_F(BridgeTest, AResetOnOneSideEndsTheOther) {
  Target target(tcp_);
  Start(UnixEndpoint("reset"), target.endpoint);
  Fd client = Dial(endpoint_);
  Fd server = target.Accept();
  Write(client, "x");
  EXPECT_EQ(Read(server, 1), "x");
  const linger at_once{1, 0};
  setsockopt(server.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  server = Fd();
  EXPECT_EQ(Read(client, 1), "");
  EXPECT_TRUE(OpenBecomes(0));
}

TEST_F(BridgeTest, StopDeliversWhatWasReadAndClosesEverything) {
  Target target(UnixEndpoint("stop"));
  Start(tcp_, target.endpoint);
  Fd client = Dial(endpoint_);
  Fd server = target.Accept();
  Write(client, std::string(100'000, 'z'));
  while (Counters().bytes_to < 100'000) std::this_thread::yield();
  std::atomic<bool> stopped = false;
  thread_.RunAndWait([&] { bridge_->Stop([&] { stopped = true; }); });
  EXPECT_EQ(Read(server, 200'000), std::string(100'000, 'z'));
  EXPECT_TRUE(AtEnd(client));
  for (int i = 0; i < 500 && !stopped; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(stopped);
}

TEST(BridgeWordsTest, SaysWhatIsInsecureAboutIt) {
  Bridge::Options options;
  options.listen = Endpoint::Parse("unix:///run/x.sock").value();
  options.to = Endpoint::Parse("vsock://16:5000").value();
  EXPECT_EQ(InsecureParts(options).size(), 1u);
  options.listen = Endpoint::Parse("tcp://0.0.0.0:5001").value();
  options.to = Endpoint::Parse("tcp://192.0.2.1:5000").value();
  ASSERT_EQ(InsecureParts(options).size(), 3u);
  EXPECT_THAT(InsecureParts(options)[1], HasSubstr("other machines"));
}

TEST(BridgeWordsTest, AnAddressInUseIsAnError) {
  runtime::EventLoop loop;
  Bridge::Options options;
  options.listen = Endpoint::Parse("tcp://127.0.0.1:0").value();
  options.to = options.listen;
  const auto first = Bridge::Start(&loop, options);
  ASSERT_TRUE(first.ok());
  options.listen = (*first)->endpoint();
  EXPECT_THAT(Bridge::Start(&loop, options).status().message(), HasSubstr("in use"));
}

}  // namespace
}  // namespace coffer::tools
