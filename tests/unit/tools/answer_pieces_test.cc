// Answers in chunks that come byte by byte, at both of the tools' HTTP clients.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tools/host_client.h"
#include "tools/http_fetch.h"

namespace coffer::tools {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// Serves one connection on 127.0.0.1: waits for a request, then sends `answer`, what follows its
// header byte by byte, so that a client reads each on its own.
class ByteServer {
 public:
  explicit ByteServer(std::string answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ready_ = bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
             listen(listener_, 1) == 0 &&
             getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~ByteServer() {
    shutdown(listener_, SHUT_RDWR);  // in case nobody came
    thread_.join();
    close(listener_);
  }
  bool ready() const { return ready_; }
  const std::string& url() const { return url_; }

 private:
  void Serve() const {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int at_once = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
    std::string request;
    char bytes[4096];
    while (!absl::StrContains(request, "\r\n\r\n")) {
      const ssize_t n = recv(client, bytes, sizeof(bytes), 0);
      if (n <= 0) break;
      request.append(bytes, static_cast<size_t>(n));
    }
    const size_t header = answer_.find("\r\n\r\n") + 4;
    (void)send(client, answer_.data(), header, MSG_NOSIGNAL);
    for (const char& byte : std::string_view(answer_).substr(header)) {
      absl::SleepFor(absl::Milliseconds(10));
      if (send(client, &byte, 1, MSG_NOSIGNAL) != 1) break;
    }
    close(client);
  }

  const std::string answer_;
  int listener_ = -1;
  bool ready_ = false;
  std::string url_;
  std::thread thread_;
};

constexpr char kHeader[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

// What each of the clients makes of such an answer.
absl::StatusOr<Json::Value> AskedByHostClient(const std::string& chunks) {
  const ByteServer server(kHeader + chunks);
  if (!server.ready()) return absl::InternalError("the test has no port");
  const auto client = HostClient::Make(server.url(), "", kPatience);
  if (!client.ok()) return client.status();
  return client->Get("/anything");
}

absl::StatusOr<std::string> AskedByHttpFetcher(const std::string& chunks) {
  const ByteServer server(kHeader + chunks);
  if (!server.ready()) return absl::InternalError("the test has no port");
  const auto fetcher = HttpFetcher::Create(server.url(), "", "", kPatience);
  if (!fetcher.ok()) return fetcher.status();
  return (*fetcher)->Get("/anything", 100);
}

TEST(AnswerPiecesTest, TheLastChunkByteByByte) {
  const auto json = AskedByHostClient("2\r\n{}\r\n0\r\n\r\n");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_TRUE(json->isObject());
  const auto body = AskedByHttpFetcher("2\r\n{}\r\n0\r\n\r\n");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(*body, "{}");
}

TEST(AnswerPiecesTest, NothingButItsLastChunk) {
  const auto body = AskedByHttpFetcher("0\r\n\r\n");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(*body, "");
}

TEST(AnswerPiecesTest, ALastChunkThatIsCutOffIsNoAnswer) {
  for (const char* cut : {"0", "0\r", "0\r\n", "0\r\n\r", "2\r\n{}\r\n0\r\n"}) {
    EXPECT_TRUE(absl::IsUnavailable(AskedByHostClient(cut).status())) << cut;
    EXPECT_TRUE(absl::IsUnavailable(AskedByHttpFetcher(cut).status())) << cut;
  }
}

}  // namespace
}  // namespace coffer::tools
