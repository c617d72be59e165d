#include "tools/http_connection.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/http_tls.h"
#include "runtime/endpoint.h"
#include "runtime/os_clock.h"

namespace coffer::tools {
namespace {

absl::Status TimedOut() { return absl::UnavailableError("no whole answer within the time-out"); }

// The socket's own time-outs, so that no call outlives the deadline by much.
absl::Status Limit(int fd, absl::Time deadline) {
  const absl::Duration left = deadline - runtime::OsMonotonicNow();
  if (left <= absl::ZeroDuration()) return TimedOut();
  const timeval patience = absl::ToTimeval(std::max(left, absl::Milliseconds(1)));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return absl::OkStatus();
}

absl::StatusOr<runtime::Fd> Connect(const host::HttpUrl& url, absl::Time deadline) {
  runtime::Endpoint endpoint;
  endpoint.host = url.host;
  endpoint.port = url.port;
  std::vector<runtime::SocketAddress> addresses;
  if (auto literal = runtime::LiteralAddress(endpoint, false); literal.ok()) {
    addresses.push_back(*literal);
  } else {
    auto resolved = runtime::ResolveBlocking(endpoint);
    if (!resolved.ok()) return absl::UnavailableError(resolved.status().message());
    addresses = *std::move(resolved);
  }
  std::string why = "its name has no address";
  for (const runtime::SocketAddress& address : addresses) {
    runtime::Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.valid()) continue;
    if (absl::Status status = Limit(fd.get(), deadline); !status.ok()) return status;
    if (connect(fd.get(), address.get(), address.length) == 0) return fd;
    why = errno == EINPROGRESS ? "no connection within the time-out" : runtime::ErrnoText(errno);
  }
  return absl::UnavailableError(why);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpConnection>> HttpConnection::Open(const host::HttpUrl& url,
                                                                     SSL_CTX* tls,
                                                                     absl::Time deadline) {
  absl::StatusOr<runtime::Fd> fd = Connect(url, deadline);
  if (!fd.ok()) return fd.status();
  SSL* session = nullptr;
  if (url.tls) {
    session = host::NewClientSession(tls, url.host);
    if (session == nullptr) return absl::UnavailableError("no TLS session could be made");
  }
  std::unique_ptr<HttpConnection> connection(new HttpConnection(*std::move(fd), session));
  if (session == nullptr) return connection;
  SSL_set_fd(session, connection->fd_.get());
  ERR_clear_error();
  if (SSL_connect(session) == 1) return connection;
  const std::string refused = host::VerifyFailure(session);
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  if (!refused.empty()) {
    return absl::UnavailableError(absl::StrCat("the server's certificate was refused: ", refused));
  }
  return absl::UnavailableError(
      absl::StrCat("no TLS: ", reason != nullptr ? reason : "the connection ended"));
}

HttpConnection::~HttpConnection() {
  if (session_ != nullptr) SSL_free(session_);
}

absl::Status HttpConnection::SetPatience(absl::Time deadline) { return Limit(fd_.get(), deadline); }

absl::Status HttpConnection::Send(std::string_view bytes, absl::Time deadline) {
  if (absl::Status status = SetPatience(deadline); !status.ok()) return status;
  ERR_clear_error();
  while (!bytes.empty()) {
    const ssize_t n = session_ != nullptr
                          ? SSL_write(session_, bytes.data(), static_cast<int>(bytes.size()))
                          : send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return absl::UnavailableError("the connection was closed");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> HttpConnection::Receive(char* bytes, size_t size, absl::Time deadline) {
  if (absl::Status status = SetPatience(deadline); !status.ok()) return status;
  ERR_clear_error();
  if (session_ != nullptr) {
    const int n = SSL_read(session_, bytes, static_cast<int>(size));
    if (n > 0) return static_cast<size_t>(n);
    const int error = SSL_get_error(session_, n);
    ERR_clear_error();
    // Only a proper end of the session ends a body that has no length.
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    return error == SSL_ERROR_WANT_READ ? TimedOut()
                                        : absl::UnavailableError("the connection was cut off");
  }
  for (;;) {
    const ssize_t n = recv(fd_.get(), bytes, size, 0);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK
               ? TimedOut()
               : absl::UnavailableError(runtime::ErrnoText(errno));
  }
}

}  // namespace coffer::tools
