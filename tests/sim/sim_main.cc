// coffer_sim: simulated runs from consecutive seeds until one fails.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>

#include "runtime/log.h"
#include "runtime/os_random.h"
#include "tests/sim/simulation.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Simulates enclave and host with crashes, a disk that loses what was not synced, cut links, "
      "reorgs and strangers, "
      "and checks the rules I1..I5, I7 and I9 from outside.\nExample: coffer_sim --seed 42 --runs "
      "1 --steps "
      "2000 --verbose"};
  uint64_t seed = 0;
  uint64_t steps = 400;
  uint64_t runs = 50;
  bool verbose = false;
  app.add_option("--seed", seed, "First seed (default: a fresh one)");
  app.add_option("--steps", steps, "Rounds of a run")->capture_default_str();
  app.add_option("--runs", runs, "Runs, each with the next seed")->capture_default_str();
  app.add_flag("--verbose", verbose, "Show what the actors log");
  CLI11_PARSE(app, argc, argv);
  if (app.count("--seed") == 0) seed = coffer::runtime::OsRandom().NextUint64() % 1'000'000'000;
  coffer::runtime::LogOptions log;
  log.level = verbose ? coffer::runtime::Level::kDebug : coffer::runtime::Level::kError;
  coffer::runtime::InitLog(log);
  uint64_t total = 0;
  for (uint64_t i = 0; i < runs; ++i) {
    const coffer::sim::Result r = coffer::sim::Simulate(seed + i, steps);
    total += r.steps;
    if (!r.failure.empty() || verbose || i % 10 == 0) {
      std::printf("seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " events, %" PRIu64
                  " payouts, enclave started %" PRIu64 " times, host %" PRIu64
                  "; %s; trace %016" PRIx64 "\n",
                  seed + i, r.steps, r.events, r.payouts, r.recoveries, r.host_starts,
                  r.faults.c_str(), r.trace);
      std::fflush(stdout);
    }
    if (!r.failure.empty()) {
      std::printf("FAILED: %s\nrepeat with: coffer_sim --seed %" PRIu64 " --runs 1 --steps %" PRIu64
                  " --verbose\n",
                  r.failure.c_str(), seed + i, steps);
      return 1;
    }
  }
  std::printf("%" PRIu64 " runs held, %" PRIu64 " scheduler steps\n", runs, total);
  return 0;
}
