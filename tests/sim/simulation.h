// One simulated run: a seed draws the fault rates, faults happen, faults stop, and progress must
// follow.
#ifndef COFFER_TESTS_SIM_SIMULATION_H_
#define COFFER_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <string>

namespace coffer::sim {

struct Result {
  std::string failure;  // empty when every rule held and everything came to rest
  std::string faults;   // the rates this seed drew
  uint64_t steps = 0;   // of the scheduler
  uint64_t events = 0, payouts = 0, recoveries = 0, host_starts = 0;
  uint64_t trace = 0;  // equal seeds give equal traces
};

// `rounds` turns of the outer loop, each some milliseconds of virtual time; then the liveness
// phase.
Result Simulate(uint64_t seed, uint64_t rounds);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_SIMULATION_H_
