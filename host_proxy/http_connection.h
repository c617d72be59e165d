// One client's connection: reads requests one after the other within the limits, hands each to the
// handler, writes the answer.
#ifndef COFFER_HOST_PROXY_HTTP_CONNECTION_H_
#define COFFER_HOST_PROXY_HTTP_CONNECTION_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "host_proxy/http_message.h"
#include "runtime/dispatcher.h"

struct bufferevent;

namespace coffer::host_proxy {

struct HttpLimits {
  size_t header_bytes = 16u << 10;  // request line and headers
  size_t body_bytes = 1u << 20;
  size_t connections = 256;  // one more is answered 503 and closed
  // From the end of one answer to the last byte of the next request: bounds idling and slow sending
  // alike.
  absl::Duration request_time = absl::Seconds(30);
  absl::Duration write_time = absl::Seconds(30);  // in which the client must take some bytes
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  // Takes `bev` over. `handler` and `dispatcher` outlive this object; `closed` is called once, when
  // it is over.
  HttpConnection(bufferevent* bev, std::string peer, const HttpLimits& limits,
                 runtime::Dispatcher* dispatcher, HttpHandler* handler,
                 absl::AnyInvocable<void()> closed);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection();

  // Once it is owned by a shared_ptr.
  void Start();
  // Closes after the answer that is under way, or at once when there is none.
  void Finish();

 private:
  struct Parser;

  static void OnRead(bufferevent* bev, void* self);
  static void OnWritten(bufferevent* bev, void* self);
  static void OnEvent(bufferevent* bev, short what, void* self);

  void NextRequest();
  void Read();
  void Handle();
  void Refuse(int status, const std::string& code, const std::string& message);
  void Answer(const HttpResponse& response, bool keep_alive);
  void Linger();
  void DropInput();
  void Close();

  bufferevent* bev_;
  const std::string peer_;  // HttpRequest::peer
  const HttpLimits limits_;
  runtime::Dispatcher* const dispatcher_;
  HttpHandler* const handler_;
  absl::AnyInvocable<void()> closed_;
  std::unique_ptr<Parser> parser_;
  std::unique_ptr<runtime::Timer> deadline_;
  bool began_ = false;     // some bytes of a request have come
  bool handling_ = false;  // a request is with the handler
  bool head_ = false;      // ... and it is a HEAD
  bool writing_ = false;
  bool keep_alive_ = false;
  bool lingering_ = false;  // all is answered; what still comes is thrown away
  bool finishing_ = false;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HTTP_CONNECTION_H_
