#include "runtime/memory_network.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::runtime {

namespace {
class MemoryListener;
class MemoryStream;

// One side of a connection. `stream` is what its owner holds: null before it was accepted and after
// it was destroyed.
struct End {
  TestDispatcher* dispatcher = nullptr;
  MemoryStream* stream = nullptr;
  bool closed = false;         // nothing is sent from here any more
  uint64_t source = 0;         // orders what travels from here to the other end
  absl::Time last_arrival;     // of what was sent from here
  uint64_t sent = 0;           // frames sent from here
  uint64_t arrived = 0;        // of them
  uint64_t lost_from = ~0ull;  // frames from this number on are lost
  size_t unread_bytes = 0;     // sent from here and not yet delivered to the other owner
  bool above_limit = false;
};

struct Connection {
  std::string key;  // of the listener
  End ends[2];      // 0 dialled, 1 accepted
};

std::string KeyOf(const Endpoint& endpoint) {
  // A vsock listener is bound to every CID.
  if (endpoint.kind == Endpoint::Kind::kVsock) return absl::StrCat("vsock:", endpoint.port);
  return endpoint.ToString();
}

}  // namespace

class MemoryNetwork::Wire : public std::enable_shared_from_this<MemoryNetwork::Wire> {
 public:
  explicit Wire(TestScheduler* scheduler) : scheduler_(scheduler) {}

  MemoryListener* FindListener(const Endpoint& endpoint) const;
  void Open(const Endpoint& endpoint, TestDispatcher* client, Network::OnConnect on_connect);
  void SendFrame(const std::shared_ptr<Connection>& connection, int from, std::string payload);
  // Ends the direction from `from`: the other owner hears of it after what is under way.
  void SendClose(const std::shared_ptr<Connection>& connection, int from, const absl::Status& why);
  void TookFrame(const std::shared_ptr<Connection>& connection, int from, size_t bytes);
  // The connection breaks; `told` are the ends that hear of it.
  void Break(const std::shared_ptr<Connection>& connection, bool tell0, bool tell1);
  void BreakAll(const std::string& key);
  void OnCrash(TestDispatcher* dispatcher);
  void Watch(TestDispatcher* dispatcher);
  absl::Duration Delay();
  void Forget(const std::shared_ptr<Connection>& connection);

  TestScheduler* const scheduler_;
  absl::Duration min_delay_ = absl::ZeroDuration();
  absl::Duration max_delay_ = absl::ZeroDuration();
  std::set<std::string> cut_;
  std::map<std::string, MemoryListener*> listeners_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::set<TestDispatcher*> watched_;
  uint32_t next_port_ = 49152;

 private:
  void Later(End& from, TestDispatcher* to, Task task);
};

namespace {

using Wire = MemoryNetwork::Wire;

class MemoryStream final : public FramedStream {
 public:
  MemoryStream(std::shared_ptr<Wire> wire, std::shared_ptr<Connection> connection, int side)
      : wire_(std::move(wire)),
        connection_(std::move(connection)),
        side_(side),
        peer_(absl::StrCat("memory ", other().dispatcher->name())) {
    mine().stream = this;
  }

  ~MemoryStream() override {
    if (gone_ != nullptr) *gone_ = true;
    mine().stream = nullptr;
    if (!dead_) {
      wire_->SendClose(connection_, side_,
                       absl::UnavailableError("the peer closed the connection"));
    }
    if (other().stream == nullptr) wire_->Forget(connection_);
  }

  void SetHandler(StreamHandler* handler) override {
    handler_ = handler;
    DeliverLater();
  }
  void Send(std::string_view payload) override {
    COFFER_CHECK(!payload.empty() && payload.size() <= kMaxFrameBytes,
                 "frame of a forbidden length");
    if (dead_ || mine().closed) return;
    wire_->SendFrame(connection_, side_, std::string(payload));
    if (PendingOutput() > OutputLimit()) mine().above_limit = true;
  }
  size_t PendingOutput() const override {
    const size_t unread = connection_->ends[side_].unread_bytes;
    if (dead_ || unread < MemoryNetwork::kKernelBytes) return 0;
    return unread - MemoryNetwork::kKernelBytes;
  }
  size_t OutputLimit() const override { return MemoryNetwork::kOutputLimit; }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override {
    if (!paused_) return;
    paused_ = false;
    DeliverLater();
  }
  void CloseAfterFlush() override {
    if (dead_ || mine().closed) return;
    wire_->SendClose(connection_, side_, absl::UnavailableError("the peer closed the connection"));
    inbox_.clear();
    closing_ = true;
    close_why_ = absl::CancelledError("closed on our side after everything was sent");
    DeliverLater();
  }
  const std::string& peer() const override { return peer_; }

