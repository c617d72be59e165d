#include "actors/host/http_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <csignal>
#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/http_resolver.h"
#include "actors/host/http_tls.h"
#include "runtime/event_loop.h"

namespace coffer::host {
namespace {

struct ConnectionFree {
  void operator()(evhttp_connection* connection) const {
    evhttp_connection_set_closecb(connection, nullptr, nullptr);
    evhttp_connection_free(connection);
  }
};

std::optional<absl::Duration> RetryAfterOf(evhttp_request* request) {
  const char* text = evhttp_find_header(evhttp_request_get_input_headers(request), "Retry-After");
  uint32_t seconds = 0;
  if (text == nullptr || !absl::SimpleAtoi(std::string(text), &seconds)) return std::nullopt;
  return absl::Seconds(seconds);
}

evhttp_cmd_type CommandOf(HttpCall::Method method) {
  switch (method) {
    case HttpCall::Method::kGet:
      return EVHTTP_REQ_GET;
    case HttpCall::Method::kPut:
      return EVHTTP_REQ_PUT;
    case HttpCall::Method::kPost:
      break;
  }
  return EVHTTP_REQ_POST;
}

// What a buffer holds, where it lies.
void WipeBuffer(evbuffer* buffer) {
  std::vector<evbuffer_iovec> parts(
      static_cast<size_t>(std::max(0, evbuffer_peek(buffer, -1, nullptr, nullptr, 0))));
  const int count = static_cast<int>(parts.size());
  evbuffer_peek(buffer, -1, nullptr, parts.data(), count);
  for (const evbuffer_iovec& part : parts) OPENSSL_cleanse(part.iov_base, part.iov_len);
}

}  // namespace

// evhttp goes on using a connection after its callbacks return, so none is freed in there: whatever
// ends a connection or an exchange goes through Later().
class HttpClient::Impl {
 public:
  Impl(runtime::EventLoop* loop, HttpOptions options, SslCtx tls)
      : loop_(loop), options_(std::move(options)), tls_(std::move(tls)), resolver_(loop) {}

  void Send(const HttpUrl& url, HttpCall call, absl::Duration timeout, Done done) {
    const uint64_t id = ++last_id_;
    auto exchange = std::make_unique<Exchange>();
    exchange->impl = this;
    exchange->id = id;
    exchange->url = url;
    exchange->call = std::move(call);
    exchange->timeout = timeout;
    exchange->done = std::move(done);
    exchange->timer = loop_->After(timeout, [this, id] {
      Finish(id, absl::DeadlineExceededError("no whole answer within the time-out"));
    });
    Exchange& started = *exchange;
    exchanges_.emplace(id, std::move(exchange));
    if (Connection* idle = FindIdle(url)) {
      Send(started, *idle);
    } else {
      Open(started);
    }
  }

  uint64_t opened() const { return opened_; }

 private:
  struct Connection {
    Impl* impl = nullptr;
    std::string origin;
    SSL* session = nullptr;  // owned by the bufferevent, which evhttp owns
    bool busy = false;
    bool dead = false;
    uint64_t requests = 0;
    // Last, so that it is freed first: its callbacks see the rest alive.
    std::unique_ptr<evhttp_connection, ConnectionFree> http;
  };

  struct Exchange {
    Impl* impl = nullptr;
    uint64_t id = 0;
    HttpUrl url;
    HttpCall call;
    absl::Duration timeout;
    Done done;
    std::unique_ptr<runtime::Timer> timer;
    Connection* connection = nullptr;
    bool repeated = false;
    bool too_long = false;
  };

  static std::string OriginOf(const HttpUrl& url) {
    return absl::StrCat(url.tls ? "s" : "p", url.port, " ", url.host);
  }

  // Runs `task` from the loop itself, if this object still exists then.
  void Later(runtime::Task task) {
    loop_->Post([alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
      if (alive.lock() != nullptr) task();
    });
  }

  Connection* FindIdle(const HttpUrl& url) {
    const std::string origin = OriginOf(url);
    for (const auto& connection : connections_) {
      if (!connection->busy && !connection->dead && connection->origin == origin) {
        return connection.get();
      }
    }
    return nullptr;
  }

