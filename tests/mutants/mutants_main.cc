// coffer_sim_mutants: coffer_sim with planted bugs in it, all asleep but the one named by --mutant.
// Without --mutant it is coffer_sim to the byte (tests/mutants/CMakeLists.txt has the test).
#include <cstdio>
#include <string_view>
#include <vector>

#include "tests/mutants/switch.h"

// The main of tests/sim/sim_main.cc, renamed when it is compiled for this program.
int CofferSimMain(int argc, char** argv);

int main(int argc, char** argv) {
  bool planted = false;
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--mutant") {
      rest.push_back(argv[i]);
      continue;
    }
    if (i + 1 == argc || !coffer::PlantMutant(argv[i + 1])) {
      std::fprintf(stderr, "coffer_sim_mutants: --mutant takes a name of tests/mutants/*.toml\n");
      return 2;
    }
    planted = true;
    ++i;
  }
  const int result = CofferSimMain(static_cast<int>(rest.size()), rest.data());
  if (planted) {
    std::fprintf(stderr, "mutant reached %llu times\n",
                 static_cast<unsigned long long>(coffer::MutantReached()));
  }
  return result;
}
