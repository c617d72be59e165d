#include "runtime/event_network.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"
#include "runtime/event_stream.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {
namespace {

// How long a listener rests when the process or the machine is out of descriptors or memory.
constexpr absl::Duration kAcceptBackoff = absl::Milliseconds(100);

// A name service that hangs must not gather threads.
constexpr int kMaxLookups = 8;

uint32_t PortOf(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  }
  if (address.family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  if (address.family() == AF_VSOCK) {
    return reinterpret_cast<const sockaddr_vm*>(&address.storage)->svm_port;
  }
  return 0;
}

class EventListener final : public Listener {
 public:
  EventListener(EventLoop* loop, Fd fd, Endpoint endpoint, const NetworkOptions& options,
                Network::OnAccept on_accept)
      : loop_(loop),
        endpoint_(std::move(endpoint)),
        options_(options),
        on_accept_(std::make_shared<Network::OnAccept>(std::move(on_accept))),
        leases_(std::make_shared<char>()) {
    endpoint_.port = PortOf(LocalAddress(fd.get()));
    listener_ = evconnlistener_new(loop->base(), &OnConnection, this,
                                   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, fd.Release());
    COFFER_CHECK(listener_ != nullptr, "out of memory for a listener");
    evconnlistener_set_error_cb(listener_, &OnError);
  }

  ~EventListener() override {
    evconnlistener_free(listener_);
    if (endpoint_.kind == Endpoint::Kind::kUnix) unlink(endpoint_.path.c_str());
  }

  const Endpoint& endpoint() const override { return endpoint_; }

 private:
  static void OnConnection(evconnlistener*, evutil_socket_t fd, sockaddr* from, int length,
                           void* self) {
    auto* listener = static_cast<EventListener*>(self);
    Fd owned(fd);
    // Every accepted stream holds a copy of leases_, so its count tells how many there are.
    if (static_cast<size_t>(listener->leases_.use_count() - 1) >=
        listener->options_.max_connections) {
      return;
    }
    SocketAddress peer;
    peer.length = std::min(static_cast<socklen_t>(length), socklen_t{sizeof(peer.storage)});
    std::memcpy(&peer.storage, from, peer.length);
    auto stream = std::make_unique<EventStream>(listener->loop_, std::move(owned), peer.ToString(),
                                                listener->options_, listener->leases_);
    // The owner may destroy the listener in the callback.
    std::shared_ptr<Network::OnAccept> on_accept = listener->on_accept_;
    (*on_accept)(std::move(stream));
  }

  static void OnError(evconnlistener*, void* self) {
    // EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the backlog and would be reported
    // again at once.
    auto* listener = static_cast<EventListener*>(self);
    evconnlistener_disable(listener->listener_);
    listener->rest_ = listener->loop_->After(
        kAcceptBackoff, [listener] { evconnlistener_enable(listener->listener_); });
  }

  EventLoop* const loop_;
  Endpoint endpoint_;
  const NetworkOptions options_;
  std::shared_ptr<Network::OnAccept> on_accept_;
  std::shared_ptr<void> leases_;
  evconnlistener* listener_ = nullptr;
  std::unique_ptr<Timer> rest_;
};

class EventNetwork;

// Shared with the threads that look names up; they may outlive the network.
struct Lookups {
  std::mutex mutex;
  EventLoop* loop = nullptr;        // null when the network is gone; guarded by mutex
  int running = 0;                  // guarded by mutex
  EventNetwork* network = nullptr;  // loop thread only
};

// One connection in the making: look the name up, then try each address until one answers.
class Connector {
 public:
  Connector(EventNetwork* network, uint64_t id, EventLoop* loop, Endpoint endpoint,
            Network::OnConnect on_connect, const NetworkOptions& options)
      : network_(network),
        id_(id),
        loop_(loop),
        endpoint_(std::move(endpoint)),
        on_connect_(std::move(on_connect)),
        options_(options) {}
  ~Connector();

  void Start();
  void Resolved(absl::StatusOr<std::vector<SocketAddress>> found);

 private:
  static void OnWritable(evutil_socket_t, short, void* self);
  void TryNext();
  // Answers and destroys this object.
  void Finish(absl::StatusOr<std::unique_ptr<FramedStream>> result);

  EventNetwork* const network_;
  const uint64_t id_;
  EventLoop* const loop_;
  const Endpoint endpoint_;
  Network::OnConnect on_connect_;
  const NetworkOptions options_;
  std::vector<SocketAddress> addresses_;  // still to be tried, last first
  SocketAddress trying_;
  Fd fd_;
  event* writable_ = nullptr;
  std::string last_error_ = "there is no address";
  std::unique_ptr<Timer> start_;
  std::unique_ptr<Timer> deadline_;
};

class EventNetwork final : public Network {
 public:
  EventNetwork(EventLoop* loop, const NetworkOptions& options)
      : loop_(loop), options_(options), lookups_(std::make_shared<Lookups>()) {
    lookups_->loop = loop;
    lookups_->network = this;
  }

  ~EventNetwork() override {
    std::lock_guard<std::mutex> lock(lookups_->mutex);
    lookups_->loop = nullptr;
    lookups_->network = nullptr;
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Endpoint& endpoint,
                                                   OnAccept on_accept) override {
    absl::StatusOr<Fd> fd = ListenOn(endpoint);
    if (!fd.ok()) return fd.status();
    return std::make_unique<EventListener>(loop_, *std::move(fd), endpoint, options_,
                                           std::move(on_accept));
  }

