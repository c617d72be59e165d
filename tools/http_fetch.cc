#include "tools/http_fetch.h"

#include <algorithm>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/last_chunk.h"
#include "runtime/os_clock.h"
#include "tools/http_connection.h"

namespace coffer::tools {

namespace http = boost::beast::http;
using Response = http::response<http::string_body>;

namespace {

constexpr uint32_t kMaxHeaderBytes = 64 * 1024;
constexpr int kAttempts = 6;  // of a request that the server wants later
constexpr absl::Duration kLongestWait = absl::Seconds(30);

// Of all that an answer may take on its way, chunks and trailers too.
constexpr size_t MostOnTheWire(size_t max_bytes) { return 2 * max_bytes + 4 * kMaxHeaderBytes; }

// The answer, and whether the connection can serve another request.
absl::StatusOr<std::pair<Response, bool>> ReadAnswer(HttpConnection& connection, size_t max_bytes,
                                                     absl::Time deadline) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(max_bytes);
  parser.header_limit(kMaxHeaderBytes);
  parser.eager(true);
  std::string buffer;
  std::vector<char> bytes(64 * 1024);
  size_t received = 0;
  while (!parser.is_done()) {
    const auto got = connection.Receive(bytes.data(), bytes.size(), deadline);
    if (!got.ok()) return got.status();
    boost::beast::error_code error;
    if (*got == 0) {
      // Beast may not be told of the end of what never began.
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done()) {
        return absl::UnavailableError("the connection was closed before a whole answer");
      }
      break;
    }
    received += *got;
    buffer.append(bytes.data(), *got);
    if (host::AwaitsLastChunk(parser, buffer)) continue;
    const size_t used = parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, used);
    if (error == http::error::body_limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the answer is larger than ", max_bytes, " bytes"));
    }
    if (error && error != http::error::need_more) {
      return absl::UnavailableError(absl::StrCat("the answer is not HTTP: ", error.message()));
    }
    // The parser asks for more of a chunk's extensions or of trailers for as long as there are any.
    if (buffer.size() > kMaxHeaderBytes || received > MostOnTheWire(max_bytes)) {
      return absl::UnavailableError(
          "the answer has more headers, chunk extensions or trailers than are read");
    }
  }
  const bool keep = parser.keep_alive() && buffer.empty();
  return std::pair(parser.release(), keep);
}

absl::Duration RetryAfter(const Response& response) {
  const auto header = response[http::field::retry_after];
  uint32_t seconds = 1;
  if (!absl::SimpleAtoi(absl::string_view(header.data(), header.size()), &seconds)) seconds = 1;
  return std::clamp(absl::Seconds(seconds), absl::Milliseconds(100), kLongestWait);
}

}  // namespace

struct HttpFetcher::Answer {
  int status = 0;
  std::string body;
  absl::Duration retry_after;
};

HttpFetcher::HttpFetcher(host::HttpUrl base, std::string name, std::string token, host::SslCtx tls,
                         absl::Duration timeout)
    : base_(std::move(base)),
      name_(std::move(name)),
      token_(std::move(token)),
      tls_(std::move(tls)),
      timeout_(timeout) {}
HttpFetcher::~HttpFetcher() = default;

absl::StatusOr<std::unique_ptr<HttpFetcher>> HttpFetcher::Create(const std::string& base,
                                                                 std::string token,
                                                                 const std::string& ca_file,
                                                                 absl::Duration timeout) {
  absl::StatusOr<host::HttpUrl> url = host::HttpUrl::Parse(base);
  if (!url.ok()) return url.status();
  if (absl::StrContains(url->target, "?")) {
    return absl::InvalidArgumentError("the address of a log has no query (?...)");
  }
  while (absl::EndsWith(url->target, "/")) url->target.pop_back();
  std::string name =
      absl::StrCat(url->tls ? "https://" : "http://", url->HostHeader(), url->target);
  absl::StatusOr<host::SslCtx> tls = host::NewClientContext(ca_file);
  if (!tls.ok()) return tls.status();
  return std::unique_ptr<HttpFetcher>(new HttpFetcher(*std::move(url), std::move(name),
                                                      std::move(token), *std::move(tls), timeout));
}

std::unique_ptr<HttpConnection> HttpFetcher::TakeIdle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<HttpConnection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

absl::StatusOr<HttpFetcher::Answer> HttpFetcher::Once(const std::string& target, size_t max_bytes) {
  std::string request =
      absl::StrCat("GET ", base_.target, target, " HTTP/1.1\r\nHost: ", base_.HostHeader(),
                   "\r\nUser-Agent: coffer\r\n");
  if (!token_.empty()) absl::StrAppend(&request, "Authorization: Bearer ", token_, "\r\n");
  if (token_.empty() && !base_.authorization.empty()) {
    absl::StrAppend(&request, "Authorization: ", base_.authorization, "\r\n");
  }
  request.append("\r\n");
  const absl::Time deadline = runtime::OsMonotonicNow() + timeout_;
  std::unique_ptr<HttpConnection> connection = TakeIdle();
  for (;;) {
    const bool kept = connection != nullptr;
    if (!kept) {
      auto opened = HttpConnection::Open(base_, tls_.get(), deadline);
      if (!opened.ok()) return opened.status();
      connection = *std::move(opened);
    }
    absl::StatusOr<std::pair<Response, bool>> answer = absl::UnknownError("");
    if (absl::Status sent = connection->Send(request, deadline); sent.ok()) {
      answer = ReadAnswer(*connection, max_bytes, deadline);
    } else {
      answer = sent;
    }
    if (!answer.ok()) {
      // The server may have given up the idle connection just as it was used again.
      if (kept && absl::IsUnavailable(answer.status())) {
        connection = nullptr;
        continue;
      }
      return answer.status();
    }
    if (answer->second) {
      const std::lock_guard<std::mutex> lock(mutex_);
      idle_.push_back(std::move(connection));
    }
    Response& response = answer->first;
    const absl::Duration later = RetryAfter(response);
    return Answer{static_cast<int>(response.result_int()), std::move(response.body()), later};
  }
}

absl::StatusOr<std::string> HttpFetcher::Get(const std::string& target, size_t max_bytes) {
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<Answer> answer = Once(target, max_bytes);
    if (!answer.ok()) {
      return absl::Status(answer.status().code(),
                          absl::StrCat(name_, target, ": ", answer.status().message()));
    }
    if (answer->status == 200) return std::move(answer->body);
    if (answer->status == 404 || answer->status == 410) {
      return absl::NotFoundError(
          absl::StrCat(name_, target, " is missing: the server answered ", answer->status));
    }
    const bool later = answer->status == 429 || answer->status == 503;
    if (!later || attempt == kAttempts) {
      const bool redirect = answer->status >= 300 && answer->status < 400;
      return absl::UnavailableError(absl::StrCat(
          name_, target, ": the server answered ", answer->status,
          redirect ? ", a redirect, which is not followed: give the final address" : ""));
    }
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(answer->retry_after));
  }
}

}  // namespace coffer::tools
