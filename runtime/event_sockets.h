// Sockets over an EventLoop, before anything is said on them: accepting, and connecting with name
// look-up and time-out. event_network.h puts frames on them; a forwarder of raw bytes uses them as
// they are.
#ifndef COFFER_RUNTIME_EVENT_SOCKETS_H_
#define COFFER_RUNTIME_EVENT_SOCKETS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/dispatcher.h"
#include "runtime/endpoint.h"
#include "runtime/socket_address.h"

struct evconnlistener;
struct sockaddr;

namespace coffer::runtime {

class EventLoop;

// A connected, non-blocking stream socket.
struct ConnectedSocket {
  Fd fd;
  std::string peer;  // for logs, as SocketAddress::ToString
};

// Stops listening when destroyed; the file of a unix socket goes with it. Everything on the loop's
// thread.
class SocketListener {
 public:
  using OnAccept = absl::AnyInvocable<void(ConnectedSocket)>;
  // As ListenOn. A process or machine without descriptors or memory lets connections wait.
  static absl::StatusOr<std::unique_ptr<SocketListener>> Listen(EventLoop* loop,
                                                                const Endpoint& endpoint,
                                                                OnAccept on_accept);
  ~SocketListener();
  SocketListener(const SocketListener&) = delete;
  SocketListener& operator=(const SocketListener&) = delete;

  const Endpoint& endpoint() const { return endpoint_; }  // with the real port when 0 was asked for

 private:
  SocketListener(EventLoop* loop, Fd fd, Endpoint endpoint, OnAccept on_accept);
  static void OnConnection(evconnlistener*, int fd, sockaddr* from, int length, void* self);
  static void OnError(evconnlistener*, void* self);

  EventLoop* const loop_;
  Endpoint endpoint_;
  std::shared_ptr<OnAccept> on_accept_;
  evconnlistener* listener_ = nullptr;
  std::unique_ptr<Timer> rest_;
};

// Makes connections. Those under way are dropped, without an answer, when it is destroyed.
class SocketConnector {
 public:
  using OnConnect = absl::AnyInvocable<void(absl::StatusOr<ConnectedSocket>)>;
  // `timeout`: name look-up and connection together.
  SocketConnector(EventLoop* loop, absl::Duration timeout);
  ~SocketConnector();
  SocketConnector(const SocketConnector&) = delete;
  SocketConnector& operator=(const SocketConnector&) = delete;

  // Always answers, later, exactly once (time-out included). The answer may destroy this object.
  void Connect(const Endpoint& endpoint, OnConnect on_connect);

 private:
  class Attempt;
  struct Lookups;

  std::unique_ptr<Attempt> Take(uint64_t id);
  void Resolve(const Endpoint& endpoint, uint64_t id);
  void Resolved(uint64_t id, absl::StatusOr<std::vector<SocketAddress>> found);

  EventLoop* const loop_;
  const absl::Duration timeout_;
  const std::shared_ptr<Lookups> lookups_;
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Attempt>> attempts_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_EVENT_SOCKETS_H_
