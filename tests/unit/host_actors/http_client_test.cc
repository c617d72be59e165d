#include "actors/host/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "actors/host/chain_rpc.h"
#include "runtime/event_loop.h"
#include "runtime/random.h"
#include "tests/unit/host_actors/test_servers.h"
#include "tests/unit/runtime/support.h"

namespace coffer::host {
namespace {

using runtime::TurnUntil;
using ::testing::HasSubstr;

TestServer::Reply Echo(const std::string& body, evhttp_request*) { return {200, "got " + body}; }

class HttpClientTest : public ::testing::Test {
 protected:
  void Make(HttpOptions options = {}) {
    auto made = HttpClient::Create(&loop, std::move(options));
    ASSERT_TRUE(made.ok()) << made.status();
    client = *std::move(made);
  }
  absl::StatusOr<HttpResponse> Post(const std::string& url, const std::string& body,
                                    absl::Duration timeout = absl::Seconds(5)) {
    std::optional<absl::StatusOr<HttpResponse>> got;
    client->Post(*HttpUrl::Parse(url), body, timeout,
                 [&](absl::StatusOr<HttpResponse> response) { got = std::move(response); });
    EXPECT_FALSE(got.has_value()) << "never from inside Post";
    EXPECT_TRUE(TurnUntil(loop, [&] { return got.has_value(); }));
    return got.value_or(absl::InternalError("no answer at all"));
  }
  std::string TempFile(const char* name) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    const auto path = std::filesystem::path(::testing::TempDir()) /
                      absl::StrCat("coffer_", getpid(), "_", test->name(), "_", name);
    files.push_back(path);
    return path;
  }
  ~HttpClientTest() override {
    client.reset();
    for (const auto& file : files) std::filesystem::remove(file);
  }

  runtime::EventLoop loop;
  std::unique_ptr<HttpClient> client;
  std::vector<std::filesystem::path> files;
};

TEST_F(HttpClientTest, SendsOtherMethodsWithTheirHeaders) {
  Make();
  std::string seen;
  TestServer server(&loop, [&](const std::string& body, evhttp_request* request) {
    const char* token =
        evhttp_find_header(evhttp_request_get_input_headers(request), "X-Test-Token");
    seen = absl::StrCat(static_cast<int>(evhttp_request_get_command(request)), " ", body, " ",
                        token == nullptr ? "none" : token);
    return TestServer::Reply{200, "a secret"};
  });
  for (const auto method : {HttpCall::Method::kGet, HttpCall::Method::kPut}) {
    HttpCall call;
    call.method = method;
    call.headers = {{"X-Test-Token", "t"}};
    call.secret_answer = true;
    if (method == HttpCall::Method::kPut) call.body = "sent";
    std::optional<absl::StatusOr<HttpResponse>> got;
    client->Send(*HttpUrl::Parse(server.Url()), std::move(call), absl::Seconds(5),
                 [&](absl::StatusOr<HttpResponse> response) { got = std::move(response); });
    ASSERT_TRUE(TurnUntil(loop, [&] { return got.has_value(); }));
    ASSERT_TRUE(got->ok()) << got->status();
    EXPECT_EQ((*got)->body, "a secret");
    const bool get = method == HttpCall::Method::kGet;
    EXPECT_EQ(seen, absl::StrCat(static_cast<int>(get ? EVHTTP_REQ_GET : EVHTTP_REQ_PUT), " ",
                                 get ? "" : "sent", " t"));
  }
}

TEST_F(HttpClientTest, PostsAndKeepsTheConnection) {
  Make();
  std::string host;
  std::string path;
  std::string type;
  std::string authorization;
  TestServer server(&loop, [&](const std::string& body, evhttp_request* request) {
    const auto header = [&](const char* name) {
      const char* value = evhttp_find_header(evhttp_request_get_input_headers(request), name);
      return std::string(value == nullptr ? "" : value);
    };
    host = header("Host");
    type = header("Content-Type");
    authorization = header("Authorization");
    path = evhttp_request_get_uri(request);
    return Echo(body, request);
  });
  for (int i = 0; i < 5; ++i) {
    const auto response = Post(server.Url("user:pass@127.0.0.1"), absl::StrCat("call ", i));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, absl::StrCat("got call ", i));
  }
  EXPECT_EQ(client->connections(), 1);
  EXPECT_THAT(host, HasSubstr("127.0.0.1:"));
  EXPECT_EQ(path, "/KEY");
  EXPECT_EQ(type, "application/json");
  EXPECT_EQ(authorization, "Basic dXNlcjpwYXNz");
}

TEST_F(HttpClientTest, StatusAndRetryAfterAreHandedOn) {
  Make();
  TestServer server(&loop, [](const std::string&, evhttp_request*) {
    return TestServer::Reply{429, "slow", {{"Retry-After", "7"}}};
  });
  const auto response = Post(server.Url(), "x");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 429);
  EXPECT_EQ(response->retry_after, absl::Seconds(7));
}

