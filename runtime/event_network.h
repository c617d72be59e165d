// Framed streams over real sockets: tcp, unix and vsock, on one EventLoop.
#ifndef COFFER_RUNTIME_EVENT_NETWORK_H_
#define COFFER_RUNTIME_EVENT_NETWORK_H_

#include <cstddef>
#include <memory>

#include "absl/time/time.h"
#include "runtime/stream.h"

namespace coffer::runtime {

class EventLoop;

struct NetworkOptions {
  // A peer that sent a part of a frame and then nothing for so long is dropped.
  absl::Duration mid_frame_timeout = absl::Seconds(30);
  // Name look-up and connection together.
  absl::Duration connect_timeout = absl::Seconds(10);
  // After CloseAfterFlush the peer has so long to take the rest.
  absl::Duration flush_timeout = absl::Seconds(10);
  // Per listener, accepted and not yet closed. One more is closed at once.
  size_t max_connections = 1024;
  // Per listener: bytes that have arrived of frames that are not whole, over all its connections.
  // Beyond it those are closed whose frame has been arriving for the longest; connections that hold
  // 64 KiB or less are left alone.
  size_t max_partial_bytes = 256u << 20;
  // FramedStream::OutputLimit(), bytes.
  size_t output_limit = 4u << 20;
  // An owner should stop at output_limit. One that does not, for a peer that reads too slowly,
  // loses the stream at this many bytes, so that one peer cannot take the memory of the process.
  size_t output_ceiling = 256u << 20;
};

// A unix socket is made with mode 0600; its file is removed with the listener. Memory of a
// connection: what has arrived of one frame (never what its length claims), about 256 KiB read
// ahead, and the output queued by its owner.
//
// SIGPIPE is ignored from then on, in the whole process: libevent writes with writev(2).
//
// Everything on the thread of `loop`, or while it does not run. Streams and listeners must be gone
// before the loop. Connections being made are dropped, without an answer, when the network is
// destroyed.
std::unique_ptr<Network> NewEventNetwork(EventLoop* loop, NetworkOptions options = {});

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_EVENT_NETWORK_H_
