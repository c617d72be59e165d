#include "tools/bridge.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::tools {

using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "bridge";
// One read(2): libevent's own 16 KiB would cost four times the calls.
constexpr size_t kReadBytes = 64u << 10;
constexpr size_t kCopyBytes = 4096;

size_t OutputOf(bufferevent* socket) {
  return socket == nullptr ? 0 : evbuffer_get_length(bufferevent_get_output(socket));
}

// A peer that vanishes without a word is noticed after some minutes; small messages are not held
// back. Errors are of no consequence: not every socket is tcp.
void Tune(int fd) {
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

// One client and its connection to the other side.
class Bridge::Link {
 public:
  Link(Bridge* bridge, uint64_t id, runtime::ConnectedSocket client)
      : bridge_(bridge), id_(id), peer_(client.peer), began_(bridge->loop_->Now()) {
    client_.link = this;
    target_.link = this;
    client_.socket = NewSocket(std::move(client.fd), &client_);
  }
  ~Link() { Close(); }

  void Connected(runtime::ConnectedSocket socket) {
    target_.socket = NewSocket(std::move(socket.fd), &target_);
    for (Side* side : {&client_, &target_}) bufferevent_enable(side->socket, EV_READ);
  }

  void Drain() {
    for (Side* side : {&client_, &target_}) {
      if (side->socket != nullptr) bufferevent_disable(side->socket, EV_READ);
    }
    draining_ = true;
    if (target_.socket == nullptr || buffered() == 0) bridge_->Remove(id_, "shutting down");
  }

  void Close() {
    for (Side* side : {&client_, &target_}) {
      if (side->socket != nullptr) bufferevent_free(std::exchange(side->socket, nullptr));
    }
  }

  size_t buffered() const { return OutputOf(client_.socket) + OutputOf(target_.socket); }

  void LogEnd(const std::string& why) const {
    Log(Level::kInfo, kComponent, "connection closed",
        {{"connection", id_},
         {"peer", peer_},
         {"bytes_to", client_.read},
         {"bytes_from", target_.read},
         {"seconds", absl::ToDoubleSeconds(bridge_->loop_->Now() - began_)},
         {"why", why}});
  }

 private:
  struct Side {
    Link* link = nullptr;
    bufferevent* socket = nullptr;
    uint64_t read = 0;        // bytes
    bool ended = false;       // it sends nothing more
    bool end_passed = false;  // the other side was told so
  };

  bufferevent* NewSocket(runtime::Fd fd, Side* side) {
    Tune(fd.get());
    bufferevent* socket =
        bufferevent_socket_new(bridge_->loop_->base(), fd.Release(), BEV_OPT_CLOSE_ON_FREE);
    COFFER_CHECK(socket != nullptr, "out of memory for a connection");
    bufferevent_setcb(socket, &OnRead, &OnWrite, &OnEvent, side);
    bufferevent_set_max_single_read(socket, kReadBytes);
    bufferevent_setwatermark(socket, EV_WRITE, bridge_->options_.buffer_limit / 2, 0);
    // Not read from yet: that begins once there is somewhere to put it.
    return socket;
  }

  Side& Other(const Side& side) { return &side == &client_ ? target_ : client_; }

  static void OnRead(bufferevent*, void* context) {
    auto* side = static_cast<Side*>(context);
    side->link->Move(*side);
  }
  static void OnWrite(bufferevent*, void* context) {
    auto* side = static_cast<Side*>(context);
    side->link->Drained(*side);
  }
  static void OnEvent(bufferevent*, short what, void* context) {
    auto* side = static_cast<Side*>(context);
    side->link->Happened(*side, what);
  }

  void Move(Side& from) {
    Side& to = Other(from);
    evbuffer* const input = bufferevent_get_input(from.socket);
    const size_t bytes = evbuffer_get_length(input);
    from.read += bytes;
    (&from == &client_ ? bridge_->counters_.bytes_to : bridge_->counters_.bytes_from) += bytes;
    if (bytes <= kCopyBytes) {
      // A chain of buffers with a few bytes in each would take far more memory than it counts.
      char copy[kCopyBytes];
      evbuffer_remove(input, copy, bytes);
      bufferevent_write(to.socket, copy, bytes);
    } else {
      bufferevent_write_buffer(to.socket, input);
    }
    if (OutputOf(to.socket) > bridge_->options_.buffer_limit) {
      bufferevent_disable(from.socket, EV_READ);
    }
  }

  // The kernel took enough of what waits for `to`.
  void Drained(Side& to) {
    Side& from = Other(to);
    if (draining_) {
      if (buffered() == 0) bridge_->Remove(id_, "shutting down");
      return;
    }
    if (from.socket == nullptr) return;
    if (!from.ended) bufferevent_enable(from.socket, EV_READ);
    PassEnd(from);
  }

  // Tells the other side that `from` sends nothing more, once it has all that came before.
  void PassEnd(Side& from) {
    Side& to = Other(from);
    if (!from.ended || from.end_passed || OutputOf(to.socket) > 0) return;
    from.end_passed = true;
    shutdown(bufferevent_getfd(to.socket), SHUT_WR);
    if (to.end_passed) bridge_->Remove(id_, "both sides ended");
  }

  void Happened(Side& side, short what) {
    const char* const name = &side == &client_ ? "the client" : "the other side";
    if ((what & BEV_EVENT_EOF) != 0) {
      side.ended = true;
      return PassEnd(side);
    }
    if ((what & BEV_EVENT_ERROR) != 0) {
      const std::string why = runtime::ErrnoText(EVUTIL_SOCKET_ERROR());
      bridge_->Remove(id_, absl::StrCat(name, ": ", why));
    }
  }

  Bridge* const bridge_;
  const uint64_t id_;
  const std::string peer_;
  const absl::Time began_;
  Side client_;
  Side target_;
  bool draining_ = false;
};

Bridge::Bridge(runtime::EventLoop* loop, Options options)
    : loop_(loop), options_(std::move(options)), connector_(loop, options_.connect_timeout) {}

Bridge::~Bridge() = default;

absl::StatusOr<std::unique_ptr<Bridge>> Bridge::Start(runtime::EventLoop* loop, Options options) {
  std::unique_ptr<Bridge> bridge(new Bridge(loop, std::move(options)));
  Bridge* const self = bridge.get();
  auto listener = runtime::SocketListener::Listen(
      loop, self->options_.listen,
      [self](runtime::ConnectedSocket client) { self->Accept(std::move(client)); });
  if (!listener.ok()) return listener.status();
  bridge->listener_ = *std::move(listener);
  return bridge;
}

void Bridge::Accept(runtime::ConnectedSocket client) {
  if (links_.size() >= options_.connections) {
    if (++counters_.refused == 1) {
      Log(Level::kWarn, kComponent, "as many connections as --connections allows; more are refused",
          {{"connections", options_.connections}});
    }
    return;
  }
  ++counters_.accepted;
  const uint64_t id = ++last_id_;
  links_.emplace(id, std::make_unique<Link>(this, id, std::move(client)));
  connector_.Connect(options_.to, [this, id](absl::StatusOr<runtime::ConnectedSocket> socket) {
    const auto link = links_.find(id);
    if (link == links_.end()) return;
    if (!socket.ok()) {
      ++counters_.failed;
      return Remove(id, std::string(socket.status().message()));
    }
    link->second->Connected(*std::move(socket));
  });
}

void Bridge::Remove(uint64_t id, const std::string& why) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  found->second->LogEnd(why);
  found->second->Close();
  gone_.push_back(std::move(found->second));
  links_.erase(found);
  if (sweep_ == nullptr) {
    sweep_ = loop_->After(absl::ZeroDuration(), [this] {
      gone_.clear();
      const std::unique_ptr<runtime::Timer> timer = std::move(sweep_);
    });
  }
  MaybeStopped();
}

