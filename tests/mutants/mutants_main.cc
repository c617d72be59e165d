// coffer_sim_mutants: the simulators with planted bugs in them, all asleep but the one named by
// --mutant. With --adversary or --rollback the host is hostile (tests/sim/adversary); otherwise it
// is coffer_sim, to the byte (tests/mutants/CMakeLists.txt has the test).
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "runtime/log.h"
#include "tests/mutants/switch.h"
#include "tests/sim/adversary/adversary_run.h"

// The main of tests/sim/sim_main.cc, renamed when it is compiled for this program.
int CofferSimMain(int argc, char** argv);

namespace coffer::sim {
namespace {

struct Flags {
  bool hostile = false;
  AdversaryOptions options;
  uint64_t seed = 1;
  uint64_t runs = 1;
};

int RunHostile(const Flags& flags) {
  runtime::LogOptions log;
  log.level = runtime::Level::kOff;
  runtime::InitLog(log);
  for (uint64_t seed = flags.seed; seed < flags.seed + flags.runs; ++seed) {
    const AdversaryResult r = RunAdversary(seed, flags.options);
    std::printf("seed %" PRIu64 ": %" PRIu64 " actions, %" PRIu64 " answers, %" PRIu64
                " transactions, trace %016" PRIx64 "\n",
                seed, r.actions, r.seen.answers, r.seen.transactions, r.trace);
    if (r.failure.empty()) continue;
    std::printf("FAILED: %s\n", r.failure.c_str());
    return 1;
  }
  return 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  bool planted = false;
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (argument == "--mutant") {
      if (!PlantMutant(value)) {
        std::fprintf(stderr, "coffer_sim_mutants: --mutant takes a name of tests/mutants/*.toml\n");
        return 2;
      }
      planted = true;
      ++i;
      continue;
    }
    if (argument == "--adversary" || argument == "--rollback") {
      flags.hostile = true;
      flags.options.mode = argument == "--rollback" ? AdversaryOptions::Mode::kRollback
                                                    : AdversaryOptions::Mode::kAdversary;
      continue;
    }
    if (argument == "--seed") flags.seed = std::strtoull(value, nullptr, 10);
    if (argument == "--runs") flags.runs = std::strtoull(value, nullptr, 10);
    if (argument == "--steps") flags.options.actions = std::strtoull(value, nullptr, 10);
    rest.push_back(argv[i]);
  }
  const int result =
      flags.hostile ? RunHostile(flags) : CofferSimMain(static_cast<int>(rest.size()), rest.data());
  if (planted) {
    std::fprintf(stderr, "mutant reached %llu times\n",
                 static_cast<unsigned long long>(MutantReached()));
  }
  return result;
}

}  // namespace
}  // namespace coffer::sim

int main(int argc, char** argv) { return coffer::sim::Main(argc, argv); }
