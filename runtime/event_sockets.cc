#include "runtime/event_sockets.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"
#include "runtime/log.h"

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

}  // namespace

SocketListener::SocketListener(EventLoop* loop, Fd fd, Endpoint endpoint, OnAccept on_accept)
    : loop_(loop),
      endpoint_(std::move(endpoint)),
      on_accept_(std::make_shared<OnAccept>(std::move(on_accept))) {
  endpoint_.port = PortOf(LocalAddress(fd.get()));
  listener_ = evconnlistener_new(loop->base(), &OnConnection, this,
                                 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, fd.Release());
  COFFER_CHECK(listener_ != nullptr, "out of memory for a listener");
  evconnlistener_set_error_cb(listener_, &OnError);
}

absl::StatusOr<std::unique_ptr<SocketListener>> SocketListener::Listen(EventLoop* loop,
                                                                       const Endpoint& endpoint,
                                                                       OnAccept on_accept) {
  absl::StatusOr<Fd> fd = ListenOn(endpoint);
  if (!fd.ok()) return fd.status();
  return std::unique_ptr<SocketListener>(
      new SocketListener(loop, *std::move(fd), endpoint, std::move(on_accept)));
}

SocketListener::~SocketListener() {
  evconnlistener_free(listener_);
  if (endpoint_.kind == Endpoint::Kind::kUnix) unlink(endpoint_.path.c_str());
}

void SocketListener::OnConnection(evconnlistener*, int fd, sockaddr* from, int length, void* self) {
  ConnectedSocket socket;
  socket.fd = Fd(fd);
  SocketAddress peer;
  peer.length = std::min(static_cast<socklen_t>(length), socklen_t{sizeof(peer.storage)});
  std::memcpy(&peer.storage, from, peer.length);
  socket.peer = peer.ToString();
  // The owner may destroy the listener in the callback.
  const std::shared_ptr<OnAccept> on_accept = static_cast<SocketListener*>(self)->on_accept_;
  (*on_accept)(std::move(socket));
}

void SocketListener::OnError(evconnlistener*, void* self) {
  // EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the backlog and would be reported
  // again at once.
  auto* listener = static_cast<SocketListener*>(self);
  static LogEvery log(absl::Seconds(10));
  log.Log(
      Level::kError, "network", "connections wait: none can be accepted for the moment",
      {{"endpoint", listener->endpoint_.ToString()}, {"why", ErrnoText(EVUTIL_SOCKET_ERROR())}});
  evconnlistener_disable(listener->listener_);
  listener->rest_ = listener->loop_->After(
      kAcceptBackoff, [listener] { evconnlistener_enable(listener->listener_); });
}

// Shared with the threads that look names up; they may outlive the connector.
struct SocketConnector::Lookups {
  std::mutex mutex;
  EventLoop* loop = nullptr;             // null when the connector is gone; guarded by mutex
  int running = 0;                       // guarded by mutex
  SocketConnector* connector = nullptr;  // loop thread only
};

// One connection in the making: look the name up, then try each address until one answers.
class SocketConnector::Attempt {
 public:
  Attempt(SocketConnector* owner, uint64_t id, Endpoint endpoint, OnConnect on_connect)
      : owner_(owner),
        id_(id),
        endpoint_(std::move(endpoint)),
        on_connect_(std::move(on_connect)) {}
  ~Attempt();

  void Start();
  void Resolved(absl::StatusOr<std::vector<SocketAddress>> found);

 private:
  static void OnWritable(evutil_socket_t, short, void* context);
  void TryNext();
  // Answers and destroys this object.
  void Finish(absl::StatusOr<ConnectedSocket> result);

  SocketConnector* const owner_;
  const uint64_t id_;
  const Endpoint endpoint_;
  OnConnect on_connect_;
  std::vector<SocketAddress> addresses_;  // still to be tried, last first
  SocketAddress trying_;
  Fd fd_;
  event* writable_ = nullptr;
  std::string last_error_ = "there is no address";
  std::unique_ptr<Timer> start_;
  std::unique_ptr<Timer> deadline_;
};

