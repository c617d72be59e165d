// An HTTP/1.1 server on an EventLoop: everything on the loop's thread.
#ifndef COFFER_HOST_PROXY_HTTP_SERVER_H_
#define COFFER_HOST_PROXY_HTTP_SERVER_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "host_proxy/http_connection.h"
#include "host_proxy/http_message.h"
#include "runtime/endpoint.h"
#include "runtime/event_loop.h"

struct evconnlistener;
struct sockaddr;

namespace coffer::host_proxy {

class HttpServer {
 public:
  // Listens at a tcp or unix endpoint. `handler` is called for every request that is within the
  // limits. `loop` must outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(runtime::EventLoop* loop,
                                                            const runtime::Endpoint& endpoint,
                                                            const HttpLimits& limits,
                                                            HttpHandler handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  // Takes no more connections; those there are end with the answer under way.
  void Drain();

  // With the real port when 0 was asked for.
  const runtime::Endpoint& endpoint() const { return endpoint_; }
  size_t connections() const { return connections_.size(); }
  uint64_t refused() const { return refused_; }
  // Connections that could not be taken at once: the process is out of descriptors.
  uint64_t accept_failures() const { return accept_failures_; }

 private:
  HttpServer(runtime::EventLoop* loop, runtime::Endpoint endpoint, const HttpLimits& limits,
             HttpHandler handler);

  void Accept(int fd, const sockaddr* peer);
  void OnAcceptError(int error);

  runtime::EventLoop* const loop_;
  runtime::Endpoint endpoint_;
  const HttpLimits limits_;
  HttpHandler handler_;
  evconnlistener* listener_ = nullptr;
  std::map<uint64_t, std::shared_ptr<HttpConnection>> connections_;
  uint64_t next_connection_ = 0;
  uint64_t refused_ = 0;
  uint64_t accept_failures_ = 0;
  std::unique_ptr<runtime::Timer> rest_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HTTP_SERVER_H_
