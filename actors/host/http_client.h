// HTTP/1.1 over TCP or TLS, on the event loop.
#ifndef COFFER_ACTORS_HOST_HTTP_CLIENT_H_
#define COFFER_ACTORS_HOST_HTTP_CLIENT_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/http_url.h"

namespace coffer::runtime {
class EventLoop;
}

namespace coffer::host {

struct HttpResponse {
  int status = 0;  // 200, 429, ...; redirects are not followed
  std::string body;
  std::optional<absl::Duration> retry_after;  // the header, when given in seconds; never negative
};

// How ChainRpc reaches a node. HttpClient is the real one; tests hand in a fake.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // DeadlineExceeded: no whole answer within the time-out. ResourceExhausted: the answer was larger
  // than allowed. Unavailable: anything else that stood between us and an answer.
  using Done = absl::AnyInvocable<void(absl::StatusOr<HttpResponse>)>;
  // Sends `body` (JSON). `done` is called exactly once, later, on the dispatcher, unless the
  // transport is destroyed first.
  virtual void Post(const HttpUrl& url, std::string body, absl::Duration timeout, Done done) = 0;
};

// A request with a method and headers of its own. Host and Content-Length come by themselves.
struct HttpCall {
  enum class Method { kGet, kPut, kPost };
  Method method = Method::kGet;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // The answer's body is a secret: what was read of it into buffers is wiped once it is handed
  // over.
  bool secret_answer = false;
};

// As HttpTransport, for whoever needs more than POST.
class HttpSender {
 public:
  virtual ~HttpSender() = default;
  virtual void Send(const HttpUrl& url, HttpCall call, absl::Duration timeout,
                    HttpTransport::Done done) = 0;
};

struct HttpOptions {
  size_t max_body = 32u << 20;  // bytes of an answer
  size_t max_headers = 64u << 10;
  size_t max_idle = 8;  // connections kept open, over all hosts
  // PEM file with the authorities to trust; empty = those of the system.
  std::string ca_file;
};

// TLS 1.2 or newer; the chain and the host's name (or address) are verified, always. Connections
// are kept for the next request. An idle connection that the server closed under a request is
// replaced once, unasked: JSON-RPC calls may be repeated, and so must be whatever else is sent.
//
// Everything on the loop's thread, or while it does not run; destroyed before the loop. Requests
// still under way then are dropped without an answer.
class HttpClient final : public HttpTransport, public HttpSender {
 public:
  // InvalidArgument when the CA file can't be read.
  static absl::StatusOr<std::unique_ptr<HttpClient>> Create(runtime::EventLoop* loop,
                                                            HttpOptions options);
  ~HttpClient() override;
  void Post(const HttpUrl& url, std::string body, absl::Duration timeout, Done done) override;
  void Send(const HttpUrl& url, HttpCall call, absl::Duration timeout, Done done) override;

  // Connections opened so far: fewer than requests, which is the point.
  uint64_t connections() const;

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_HTTP_CLIENT_H_
