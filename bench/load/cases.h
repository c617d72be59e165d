// The load cases: credits over the boundary, as fast as they go, one at a time, or at a fixed rate;
// and payouts.
#ifndef COFFER_BENCH_LOAD_CASES_H_
#define COFFER_BENCH_LOAD_CASES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/load/client.h"

namespace coffer::load {

struct LoadOptions {
  uint64_t first_id = 0;  // event ids are numbered; ids that were used before are duplicates
  uint64_t events = 1'000'000;
  int batch = 2000;  // events a request
  int window = 8;    // requests in flight on a connection
  uint64_t accounts = 300;
  double seconds = 5;      // latency cases, after a warm-up of a fifth of it
  double rate = 1000;      // open loop: credits a second
  int tickets = 20;        // a payout
  uint64_t payouts = 500;  // transactions of the case payouts
};

// Each answers with a JSON object of figures, or with the first error.
//
// Batched: `events` credits, `batch` a request, `window` requests in flight on each client. The
// requests are made before the clock starts.
absl::StatusOr<std::string> Throughput(runtime::EventLoop* loop,
                                       const std::vector<std::unique_ptr<Client>>& clients,
                                       const LoadOptions& options);
// Closed loop: each client sends one credit, waits for its answer, sends the next.
absl::StatusOr<std::string> ClosedLoop(runtime::EventLoop* loop,
                                       const std::vector<std::unique_ptr<Client>>& clients,
                                       const LoadOptions& options);
// The same with a connection for each credit, from `clients` at once.
absl::StatusOr<std::string> Connections(runtime::EventLoop* loop, runtime::Network* network,
                                        const runtime::Endpoint& endpoint, size_t clients,
                                        const LoadOptions& options);
// Open loop: credits leave at `rate` a second whatever the answers do, and each latency is counted
// from the moment at which it should have left: no coordinated omission.
absl::StatusOr<std::string> OpenLoop(runtime::EventLoop* loop,
                                     const std::vector<std::unique_ptr<Client>>& clients,
                                     const LoadOptions& options);
// Payouts of `tickets` tickets each, from the request to the signed transaction, then from a
// receipt that says that all were paid to a settled payout; `window` of them in flight on each
// client. The accounts are credited before, and every sum is compared afterwards, to the wei.
absl::StatusOr<std::string> Payouts(runtime::EventLoop* loop,
                                    const std::vector<std::unique_ptr<Client>>& clients,
                                    const LoadOptions& options);
// For an enclave with --snapshot-interval 1 that this very process has loaded from records: it
// takes a snapshot at once, and this is the time until that is stored whole.
absl::StatusOr<std::string> Snapshot(runtime::EventLoop* loop,
                                     const std::vector<std::unique_ptr<Client>>& clients,
                                     const LoadOptions& options);
// After it: credits, `batch` a request, one request after the other, until they outweigh that
// snapshot and the next one is stored. The longest wait among them is what a snapshot costs whoever
// comes at that moment.
absl::StatusOr<std::string> Stall(runtime::EventLoop* loop,
                                  const std::vector<std::unique_ptr<Client>>& clients,
                                  const LoadOptions& options);

// The limit of the latencies: `seconds` of writes of 512 bytes, appended to a file in `directory`,
// each followed by fdatasync.
absl::StatusOr<std::string> Disk(const std::string& directory, double seconds);

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_CASES_H_
