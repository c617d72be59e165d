// A bridge of raw bytes between two kinds of sockets: what connects to `listen` talks to `to`. For
// containers that may not open AF_VSOCK, and for whatever speaks to an enclave over tcp.
//
// Each direction of a connection ends on its own (half-close). A side that is read faster than the
// other takes is no longer read once `buffer_limit` bytes wait, so memory is bounded by
// connections * 2 * (buffer_limit + one read).
#ifndef COFFER_TOOLS_BRIDGE_H_
#define COFFER_TOOLS_BRIDGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/endpoint.h"
#include "runtime/event_loop.h"
#include "runtime/event_sockets.h"

namespace coffer::tools {

class Bridge {
 public:
  struct Options {
    runtime::Endpoint listen;
    runtime::Endpoint to;
    size_t connections = 256;  // at a time; one more is closed at once
    absl::Duration connect_timeout = absl::Seconds(10);
    absl::Duration flush_timeout = absl::Seconds(2);  // in Stop, for what was read before it
    size_t buffer_limit = 256u << 10;                 // bytes waiting in one direction
  };
  struct Counters {
    uint64_t accepted = 0;
    uint64_t refused = 0;     // beyond `connections`
    uint64_t failed = 0;      // no connection to the other side
    uint64_t bytes_to = 0;    // from clients to `to`
    uint64_t bytes_from = 0;  // back
  };

  // Listens at once. Everything on the thread of `loop`, which outlives this object.
  static absl::StatusOr<std::unique_ptr<Bridge>> Start(runtime::EventLoop* loop, Options options);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  // Accepts and reads nothing more, delivers what was read (for flush_timeout at most), closes
  // everything, then calls `done`.
  void Stop(runtime::Task done);

  // Before Stop.
  const runtime::Endpoint& endpoint() const { return listener_->endpoint(); }
  const Counters& counters() const { return counters_; }
  size_t open() const { return links_.size(); }
  // Bytes read and not yet taken by the other side's kernel, of all connections.
  size_t buffered() const;

 private:
  class Link;

  Bridge(runtime::EventLoop* loop, Options options);
  void Accept(runtime::ConnectedSocket client);
  // Logs and forgets a link; from within its own callbacks, too.
  void Remove(uint64_t id, const std::string& why);
  void MaybeStopped();

  runtime::EventLoop* const loop_;
  const Options options_;
  runtime::SocketConnector connector_;
  std::unique_ptr<runtime::SocketListener> listener_;
  std::unordered_map<uint64_t, std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Link>> gone_;  // until no callback of theirs is on the stack
  std::unique_ptr<runtime::Timer> sweep_;
  std::unique_ptr<runtime::Timer> stop_timer_;
  runtime::Task stopped_;
  uint64_t last_id_ = 0;
  Counters counters_;
};

// What is open or unsafe about such a bridge, for people: at least one sentence.
std::vector<std::string> InsecureParts(const Bridge::Options& options);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_BRIDGE_H_
