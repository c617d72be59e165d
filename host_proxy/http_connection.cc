#include "host_proxy/http_connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/last_chunk.h"

namespace coffer::host_proxy {

namespace http = boost::beast::http;

struct HttpConnection::Parser {
  http::request_parser<http::string_body> request;
};

namespace {

std::string Text(boost::beast::string_view view) { return std::string(view.data(), view.size()); }

// How long the rest of a request is thrown away that was answered before its end.
constexpr absl::Duration kLinger = absl::Seconds(1);

// What a parse error means for the client.
HttpResponse Complaint(const boost::beast::error_code& error, const HttpLimits& limits) {
  if (error == http::error::header_limit) {
    return HttpError(431, "header_too_large",
                     absl::StrCat("the request's headers exceed ", limits.header_bytes, " bytes"));
  }
  if (error == http::error::body_limit) {
    return HttpError(413, "body_too_large",
                     absl::StrCat("the request's body exceeds ", limits.body_bytes, " bytes"));
  }
  if (error == http::error::bad_version) {
    return HttpError(505, "http_version", "this server speaks HTTP/1.0 and HTTP/1.1");
  }
  return HttpError(400, "malformed_request",
                   absl::StrCat("not an HTTP request: ", error.message()));
}

// How long the connection stays open without a request. A client that isn't told finds out when it
// loses a request on a connection that was just closed, and may not know whether that was done
// (RFC 9112, 9.3.1). The second kept back is for what is on its way; less than one can't be said.
std::string KeepAlive(absl::Duration request_time) {
  const int64_t seconds = absl::ToInt64Seconds(request_time) - 1;
  return seconds < 1 ? "" : absl::StrCat("Keep-Alive: timeout=", seconds, "\r\n");
}

}  // namespace

HttpConnection::HttpConnection(bufferevent* bev, std::string peer, const HttpLimits& limits,
                               runtime::Dispatcher* dispatcher, HttpHandler* handler,
                               absl::AnyInvocable<void()> closed)
    : bev_(bev),
      peer_(std::move(peer)),
      limits_(limits),
      dispatcher_(dispatcher),
      handler_(handler),
      closed_(std::move(closed)) {}

HttpConnection::~HttpConnection() { bufferevent_free(bev_); }

void HttpConnection::Start() {
  bufferevent_setcb(bev_, &HttpConnection::OnRead, &HttpConnection::OnWritten,
                    &HttpConnection::OnEvent, this);
  // libevent reads no more than this ahead of the parser.
  bufferevent_setwatermark(bev_, EV_READ, 0, limits_.header_bytes);
  const timeval write_time = absl::ToTimeval(limits_.write_time);
  bufferevent_set_timeouts(bev_, nullptr, &write_time);
  NextRequest();
}

void HttpConnection::NextRequest() {
  parser_ = std::make_unique<Parser>();
  parser_->request.header_limit(static_cast<uint32_t>(limits_.header_bytes));
  parser_->request.body_limit(limits_.body_bytes);
  parser_->request.eager(true);
  began_ = false;
  deadline_ = dispatcher_->After(limits_.request_time, [this] {
    if (!began_) return Close();
    Refuse(408, "request_timeout", "the request did not arrive in time");
  });
  bufferevent_enable(bev_, EV_READ | EV_WRITE);
  // The next request may have come with the last one.
  Read();
}

void HttpConnection::Read() {
  evbuffer* const input = bufferevent_get_input(bev_);
  while (!handling_ && !writing_ && evbuffer_get_length(input) > 0) {
    began_ = true;
    const size_t length = evbuffer_get_length(input);
    const unsigned char* const bytes = evbuffer_pullup(input, -1);
    const std::string_view next(reinterpret_cast<const char*>(bytes), length);
    if (host::AwaitsLastChunk(parser_->request, next)) return;
    boost::beast::error_code error;
    const size_t used = parser_->request.put(boost::asio::buffer(bytes, length), error);
    evbuffer_drain(input, used);
    if (error == http::error::need_more) {
      // An unfinished header stays in the buffer; one that fills it will never be finished.
      if (used > 0) continue;
      if (length < limits_.header_bytes) return;
      error = http::error::header_limit;
    }
    if (error) {
      const HttpResponse complaint = Complaint(error, limits_);
      return Answer(complaint, false);
    }
    if (parser_->request.is_done()) return Handle();
    if (used == 0) return;
  }
}

void HttpConnection::Handle() {
  deadline_.reset();
  const auto& message = parser_->request.get();
  HttpRequest request;
  request.peer = peer_;
  request.method = Text(message.method_string());
  const std::string target = Text(message.target());
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  request.host = Text(message[http::field::host]);
  request.origin = Text(message[http::field::origin]);
  request.authorization = Text(message[http::field::authorization]);
  request.content_type = Text(message[http::field::content_type]);
  keep_alive_ = message.keep_alive();
  head_ = request.method == "HEAD";
  request.body = std::move(parser_->request.get().body());
  handling_ = true;
  bufferevent_disable(bev_, EV_READ);
  (*handler_)(std::move(request), [weak = weak_from_this()](HttpResponse response) {
    if (const auto self = weak.lock(); self != nullptr && self->handling_) {
      self->Answer(response, self->keep_alive_);
    }
  });
}

void HttpConnection::Refuse(int status, const std::string& code, const std::string& message) {
  Answer(HttpError(status, code, message), false);
}

void HttpConnection::Answer(const HttpResponse& response, bool keep_alive) {
  handling_ = false;
  writing_ = true;
  keep_alive_ = keep_alive && !finishing_;
  deadline_.reset();
  std::string head = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", HttpReason(response.status),
      "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
      "\r\nCache-Control: ", response.cache_control,
      "\r\nX-Content-Type-Options: nosniff"
      "\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer"
      "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'"
      "\r\nConnection: ",
      keep_alive_ ? "keep-alive" : "close", "\r\n");
  if (keep_alive_) absl::StrAppend(&head, KeepAlive(limits_.request_time));
  for (const auto& [name, value] : response.headers)
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  head.append("\r\n");
  if (!head_) head.append(response.body);
  head_ = false;
  bufferevent_disable(bev_, EV_READ);
  bufferevent_write(bev_, head.data(), head.size());
}

