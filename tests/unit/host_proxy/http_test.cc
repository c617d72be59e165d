// The HTTP server over real sockets: limits, tokens, and what hostile bytes get.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "host_proxy/http_server.h"
#include "host_proxy/router.h"

namespace coffer::host_proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kViewer[] = "viewer-token-0123456789";
constexpr char kAdmin[] = "admin-token-0123456789";

// A socket of a client, blocking.
class Client {
 public:
  explicit Client(uint32_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  ~Client() { close(fd_); }
  bool Send(const std::string& bytes) {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // Until the server closes.
  std::string ReadAll() {
    std::string all;
    while (ReadSome(all)) {
    }
    return all;
  }
  // One answer of a connection that stays open.
  std::string ReadOne() {
    while (true) {
      const size_t end = buffer_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t at = buffer_.find("Content-Length: ");
        const size_t length = end + 4 + std::stoul(buffer_.substr(at + 16));
        if (buffer_.size() >= length) {
          std::string one = buffer_.substr(0, length);
          buffer_.erase(0, length);
          return one;
        }
      }
      if (!ReadSome(buffer_)) return "closed: " + buffer_;
    }
  }

 private:
  bool ReadSome(std::string& out) {
    char bytes[4096];
    const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
    if (n > 0) out.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }
  const int fd_;
  std::string buffer_;
};

class HttpTest : public ::testing::Test {
 protected:
  void Start(HttpLimits limits, BearerTokens tokens = BearerTokens("", "")) {
    router_ = std::make_unique<Router>(tokens, !tokens.any());
    const auto echo = [](RoutedRequest request, HttpResponder respond) {
      HttpResponse response;
      response.body = absl::StrCat("id=", request.path["id"], " q=", request.query["q"],
                                   " body=", request.body);
      respond(std::move(response));
    };
    router_->Add("GET", "/open", Role::kNobody, {}, echo);
    router_->Add("GET", "/view/{id}", Role::kViewer, {"q"}, echo);
    router_->Add("POST", "/do", Role::kAdmin, {}, echo);
    router_->AddOpen("/files/{path...}", {}, [](RoutedRequest request, HttpResponder respond) {
      HttpResponse response;
      response.body = absl::StrCat("path=", request.path["path"], " peer=", request.peer);
      response.cache_control = "public, immutable";
      respond(std::move(response));
    });
    router_->Add("GET", "/later", Role::kNobody, {}, [this](RoutedRequest, HttpResponder respond) {
      held_.push_back(std::move(respond));
    });
    thread_.RunAndWait([&] {
      auto server =
          HttpServer::Listen(thread_.loop(), *runtime::Endpoint::Parse("tcp://127.0.0.1:0"), limits,
                             [this](HttpRequest request, HttpResponder respond) {
                               router_->Handle(std::move(request), std::move(respond));
                             });
      ASSERT_TRUE(server.ok()) << server.status();
      server_ = *std::move(server);
    });
    port_ = server_->endpoint().port;
  }

 public:
  ~HttpTest() override {
    thread_.RunAndWait([&] { server_.reset(); });
  }