  void Arrive(std::string payload) {
    if (closing_) {
      wire_->TookFrame(connection_, 1 - side_, payload.size());
      return;
    }
    inbox_.push_back(std::move(payload));
    Deliver();
  }
  void ArriveClose(const absl::Status& why) {
    if (closing_ || dead_) return;
    closing_ = true;
    close_why_ = why;
    Deliver();
  }
  void Writable() {
    if (!dead_ && handler_ != nullptr) handler_->OnWritable(*this);
  }

 private:
  End& mine() { return connection_->ends[side_]; }
  End& other() { return connection_->ends[1 - side_]; }

  void DeliverLater() {
    later_ = mine().dispatcher->After(absl::ZeroDuration(), [this] { Deliver(); });
  }

  void Deliver() {
    if (dead_ || handler_ == nullptr || delivering_) return;
    bool gone = false;
    gone_ = &gone;
    delivering_ = true;
    while (!paused_ && !dead_ && !inbox_.empty()) {
      std::string payload = std::move(inbox_.front());
      inbox_.pop_front();
      wire_->TookFrame(connection_, 1 - side_, payload.size());
      handler_->OnFrame(*this, std::move(payload));
      if (gone) return;
    }
    delivering_ = false;
    gone_ = nullptr;
    if (!closing_ || !inbox_.empty()) return;
    dead_ = true;
    mine().closed = true;
    handler_->OnClosed(*this, close_why_);
  }

  const std::shared_ptr<Wire> wire_;
  const std::shared_ptr<Connection> connection_;
  const int side_;
  const std::string peer_;
  StreamHandler* handler_ = nullptr;
  std::deque<std::string> inbox_;
  bool paused_ = false;
  bool delivering_ = false;
  bool closing_ = false;  // the close has arrived; OnClosed follows what is in the inbox
  bool dead_ = false;     // OnClosed was called
  bool* gone_ = nullptr;
  absl::Status close_why_;
  std::unique_ptr<Timer> later_;
};

class MemoryListener final : public Listener {
 public:
  MemoryListener(std::shared_ptr<Wire> wire, TestDispatcher* dispatcher, Endpoint endpoint,
                 Network::OnAccept on_accept)
      : wire_(std::move(wire)),
        dispatcher_(dispatcher),
        endpoint_(std::move(endpoint)),
        on_accept_(std::make_shared<Network::OnAccept>(std::move(on_accept))) {
    wire_->listeners_[KeyOf(endpoint_)] = this;
  }
  ~MemoryListener() override {
    auto found = wire_->listeners_.find(KeyOf(endpoint_));
    if (found != wire_->listeners_.end() && found->second == this) wire_->listeners_.erase(found);
  }
  const Endpoint& endpoint() const override { return endpoint_; }
  TestDispatcher* dispatcher() const { return dispatcher_; }
  std::shared_ptr<Network::OnAccept> on_accept() const { return on_accept_; }

 private:
  const std::shared_ptr<Wire> wire_;
  TestDispatcher* const dispatcher_;
  const Endpoint endpoint_;
  const std::shared_ptr<Network::OnAccept> on_accept_;
};

class MemoryNode final : public Network {
 public:
  MemoryNode(std::shared_ptr<Wire> wire, TestDispatcher* dispatcher)
      : wire_(std::move(wire)), dispatcher_(dispatcher), alive_(std::make_shared<char>()) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Endpoint& endpoint,
                                                   OnAccept on_accept) override {
    Endpoint bound = endpoint;
    if (bound.kind != Endpoint::Kind::kUnix && bound.port == 0) bound.port = wire_->next_port_++;
    auto found = wire_->listeners_.find(KeyOf(bound));
    if (found != wire_->listeners_.end() && found->second->dispatcher()->alive()) {
      return absl::FailedPreconditionError(
          absl::StrCat(bound.ToString(), " is in use: another process listens on it"));
    }
    return std::make_unique<MemoryListener>(wire_, dispatcher_, bound, std::move(on_accept));
  }

