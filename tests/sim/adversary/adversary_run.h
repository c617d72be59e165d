// The host as a program that may send any message in any order at any time. Production enclaves on
// the deterministic scheduler; everything around them, storage and clients, is the adversary. The
// auditor at the enclaves' doors says whether a rule broke. Progress is not asked for.
#ifndef COFFER_TESTS_SIM_ADVERSARY_ADVERSARY_RUN_H_
#define COFFER_TESTS_SIM_ADVERSARY_ADVERSARY_RUN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/adversary/plan.h"
#include "tests/sim/wire/wire_auditor.h"

namespace coffer::sim {

struct AdversaryOptions {
  enum class Mode {
    kAdversary,  // no state is loaded that lacks what was acknowledged: all rules hold globally
    kRollback,   // anything is loaded, several enclaves run: the rules hold along each line
  };
  Mode mode = Mode::kAdversary;
  uint64_t actions = 300;
};

struct AdversaryResult {
  std::string failure;  // the first broken rule; empty when none broke
  uint64_t actions = 0;
  struct Answers {
    uint64_t accepted = 0;
    uint64_t refused = 0;
  };
  // By the name of the request's field in ClientFrame; "prepare_funding:STRATEGY_SWEEP" for what
  // only a draining key signs.
  std::map<std::string, Answers> by_request;
  std::map<uint32_t, uint64_t> by_code;  // refusals by boundary.v1.ErrorCode
  uint64_t starts = 0;                   // of enclaves
  uint64_t steps = 0;
  uint64_t trace = 0;  // equal digests, equal runs
  WireAuditor::Seen seen;
};

AdversaryResult RunAdversary(uint64_t seed, const AdversaryOptions& options);
// The same with a plan of one's own; `seed` still decides the scheduler's choices and the policy.
AdversaryResult RunPlan(uint64_t seed, const AdversaryOptions& options,
                        const std::vector<HostileAction>& plan);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_ADVERSARY_RUN_H_
