// Real sockets on a loop that the test turns itself.
#ifndef COFFER_TESTS_UNIT_RUNTIME_NETWORK_FIXTURE_H_
#define COFFER_TESTS_UNIT_RUNTIME_NETWORK_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"
#include "runtime/socket_address.h"
#include "tests/unit/runtime/support.h"

namespace coffer::runtime {

inline std::string Frame(std::string_view payload) {
  const size_t n = payload.size();
  std::string out = {static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8), static_cast<char>(n)};
  return out.append(payload);
}

inline std::string SocketPath(std::string_view name) {
  return absl::StrCat(testing::TempDir(), "cf-", getpid(), "-", std::string(name));
}

inline Endpoint UnixEndpoint(std::string_view name) {
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

inline void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(n, 0);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace coffer::runtime

#endif  // COFFER_TESTS_UNIT_RUNTIME_NETWORK_FIXTURE_H_
