// The auditor of a run with an honest host: holds what was asked for (Truth) against what is
// published, what is on the chain, what is in the dead letters and what the enclave believes, with
// plain integers of its own. What crosses the enclave's door is WireAuditor's.
#ifndef COFFER_TESTS_SIM_AUDITOR_H_
#define COFFER_TESTS_SIM_AUDITOR_H_

#include <string>

#include "tests/sim/world.h"

namespace coffer::sim {

class Auditor {
 public:
  explicit Auditor(World* world) : world_(world) {}

  // After every step: what the observers saw. Cheap. Empty, or a sentence that names the rule.
  std::string Observed() const;
  // After every action: accounts against what was asked for and what the chain has paid.
  std::string CheckAlways() const;
  // When nothing is to come any more: everything adds up exactly.
  std::string CheckAtRest() const;
  // After that: no signing key drains that could be retired, and those that are retired left
  // nothing behind.
  std::string CheckKeys() const;

 private:
  std::string CheckAccount(uint64_t account) const;
  std::string CheckEvents() const;
  std::string CheckLetters() const;
  std::string CheckPaid() const;
  std::string CheckOpen() const;

  World* const world_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_AUDITOR_H_
