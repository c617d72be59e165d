#include "host_proxy/http_server.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/log.h"
#include "runtime/socket_address.h"

namespace coffer::host_proxy {
namespace {

// How long the listener rests when the process is out of descriptors.
constexpr absl::Duration kAcceptBackoff = absl::Milliseconds(100);

constexpr char kTooMany[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    "Content-Length: 76\r\n\r\n"
    "{\"error\":{\"code\":\"too_many_connections\",\"message\":\"try again in a moment\"}}\n";

uint32_t PortOf(const runtime::SocketAddress& address) {
  if (address.family() == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(address.get())->sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_port);
}

std::string PeerOf(const sockaddr* peer) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* address = nullptr;
  if (peer != nullptr && peer->sa_family == AF_INET) {
    address = &reinterpret_cast<const sockaddr_in*>(peer)->sin_addr;
  } else if (peer != nullptr && peer->sa_family == AF_INET6) {
    address = &reinterpret_cast<const sockaddr_in6*>(peer)->sin6_addr;
  }
  if (address == nullptr) return "unix";
  return inet_ntop(peer->sa_family, address, text, sizeof(text)) == nullptr ? "" : text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(runtime::EventLoop* loop,
                                                               const runtime::Endpoint& endpoint,
                                                               const HttpLimits& limits,
                                                               HttpHandler handler) {
  if (endpoint.kind == runtime::Endpoint::Kind::kVsock) {
    return absl::InvalidArgumentError("HTTP is served on tcp:// and unix:// endpoints only");
  }
  absl::StatusOr<runtime::Fd> fd = runtime::ListenOn(endpoint);
  if (!fd.ok()) return fd.status();
  runtime::Endpoint bound = endpoint;
  if (endpoint.kind == runtime::Endpoint::Kind::kTcp) {
    bound.port = PortOf(runtime::LocalAddress(fd->get()));
  }
  std::unique_ptr<HttpServer> server(
      new HttpServer(loop, std::move(bound), limits, std::move(handler)));
  server->listener_ = evconnlistener_new(
      loop->base(),
      [](evconnlistener*, evutil_socket_t accepted, sockaddr* peer, int, void* self) {
        static_cast<HttpServer*>(self)->Accept(accepted, peer);
      },
      server.get(), LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd->Release());
  COFFER_CHECK(server->listener_ != nullptr, "out of memory for a listener");
  evconnlistener_set_error_cb(server->listener_, [](evconnlistener*, void* self) {
    static_cast<HttpServer*>(self)->OnAcceptError(EVUTIL_SOCKET_ERROR());
  });
  return server;
}

HttpServer::HttpServer(runtime::EventLoop* loop, runtime::Endpoint endpoint,
                       const HttpLimits& limits, HttpHandler handler)
    : loop_(loop), endpoint_(std::move(endpoint)), limits_(limits), handler_(std::move(handler)) {}

HttpServer::~HttpServer() {
  if (listener_ != nullptr) evconnlistener_free(listener_);
}

void HttpServer::Accept(int fd, const sockaddr* peer) {
  if (connections_.size() >= limits_.connections) {
    ++refused_;
    // Best effort: the answer fits the socket's buffer.
    (void)!send(fd, kTooMany, sizeof(kTooMany) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    return;
  }
  // An answer of more than 16 KiB is written in pieces, and each would wait for the client's
  // delayed acknowledgement of the one before (40 ms). On a unix socket this fails and is not
  // needed.
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  bufferevent* bev = bufferevent_socket_new(loop_->base(), fd, BEV_OPT_CLOSE_ON_FREE);
  if (bev == nullptr) {
    close(fd);
    return;
  }
  const uint64_t id = next_connection_++;
  auto connection = std::make_shared<HttpConnection>(bev, PeerOf(peer), limits_, loop_, &handler_,
                                                     [this, id] { connections_.erase(id); });
  connections_.emplace(id, connection);
  connection->Start();
}

// The connection stays in the backlog and would be reported again at once, for ever.
void HttpServer::OnAcceptError(int error) {
  ++accept_failures_;
  static runtime::LogEvery log(absl::Seconds(10));
  log.Log(runtime::Level::kError, "http", "connections wait: none can be accepted for the moment",
          {{"why", std::strerror(error)}, {"connections", connections_.size()}});
  evconnlistener_disable(listener_);
  rest_ = loop_->After(kAcceptBackoff, [this] {
    if (listener_ != nullptr) evconnlistener_enable(listener_);
  });
}

void HttpServer::Drain() {
  if (listener_ != nullptr) evconnlistener_free(listener_);
  listener_ = nullptr;
  const auto connections = connections_;
  for (const auto& [id, connection] : connections) connection->Finish();
}

}  // namespace coffer::host_proxy
