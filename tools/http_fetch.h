// HTTP/1.1 GET for the command line: blocking, from several threads at once, each with a connection
// of its own that is kept for the next request.
#ifndef COFFER_TOOLS_HTTP_FETCH_H_
#define COFFER_TOOLS_HTTP_FETCH_H_

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/http_tls.h"
#include "actors/host/http_url.h"
#include "tools/log_source.h"

namespace coffer::tools {

class HttpConnection;

// One server. TLS 1.2 or newer, the server's certificate always verified. Redirects are not
// followed: what a server says about where its log is, is not for it to say.
class HttpFetcher {
 public:
  // `base`: http(s)://HOST[:PORT][/PREFIX]; a slash at its end makes no difference. `token`: for
  // "Authorization: Bearer", or empty. `ca_file`: as NewClientContext has it.
  static absl::StatusOr<std::unique_ptr<HttpFetcher>> Create(const std::string& base,
                                                             std::string token,
                                                             const std::string& ca_file,
                                                             absl::Duration timeout);
  ~HttpFetcher();

  // The body of a 200 for base + `target`. NotFound for 404 and 410; ResourceExhausted for a body
  // above `max_bytes`; Unavailable, with the status or the reason, otherwise. Asked to come back
  // later (429, 503), it does, a few times, as the server's Retry-After says.
  absl::StatusOr<std::string> Get(const std::string& target, size_t max_bytes);
  // What was given, without a password in it.
  const std::string& name() const { return name_; }

 private:
  HttpFetcher(host::HttpUrl base, std::string name, std::string token, host::SslCtx tls,
              absl::Duration timeout);
  struct Answer;
  absl::StatusOr<Answer> Once(const std::string& target, size_t max_bytes);
  std::unique_ptr<HttpConnection> TakeIdle();

  const host::HttpUrl base_;
  const std::string name_;
  const std::string token_;
  const host::SslCtx tls_;
  const absl::Duration timeout_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<HttpConnection>> idle_;
};

// The log that a server has below <base>/log/.
class HttpSource final : public LogSource {
 public:
  explicit HttpSource(HttpFetcher* fetcher) : fetcher_(fetcher) {}
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override {
    return fetcher_->Get("/log/" + path, max_bytes);
  }
  std::string name() const override { return fetcher_->name(); }

 private:
  HttpFetcher* const fetcher_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_HTTP_FETCH_H_