 protected:
  std::string Raw(const std::string& bytes) {
    Client client(port_);
    client.Send(bytes);
    return client.ReadAll();
  }
  // Whether every connection ends within some seconds.
  bool AllClose() {
    size_t open = 1;
    for (int tries = 0; tries < 500 && open > 0; ++tries) {
      thread_.RunAndWait([&] { open = server_->connections(); });
      if (open > 0) usleep(10'000);
    }
    return open == 0;
  }
  std::string Get(const std::string& target, const std::string& headers = "",
                  const std::string& method = "GET") {
    return Raw(absl::StrCat(method, " ", target,
                            " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", headers,
                            "\r\n"));
  }
  static std::string Bearer(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }

  runtime::EventLoopThread thread_{"http"};
  std::unique_ptr<Router> router_;
  std::unique_ptr<HttpServer> server_;
  std::vector<HttpResponder> held_;  // loop thread
  uint32_t port_ = 0;
};

TEST_F(HttpTest, AnswersWithSecurityHeaders) {
  Start({});
  const std::string answer = Get("/view/a%20b?q=x%2Fy");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("id=a b q=x/y"));
  for (const char* header : {"X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
                             "Content-Security-Policy: default-src 'none'",
                             "Cache-Control: no-store", "Content-Type: application/json"}) {
    EXPECT_THAT(answer, HasSubstr(header));
  }
}

TEST_F(HttpTest, HeadHasTheLengthAndNoBody) {
  Start({});
  const std::string answer = Get("/open", "", "HEAD");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 12\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpTest, OpenRoutesAreForEverybody) {
  Start({}, BearerTokens(kViewer, kAdmin));
  const std::string answer = Get("/files/a/b%2e%2e/c", "Origin: https://elsewhere.example\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("path=a/b%2e%2e/c peer=127.0.0.1")) << "as it was sent";
  EXPECT_THAT(answer, HasSubstr("Access-Control-Allow-Origin: *\r\n"));
  EXPECT_THAT(answer, HasSubstr("Cache-Control: public, immutable\r\n"));
  EXPECT_THAT(answer, ::testing::Not(HasSubstr("no-store")));
  EXPECT_THAT(Get("/files/a", "", "HEAD"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Get("/files/"), HasSubstr("path= peer"));
  EXPECT_THAT(Get("/files"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Get("/files/a", "", "DELETE"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Get("/view/1", Bearer(kViewer) + "Origin: https://elsewhere.example\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/view/1", Bearer(kViewer)), ::testing::Not(HasSubstr("Access-Control")));
}

TEST_F(HttpTest, KeepsAliveAndHandlesPipelinedRequestsInOrder) {
  Start({});
  Client client(port_);
  const std::string request = "GET /view/";
  const std::string rest = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client.Send(request + "1" + rest + request + "2" + rest + request + "3" + rest);
  for (int i = 1; i <= 3; ++i) EXPECT_THAT(client.ReadOne(), HasSubstr(absl::StrCat("id=", i)));
  client.Send(request + "4" + rest);
  EXPECT_THAT(client.ReadOne(), HasSubstr("id=4"));
}

TEST_F(HttpTest, SaysHowLongAConnectionIsKept) {
  HttpLimits limits;
  limits.request_time = absl::Seconds(7);
  Start(limits);
  Client client(port_);
  client.Send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.ReadOne(),
              HasSubstr("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=6\r\n"));
  EXPECT_THAT(Get("/open"), ::testing::Not(HasSubstr("Keep-Alive"))) << "it is closed at once";
}

TEST_F(HttpTest, BodiesByLengthAndByChunks) {
  Start({});
  const std::string head =
      "POST /do HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
      "application/json\r\n";
  EXPECT_THAT(Raw(head + "Content-Length: 5\r\n\r\nhello"), HasSubstr("body=hello"));
  EXPECT_THAT(Raw(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
              HasSubstr("body=hello"));
}

// Found by the fuzzer: a body that is nothing but the last chunk stopped the process where Beast's
// assertions are compiled in.
TEST_F(HttpTest, TheLastChunkByteByByte) {
  Start({});
  Client client(port_);
  client.Send(
      "POST /do HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (const char* byte : {"0", "\r", "\n", "\r", "\n"}) {
    client.Send(byte);
    absl::SleepFor(absl::Milliseconds(10));  // read on its own
  }
  EXPECT_THAT(client.ReadOne(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpTest, BadInputGetsAClearErrorAndTheServerServesOn) {
  Start({});
  struct Case {
    const char* what;
    std::string bytes;
    const char* status;
  };
  const std::string head = "Host: localhost\r\nConnection: close\r\n";
  const std::string json = head + "Content-Type: application/json\r\n";
  const std::vector<Case> cases = {
      {"noise", std::string("\x00\xff\x13\x37\r\n\r\n", 8), "400"},
      {"no version", "GET /open\r\n\r\n", "400"},
      {"another version", "GET /open HTTP/3.0\r\n\r\n", "505"},
      {"space in the target", "GET /op en HTTP/1.1\r\n" + head + "\r\n", "505"},
      {"a header without colon", "GET /open HTTP/1.1\r\nHost\r\n\r\n", "400"},
      {"NUL in a header", std::string("GET /open HTTP/1.1\r\nHo\0st: x\r\n\r\n", 32), "400"},
      {"unknown method", "BREW /open HTTP/1.1\r\n" + head + "\r\n", "405"},
      {"wrong method", "POST /open HTTP/1.1\r\n" + head + "\r\n", "405"},
      {"unknown path", "GET /nothing HTTP/1.1\r\n" + head + "\r\n", "404"},
      {"path without slash", "GET open HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"absolute form", "GET http://evil/open HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"half an escape", "GET /view/%4 HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"bad escape", "GET /view/%zz HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"escaped NUL", "GET /view/%00 HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"empty parameter", "GET /view/ HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"long parameter", "GET /view/" + std::string(129, 'x') + " HTTP/1.1\r\n" + head + "\r\n",
       "400"},
      {"long path", "GET /" + std::string(3000, 'x') + " HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"unknown query", "GET /view/1?z=1 HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"query twice", "GET /view/1?q=1&q=2 HTTP/1.1\r\n" + head + "\r\n", "400"},
      {"two lengths",
       "POST /do HTTP/1.1\r\n" + json + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"negative length", "POST /do HTTP/1.1\r\n" + json + "Content-Length: -1\r\n\r\n", "400"},
      {"length and chunks",
       "POST /do HTTP/1.1\r\n" + json +
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"bad chunk", "POST /do HTTP/1.1\r\n" + json + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
       "400"},
      {"body too long", "POST /do HTTP/1.1\r\n" + json + "Content-Length: 1048577\r\n\r\n", "413"},
      {"body of another type", "POST /do HTTP/1.1\r\n" + head + "Content-Length: 1\r\n\r\nx",
       "415"},
      {"headers too long", "GET /open HTTP/1.1\r\nX: " + std::string(17000, 'x') + "\r\n\r\n",
       "431"},
      {"another site", "POST /do HTTP/1.1\r\nOrigin: http://evil.example\r\n" + head + "\r\n",
       "403"},
      {"a name of its own", "GET /open HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
       "403"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Raw(c.bytes), StartsWith(absl::StrCat("HTTP/1.1 ", c.status, " "))) << c.what;
    EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200 ")) << "after " << c.what;
  }
}

TEST_F(HttpTest, TokensAndRoles) {
  Start({}, BearerTokens(kViewer, kAdmin));
  struct Case {
    const char* method;
    const char* target;
    std::string header;
    const char* status;
  };
  const std::vector<Case> cases = {
      {"GET", "/open", "", "200"},
      {"GET", "/view/1", "", "401"},
      {"GET", "/view/1", Bearer("wrong-token-0123456789"), "401"},
      {"GET", "/view/1", Bearer(""), "401"},
      {"GET", "/view/1", Bearer(std::string(kViewer) + "x"), "401"},
      {"GET", "/view/1", std::string("Authorization: Basic ") + kViewer + "\r\n", "401"},
      {"GET", "/view/1", Bearer(kViewer), "200"},
      {"GET", "/view/1", std::string("authorization: bearer ") + kViewer + "\r\n", "200"},
      {"GET", "/view/1", Bearer(kAdmin), "200"},
      {"POST", "/do", "", "401"},
      {"POST", "/do", Bearer(kViewer), "403"},
      {"POST", "/do", Bearer(kAdmin), "200"},
      {"GET", "/nothing", "", "401"},
      {"GET", "/nothing", Bearer(kViewer), "404"},
      {"DELETE", "/view/1", Bearer(kViewer), "405"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Get(c.target, c.header, c.method), StartsWith(absl::StrCat("HTTP/1.1 ", c.status)))
        << c.method << " " << c.target << " " << c.header;
  }
  EXPECT_THAT(Get("/view/1"), HasSubstr("WWW-Authenticate: Bearer"));
}

TEST(BearerTokensTest, OneTokenAloneGivesNothingToTheOther) {
  const BearerTokens admin_only("", kAdmin);
  EXPECT_EQ(admin_only.RoleOf(""), Role::kNobody);
  EXPECT_EQ(admin_only.RoleOf("Bearer "), Role::kNobody);
  EXPECT_EQ(admin_only.RoleOf(absl::StrCat("Bearer ", kAdmin)), Role::kAdmin);
  const BearerTokens viewer_only(kViewer, "");
  EXPECT_EQ(viewer_only.RoleOf("Bearer "), Role::kNobody);
  EXPECT_EQ(viewer_only.RoleOf(absl::StrCat("Bearer ", kViewer)), Role::kViewer);
  EXPECT_EQ(BearerTokens("", "").RoleOf(""), Role::kAdmin);
}

TEST(BearerTokensTest, WeakTokensAreRefused) {
  EXPECT_TRUE(BearerTokens::Check("", "").ok());
  EXPECT_TRUE(BearerTokens::Check(kViewer, kAdmin).ok());
  EXPECT_FALSE(BearerTokens::Check("short", "").ok());
  EXPECT_FALSE(BearerTokens::Check("with space 0123456789", "").ok());
  EXPECT_FALSE(BearerTokens::Check(kAdmin, kAdmin).ok());
}

TEST_F(HttpTest, SlowRequestsAreCutOff) {
  HttpLimits limits;
  limits.request_time = absl::Milliseconds(300);
  Start(limits);
  Client idle(port_);
  EXPECT_EQ(idle.ReadAll(), "");
  Client slow(port_);  // one byte at a time, never long silent
  std::string answer;
  for (int i = 0; i < 100; ++i) {
    if (!slow.Send("G")) break;
    usleep(20'000);
  }
  EXPECT_LT(Client(port_).ReadAll().size(), 1u);
  Client half(port_);
  half.Send("POST /do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_THAT(half.ReadAll(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(AllClose()) << "though the client stays";
}

TEST_F(HttpTest, ARequestRefusedHalfwayGetsItsAnswerAndNoReset) {
  HttpLimits limits;
  limits.header_bytes = 1000;
  Start(limits);
  for (int i = 0; i < 20; ++i) {
    Client client(port_);
    // More than fits into the sockets between: a reset would end it, and many a client then looks
    // for no answer.
    ASSERT_TRUE(client.Send("GET /open HTTP/1.1\r\nX: " + std::string(10 << 20, 'x'))) << i;
    ASSERT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 431 ")) << i;
  }
  EXPECT_TRUE(AllClose());
}

TEST_F(HttpTest, OneConnectionTooManyIsToldSo) {
  HttpLimits limits;
  limits.connections = 3;
  Start(limits);
  {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(std::make_unique<Client>(port_));
      clients.back()->Send("GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
      EXPECT_THAT(clients.back()->ReadOne(), StartsWith("HTTP/1.1 200"));
    }
    Client fourth(port_);
    EXPECT_THAT(fourth.ReadAll(), StartsWith("HTTP/1.1 503 "));
  }
  EXPECT_TRUE(AllClose());
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpTest, AnAnswerMayComeLaterOrForAConnectionThatIsGone) {
  Start({});
  const auto answer = [&](size_t index) {
    for (bool done = false; !done; usleep(5'000)) {
      thread_.RunAndWait([&] {
        if (held_.size() <= index) return;
        HttpResponse response;
        response.body = "at last";
        held_[index](std::move(response));
        done = true;
      });
    }
  };
  Client client(port_);
  client.Send("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  answer(0);
  EXPECT_THAT(client.ReadOne(), HasSubstr("at last"));
  {
    Client gone(port_);
    gone.Send("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  answer(1);
  EXPECT_THAT(Get("/open"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpTest, DrainLetsTheAnswerUnderWayThrough) {
  Start({});
  Client client(port_);
  client.Send("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (bool held = false; !held; usleep(5'000)) {
    thread_.RunAndWait([&] { held = !held_.empty(); });
  }
  thread_.RunAndWait([&] {
    server_->Drain();
    EXPECT_EQ(server_->connections(), 1u);
    held_[0](HttpResponse{});
  });
  EXPECT_THAT(client.ReadAll(), HasSubstr("Connection: close"));
}

}  // namespace
}  // namespace coffer::host_proxy
