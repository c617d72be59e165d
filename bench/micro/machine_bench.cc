// What the machine gives: one durable write, and one round trip of a frame over the sockets that
// the boundary uses. COFFER_BENCH_DIR says which disk (the default is the working directory).
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"

namespace coffer::bench {
namespace {

std::string Directory() {
  const char* directory = std::getenv("COFFER_BENCH_DIR");
  return directory == nullptr ? "." : directory;
}

// Writes of range(0) bytes, one after the other, each followed by fdatasync.
void Write(benchmark::State& run, bool preallocated) {
  constexpr off_t kSpace = 256 << 20;
  const std::string path = absl::StrCat(Directory(), "/machine_bench.", getpid());
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  COFFER_CHECK(file >= 0, "COFFER_BENCH_DIR cannot be written");
  const std::string block(static_cast<size_t>(run.range(0)), 'b');
  if (preallocated) {
    // Written, not only allocated: an extent's first write is a change of metadata.
    const std::string zeros(1 << 20, '\0');
    for (off_t at = 0; at < kSpace; at += 1 << 20) {
      COFFER_CHECK(pwrite(file, zeros.data(), zeros.size(), at) == 1 << 20, "the disk is full");
    }
    COFFER_CHECK(fsync(file) == 0, "fsync failed");
  }
  off_t at = 0;
  for (auto _ : run) {
    if (preallocated && at + static_cast<off_t>(block.size()) > kSpace) at = 0;
    const ssize_t written = pwrite(file, block.data(), block.size(), at);
    COFFER_CHECK(written == static_cast<ssize_t>(block.size()), "the disk is full");
    COFFER_CHECK(fdatasync(file) == 0, "fdatasync failed");
    at += static_cast<off_t>(block.size());
  }
  close(file);
  unlink(path.c_str());
  run.SetBytesProcessed(run.iterations() * run.range(0));
}

void BM_FdatasyncAppended(benchmark::State& run) { Write(run, false); }
void BM_FdatasyncPreallocated(benchmark::State& run) { Write(run, true); }
BENCHMARK(BM_FdatasyncAppended)
    ->Arg(4096)
    ->Arg(1 << 20)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_FdatasyncPreallocated)
    ->Arg(4096)
    ->Arg(1 << 20)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

class Echo : public runtime::StreamHandler {
 public:
  void OnFrame(runtime::FramedStream& from, std::string payload) override { from.Send(payload); }
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream&, const absl::Status&) override {}
  std::unique_ptr<runtime::FramedStream> stream;
};

// Sends a frame again each time it comes back, until the benchmark has had enough.
class Pinger : public runtime::StreamHandler {
 public:
  Pinger(benchmark::State* run, runtime::EventLoop* loop) : run_(run), loop_(loop) {}
  void Start(std::unique_ptr<runtime::FramedStream> the_stream) {
    stream = std::move(the_stream);
    stream->SetHandler(this);
    Next();
  }
  void OnFrame(runtime::FramedStream&, std::string) override { Next(); }
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream&, const absl::Status&) override { loop_->Stop(); }
  std::unique_ptr<runtime::FramedStream> stream;

 private:
  void Next() {
    if (run_->KeepRunning()) {
      stream->Send(payload_);
    } else {
      loop_->Stop();
    }
  }
  benchmark::State* const run_;
  runtime::EventLoop* const loop_;
  const std::string payload_ = std::string(256, 'e');
};

void RoundTrip(benchmark::State& run, const std::string& endpoint_text) {
  const absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(endpoint_text);
  COFFER_CHECK(endpoint.ok(), "the benchmark's endpoint");
  runtime::EventLoopThread server("echo");
  std::unique_ptr<runtime::Network> server_network;
  std::unique_ptr<runtime::Listener> listener;
  Echo echo;
  server.RunAndWait([&] {
    server_network = runtime::NewEventNetwork(server.loop());
    listener = server_network
                   ->Listen(*endpoint,
                            [&](std::unique_ptr<runtime::FramedStream> stream) {
                              echo.stream = std::move(stream);
                              echo.stream->SetHandler(&echo);
                            })
                   .value();
  });
  {
    runtime::EventLoop loop;
    const std::unique_ptr<runtime::Network> network = runtime::NewEventNetwork(&loop);
    Pinger pinger(&run, &loop);
    network->Connect(listener->endpoint(),
                     [&](absl::StatusOr<std::unique_ptr<runtime::FramedStream>> s) {
                       pinger.Start(std::move(s).value());
                     });
    loop.Run();
    pinger.stream.reset();
  }
  server.RunAndWait([&] {
    echo.stream.reset();
    listener.reset();
    server_network.reset();
  });
  server.StopAndJoin();
}

void BM_EchoUnix(benchmark::State& run) {
  char* full = realpath(Directory().c_str(), nullptr);
  RoundTrip(run, absl::StrCat("unix://", full, "/echo.", getpid()));
  free(full);
}
void BM_EchoTcp(benchmark::State& run) { RoundTrip(run, "tcp://127.0.0.1:0"); }
BENCHMARK(BM_EchoUnix)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_EchoTcp)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::bench
