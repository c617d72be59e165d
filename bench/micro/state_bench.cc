// One more credit against the size of the state: as many accounts as ids, so that whatever grows
// with either shows. A credit is alone in its request, and measured from the request's bytes to the
// bytes to seal.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/micro/state.h"

namespace coffer::bench {
namespace {

// So few that they do not change the size of the state, nor make its smallest table grow.
constexpr int kCredits = 1000;

struct State {
  uint64_t size = 0;
  uint64_t next_id = 0;
  std::unique_ptr<authority::Authority> authority;
};

// One state at a time: a big one takes longer to make than to measure.
State& StateOf(uint64_t size) {
  static State state;
  if (state.size != size) {
    state.authority.reset();
    state = {size, size, NewAuthority()};
    Grow(*state.authority, 0, size, size);
  }
  return state;
}

void BM_OneCredit(benchmark::State& run) {
  State& state = StateOf(static_cast<uint64_t>(run.range(0)));
  std::vector<std::string> requests;
  for (int i = 0; i < kCredits; ++i) {
    // From account to account in great steps, as though at random.
    const uint64_t account = state.next_id * 0x9e3779b97f4a7c15u % state.size;
    requests.push_back(RequestBytes(state.next_id++, 1, account, 1));
  }
  size_t next = 0;
  size_t bytes = 0;
  for (auto _ : run) bytes += Handle(*state.authority, requests[next++]).size();
  run.SetItemsProcessed(run.iterations());
  run.counters["bytes_each"] = static_cast<double>(bytes) / static_cast<double>(run.iterations());
}

BENCHMARK(BM_OneCredit)
    ->ArgName("ids")
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Iterations(kCredits)
    ->Unit(benchmark::kNanosecond);

}  // namespace
}  // namespace coffer::bench
