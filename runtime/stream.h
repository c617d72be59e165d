// Framed streams: messages of bytes over tcp, unix and vsock sockets.
//
// A frame is a 4-byte big-endian length and a payload of 1..kMaxFrameBytes bytes. The length is
// checked before anything is allocated for it. Everything here happens on the dispatcher the
// Network belongs to.
#ifndef COFFER_RUNTIME_STREAM_H_
#define COFFER_RUNTIME_STREAM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/endpoint.h"
#include "runtime/frame_codec.h"

namespace coffer::runtime {

class FramedStream;

// What the owner of a stream is told. Never called after the stream was destroyed.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // One whole frame. The stream may be paused or destroyed from in here.
  virtual void OnFrame(FramedStream& stream, std::string payload) = 0;
  // The output buffer has drained below half of its limit after it was over it.
  virtual void OnWritable(FramedStream& stream) = 0;
  // The peer has sent all it will, at the end of a frame, and may still read. True keeps the stream
  // open for answers; the owner ends it with CloseAfterFlush. False closes it, as when the peer has
  // gone.
  virtual bool OnInputEnded(FramedStream& stream [[maybe_unused]]) { return false; }
  // The stream is dead (peer closed, error, frame too long, idle in mid-frame for too long). Called
  // once; the owner destroys it, in here or later.
  virtual void OnClosed(FramedStream& stream, const absl::Status& why) = 0;
};

class FramedStream {
 public:
  virtual ~FramedStream() = default;  // closes, without OnClosed
  // Before this no frame is delivered. `handler` must outlive the stream.
  virtual void SetHandler(StreamHandler* handler) = 0;
  // Queues one frame. `payload` is 1..kMaxFrameBytes bytes (checked). After OnClosed it does
  // nothing.
  virtual void Send(std::string_view payload) = 0;
  // As Send, of what the caller needs no more: a long frame is not copied.
  virtual void SendOwned(std::string payload) { Send(payload); }
  // As Send, and whatever copy of it is made here is wiped once the kernel has taken it, or the
  // stream ends.
  virtual void SendSecret(std::string_view payload) { Send(payload); }
  // Bytes queued and not yet taken by the kernel. An owner with backlog stops producing above
  // OutputLimit().
  virtual size_t PendingOutput() const = 0;
  virtual size_t OutputLimit() const = 0;
  // While paused, no OnFrame is called and the kernel's buffers fill: back-pressure reaches the
  // peer.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  // Sends what is queued, then closes; what still arrives is thrown away. OnClosed follows.
  virtual void CloseAfterFlush() = 0;
  // The peer, for logs: "127.0.0.1:51234", "unix", "vsock 3:1024".
  virtual const std::string& peer() const = 0;
};

// Stops listening when destroyed; accepted streams live on.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual const Endpoint& endpoint() const = 0;  // with the real port when 0 was asked for
};

// The door to the outside: a real one over libevent, and one in memory for tests.
class Network {
 public:
  virtual ~Network() = default;
  using OnAccept = absl::AnyInvocable<void(std::unique_ptr<FramedStream>)>;
  using OnConnect = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<FramedStream>>)>;
  // The owner calls SetHandler on every stream it is given, before it returns.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const Endpoint& endpoint,
                                                           OnAccept on_accept) = 0;
  // Always answers, later, exactly once (time-out included).
  virtual void Connect(const Endpoint& endpoint, OnConnect on_connect) = 0;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_STREAM_H_
