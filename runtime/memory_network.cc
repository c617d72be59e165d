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
#include "runtime/frame_codec.h"
#include "runtime/memory_pipe.h"

namespace coffer::runtime {

namespace {

// Frames of one connection that are handed over before others have their turn; the real stream's
// figure.
constexpr int kFramesATurn = 4;

class MemoryListener;
class MemoryStream;

// One side of a connection. `stream` is what its owner holds: null before it was accepted and after
// it was destroyed.
struct End {
  TestDispatcher* dispatcher = nullptr;
  MemoryStream* stream = nullptr;
  bool closed = false;      // nothing is sent from here any more
  uint64_t source = 0;      // orders what travels from here to the other end
  absl::Time last_arrival;  // of what was sent from here
  MemoryPipe pipe;          // of what was sent from here
  size_t unread_bytes = 0;  // sent from here and not yet taken by the other owner
  bool above_limit = false;
};

// How the bytes of a direction end: as the kernel ends those of a socket that is closed or whose
// process died, or because the connection broke.
enum class Ending { kClosed, kReset };

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
  void SendFrame(const std::shared_ptr<Connection>& connection, int from, std::string_view payload);
  // Ends the direction from `from`: the other owner hears of it after what is under way.
  void SendClose(const std::shared_ptr<Connection>& connection, int from, Ending ending);
  void TookBytes(const std::shared_ptr<Connection>& connection, int from, size_t bytes);
  // The connection breaks; `told` are the ends that hear of it.
  void Break(const std::shared_ptr<Connection>& connection, bool tell0, bool tell1, Ending ending);
  void BreakAll(const std::string& key);
  void OnCrash(TestDispatcher* dispatcher);
  void Watch(TestDispatcher* dispatcher);
  absl::Duration Delay();
  void Forget(const std::shared_ptr<Connection>& connection);

  TestScheduler* const scheduler_;
  absl::Duration min_delay_ = absl::ZeroDuration();
  absl::Duration max_delay_ = absl::ZeroDuration();
  MemoryPipe::Rates rates_;
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
    if (!dead_) wire_->SendClose(connection_, side_, Ending::kClosed);
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
    wire_->SendFrame(connection_, side_, payload);
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
    wire_->SendClose(connection_, side_, Ending::kClosed);
    inbox_.clear();
    read_ = 0;
    closing_ = true;
    flushed_ = true;
    DeliverLater();
  }
  const std::string& peer() const override { return peer_; }

  void Arrive(std::string bytes) {
    if (closing_) {
      wire_->TookBytes(connection_, 1 - side_, bytes.size());
      return;
    }
    inbox_.push_back(std::move(bytes));
    Deliver();
  }
  void ArriveEnd(Ending ending) {
    if (closing_ || dead_) return;
    closing_ = true;
    ending_ = ending;
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
    int delivered = 0;
    while (!paused_ && !dead_ && !inbox_.empty() && delivered < kFramesATurn) {
      if (!NextFrame()) continue;
      ++delivered;
      handler_->OnFrame(*this, decoder_.Take());
      if (gone) return;
    }
    delivering_ = false;
    gone_ = nullptr;
    if (!inbox_.empty() && !paused_) DeliverLater();
    if (closing_ && inbox_.empty()) Die();
  }

  // Feeds the decoder from the first piece. False if no frame became whole.
  bool NextFrame() {
    const std::string_view rest = std::string_view(inbox_.front()).substr(read_);
    const absl::StatusOr<size_t> took = decoder_.Feed(rest);
    COFFER_CHECK(took.ok(), "a stream in memory lost its framing");
    wire_->TookBytes(connection_, 1 - side_, *took);
    read_ += *took;
    if (read_ == inbox_.front().size()) {
      inbox_.pop_front();
      read_ = 0;
    }
    return decoder_.whole();
  }

  void Die() {
    dead_ = true;
    mine().closed = true;
    handler_->OnClosed(*this, Why());
  }

  absl::Status Why() const {
    if (flushed_) return absl::CancelledError("closed on our side after everything was sent");
    if (ending_ == Ending::kReset) {
      return absl::UnavailableError("the connection failed: Connection reset by peer");
    }
    return absl::UnavailableError(decoder_.mid_frame()
                                      ? "the peer closed the connection within a frame"
                                      : "the peer closed the connection");
  }

  const std::shared_ptr<Wire> wire_;
  const std::shared_ptr<Connection> connection_;
  const int side_;
  const std::string peer_;
  StreamHandler* handler_ = nullptr;
  std::deque<std::string> inbox_;  // pieces that have arrived, none empty
  size_t read_ = 0;                // bytes of the first one that the decoder has
  FrameDecoder decoder_;
  bool paused_ = false;
  bool delivering_ = false;
  bool closing_ = false;  // the end has arrived; OnClosed follows what is in the inbox
  bool flushed_ = false;  // CloseAfterFlush was called
  Ending ending_ = Ending::kClosed;
  bool dead_ = false;  // OnClosed was called
  bool* gone_ = nullptr;
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
            self->SendClose(connection, 1, Ending::kClosed);
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
                                    std::string_view payload) {
  End& end = connection->ends[from];
  end.unread_bytes += kFrameHeaderBytes + payload.size();
  for (size_t more = end.pipe.Send(payload, rates_, scheduler_->random()); more > 0; --more) {
    Later(end, connection->ends[1 - from].dispatcher, [connection, from] {
      std::string bytes = connection->ends[from].pipe.Arrive();
      MemoryStream* stream = connection->ends[1 - from].stream;
      if (stream != nullptr && !bytes.empty()) stream->Arrive(std::move(bytes));
    });
  }
}

void MemoryNetwork::Wire::SendClose(const std::shared_ptr<Connection>& connection, int from,
                                    Ending ending) {
  End& end = connection->ends[from];
  if (end.closed) return;
  end.closed = true;
  Later(end, connection->ends[1 - from].dispatcher, [connection, from, ending] {
    MemoryStream* stream = connection->ends[1 - from].stream;
    if (stream != nullptr) stream->ArriveEnd(ending);
  });
}

void MemoryNetwork::Wire::TookBytes(const std::shared_ptr<Connection>& connection, int from,
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
                                bool tell1, Ending ending) {
  for (int from = 0; from < 2; ++from) {
    End& end = connection->ends[from];
    end.pipe.LoseEnd(scheduler_->random());
    // What `from` sends last reaches the other end.
    if (from == 0 ? tell1 : tell0) SendClose(connection, from, ending);
    end.closed = true;
  }
  Forget(connection);
}

void MemoryNetwork::Wire::BreakAll(const std::string& key) {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) {
    if (connection->key == key) Break(connection, true, true, Ending::kReset);
  }
}

void MemoryNetwork::Wire::OnCrash(TestDispatcher* dispatcher) {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) {
    const bool dead0 = connection->ends[0].dispatcher == dispatcher;
    const bool dead1 = connection->ends[1].dispatcher == dispatcher;
    if (dead0 || dead1) Break(connection, !dead0, !dead1, Ending::kClosed);
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

void MemoryNetwork::SetPieces(uint64_t cut_per_mille, uint64_t join_per_mille) {
  wire_->rates_ = {cut_per_mille, join_per_mille};
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