SocketConnector::SocketConnector(EventLoop* loop, absl::Duration timeout)
    : loop_(loop), timeout_(timeout), lookups_(std::make_shared<Lookups>()) {
  lookups_->loop = loop;
  lookups_->connector = this;
}

SocketConnector::~SocketConnector() {
  std::lock_guard<std::mutex> lock(lookups_->mutex);
  lookups_->loop = nullptr;
  lookups_->connector = nullptr;
}

void SocketConnector::Connect(const Endpoint& endpoint, OnConnect on_connect) {
  const uint64_t id = ++last_id_;
  auto attempt = std::make_unique<Attempt>(this, id, endpoint, std::move(on_connect));
  Attempt* started = attempt.get();
  attempts_.emplace(id, std::move(attempt));
  started->Start();
}

std::unique_ptr<SocketConnector::Attempt> SocketConnector::Take(uint64_t id) {
  auto found = attempts_.extract(id);
  return std::move(found.mapped());
}

void SocketConnector::Resolved(uint64_t id, absl::StatusOr<std::vector<SocketAddress>> found) {
  const auto attempt = attempts_.find(id);
  if (attempt != attempts_.end()) attempt->second->Resolved(std::move(found));
}

SocketConnector::Attempt::~Attempt() {
  if (writable_ != nullptr) event_free(writable_);
}

void SocketConnector::Attempt::Start() {
  deadline_ = owner_->loop_->After(owner_->timeout_, [this] {
    Finish(absl::DeadlineExceededError(absl::StrCat("connecting to ", endpoint_.ToString(),
                                                    " took longer than ",
                                                    absl::FormatDuration(owner_->timeout_))));
  });
  absl::StatusOr<SocketAddress> literal = LiteralAddress(endpoint_, /*listening=*/false);
  if (literal.ok() || !absl::IsNotFound(literal.status())) {
    if (literal.ok()) {
      addresses_.push_back(*literal);
    } else {
      last_error_ = std::string(literal.status().message());
    }
    // The answer must come later, also when the kernel answers at once.
    start_ = owner_->loop_->After(absl::ZeroDuration(), [this] { TryNext(); });
    return;
  }
  owner_->Resolve(endpoint_, id_);
}

void SocketConnector::Attempt::Resolved(absl::StatusOr<std::vector<SocketAddress>> found) {
  if (found.ok()) {
    addresses_.assign(found->rbegin(), found->rend());
  } else {
    last_error_ = std::string(found.status().message());
  }
  TryNext();
}

// Looks a name up on a thread of its own, because getaddrinfo blocks. (libevent's evdns touches
// freed memory when it is destroyed with a request under way.) Calls Resolved of that attempt,
// if it still exists.
void SocketConnector::Resolve(const Endpoint& endpoint, uint64_t id) {
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
      if (lookups->connector != nullptr) lookups->connector->Resolved(id, std::move(found));
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

void SocketConnector::Attempt::TryNext() {
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
    writable_ = event_new(owner_->loop_->base(), fd_.get(), EV_WRITE,
                          &SocketConnector::Attempt::OnWritable, this);
    COFFER_CHECK(writable_ != nullptr, "out of memory for an event");
    event_add(writable_, nullptr);
    return;
  }
  Finish(absl::UnavailableError(
      absl::StrCat("connecting to ", endpoint_.ToString(), " failed: ", last_error_)));
}

void SocketConnector::Attempt::OnWritable(evutil_socket_t, short, void* context) {
  auto* self = static_cast<Attempt*>(context);
  event_free(std::exchange(self->writable_, nullptr));
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(self->fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    self->last_error_ = ErrnoText(error);
    return self->TryNext();
  }
  self->Finish(ConnectedSocket{std::move(self->fd_), self->trying_.ToString()});
}

void SocketConnector::Attempt::Finish(absl::StatusOr<ConnectedSocket> result) {
  // Out of the owner first: the callback may destroy it.
  const std::unique_ptr<Attempt> self = owner_->Take(id_);
  OnConnect on_connect = std::move(on_connect_);
  on_connect(std::move(result));
}

}  // namespace coffer::runtime
