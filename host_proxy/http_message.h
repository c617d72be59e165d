// One HTTP exchange, without its socket.
#ifndef COFFER_HOST_PROXY_HTTP_MESSAGE_H_
#define COFFER_HOST_PROXY_HTTP_MESSAGE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace coffer::host_proxy {

struct HttpRequest {
  std::string method;         // as sent: "GET"
  std::string path;           // as sent, without the query
  std::string query;          // as sent, without the question mark
  std::string host;           // the Host header
  std::string origin;         // the Origin header: a browser's word on who asks
  std::string authorization;  // the Authorization header
  std::string content_type;
  std::string body;
  // Who asks, as the socket says: an IP address without its port, or "unix". Behind a proxy it is
  // the proxy.
  std::string peer;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string cache_control = "no-store";
  std::vector<std::pair<std::string, std::string>> headers;  // beyond the standing ones
};

// Called exactly once, on the server's dispatcher, in the handler or later; calling it for a
// connection that is gone does nothing.
using HttpResponder = absl::AnyInvocable<void(HttpResponse)>;
using HttpHandler = absl::AnyInvocable<void(HttpRequest, HttpResponder)>;

// {"error":{"code":"...","message":"..."}}: codes are stable words in snake case.
HttpResponse HttpError(int status, const std::string& code, const std::string& message);

// "Not Found"; "Unknown" for a status that is not used here.
const char* HttpReason(int status);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HTTP_MESSAGE_H_
