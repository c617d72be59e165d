#include "runtime/event_network.h"

#include <signal.h>

#include <utility>

#include "runtime/event_loop.h"
#include "runtime/event_sockets.h"
#include "runtime/event_stream.h"

namespace coffer::runtime {
namespace {

class EventListener final : public Listener {
 public:
  EventListener(EventLoop* loop, const NetworkOptions& options, Network::OnAccept on_accept)
      : loop_(loop),
        options_(options),
        on_accept_(std::make_shared<Network::OnAccept>(std::move(on_accept))),
        leases_(std::make_shared<PartialFrames>(options.max_partial_bytes)) {}

  absl::Status Listen(const Endpoint& endpoint) {
    auto listener = SocketListener::Listen(
        loop_, endpoint, [this](ConnectedSocket socket) { Accept(std::move(socket)); });
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  const Endpoint& endpoint() const override { return listener_->endpoint(); }

 private:
  void Accept(ConnectedSocket socket) {
    // Every accepted stream holds a copy of leases_, so its count tells how many there are.
    if (static_cast<size_t>(leases_.use_count() - 1) >= options_.max_connections) return;
    auto stream =
        std::make_unique<EventStream>(loop_, std::move(socket.fd), socket.peer, options_, leases_);
    // The owner may destroy the listener in the callback.
    const std::shared_ptr<Network::OnAccept> on_accept = on_accept_;
    (*on_accept)(std::move(stream));
  }

  EventLoop* const loop_;
  const NetworkOptions options_;
  std::shared_ptr<Network::OnAccept> on_accept_;
  std::shared_ptr<PartialFrames> leases_;
  std::unique_ptr<SocketListener> listener_;
};

class EventNetwork final : public Network {
 public:
  EventNetwork(EventLoop* loop, const NetworkOptions& options)
      : loop_(loop), options_(options), connector_(loop, options.connect_timeout) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Endpoint& endpoint,
                                                   OnAccept on_accept) override {
    auto listener = std::make_unique<EventListener>(loop_, options_, std::move(on_accept));
    if (absl::Status s = listener->Listen(endpoint); !s.ok()) return s;
    return listener;
  }

  void Connect(const Endpoint& endpoint, OnConnect on_connect) override {
    connector_.Connect(endpoint,
                       [loop = loop_, options = options_, on_connect = std::move(on_connect)](
                           absl::StatusOr<ConnectedSocket> socket) mutable {
                         if (!socket.ok()) return on_connect(socket.status());
                         on_connect(std::make_unique<EventStream>(loop, std::move(socket->fd),
                                                                  socket->peer, options, nullptr));
                       });
  }

 private:
  EventLoop* const loop_;
  const NetworkOptions options_;
  SocketConnector connector_;
};

}  // namespace

std::unique_ptr<Network> NewEventNetwork(EventLoop* loop, NetworkOptions options) {
  signal(SIGPIPE, SIG_IGN);
  return std::make_unique<EventNetwork>(loop, options);
}

}  // namespace coffer::runtime
