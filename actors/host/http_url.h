// http:// and https:// addresses of RPC nodes. They often carry a secret (an API key in the path or
// the query, a password), so the whole text is never logged.
#ifndef COFFER_ACTORS_HOST_HTTP_URL_H_
#define COFFER_ACTORS_HOST_HTTP_URL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::host {

struct HttpUrl {
  bool tls = false;
  std::string host;  // a name or an IP address, IPv6 without its brackets
  uint16_t port = 0;
  std::string target;         // path and query, as sent; at least "/"
  std::string authorization;  // the header's value ("Basic ..."), or empty

  // Printable ASCII alone, at most 2048 bytes, no fragment. The error never shows the text.
  static absl::StatusOr<HttpUrl> Parse(std::string_view text);

  // "https://host:443/***": what may be logged. Without the stars when there was nothing to hide.
  std::string Masked() const;
  // The Host header: with the port when it is not the scheme's own.
  std::string HostHeader() const;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_HTTP_URL_H_
