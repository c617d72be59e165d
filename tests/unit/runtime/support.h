// What the tests of runtime/ share.
#ifndef COFFER_TESTS_UNIT_RUNTIME_SUPPORT_H_
#define COFFER_TESTS_UNIT_RUNTIME_SUPPORT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "runtime/event_loop.h"
#include "runtime/stream.h"

namespace coffer::runtime {

// Keeps what happens to a stream. `hook` runs inside OnFrame.
struct Recorder : StreamHandler {
  void OnFrame(FramedStream& stream, std::string payload) override {
    bytes += payload.size();
    ++count;
    if (keep) frames.push_back(std::move(payload));
    if (hook) hook(stream);
  }
  void OnWritable(FramedStream&) override { ++writable; }
  bool OnInputEnded(FramedStream&) override {
    ++input_ended;
    return stay_open;
  }
  void OnClosed(FramedStream& stream, const absl::Status& why) override {
    ++closed;
    close_why = why;
    if (closed_hook) closed_hook(stream);
  }

  bool keep = true;
  bool stay_open = false;  // when the peer's input has ended
  int input_ended = 0;
  std::vector<std::string> frames;
  size_t count = 0;
  size_t bytes = 0;
  int writable = 0;
  int closed = 0;
  absl::Status close_why;
  std::function<void(FramedStream&)> hook;
  std::function<void(FramedStream&)> closed_hook;
};

// Accepts streams and records each.
struct Server {
  explicit Server(Network* from) : network(from) {}

  absl::Status Listen(const Endpoint& endpoint) {
    auto made = network->Listen(endpoint, [this](std::unique_ptr<FramedStream> stream) {
      recorders.push_back(std::make_unique<Recorder>());
      if (prepare) prepare(*recorders.back());
      stream->SetHandler(recorders.back().get());
      if (paused) stream->PauseReading();
      streams.push_back(std::move(stream));
    });
    if (!made.ok()) return made.status();
    listener = *std::move(made);
    return absl::OkStatus();
  }

  Network* network;
  bool paused = false;
  std::function<void(Recorder&)> prepare;
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<FramedStream>> streams;
  std::unique_ptr<Listener> listener;
};

// Turns the loop on this thread until `done` holds; false after ten seconds.
inline bool TurnUntil(EventLoop& loop, absl::FunctionRef<bool()> done,
                      absl::Duration limit = absl::Seconds(10)) {
  const absl::Time end = loop.Now() + limit;
  while (!done()) {
    if (loop.Now() > end) return false;
    auto tick = loop.After(absl::Milliseconds(1), [&loop] { loop.Stop(); });
    loop.Run();
  }
  return true;
}

}  // namespace coffer::runtime

#endif  // COFFER_TESTS_UNIT_RUNTIME_SUPPORT_H_
