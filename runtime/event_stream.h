// A framed stream over a connected socket. Made by the event network; not for others.
#ifndef COFFER_RUNTIME_EVENT_STREAM_H_
#define COFFER_RUNTIME_EVENT_STREAM_H_

#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "runtime/dispatcher.h"
#include "runtime/event_network.h"
#include "runtime/socket_address.h"
#include "runtime/stream.h"

struct bufferevent;

namespace coffer::runtime {

class EventStream;

// What the connections of one listener hold of frames that are not whole yet.
class PartialFrames {
 public:
  explicit PartialFrames(size_t max_bytes) : max_bytes_(max_bytes) {}
  // `stream` holds so many bytes now; `fresh`: of another frame than before. Returns a stream that
  // has to be closed because all of them hold too much, already forgotten here; null for none.
  EventStream* Hold(EventStream* stream, size_t bytes, bool fresh);
  void Forget(EventStream* stream);

 private:
  struct Held {
    EventStream* stream = nullptr;
    size_t bytes = 0;
  };
  const size_t max_bytes_;
  size_t total_ = 0;
  std::list<Held> held_;  // the frame that began first is at the front
  absl::flat_hash_map<EventStream*, std::list<Held>::iterator> by_stream_;
};

class EventStream final : public FramedStream {
 public:
  // `partial` is held until the socket is closed: the listener counts connections with it. Null for
  // a connection that was made to somebody else.
  EventStream(EventLoop* loop, Fd fd, std::string peer, const NetworkOptions& options,
              std::shared_ptr<PartialFrames> partial);
  ~EventStream() override;

  void SetHandler(StreamHandler* handler) override;
  void Send(std::string_view payload) override;
  void SendOwned(std::string payload) override;
  void SendSecret(std::string_view payload) override;
  size_t PendingOutput() const override;
  size_t OutputLimit() const override { return options_.output_limit; }
  void PauseReading() override;
  void ResumeReading() override;
  void CloseAfterFlush() override;
  const std::string& peer() const override { return peer_; }

 private:
  static void OnRead(bufferevent*, void* self);
  static void OnWrite(bufferevent*, void* self);
  static void OnEvent(bufferevent*, short what, void* self);

  // Whether a frame may be queued; closes the stream when too much waits already.
  bool Admit(std::string_view payload);
  // Hands over what has arrived, frame by frame. The stream may be gone afterwards.
  void Deliver();
  // Moves what has arrived to the decoder, up to the end of a frame. False if none became whole.
  absl::StatusOr<bool> NextFrame();
  size_t InputBytes() const;
  void WatchMidFrame(bool on);
  void CountPartial(bool fresh);
  void SetBacklog(bool backlog);
  void Close(absl::Status why);
  void CloseLater(absl::Status why);
  void ApplyReading();
  void EndOutput();
  void EndInput(bool torn);

  EventLoop* const loop_;
  const NetworkOptions options_;
  const std::string peer_;
  std::shared_ptr<PartialFrames> partial_;
  bufferevent* bev_ = nullptr;
  FrameDecoder decoder_;
  StreamHandler* handler_ = nullptr;
  bool paused_ = false;
  bool delivering_ = false;
  bool backlog_ = false;      // Deliver() has left frames for its next turn
  bool watching_ = false;     // the mid-frame time-out is set
  bool above_limit_ = false;  // OnWritable is owed
  bool flushing_ = false;     // CloseAfterFlush was called
  bool input_ended_ = false;  // the peer has closed its direction
  bool end_told_ = false;     // and the owner knows
  bool* gone_ = nullptr;      // where Deliver() looks whether this object still exists
  absl::Status close_why_;
  std::unique_ptr<Timer> later_;  // a Deliver() owed after ResumeReading
  std::unique_ptr<Timer> flush_deadline_;
  std::unique_ptr<Timer> closing_;  // a Close() owed
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_EVENT_STREAM_H_