size_t Bridge::buffered() const {
  size_t bytes = 0;
  for (const auto& [id, link] : links_) bytes += link->buffered();
  return bytes;
}

void Bridge::Stop(runtime::Task done) {
  stopped_ = std::move(done);
  listener_.reset();
  stop_timer_ = loop_->After(options_.flush_timeout, [this] {
    std::vector<uint64_t> ids;
    for (const auto& [id, link] : links_) ids.push_back(id);
    for (const uint64_t id : ids) Remove(id, "shutting down; the peer did not take the rest");
  });
  std::vector<uint64_t> ids;
  for (const auto& [id, link] : links_) ids.push_back(id);
  for (const uint64_t id : ids) {
    if (const auto link = links_.find(id); link != links_.end()) link->second->Drain();
  }
  MaybeStopped();
}

void Bridge::MaybeStopped() {
  if (!stopped_ || !links_.empty()) return;
  loop_->Post([done = std::exchange(stopped_, nullptr)]() mutable { done(); });
}

std::vector<std::string> InsecureParts(const Bridge::Options& options) {
  std::vector<std::string> parts = {
      "the bridge passes bytes on as they are: whoever can connect to it can ask the other side "
      "whatever a host can"};
  if (!options.listen.IsLocal()) {
    parts.push_back("the bridge can be reached from other machines, without encryption");
  } else if (options.listen.kind == runtime::Endpoint::Kind::kTcp) {
    parts.push_back(
        "everybody with an account on this machine can connect to a tcp port; unix:// "
        "admits one user");
  }
  if (!options.to.IsLocal()) {
    parts.push_back("the other side is reached over a network without encryption");
  }
  return parts;
}

}  // namespace coffer::tools
