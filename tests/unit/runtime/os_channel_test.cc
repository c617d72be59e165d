#include "runtime/os_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/os_clock.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {
namespace {

using testing::HasSubstr;

// A listener on tcp or unix, and the one connection that it takes.
class Listener {
 public:
  explicit Listener(Endpoint endpoint) : endpoint_(std::move(endpoint)) {
    absl::StatusOr<Fd> fd = ListenOn(endpoint_);
    EXPECT_TRUE(fd.ok()) << fd.status();
    fd_ = *std::move(fd);
    if (endpoint_.kind != Endpoint::Kind::kTcp) return;
    const std::string bound = LocalAddress(fd_.get()).ToString();
    endpoint_ = Endpoint::Parse("tcp://" + bound).value();
  }
  const Endpoint& endpoint() const { return endpoint_; }
  // Blocking again, which the tests' simple reads and writes want.
  int Accept() {
    pollfd poller{fd_.get(), POLLIN, 0};
    EXPECT_EQ(poll(&poller, 1, 10'000), 1);
    return accept(fd_.get(), nullptr, nullptr);
  }
  void Close() { fd_ = Fd(); }

 private:
  Endpoint endpoint_;
  Fd fd_;
};

Endpoint UnixEndpoint() {
  return Endpoint::Parse(absl::StrCat("unix://", testing::TempDir(), "/coffer-channel-", getpid()))
      .value();
}

class OsChannelTest : public testing::TestWithParam<std::string> {
 protected:
  OsChannelTest()
      : listener_(GetParam() == "unix" ? UnixEndpoint()
                                       : Endpoint::Parse("tcp://127.0.0.1:0").value()) {}
  void TearDown() override {
    if (peer_ >= 0) close(peer_);
    if (GetParam() == "unix") std::filesystem::remove(listener_.endpoint().path);
  }
  std::unique_ptr<OsChannel> Connect(absl::Duration budget = absl::Seconds(30)) {
    auto channel = OsChannel::Connect(listener_.endpoint(), budget);
    EXPECT_TRUE(channel.ok()) << channel.status();
    peer_ = listener_.Accept();
    return *std::move(channel);
  }
  void Say(const std::string& text) {
    ASSERT_EQ(send(peer_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  Listener listener_;
  int peer_ = -1;
};

TEST_P(OsChannelTest, BytesGoBothWaysAndAnEndIsOne) {
  const auto channel = Connect();
  ASSERT_TRUE(channel->Write("question").ok());
  std::string heard(8, '\0');
  ASSERT_EQ(recv(peer_, heard.data(), heard.size(), MSG_WAITALL), 8);
  EXPECT_EQ(heard, "question");
  Say("answer");
  EXPECT_EQ(channel->Read(3).value(), "ans");
  EXPECT_EQ(channel->Read(100).value(), "wer");
  shutdown(peer_, SHUT_WR);
  EXPECT_EQ(channel->Read(100).value(), "");
}

TEST_P(OsChannelTest, MuchIsWrittenWhole) {
  const auto channel = Connect();
  const std::string much(8'000'000, 'm');
  std::string heard(much.size(), '\0');
  std::thread reader([&] {
    EXPECT_EQ(recv(peer_, heard.data(), heard.size(), MSG_WAITALL),
              static_cast<ssize_t>(heard.size()));
  });
  EXPECT_TRUE(channel->Write(much).ok());
  reader.join();
  EXPECT_EQ(heard, much);
}

TEST_P(OsChannelTest, ABudgetThatIsUsedUpIsUnavailable) {
  const auto channel = Connect(absl::Milliseconds(200));
  const absl::Time start = OsMonotonicNow();
  const absl::Status read = channel->Read(1).status();
  EXPECT_GE(OsMonotonicNow() - start, absl::Milliseconds(100));
  EXPECT_TRUE(absl::IsUnavailable(read));
  EXPECT_THAT(read.message(), HasSubstr("in time"));
  EXPECT_THAT(read.message(), HasSubstr(listener_.endpoint().ToString()));
  EXPECT_TRUE(absl::IsUnavailable(channel->Write("late")));
}

TEST_P(OsChannelTest, NobodyReadingIsUnavailableToo) {
  const auto channel = Connect(absl::Milliseconds(300));
  EXPECT_THAT(channel->Write(std::string(8'000'000, 'x')).message(), HasSubstr("in time"));
}

TEST_P(OsChannelTest, APeerThatIsGoneIsAnErrorAndNoSignal) {
  const auto channel = Connect();
  close(peer_);
  peer_ = -1;
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = channel->Write("anybody there?");
  EXPECT_TRUE(absl::IsUnavailable(status));
}

TEST_P(OsChannelTest, NobodyListeningIsUnavailable) {
  listener_.Close();
  const auto channel = OsChannel::Connect(listener_.endpoint(), absl::Seconds(5));
  EXPECT_TRUE(absl::IsUnavailable(channel.status()));
  EXPECT_THAT(channel.status().message(), HasSubstr("refused"));
}

INSTANTIATE_TEST_SUITE_P(Sockets, OsChannelTest, testing::Values("tcp", "unix"),
                         [](const auto& named) { return named.param; });

TEST(OsChannel, ANameIsLookedUp) {
  Listener listener(Endpoint::Parse("tcp://127.0.0.1:0").value());
  Endpoint named = listener.endpoint();
  named.host = "localhost";
  EXPECT_TRUE(OsChannel::Connect(named, absl::Seconds(30)).ok());
  named.host = "nowhere.invalid";
  EXPECT_TRUE(absl::IsUnavailable(OsChannel::Connect(named, absl::Seconds(30)).status()));
}

}  // namespace
}  // namespace coffer::runtime
