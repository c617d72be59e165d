// Requests that are made before the clock starts, sent as fast as they are answered.
#ifndef COFFER_BENCH_LOAD_PIPELINE_H_
#define COFFER_BENCH_LOAD_PIPELINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/load/client.h"
#include "bench/load/histogram.h"
#include "runtime/event_loop.h"

namespace coffer::load {

struct Pipelined {
  double seconds = 0;
  double cpu_seconds = 0;  // of this process, on all cores: sending, reading, storing
  Histogram latency;       // of a request
};

// Serialized ClientFrames, numbered from 1 in their order. `window` of them are in flight on each
// client. `take` gets each answer, by the request's place in `requests`; its first error ends
// everything.
absl::StatusOr<Pipelined> SendAll(
    runtime::EventLoop* loop, const std::vector<std::unique_ptr<Client>>& clients,
    const std::vector<std::string>& requests, int window,
    absl::FunctionRef<absl::Status(size_t, const boundary::v1::ServerFrame&)> take);

// Cores' time that this process has taken so far.
double CpuSeconds();

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_PIPELINE_H_