  void Connect(const Endpoint& endpoint, OnConnect on_connect) override {
    wire_->scheduler_->PostAt(
        wire_->scheduler_->Now() + wire_->Delay(), wire_->scheduler_->NewSource(), dispatcher_,
        [wire = wire_, alive = std::weak_ptr<char>(alive_), dispatcher = dispatcher_, endpoint,
         on_connect = std::move(on_connect)]() mutable {
          if (alive.expired()) return;
          wire->Open(endpoint, dispatcher, std::move(on_connect));
        });
  }

 private:
  const std::shared_ptr<Wire> wire_;
  TestDispatcher* const dispatcher_;
  const std::shared_ptr<char> alive_;  // connections being made end with this object
};

}  // namespace

MemoryListener* MemoryNetwork::Wire::FindListener(const Endpoint& endpoint) const {
  auto found = listeners_.find(KeyOf(endpoint));
  if (found == listeners_.end() && endpoint.kind == Endpoint::Kind::kTcp) {
    found = listeners_.find(absl::StrCat("tcp://0.0.0.0:", endpoint.port));
  }
  return found == listeners_.end() ? nullptr : found->second;
}

void MemoryNetwork::Wire::Open(const Endpoint& endpoint, TestDispatcher* client,
                               Network::OnConnect on_connect) {
  MemoryListener* listener = FindListener(endpoint);
  if (listener == nullptr || !listener->dispatcher()->alive() || cut_.count(KeyOf(endpoint)) > 0) {
    on_connect(absl::UnavailableError(
        absl::StrCat("connecting to ", endpoint.ToString(), " failed: Connection refused")));
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->key = KeyOf(listener->endpoint());
  connection->ends[0].dispatcher = client;
  connection->ends[1].dispatcher = listener->dispatcher();
  for (End& end : connection->ends) {
    end.source = scheduler_->NewSource();
    end.last_arrival = scheduler_->Now();
    Watch(end.dispatcher);
  }
  connections_.push_back(connection);
  // On the line of what the client sends, so that its frames come after the acceptance.
  Later(connection->ends[0], listener->dispatcher(),
        [self = shared_from_this(), connection, on_accept = listener->on_accept(),
         endpoint = listener->endpoint()] {
          if (connection->ends[1].closed) return;
          if (self->listeners_.count(KeyOf(endpoint)) == 0) {
            self->SendClose(connection, 1,
                            absl::UnavailableError("the peer closed the connection"));
            return;
          }
          (*on_accept)(std::make_unique<MemoryStream>(self, connection, 1));
        });
  on_connect(std::make_unique<MemoryStream>(shared_from_this(), connection, 0));
}

void MemoryNetwork::Wire::Later(End& from, TestDispatcher* to, Task task) {
  from.last_arrival = std::max(from.last_arrival, scheduler_->Now() + Delay());
  scheduler_->PostAt(from.last_arrival, from.source, to, std::move(task));
}

void MemoryNetwork::Wire::SendFrame(const std::shared_ptr<Connection>& connection, int from,
                                    std::string payload) {
  End& end = connection->ends[from];
  const uint64_t number = end.sent++;
  end.unread_bytes += payload.size();
  Later(end, connection->ends[1 - from].dispatcher,
        [connection, from, number, payload = std::move(payload)]() mutable {
          End& sender = connection->ends[from];
          if (number >= sender.lost_from) return;
          ++sender.arrived;
          MemoryStream* stream = connection->ends[1 - from].stream;
          if (stream != nullptr) stream->Arrive(std::move(payload));
        });
}

void MemoryNetwork::Wire::SendClose(const std::shared_ptr<Connection>& connection, int from,
                                    const absl::Status& why) {
  End& end = connection->ends[from];
  if (end.closed) return;
  end.closed = true;
  Later(end, connection->ends[1 - from].dispatcher, [connection, from, why] {
    MemoryStream* stream = connection->ends[1 - from].stream;
    if (stream != nullptr) stream->ArriveClose(why);
  });
}

void MemoryNetwork::Wire::TookFrame(const std::shared_ptr<Connection>& connection, int from,
                                    size_t bytes) {
  End& end = connection->ends[from];
  end.unread_bytes -= std::min(bytes, end.unread_bytes);
  if (!end.above_limit || end.unread_bytes > kKernelBytes + kOutputLimit / 2) return;
  end.above_limit = false;
  scheduler_->PostFrom(scheduler_->NewSource(), end.dispatcher, [connection, from] {
    MemoryStream* stream = connection->ends[from].stream;
    if (stream != nullptr) stream->Writable();
  });
}

void MemoryNetwork::Wire::Break(const std::shared_ptr<Connection>& connection, bool tell0,
                                bool tell1) {
  const absl::Status why =
      absl::UnavailableError("the connection failed: Connection reset by peer");
  for (int from = 0; from < 2; ++from) {
    End& end = connection->ends[from];
    const uint64_t under_way = end.sent - end.arrived;
    end.lost_from =
        std::min(end.lost_from, end.arrived + scheduler_->random().Below(under_way + 1));
    // What `from` sends last reaches the other end.
    if (from == 0 ? tell1 : tell0) SendClose(connection, from, why);
    end.closed = true;
  }
  Forget(connection);
}

void MemoryNetwork::Wire::BreakAll(const std::string& key) {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) {
    if (connection->key == key) Break(connection, true, true);
  }
}

