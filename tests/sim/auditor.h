// The auditor: looks at the run from outside, with plain integers of its own, and stops it at the
// first broken rule.
#ifndef COFFER_TESTS_SIM_AUDITOR_H_
#define COFFER_TESTS_SIM_AUDITOR_H_

#include <string>

#include "tests/sim/chain_model.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace coffer::sim {

class Auditor {
 public:
  Auditor(const World* world, const ChainModel* chain, const Workload* workload)
      : world_(world), chain_(chain), workload_(workload) {}

  // At any time. Empty, or a sentence that names the rule.
  std::string CheckAlways() const;
  // When nothing is under way any more: everything adds up exactly.
  std::string CheckAtRest() const;

 private:
  const World* const world_;
  const ChainModel* const chain_;
  const Workload* const workload_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_AUDITOR_H_
