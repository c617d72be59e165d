// Host names to IP addresses without blocking the loop.
#ifndef COFFER_ACTORS_HOST_HTTP_RESOLVER_H_
#define COFFER_ACTORS_HOST_HTTP_RESOLVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace coffer::runtime {
class EventLoop;
}

namespace coffer::host {

// Asks getaddrinfo on threads of their own, a few at a time. Everything else on the loop's thread.
// Look-ups under way when this is destroyed are never answered.
class HttpResolver {
 public:
  // IP addresses as text, in the order they should be tried; at least one.
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)>;

  explicit HttpResolver(runtime::EventLoop* loop);
  ~HttpResolver();
  // `done` is called later, once. IP addresses need no look-up.
  void Resolve(const std::string& host, uint16_t port, Done done);

 private:
  struct Shared;
  runtime::EventLoop* const loop_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_HTTP_RESOLVER_H_
