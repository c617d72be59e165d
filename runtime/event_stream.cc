#include "runtime/event_stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"

namespace coffer::runtime {
namespace {

// What is read at once, and at most while frames that have arrived wait for their turn: the decoder
// takes everything else, so that reading never stalls on a frame that is still arriving.
constexpr size_t kReadChunk = 256u << 10;

// Frames of one connection in a turn of the loop: a client that floods waits for the others after
// each of its turns.
constexpr int kFramesATurn = 4;
// A frame from this size on is kept until the kernel has taken it; a shorter one is copied sooner.
constexpr size_t kWorthKeeping = 16u << 10;
// What any connection may hold of a frame without being counted: no more than the room that a frame
// gets with its first bytes (frame_codec.cc).
constexpr size_t kUncountedBytes = (64u << 10) + kFrameHeaderBytes;

}  // namespace

EventStream* PartialFrames::Hold(EventStream* stream, size_t bytes, bool fresh) {
  const auto found = by_stream_.find(stream);
  if (fresh || bytes <= kUncountedBytes) Forget(stream);
  if (bytes <= kUncountedBytes) return nullptr;
  if (fresh || found == by_stream_.end()) {
    by_stream_[stream] = held_.insert(held_.end(), {stream, bytes});
    total_ += bytes;
  } else {
    total_ += bytes - found->second->bytes;  // modulo 2^64, and the sum is right
    found->second->bytes = bytes;
  }
  if (total_ <= max_bytes_) return nullptr;
  EventStream* const oldest = held_.front().stream;
  Forget(oldest);
  return oldest;
}

void PartialFrames::Forget(EventStream* stream) {
  const auto found = by_stream_.find(stream);
  if (found == by_stream_.end()) return;
  total_ -= found->second->bytes;
  held_.erase(found->second);
  by_stream_.erase(found);
}

EventStream::EventStream(EventLoop* loop, Fd fd, std::string peer, const NetworkOptions& options,
                         std::shared_ptr<PartialFrames> partial)
    : loop_(loop), options_(options), peer_(std::move(peer)), partial_(std::move(partial)) {
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on,
             sizeof(on));  // fails on unix and vsock: no matter
  bev_ = bufferevent_socket_new(loop->base(), fd.Release(), BEV_OPT_CLOSE_ON_FREE);
  COFFER_CHECK(bev_ != nullptr, "out of memory for a connection");
  bufferevent_setcb(bev_, &OnRead, &OnWrite, &OnEvent, this);
  bufferevent_setwatermark(bev_, EV_READ, 0, kReadChunk);
  bufferevent_setwatermark(bev_, EV_WRITE, options_.output_limit / 2, 0);
  bufferevent_set_max_single_read(bev_, kReadChunk);
  bufferevent_set_max_single_write(bev_, kReadChunk);
  bufferevent_disable(bev_, EV_READ);  // until there is a handler
}

EventStream::~EventStream() {
  if (gone_ != nullptr) *gone_ = true;
  if (partial_ != nullptr) partial_->Forget(this);
  if (bev_ != nullptr) bufferevent_free(bev_);
}

void EventStream::SetHandler(StreamHandler* handler) {
  handler_ = handler;
  ApplyReading();
}

void EventStream::ApplyReading() {
  if (bev_ == nullptr || handler_ == nullptr) return;
  if (((paused_ || backlog_) && !flushing_) || closing_ != nullptr || input_ended_) {
    bufferevent_disable(bev_, EV_READ);
  } else {
    bufferevent_enable(bev_, EV_READ);
  }
}

void EventStream::PauseReading() {
  paused_ = true;
  ApplyReading();
}

void EventStream::ResumeReading() {
  if (!paused_) return;
  paused_ = false;
  ApplyReading();
  // Frames that were already read wait in the buffer, and no socket event will tell of them. Inside
  // Deliver() its own loop goes on.
  if (bev_ != nullptr && handler_ != nullptr && !delivering_) {
    later_ = loop_->After(absl::ZeroDuration(), [this] { Deliver(); });
  }
}

bool EventStream::Admit(std::string_view payload) {
  COFFER_CHECK(!payload.empty() && payload.size() <= kMaxFrameBytes, "frame of a forbidden length");
  if (bev_ == nullptr || closing_ != nullptr || flushing_) return false;
  if (PendingOutput() + kFrameHeaderBytes + payload.size() <= options_.output_ceiling) return true;
  CloseLater(absl::ResourceExhaustedError(
      absl::StrCat("the peer reads too slowly: ", PendingOutput(), " bytes wait to be sent")));
  return false;
}

