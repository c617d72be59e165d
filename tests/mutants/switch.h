// The switch between the original text and a planted bug. It exists in coffer_sim_mutants alone:
// no production source includes this; tests/mutants/generate.py adds it to copies of them.
#ifndef COFFER_TESTS_MUTANTS_SWITCH_H_
#define COFFER_TESTS_MUTANTS_SWITCH_H_

#include <cstdint>
#include <string_view>

namespace coffer {

// Whether this planted bug is on. At most one is, for the life of the process.
bool Mutant(const char* name);

// Turns it on; false when the catalogue has no such mutant.
bool PlantMutant(std::string_view name);

// How often the code of the planted bug was asked for: 0 means that no run came there.
uint64_t MutantReached();

// All names, then nullptr. Generated from the catalogue.
extern const char* const kMutants[];

}  // namespace coffer

#endif  // COFFER_TESTS_MUTANTS_SWITCH_H_
