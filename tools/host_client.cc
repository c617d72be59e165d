#include "tools/host_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/http.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "actors/host/last_chunk.h"
#include "host_proxy/json_text.h"
#include "runtime/socket_address.h"

namespace coffer::tools {

namespace http = boost::beast::http;

namespace {

constexpr uint64_t kMaxAnswerBytes = 64u << 20;

absl::StatusOr<int> Connect(const runtime::Endpoint& endpoint, absl::Duration timeout) {
  absl::StatusOr<std::vector<runtime::SocketAddress>> addresses =
      std::vector<runtime::SocketAddress>();
  absl::StatusOr<runtime::SocketAddress> literal = runtime::LiteralAddress(endpoint, false);
  if (literal.ok()) {
    addresses->push_back(*literal);
  } else {
    addresses = runtime::ResolveBlocking(endpoint);
  }
  if (!addresses.ok()) return addresses.status();
  std::string why = "it has no address";
  for (const runtime::SocketAddress& address : *addresses) {
    const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const timeval patience = absl::ToTimeval(timeout);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, address.get(), address.length) == 0) return fd;
    why = runtime::ErrnoText(errno);
    close(fd);
  }
  return absl::UnavailableError(
      absl::StrCat("no connection to coffer-host at ", endpoint.ToString(), ": ", why));
}

absl::Status SendAll(int fd, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return absl::UnavailableError("coffer-host closed the connection");
    sent += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<http::response<http::string_body>> ReadAnswer(int fd) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswerBytes);
  parser.eager(true);
  std::string buffer;
  char bytes[65536];
  while (!parser.is_done()) {
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0) return absl::UnavailableError("coffer-host gave no whole answer in time");
    buffer.append(bytes, static_cast<size_t>(n));
    if (host::AwaitsLastChunk(parser, buffer)) continue;
    boost::beast::error_code error;
    const size_t used = parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, used);
    if (error && error != http::error::need_more) {
      return absl::UnavailableError(absl::StrCat("the answer is not HTTP: ", error.message()));
    }
  }
  return parser.release();
}

absl::StatusOr<Json::Value> Success(absl::StatusOr<HostClient::Answer> answer) {
  if (!answer.ok()) return answer.status();
  if (answer->status >= 200 && answer->status < 300) return std::move(answer->body);
  const Json::Value& error = answer->body["error"];
  return absl::FailedPreconditionError(
      absl::StrCat("coffer-host answered ", answer->status, ": ",
                   error["message"].isString() ? error["message"].asString() : "no reason given"));
}

}  // namespace

std::string PercentEncode(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

absl::StatusOr<HostClient> HostClient::Make(const std::string& url, std::string token,
                                            absl::Duration timeout) {
  std::string text = url;
  while (absl::EndsWith(text, "/")) text.pop_back();
  if (absl::StartsWith(text, "http://")) text.replace(0, 4, "tcp");
  absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(text);
  const bool known = absl::StartsWith(url, "http://") || absl::StartsWith(url, "unix://");
  if (!endpoint.ok() || !known) {
    return absl::InvalidArgumentError(
        absl::StrCat("--host-url must be http://HOST:PORT or unix:///PATH, not ", url));
  }
  std::string host = endpoint->kind == runtime::Endpoint::Kind::kTcp ? text.substr(6) : "localhost";
  return HostClient(*std::move(endpoint), std::move(host), std::move(token), timeout);
}

absl::StatusOr<HostClient::Answer> HostClient::Request(const std::string& method,
                                                       const std::string& target,
                                                       const std::string& body) const {
  absl::StatusOr<int> fd = Connect(endpoint_, timeout_);
  if (!fd.ok()) return fd.status();
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: ", host_,
                                     "\r\nConnection: close\r\nContent-Length: ", body.size(),
                                     "\r\nContent-Type: application/json\r\n");
  if (!token_.empty()) absl::StrAppend(&request, "Authorization: Bearer ", token_, "\r\n");
  absl::StrAppend(&request, "\r\n", body);
  absl::Status sent = SendAll(*fd, request);
  absl::StatusOr<http::response<http::string_body>> response =
      sent.ok() ? ReadAnswer(*fd) : absl::StatusOr<http::response<http::string_body>>(sent);
  close(*fd);
  if (!response.ok()) return response.status();
  absl::StatusOr<Json::Value> json = host_proxy::FromText(response->body());
  if (!json.ok()) {
    return absl::UnavailableError(absl::StrCat("what answers at ", endpoint_.ToString(),
                                               " does not speak JSON: is it coffer-host?"));
  }
  return Answer{static_cast<int>(response->result_int()), *std::move(json)};
}

absl::StatusOr<Json::Value> HostClient::Get(const std::string& target) const {
  return Success(Request("GET", target));
}

absl::StatusOr<Json::Value> HostClient::Post(const std::string& target,
                                             const std::string& body) const {
  return Success(Request("POST", target, body));
}

}  // namespace coffer::tools