TEST_F(HttpClientTest, RequestsAtOnceUseConnectionsOfTheirOwn) {
  HttpOptions options;
  options.max_idle = 2;
  Make(options);
  TestServer server(&loop, Echo);
  int done = 0;
  for (int i = 0; i < 4; ++i) {
    client->Post(*HttpUrl::Parse(server.Url()), "x", absl::Seconds(5), [&](auto response) {
      EXPECT_TRUE(response.ok());
      ++done;
    });
  }
  ASSERT_TRUE(TurnUntil(loop, [&] { return done == 4; }));
  EXPECT_EQ(client->connections(), 4);
  ASSERT_TRUE(Post(server.Url(), "x").ok());
  EXPECT_EQ(client->connections(), 4);
}

TEST_F(HttpClientTest, SlowAnswersTimeOut) {
  Make();
  TestServer server(
      &loop, [](const std::string&, evhttp_request*) { return TestServer::Reply{.never = true}; });
  const auto response = Post(server.Url(), "x", absl::Milliseconds(100));
  EXPECT_TRUE(absl::IsDeadlineExceeded(response.status())) << response.status();
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(HttpClientTest, LargeAnswersAreRefused) {
  HttpOptions options;
  options.max_body = 1000;
  Make(options);
  TestServer server(&loop, [](const std::string& body, evhttp_request*) {
    return TestServer::Reply{200, std::string(std::stoul(body), 'x')};
  });
  EXPECT_TRUE(Post(server.Url(), "1000").ok());
  const auto large = Post(server.Url(), "1001");
  EXPECT_TRUE(absl::IsResourceExhausted(large.status())) << large.status();
  EXPECT_TRUE(Post(server.Url(), "1").ok()) << "and the client goes on";
}

TEST_F(HttpClientTest, BrokenServers) {
  Make();
  const char* texts[] = {
      "",
      "garbage\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
  };
  for (const char* text : texts) {
    RawServer server(&loop, text);
    const auto response = Post(server.Url(), "x");
    EXPECT_FALSE(response.ok()) << text;
    EXPECT_FALSE(absl::IsDeadlineExceeded(response.status())) << text;
    EXPECT_EQ(server.accepted(), 1) << text;
  }
  uint16_t closed = 0;
  {
    RawServer gone(&loop, "");
    closed = HttpUrl::Parse(gone.Url())->port;
  }
  EXPECT_TRUE(
      absl::IsUnavailable(Post(absl::StrCat("http://127.0.0.1:", closed, "/"), "x").status()));
  EXPECT_TRUE(absl::IsUnavailable(Post("http://no-such-name.invalid/", "x").status()));
}

TEST_F(HttpClientTest, AConnectionTheServerClosedIsReplaced) {
  Make();
  bool close = false;
  TestServer server(&loop, [&](const std::string& body, evhttp_request* request) {
    TestServer::Reply reply = Echo(body, request);
    if (close) reply.headers.emplace_back("Connection", "close");
    return reply;
  });
  EXPECT_TRUE(Post(server.Url(), "1").ok());
  close = true;
  EXPECT_TRUE(Post(server.Url(), "2").ok());
  EXPECT_TRUE(Post(server.Url(), "3").ok());
  EXPECT_EQ(client->connections(), 2);
}

TEST_F(HttpClientTest, AConnectionClosedUnderARequestIsReplacedOnce) {
  Make();
  RawServer server(&loop, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", /*hold=*/true);
  EXPECT_TRUE(Post(server.Url(), "1").ok());
  EXPECT_EQ(server.accepted(), 1);
  const auto second = Post(server.Url(), "2");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->body, "ok");
  EXPECT_EQ(server.accepted(), 2);
}

TEST_F(HttpClientTest, DestroyedWithRequestsUnderWay) {
  Make();
  TestServer server(
      &loop, [](const std::string&, evhttp_request*) { return TestServer::Reply{.never = true}; });
  for (const std::string& url : {server.Url(), server.Url("localhost")}) {
    client->Post(*HttpUrl::Parse(url), "x", absl::Seconds(5),
                 [](auto) { FAIL() << "answered after the end"; });
  }
  ASSERT_TRUE(TurnUntil(loop, [&] { return server.requests() > 0; }));
  client.reset();
  TurnUntil(
      loop, [] { return false; }, absl::Milliseconds(20));
}

struct TlsRow {
  const char* what;
  const char* names;
  const char* host;
  bool right_ca;
  long valid_seconds;
  int max_version;
  bool accepted;
};

TEST_F(HttpClientTest, TlsVerifiesChainNameAndVersion) {
  const TlsRow rows[] = {
      {"address", "IP:127.0.0.1", "127.0.0.1", true, 3600, 0, true},
      {"name", "DNS:localhost", "localhost", true, 3600, 0, true},
      {"TLS 1.2", "IP:127.0.0.1", "127.0.0.1", true, 3600, TLS1_2_VERSION, true},
      {"another CA of the same name", "IP:127.0.0.1", "127.0.0.1", false, 3600, 0, false},
      {"another address", "IP:127.0.0.2", "127.0.0.1", true, 3600, 0, false},
      {"an address as a name", "DNS:127.0.0.1", "127.0.0.1", true, 3600, 0, false},
      {"another name", "DNS:other.example", "localhost", true, 3600, 0, false},
      {"expired", "IP:127.0.0.1", "127.0.0.1", true, -3600, 0, false},
      {"TLS 1.1", "IP:127.0.0.1", "127.0.0.1", true, 3600, TLS1_1_VERSION, false},
  };
  const KeyAndCertificate ca = MakeCertificate("Test CA", nullptr, "");
  const KeyAndCertificate other_ca = MakeCertificate("Test CA", nullptr, "");
  const std::string ca_file = TempFile("ca.pem");
  WritePem(ca, ca_file);
  for (const TlsRow& row : rows) {
    SCOPED_TRACE(row.what);
    const KeyAndCertificate own =
        MakeCertificate("server", row.right_ca ? &ca : &other_ca, row.names, row.valid_seconds);
    TestServer server(&loop, Echo, ServerContext(own, row.max_version));
    HttpOptions options;
    options.ca_file = ca_file;
    Make(options);
    absl::StatusOr<HttpResponse> response = Post(server.Url(row.host), "x");
    // A name may stand for ::1 first, where nobody listens.
    if (!response.ok() && row.host == std::string("localhost")) {
      response = Post(server.Url(row.host), "x");
    }
    EXPECT_EQ(response.ok(), row.accepted) << response.status();
    EXPECT_EQ(server.requests(), row.accepted ? 1 : 0);
    if (row.accepted) {
      const uint64_t before = client->connections();
      EXPECT_TRUE(Post(server.Url(row.host), "y").ok());
      EXPECT_EQ(client->connections(), before) << "kept";
    } else if (row.max_version == 0) {
      EXPECT_THAT(std::string(response.status().message()), HasSubstr("certificate"));
    }
    client.reset();
  }
}

TEST_F(HttpClientTest, TheSystemsAuthoritiesDoNotKnowTheTestCa) {
  const KeyAndCertificate ca = MakeCertificate("Test CA", nullptr, "");
  const KeyAndCertificate own = MakeCertificate("server", &ca, "IP:127.0.0.1");
  TestServer server(&loop, Echo, ServerContext(own, 0));
  Make();
  EXPECT_TRUE(absl::IsUnavailable(Post(server.Url(), "x").status()));
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(HttpClientTest, ABadCaFileIsAnError) {
  HttpOptions options;
  options.ca_file = TempFile("nothing.pem");
  EXPECT_TRUE(absl::IsInvalidArgument(HttpClient::Create(&loop, options).status()));
}

// The two together, over real sockets: the first node misbehaves, the second answers.
TEST_F(HttpClientTest, ChainRpcFailsOver) {
  Make();
  TestServer good(&loop, [](const std::string& body, evhttp_request*) {
    const size_t at = body.find("\"id\":") + 5;
    return TestServer::Reply{
        200, absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", body.substr(at, body.find(',', at) - at),
                          ",\"result\":\"0x7a69\"}")};
  });
  TestServer limited(&loop, [](const std::string&, evhttp_request*) {
    return TestServer::Reply{429, "", {{"Retry-After", "60"}}};
  });
  TestServer slow(
      &loop, [](const std::string&, evhttp_request*) { return TestServer::Reply{.never = true}; });
  RawServer garbage(&loop, "garbage\r\n\r\n");
  runtime::SeededRandom random(1);
  ChainRpcOptions options;
  options.try_timeout = absl::Milliseconds(100);
  for (const std::string& url : {limited.Url(), slow.Url(), garbage.Url(), good.Url()}) {
    options.urls.push_back(*HttpUrl::Parse(url));
  }
  ChainRpc rpc(&loop, client.get(), &random, options);
  std::optional<absl::StatusOr<RpcAnswer>> got;
  rpc.Call("eth_chainId", Json::Value(Json::arrayValue),
           [&](absl::StatusOr<RpcAnswer> answer) { got = std::move(answer); });
  ASSERT_TRUE(TurnUntil(loop, [&] { return got.has_value(); }));
  ASSERT_TRUE(got->ok()) << got->status();
  EXPECT_EQ((*got)->result.asString(), "0x7a69");
  const ChainRpcMetrics metrics = rpc.metrics();
  EXPECT_EQ(metrics.rate_limited, 1);
  EXPECT_EQ(metrics.timeouts, 1);
  EXPECT_GE(metrics.unavailable, 1);
  EXPECT_EQ(metrics.current_url, 3);
}

}  // namespace
}  // namespace coffer::host
