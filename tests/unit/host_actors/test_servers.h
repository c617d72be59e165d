// Servers on the test's own loop, well-behaved or not.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_TEST_SERVERS_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_TEST_SERVERS_H_

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"
#include "tests/unit/host_actors/test_ca.h"

namespace coffer::host {

// An HTTP server on 127.0.0.1; with a context, over TLS.
class TestServer {
 public:
  struct Reply {
    int status = 200;
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    bool never = false;
  };
  using Handler = std::function<Reply(const std::string& body, evhttp_request* request)>;

  TestServer(runtime::EventLoop* loop, Handler handler, std::shared_ptr<SSL_CTX> tls = nullptr)
      : base_(loop->base()), handler_(std::move(handler)), tls_(std::move(tls)) {
    http_ = evhttp_new(base_);
    if (tls_ != nullptr) evhttp_set_bevcb(http_, &TestServer::NewStream, this);
    evhttp_set_gencb(http_, &TestServer::OnRequest, this);
    evhttp_bound_socket* socket = evhttp_bind_socket_with_handle(http_, "127.0.0.1", 0);
    COFFER_CHECK(socket != nullptr, "a port for the test's server");
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    getsockname(evhttp_bound_socket_get_fd(socket), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~TestServer() { evhttp_free(http_); }

  std::string Url(const std::string& host = "127.0.0.1") const {
    return absl::StrCat(tls_ == nullptr ? "http://" : "https://", host, ":", port_, "/KEY");
  }
  int requests() const { return requests_; }

 private:
  static bufferevent* NewStream(event_base* base, void* context) {
    auto* self = static_cast<TestServer*>(context);
    return bufferevent_openssl_socket_new(base, -1, SSL_new(self->tls_.get()),
                                          BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
  }
  static void OnRequest(evhttp_request* request, void* context) {
    auto* self = static_cast<TestServer*>(context);
    ++self->requests_;
    evbuffer* input = evhttp_request_get_input_buffer(request);
    std::string body(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, body.data(), body.size());
    const Reply reply = self->handler_(body, request);
    if (reply.never) return;
    for (const auto& [name, value] : reply.headers) {
      evhttp_add_header(evhttp_request_get_output_headers(request), name.c_str(), value.c_str());
    }
    evbuffer* output = evbuffer_new();
    evbuffer_add(output, reply.body.data(), reply.body.size());
    evhttp_send_reply(request, reply.status, "Status", output);
    evbuffer_free(output);
  }

  event_base* const base_;
  const Handler handler_;
  const std::shared_ptr<SSL_CTX> tls_;
  evhttp* http_;
  uint16_t port_ = 0;
  int requests_ = 0;
};

// Answers the first bytes of every connection with `text` as it is, and hangs up: at once, or, with
// `hold`, when the next bytes come.
class RawServer {
 public:
  RawServer(runtime::EventLoop* loop, std::string text, bool hold = false)
      : text_(std::move(text)), hold_(hold) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener_ =
        evconnlistener_new_bind(loop->base(), &RawServer::OnAccept, this, LEV_OPT_CLOSE_ON_FREE, 16,
                                reinterpret_cast<sockaddr*>(&address), sizeof(address));
    COFFER_CHECK(listener_ != nullptr, "a port for the test's server");
    socklen_t size = sizeof(address);
    getsockname(evconnlistener_get_fd(listener_), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~RawServer() {
    evconnlistener_free(listener_);
    for (bufferevent* stream : streams_) bufferevent_free(stream);
  }
  std::string Url() const { return absl::StrCat("http://127.0.0.1:", port_, "/KEY"); }
  int accepted() const { return accepted_; }

 private:
  static void OnAccept(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int,
                       void* context) {
    auto* self = static_cast<RawServer*>(context);
    ++self->accepted_;
    bufferevent* stream =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    self->streams_.push_back(stream);
    bufferevent_setcb(stream, &RawServer::OnRead, &RawServer::OnWritten, nullptr, self);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
  }
  static void OnRead(bufferevent* stream, void* context) {
    auto* self = static_cast<RawServer*>(context);
    evbuffer* input = bufferevent_get_input(stream);
    evbuffer_drain(input, evbuffer_get_length(input));
    bufferevent_disable(stream, EV_READ);
    if (self->text_.empty() || self->held_.contains(stream)) return OnWritten(stream, context);
    bufferevent_write(stream, self->text_.data(), self->text_.size());
  }
  static void OnWritten(bufferevent* stream, void* context) {
    auto* self = static_cast<RawServer*>(context);
    if ((bufferevent_get_enabled(stream) & EV_READ) != 0) return;
    if (self->hold_ && self->held_.insert(stream).second) {
      bufferevent_enable(stream, EV_READ);
      return;
    }
    std::erase(self->streams_, stream);
    bufferevent_free(stream);
  }

  const std::string text_;
  const bool hold_;
  std::set<bufferevent*> held_;
  evconnlistener* listener_;
  std::vector<bufferevent*> streams_;
  uint16_t port_ = 0;
  int accepted_ = 0;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_TEST_SERVERS_H_