  void Connect(const Endpoint& endpoint, OnConnect on_connect) override {
    const uint64_t id = ++last_id_;
    auto connector =
        std::make_unique<Connector>(this, id, loop_, endpoint, std::move(on_connect), options_);
    Connector* started = connector.get();
    connectors_.emplace(id, std::move(connector));
    started->Start();
  }

  std::unique_ptr<Connector> Take(uint64_t id) {
    auto found = connectors_.extract(id);
    return std::move(found.mapped());
  }

  // Looks a name up on a thread of its own, because getaddrinfo blocks. (libevent's evdns touches
  // freed memory when it is destroyed with a request under way.) Calls Resolved of that connector,
  // if it still exists.
  void Resolve(const Endpoint& endpoint, uint64_t id);
  void Resolved(uint64_t id, absl::StatusOr<std::vector<SocketAddress>> found) {
    const auto connector = connectors_.find(id);
    if (connector != connectors_.end()) connector->second->Resolved(std::move(found));
  }

 private:
  EventLoop* const loop_;
  const NetworkOptions options_;
  const std::shared_ptr<Lookups> lookups_;
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Connector>> connectors_;
};

Connector::~Connector() {
  if (writable_ != nullptr) event_free(writable_);
}

void Connector::Start() {
  deadline_ = loop_->After(options_.connect_timeout, [this] {
    Finish(absl::DeadlineExceededError(
        absl::StrCat("connecting to ", endpoint_.ToString(), " took longer than ",
                     absl::FormatDuration(options_.connect_timeout))));
  });
  absl::StatusOr<SocketAddress> literal = LiteralAddress(endpoint_, /*listening=*/false);
  if (literal.ok() || !absl::IsNotFound(literal.status())) {
    if (literal.ok()) {
      addresses_.push_back(*literal);
    } else {
      last_error_ = std::string(literal.status().message());
    }
    // The answer must come later, also when the kernel answers at once.
    start_ = loop_->After(absl::ZeroDuration(), [this] { TryNext(); });
    return;
  }
  network_->Resolve(endpoint_, id_);
}

void Connector::Resolved(absl::StatusOr<std::vector<SocketAddress>> found) {
  if (found.ok()) {
    addresses_.assign(found->rbegin(), found->rend());
  } else {
    last_error_ = std::string(found.status().message());
  }
  TryNext();
}

void EventNetwork::Resolve(const Endpoint& endpoint, uint64_t id) {
  bool too_many = false;
  {
    std::lock_guard<std::mutex> lock(lookups_->mutex);
    too_many = ++lookups_->running > kMaxLookups;
  }
  const auto answer = [lookups = lookups_, id](absl::StatusOr<std::vector<SocketAddress>> found) {
    std::lock_guard<std::mutex> lock(lookups->mutex);
    --lookups->running;
    if (lookups->loop == nullptr) return;
    lookups->loop->Post([lookups, id, found = std::move(found)]() mutable {
      if (lookups->network != nullptr) lookups->network->Resolved(id, std::move(found));
    });
  };
  if (too_many) {
    return answer(absl::ResourceExhaustedError("too many names are being looked up"));
  }
  try {
    std::thread([answer, endpoint] { answer(ResolveBlocking(endpoint)); }).detach();
  } catch (const std::system_error&) {
    answer(absl::ResourceExhaustedError("no thread could be started to look the name up"));
  }
}

void Connector::TryNext() {
  while (!addresses_.empty()) {
    trying_ = addresses_.back();
    addresses_.pop_back();
    absl::StatusOr<Fd> fd = NewStreamSocket(trying_.family());
    if (!fd.ok()) {
      last_error_ = std::string(fd.status().message());
      continue;
    }
    fd_ = *std::move(fd);
    if (connect(fd_.get(), trying_.get(), trying_.length) != 0 && errno != EINPROGRESS) {
      last_error_ = ErrnoText(errno);
      continue;
    }
    writable_ = event_new(loop_->base(), fd_.get(), EV_WRITE, &Connector::OnWritable, this);
    COFFER_CHECK(writable_ != nullptr, "out of memory for an event");
    event_add(writable_, nullptr);
    return;
  }
  Finish(absl::UnavailableError(
      absl::StrCat("connecting to ", endpoint_.ToString(), " failed: ", last_error_)));
}

void Connector::OnWritable(evutil_socket_t, short, void* context) {
  auto* self = static_cast<Connector*>(context);
  event_free(std::exchange(self->writable_, nullptr));
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(self->fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    self->last_error_ = ErrnoText(error);
    return self->TryNext();
  }
  self->Finish(std::make_unique<EventStream>(self->loop_, std::move(self->fd_),
                                             self->trying_.ToString(), self->options_, nullptr));
}

void Connector::Finish(absl::StatusOr<std::unique_ptr<FramedStream>> result) {
  // Out of the network first: the owner may destroy the network in the callback.
  const std::unique_ptr<Connector> self = network_->Take(id_);
  Network::OnConnect on_connect = std::move(on_connect_);
  on_connect(std::move(result));
}

}  // namespace

std::unique_ptr<Network> NewEventNetwork(EventLoop* loop, NetworkOptions options) {
  signal(SIGPIPE, SIG_IGN);
  return std::make_unique<EventNetwork>(loop, options);
}

}  // namespace coffer::runtime
