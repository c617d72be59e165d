// One simulated run: a plan is carried out while the auditors look on (safety); then faults stop,
// and everything that was asked for must come about within a bound of virtual time (liveness).
#ifndef COFFER_TESTS_SIM_SIMULATION_H_
#define COFFER_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "tests/sim/plan.h"

namespace coffer::sim {

// Of a plan, unless said otherwise.
inline constexpr size_t kDefaultActions = 300;

struct Result {
  std::string failure;  // empty when every rule held and everything came to rest
  uint64_t steps = 0;   // of the scheduler
  absl::Duration virtual_time;
  uint64_t frames = 0;  // through the enclave's door
  uint64_t events = 0, payouts = 0, tickets = 0, leaves = 0;
  uint64_t enclave_starts = 0, host_starts = 0;
  uint64_t signing_keys = 1, retired_keys = 0;  // that the state had in all, and gave up
  uint64_t trace = 0;                           // equal seeds give equal traces
};

// Called with a line for each action, and for each thing that a person needs to follow a run.
using Watcher = std::function<void(const std::string& line)>;

// The run of this plan in the world of this seed.
Result RunPlan(uint64_t seed, const Swarm& swarm, const Plan& plan, const Watcher& watcher = {});
// The run that this seed draws.
Result Simulate(uint64_t seed, size_t actions = kDefaultActions, const Watcher& watcher = {});

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_SIMULATION_H_
