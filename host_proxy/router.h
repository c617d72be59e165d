// From a path and a method to a handler, with the caller's role checked before.
#ifndef COFFER_HOST_PROXY_ROUTER_H_
#define COFFER_HOST_PROXY_ROUTER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "host_proxy/bearer_tokens.h"
#include "host_proxy/http_message.h"

namespace coffer::host_proxy {

inline constexpr size_t kMaxPathBytes = 2048;
inline constexpr size_t kMaxParameterBytes = 128;

// A request whose parts were decoded and bounded.
struct RoutedRequest {
  std::map<std::string, std::string> path;   // by the names in the pattern
  std::map<std::string, std::string> query;  // each name once
  std::string body;
  std::string peer;  // HttpRequest::peer
};

class Router {
 public:
  using Handler = absl::AnyInvocable<void(RoutedRequest, HttpResponder)>;

  // `local_only`: the server is reachable from this machine alone and asks for no token; then a
  // request must name the machine itself as its Host, so that no page in a browser can reach it by
  // a name of its own (DNS rebinding).
  Router(BearerTokens tokens, bool local_only)
      : tokens_(std::move(tokens)), local_only_(local_only) {}

  // `pattern`: "/api/ledger/accounts/{id}"; a last part "{name...}" stands for one or more parts
  // and is given as it was sent, not decoded. HEAD is answered by GET's handler. `query`: the names
  // allowed there.
  void Add(std::string method, std::string pattern, Role role, std::vector<std::string> query,
           Handler handler);

  // GET for everybody: no token, under any name of this machine, and for other sites' pages as well
  // (CORS). For what is public wherever it is served. Answers are Cache-Control: no-store unless
  // the handler says otherwise.
  void AddOpen(std::string pattern, std::vector<std::string> query, Handler handler);

  void Handle(HttpRequest request, HttpResponder respond);

 private:
  struct Route {
    std::string method;
    std::vector<std::string> parts;  // a parameter keeps its braces
    Role role;
    std::vector<std::string> query;
    Handler handler;
    bool open = false;
  };

  // The answer to a request that a browser was made to send by another site's page; nothing when it
  // may pass.
  bool CrossSite(const HttpRequest& request) const;
  static bool Matches(const Route& route, const std::vector<std::string>& parts);

  const BearerTokens tokens_;
  const bool local_only_;
  std::vector<Route> routes_;
};

// Percent-decoding (RFC 3986); refuses half escapes, NUL, and what is not UTF-8. `plus_is_space` as
// in a query.
absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_space);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_ROUTER_H_
