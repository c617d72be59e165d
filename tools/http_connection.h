// A blocking connection to a web server, over TCP or TLS.
#ifndef COFFER_TOOLS_HTTP_CONNECTION_H_
#define COFFER_TOOLS_HTTP_CONNECTION_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/http_url.h"
#include "runtime/socket_address.h"

namespace coffer::tools {

class HttpConnection {
 public:
  // Unavailable when it cannot be made by `deadline` (runtime::OsMonotonicNow).
  static absl::StatusOr<std::unique_ptr<HttpConnection>> Open(const host::HttpUrl& url,
                                                              SSL_CTX* tls, absl::Time deadline);
  ~HttpConnection();
  absl::Status Send(std::string_view bytes, absl::Time deadline);
  // At least one byte, at most `size`; 0 at the end of the stream.
  absl::StatusOr<size_t> Receive(char* bytes, size_t size, absl::Time deadline);
  // Answers received on it so far.
  int used = 0;

 private:
  HttpConnection(runtime::Fd fd, SSL* session) : fd_(std::move(fd)), session_(session) {}
  absl::Status SetPatience(absl::Time deadline);

  runtime::Fd fd_;
  SSL* session_;  // or null
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_HTTP_CONNECTION_H_