void MemoryNetwork::Wire::OnCrash(TestDispatcher* dispatcher) {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) {
    const bool dead0 = connection->ends[0].dispatcher == dispatcher;
    const bool dead1 = connection->ends[1].dispatcher == dispatcher;
    if (dead0 || dead1) Break(connection, !dead0, !dead1);
  }
}

void MemoryNetwork::Wire::Watch(TestDispatcher* dispatcher) {
  if (!watched_.insert(dispatcher).second) return;
  dispatcher->OnCrash([wire = weak_from_this(), dispatcher] {
    if (std::shared_ptr<Wire> held = wire.lock()) held->OnCrash(dispatcher);
  });
}

absl::Duration MemoryNetwork::Wire::Delay() {
  if (max_delay_ <= min_delay_) return min_delay_;
  const int64_t spread = absl::ToInt64Nanoseconds(max_delay_ - min_delay_);
  return min_delay_ +
         absl::Nanoseconds(scheduler_->random().Below(static_cast<uint64_t>(spread) + 1));
}

void MemoryNetwork::Wire::Forget(const std::shared_ptr<Connection>& connection) {
  connections_.erase(std::remove(connections_.begin(), connections_.end(), connection),
                     connections_.end());
}

MemoryNetwork::MemoryNetwork(TestScheduler* scheduler) : wire_(std::make_shared<Wire>(scheduler)) {}

MemoryNetwork::~MemoryNetwork() = default;

std::unique_ptr<Network> MemoryNetwork::NewNode(TestDispatcher* dispatcher) {
  return std::make_unique<MemoryNode>(wire_, dispatcher);
}

void MemoryNetwork::SetDelay(absl::Duration min, absl::Duration max) {
  wire_->min_delay_ = min;
  wire_->max_delay_ = max;
}

void MemoryNetwork::Cut(const Endpoint& endpoint) {
  wire_->cut_.insert(KeyOf(endpoint));
  wire_->BreakAll(KeyOf(endpoint));
}

void MemoryNetwork::Heal(const Endpoint& endpoint) { wire_->cut_.erase(KeyOf(endpoint)); }

void MemoryNetwork::Reset(const Endpoint& endpoint) { wire_->BreakAll(KeyOf(endpoint)); }

size_t MemoryNetwork::open_connections() const {
  return static_cast<size_t>(std::count_if(
      wire_->connections_.begin(), wire_->connections_.end(), [](const auto& connection) {
        return !connection->ends[0].closed && !connection->ends[1].closed;
      }));
}

}  // namespace coffer::runtime