void EventStream::Send(std::string_view payload) {
  if (!Admit(payload)) return;
  const std::array<char, kFrameHeaderBytes> header = FrameHeader(payload.size());
  evbuffer* output = bufferevent_get_output(bev_);
  evbuffer_add(output, header.data(), header.size());
  evbuffer_add(output, payload.data(), payload.size());
  if (PendingOutput() > options_.output_limit) above_limit_ = true;
}

void EventStream::SendOwned(std::string payload) {
  if (payload.size() < kWorthKeeping) return Send(payload);
  if (!Admit(payload)) return;
  const std::array<char, kFrameHeaderBytes> header = FrameHeader(payload.size());
  evbuffer* output = bufferevent_get_output(bev_);
  evbuffer_add(output, header.data(), header.size());
  auto* kept = new std::string(std::move(payload));
  const auto forget = [](const void*, size_t, void* owner) {
    delete static_cast<std::string*>(owner);
  };
  if (evbuffer_add_reference(output, kept->data(), kept->size(), forget, kept) != 0) {
    delete kept;
    return CloseLater(absl::ResourceExhaustedError("out of memory for a frame"));
  }
  if (PendingOutput() > options_.output_limit) above_limit_ = true;
}

void EventStream::SendSecret(std::string_view payload) {
  if (!Admit(payload)) return;
  const std::array<char, kFrameHeaderBytes> header = FrameHeader(payload.size());
  evbuffer* output = bufferevent_get_output(bev_);
  evbuffer_add(output, header.data(), header.size());
  // Memory of our own that the buffer refers to: libevent's is not wiped.
  auto* copy = new std::string(payload);
  const auto forget = [](const void* data, size_t size, void* owner) {
    explicit_bzero(const_cast<void*>(data), size);
    delete static_cast<std::string*>(owner);
  };
  if (evbuffer_add_reference(output, copy->data(), copy->size(), forget, copy) != 0) {
    forget(copy->data(), copy->size(), copy);
    return CloseLater(absl::ResourceExhaustedError("out of memory for a frame"));
  }
  if (PendingOutput() > options_.output_limit) above_limit_ = true;
}

size_t EventStream::PendingOutput() const {
  return bev_ == nullptr ? 0 : evbuffer_get_length(bufferevent_get_output(bev_));
}

void EventStream::CloseAfterFlush() {
  if (bev_ == nullptr || closing_ != nullptr || flushing_) return;
  flushing_ = true;
  flush_deadline_ = loop_->After(options_.flush_timeout, [this] {
    Close(absl::DeadlineExceededError("the peer did not take the rest before the close"));
  });
  WatchMidFrame(false);
  ApplyReading();
  if (PendingOutput() == 0) EndOutput();
}

// Ends our direction and waits for the peer to end its own: a close with unread input would make
// the kernel reset the connection and throw away what the peer has not read yet.
void EventStream::EndOutput() {
  if (input_ended_) {
    return CloseLater(absl::CancelledError("closed on our side after everything was sent"));
  }
  shutdown(bufferevent_getfd(bev_), SHUT_WR);
}

void EventStream::OnRead(bufferevent*, void* self) { static_cast<EventStream*>(self)->Deliver(); }

void EventStream::OnWrite(bufferevent*, void* self) {
  auto* stream = static_cast<EventStream*>(self);
  const size_t pending = stream->PendingOutput();
  if (stream->flushing_) {
    if (pending == 0) stream->EndOutput();
    return;
  }
  if (stream->above_limit_ && pending < std::max<size_t>(1, stream->options_.output_limit / 2)) {
    stream->above_limit_ = false;
    if (stream->handler_ != nullptr) stream->handler_->OnWritable(*stream);
  }
}

void EventStream::OnEvent(bufferevent*, short what, void* self) {
  auto* stream = static_cast<EventStream*>(self);
  const int error = EVUTIL_SOCKET_ERROR();
  if ((what & BEV_EVENT_TIMEOUT) != 0) {
    stream->Close(absl::DeadlineExceededError(
        absl::StrCat("the peer sent a part of a frame and then nothing for ",
                     absl::FormatDuration(stream->options_.mid_frame_timeout))));
  } else if ((what & BEV_EVENT_EOF) != 0) {
    if (stream->flushing_) {
      return stream->Close(absl::CancelledError("closed on our side after everything was sent"));
    }
    stream->input_ended_ = true;
    stream->Deliver();
  } else if ((what & BEV_EVENT_ERROR) != 0) {
    stream->Close(
        absl::UnavailableError(absl::StrCat("the connection failed: ", ErrnoText(error))));
  }
}