  void Open(Exchange& exchange) {
    const HttpUrl& url = exchange.url;
    resolver_.Resolve(url.host, url.port, [this, id = exchange.id](auto addresses) {
      const auto found = exchanges_.find(id);
      if (found == exchanges_.end()) return;
      if (!addresses.ok()) {
        return Finish(id, absl::UnavailableError(addresses.status().message()));
      }
      Connect(*found->second, *addresses);
    });
  }

  void Connect(Exchange& exchange, const std::vector<std::string>& addresses) {
    auto connection = std::make_unique<Connection>();
    connection->impl = this;
    connection->origin = OriginOf(exchange.url);
    bufferevent* stream = nullptr;
    if (exchange.url.tls) {
      connection->session = NewClientSession(tls_.get(), exchange.url.host);
      if (connection->session != nullptr) {
        stream = bufferevent_openssl_socket_new(loop_->base(), -1, connection->session,
                                                BUFFEREVENT_SSL_CONNECTING,
                                                BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
      }
      if (stream == nullptr) {
        return Finish(exchange.id, absl::UnavailableError("no TLS session could be made"));
      }
    }
    // A name's addresses take turns: after one that did not answer comes the next.
    const std::string& address = addresses[turn_ % addresses.size()];
    // Addresses are literal by now, so evhttp looks up no names.
    connection->http.reset(evhttp_connection_base_bufferevent_new(
        loop_->base(), nullptr, stream, address.c_str(), exchange.url.port));
    if (connection->http == nullptr) {
      if (stream != nullptr) bufferevent_free(stream);
      return Finish(exchange.id, absl::UnavailableError("no connection could be made"));
    }
    evhttp_connection* http = connection->http.get();
    evhttp_connection_set_max_body_size(http, static_cast<ev_ssize_t>(options_.max_body));
    evhttp_connection_set_max_headers_size(http, static_cast<ev_ssize_t>(options_.max_headers));
    evhttp_connection_set_closecb(http, &Impl::OnClosed, connection.get());
    ++opened_;
    connections_.push_back(std::move(connection));
    Send(exchange, *connections_.back());
  }

  void Send(Exchange& exchange, Connection& connection) {
    connection.busy = true;
    ++connection.requests;
    exchange.connection = &connection;
    // evhttp's own time-outs are per step; the exchange's timer is what counts.
    const timeval step = absl::ToTimeval(exchange.timeout + absl::Seconds(1));
    evhttp_connection_set_timeout_tv(connection.http.get(), &step);
    evhttp_request* request = evhttp_request_new(&Impl::OnDone, &exchange);
    evhttp_request_set_error_cb(request, &Impl::OnError);
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Host", exchange.url.HostHeader().c_str());
    evhttp_add_header(headers, "User-Agent", "coffer");
    for (const auto& [name, value] : exchange.call.headers) {
      evhttp_add_header(headers, name.c_str(), value.c_str());
    }
    if (!exchange.url.authorization.empty()) {
      evhttp_add_header(headers, "Authorization", exchange.url.authorization.c_str());
    }
    evbuffer_add(evhttp_request_get_output_buffer(request), exchange.call.body.data(),
                 exchange.call.body.size());
    if (evhttp_make_request(connection.http.get(), request, CommandOf(exchange.call.method),
                            exchange.url.target.c_str()) != 0) {
      Later([this, id = exchange.id] {
        Finish(id, absl::UnavailableError("the connection could not be started"));
      });
    }
  }

  static void OnError(evhttp_request_error error, void* context) {
    static_cast<Exchange*>(context)->too_long = error == EVREQ_HTTP_DATA_TOO_LONG;
  }

  static void OnClosed(evhttp_connection*, void* context) {
    auto* connection = static_cast<Connection*>(context);
    connection->dead = true;
    if (!connection->busy) connection->impl->DropLater();
  }

  static void OnDone(evhttp_request* request, void* context) {
    auto* exchange = static_cast<Exchange*>(context);
    if (request == nullptr || evhttp_request_get_response_code(request) == 0) {
      return exchange->impl->OnFailed(*exchange);
    }
    HttpResponse response;
    response.status = evhttp_request_get_response_code(request);
    response.retry_after = RetryAfterOf(request);
    evbuffer* input = evhttp_request_get_input_buffer(request);
    response.body.resize(evbuffer_get_length(input));
    evbuffer_copyout(input, response.body.data(), response.body.size());
    if (exchange->call.secret_answer) WipeBuffer(input);
    Impl* impl = exchange->impl;
    exchange->connection->busy = false;
    exchange->connection = nullptr;
    impl->TrimIdle();
    impl->FinishLater(exchange->id, std::move(response));
  }

  void OnFailed(Exchange& exchange) {
    Connection& connection = *std::exchange(exchange.connection, nullptr);
    connection.dead = true;
    connection.busy = false;
    const absl::Status why = FailureOf(exchange, connection);
    DropLater();
    if (exchange.too_long) return FinishLater(exchange.id, why);
    if (connection.requests > 1 && !exchange.repeated) {
      // The server gave up the idle connection just as it was used again.
      exchange.repeated = true;
      return Open(exchange);
    }
    ++turn_;
    FinishLater(exchange.id, why);
  }

  absl::Status FailureOf(const Exchange& exchange, const Connection& connection) const {
    if (exchange.too_long) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the answer is larger than ", options_.max_body, " bytes"));
    }
    if (connection.session != nullptr) {
      const std::string refused = VerifyFailure(connection.session);
      if (!refused.empty()) {
        return absl::UnavailableError(
            absl::StrCat("the server's certificate was refused: ", refused));
      }
      const unsigned long error =
          bufferevent_get_openssl_error(evhttp_connection_get_bufferevent(connection.http.get()));
      if (const char* text = ERR_reason_error_string(error)) {
        return absl::UnavailableError(absl::StrCat("TLS: ", text));
      }
    }
    return absl::UnavailableError("the connection failed or was closed before a whole answer");
  }