void HttpConnection::Finish() {
  finishing_ = true;
  keep_alive_ = false;
  if (!handling_ && !writing_) Close();
}

void HttpConnection::Close() {
  if (!closed_) return;
  deadline_.reset();
  bufferevent_disable(bev_, EV_READ | EV_WRITE);
  absl::AnyInvocable<void()> closed = std::move(closed_);
  closed_ = nullptr;
  closed();
}

// Closed with bytes unread, a connection is reset, and the client may lose the answer with it (RFC
// 9112, 9.6). So the answer's end is sent, and the rest is read until the client has closed.
void HttpConnection::Linger() {
  lingering_ = true;
  shutdown(bufferevent_getfd(bev_), SHUT_WR);
  deadline_ = dispatcher_->After(kLinger, [this] { Close(); });
  bufferevent_enable(bev_, EV_READ);
  DropInput();
}

void HttpConnection::DropInput() {
  evbuffer* const input = bufferevent_get_input(bev_);
  evbuffer_drain(input, evbuffer_get_length(input));
}

void HttpConnection::OnRead(bufferevent*, void* self) {
  const auto alive = static_cast<HttpConnection*>(self)->shared_from_this();
  if (alive->lingering_) return alive->DropInput();
  alive->Read();
}

void HttpConnection::OnWritten(bufferevent*, void* self) {
  const auto alive = static_cast<HttpConnection*>(self)->shared_from_this();
  if (!alive->writing_) return;
  alive->writing_ = false;
  if (alive->keep_alive_) return alive->NextRequest();
  if (!alive->parser_->request.is_done() && !alive->finishing_) return alive->Linger();
  alive->Close();
}

void HttpConnection::OnEvent(bufferevent*, short, void* self) {
  // The client closed, failed, or took nothing for too long.
  const auto alive = static_cast<HttpConnection*>(self)->shared_from_this();
  alive->Close();
}

}  // namespace coffer::host_proxy