absl::StatusOr<bool> EventStream::NextFrame() {
  evbuffer* input = bufferevent_get_input(bev_);
  evbuffer_iovec piece;
  while (!decoder_.whole() && evbuffer_get_length(input) > 0) {
    evbuffer_peek(input, 1, nullptr, &piece, 1);
    const absl::StatusOr<size_t> took =
        decoder_.Feed({static_cast<const char*>(piece.iov_base), piece.iov_len});
    if (!took.ok()) return took.status();
    // libevent keeps the piece for what comes next, and this may hold credentials (I8).
    explicit_bzero(piece.iov_base, *took);
    evbuffer_drain(input, *took);
  }
  return decoder_.whole();
}

size_t EventStream::InputBytes() const {
  return decoder_.held_bytes() + evbuffer_get_length(bufferevent_get_input(bev_));
}

void EventStream::Deliver() {
  if (bev_ == nullptr) return;
  if (flushing_) {
    evbuffer* input = bufferevent_get_input(bev_);
    evbuffer_drain(input, evbuffer_get_length(input));
    return;
  }
  bool gone = false;
  gone_ = &gone;
  delivering_ = true;
  int delivered = 0;
  bool rest = false;
  absl::Status broken;
  while (bev_ != nullptr && !paused_ && closing_ == nullptr && !flushing_) {
    if (delivered == kFramesATurn) {
      rest = true;
      break;
    }
    const absl::StatusOr<bool> whole = NextFrame();
    if (!whole.ok()) {
      broken = whole.status();
      break;
    }
    if (!*whole) break;
    ++delivered;
    handler_->OnFrame(*this, decoder_.Take());
    if (gone) return;
  }
  delivering_ = false;
  gone_ = nullptr;
  if (!broken.ok()) {
    Close(broken);
    return;
  }
  if (bev_ == nullptr) return;
  CountPartial(delivered > 0);
  SetBacklog(rest);
  if (rest) return;
  const bool waiting = !paused_ && !flushing_ && closing_ == nullptr;
  const bool within = InputBytes() > 0;
  if (input_ended_ && waiting) return EndInput(within);
  WatchMidFrame(waiting && within);
}

// While frames that have arrived wait for the next turn, no more are read.
void EventStream::SetBacklog(bool backlog) {
  if (backlog) {
    WatchMidFrame(false);
    later_ = loop_->After(absl::ZeroDuration(), [this] { Deliver(); });
  }
  if (backlog == backlog_) return;
  backlog_ = backlog;
  ApplyReading();
}

void EventStream::CountPartial(bool fresh) {
  if (partial_ == nullptr || closing_ != nullptr) return;
  EventStream* const victim = partial_->Hold(this, InputBytes() + decoder_.spare_bytes(), fresh);
  if (victim == nullptr) return;
  // At once: frames of many streams may grow in one turn of the loop, and closing comes after it.
  victim->decoder_.Drop();
  evbuffer* const input = bufferevent_get_input(victim->bev_);
  evbuffer_drain(input, evbuffer_get_length(input));
  victim->CloseLater(
      absl::ResourceExhaustedError("its frame has been arriving for the longest, and there is no "
                                   "more room for parts of frames"));
}

// All that the peer will ever send has been delivered.
void EventStream::EndInput(bool torn) {
  if (end_told_) return;
  end_told_ = true;
  if (!torn && handler_ != nullptr && handler_->OnInputEnded(*this)) return WatchMidFrame(false);
  Close(absl::UnavailableError(torn ? "the peer closed the connection within a frame"
                                    : "the peer closed the connection"));
}

void EventStream::WatchMidFrame(bool on) {
  if (on == watching_) return;
  watching_ = on;
  const timeval limit = absl::ToTimeval(options_.mid_frame_timeout);
  bufferevent_set_timeouts(bev_, on ? &limit : nullptr, nullptr);
}

void EventStream::CloseLater(absl::Status why) {
  if (closing_ != nullptr) return;
  close_why_ = std::move(why);
  closing_ = loop_->After(absl::ZeroDuration(), [this] { Close(close_why_); });
  ApplyReading();
}

void EventStream::Close(absl::Status why) {
  if (bev_ == nullptr) return;
  bufferevent_free(std::exchange(bev_, nullptr));
  if (partial_ != nullptr) partial_->Forget(this);
  partial_.reset();
  // Last: the owner may destroy this object in there.
  if (handler_ != nullptr) handler_->OnClosed(*this, why);
}

}  // namespace coffer::runtime
