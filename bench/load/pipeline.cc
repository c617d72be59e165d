#include "bench/load/pipeline.h"

#include <time.h>

#include <functional>

#include "absl/time/time.h"
#include "runtime/os_clock.h"

namespace coffer::load {

using boundary::v1::ServerFrame;

double CpuSeconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return absl::ToDoubleSeconds(absl::DurationFromTimespec(spent));
}

absl::StatusOr<Pipelined> SendAll(
    runtime::EventLoop* loop, const std::vector<std::unique_ptr<Client>>& clients,
    const std::vector<std::string>& requests, int window,
    absl::FunctionRef<absl::Status(size_t, const ServerFrame&)> take) {
  Pipelined out;
  absl::Status status;
  size_t next = 0;
  size_t answered = 0;
  std::vector<std::function<void()>> send(clients.size());
  for (size_t c = 0; c < clients.size(); ++c) {
    send[c] = [&, c] {
      if (next == requests.size() || !status.ok()) return;
      const absl::Time sent = runtime::OsMonotonicNow();
      const size_t index = next++;
      clients[c]->CallSerialized(
          index + 1, requests[index], [&, c, sent, index](const ServerFrame& answer) {
            out.latency.Add(absl::ToInt64Nanoseconds(runtime::OsMonotonicNow() - sent));
            if (status.ok()) status = take(index, answer);
            if (++answered == requests.size() || !status.ok()) loop->Stop();
            send[c]();
          });
    };
  }
  const double cpu = CpuSeconds();
  const absl::Time start = runtime::OsMonotonicNow();
  for (int w = 0; w < window; ++w) {
    for (const auto& one : send) one();
  }
  while (answered < requests.size() && status.ok()) loop->Run();
  out.seconds = absl::ToDoubleSeconds(runtime::OsMonotonicNow() - start);
  out.cpu_seconds = CpuSeconds() - cpu;
  if (!status.ok()) return status;
  return out;
}

}  // namespace coffer::load