  void TrimIdle() {
    size_t idle = 0;
    for (const auto& connection : connections_) {
      if (!connection->busy && !connection->dead && ++idle > options_.max_idle) {
        connection->dead = true;
      }
    }
    DropLater();
  }

  void DropLater() {
    if (std::exchange(drop_posted_, true)) return;
    Later([this] {
      drop_posted_ = false;
      connections_.remove_if([](const auto& one) { return one->dead && !one->busy; });
    });
  }

  void FinishLater(uint64_t id, absl::StatusOr<HttpResponse> result) {
    Later([this, id, result = std::move(result)]() mutable { Finish(id, std::move(result)); });
  }

  // Never from a callback of evhttp.
  void Finish(uint64_t id, absl::StatusOr<HttpResponse> result) {
    auto node = exchanges_.extract(id);
    if (node.empty()) return;
    const std::unique_ptr<Exchange> exchange = std::move(node.mapped());
    if (Connection* connection = exchange->connection) {
      // Half an exchange can't be called off in HTTP/1.1: the connection goes with it.
      connections_.remove_if([connection](const auto& one) { return one.get() == connection; });
      ++turn_;
    }
    exchange->done(std::move(result));
  }

  runtime::EventLoop* const loop_;
  const HttpOptions options_;
  const SslCtx tls_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  HttpResolver resolver_;
  uint64_t last_id_ = 0;
  uint64_t opened_ = 0;
  size_t turn_ = 0;
  bool drop_posted_ = false;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::list<std::unique_ptr<Connection>> connections_;  // freed before the exchanges they point at
};

absl::StatusOr<std::unique_ptr<HttpClient>> HttpClient::Create(runtime::EventLoop* loop,
                                                               HttpOptions options) {
  absl::StatusOr<SslCtx> tls = NewClientContext(options.ca_file);
  if (!tls.ok()) return tls.status();
  // libevent writes with writev(2), which raises it.
  std::signal(SIGPIPE, SIG_IGN);
  return std::unique_ptr<HttpClient>(
      new HttpClient(std::make_unique<Impl>(loop, std::move(options), *std::move(tls))));
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() = default;

void HttpClient::Post(const HttpUrl& url, std::string body, absl::Duration timeout, Done done) {
  impl_->Send(url,
              {.method = HttpCall::Method::kPost,
               .headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}},
               .body = std::move(body)},
              timeout, std::move(done));
}

void HttpClient::Send(const HttpUrl& url, HttpCall call, absl::Duration timeout, Done done) {
  impl_->Send(url, std::move(call), timeout, std::move(done));
}

uint64_t HttpClient::connections() const { return impl_->opened(); }

}  // namespace coffer::host
