// coffer_sim: simulated runs from consecutive seeds; a failing one is repeated, made short and
// printed.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/log.h"
#include "runtime/os_random.h"
#include "tests/sim/minimise.h"
#include "tests/sim/simulation.h"

namespace coffer::sim {
namespace {

struct Flags {
  uint64_t seed = 0;
  uint64_t runs = 100;
  uint64_t actions = kDefaultActions;
  unsigned jobs = 1;
  bool verbose = false;
  bool minimise = true;
};

struct Totals {
  std::mutex mutex;
  uint64_t runs = 0, steps = 0, frames = 0, events = 0, payouts = 0, tickets = 0, starts = 0;
  absl::Duration virtual_time;
  bool failed = false;
  uint64_t failed_seed = 0;
  std::string failure;
};

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void Print(uint64_t seed, const Result& r) {
  std::printf("seed %" PRIu64 ": %" PRIu64 " steps, %.1f s of virtual time, %" PRIu64
              " frames, %" PRIu64 " events, %" PRIu64 " payouts, %" PRIu64 " tickets, %" PRIu64
              " leaves, enclave started %" PRIu64 " times, host %" PRIu64 ", trace %016" PRIx64
              "\n",
              seed, r.steps, absl::ToDoubleSeconds(r.virtual_time), r.frames, r.events, r.payouts,
              r.tickets, r.leaves, r.enclave_starts, r.host_starts, r.trace);
}

// The rule is what stands before the colon.
std::string RuleOf(const std::string& failure) { return failure.substr(0, failure.find(':')); }

void Explain(uint64_t seed, const Flags& flags, const std::string& failure) {
  std::printf("FAILED: %s\nseed %" PRIu64 ": %s\nrepeat with: coffer_sim --seed %" PRIu64
              " --runs 1 --actions %" PRIu64 "\n",
              failure.c_str(), seed, Describe(DrawSwarm(seed)).c_str(), seed, flags.actions);
  std::fflush(stdout);
  if (!flags.minimise) return;
  const Swarm swarm = DrawSwarm(seed);
  const std::string rule = RuleOf(failure);
  const Plan plan = Minimise<Action>(
      DrawPlan(seed, swarm, flags.actions),
      [&](const Plan& shorter) { return RuleOf(RunPlan(seed, swarm, shorter).failure) == rule; },
      600);
  std::printf("what is left when everything is left out that this needs not:\n");
  RunPlan(seed, swarm, plan, [](const std::string& line) { std::printf("%s\n", line.c_str()); });
}

void Work(const Flags& flags, std::atomic<uint64_t>& next, Totals& totals) {
  for (;;) {
    const uint64_t run = next++;
    if (run >= flags.runs) return;
    const uint64_t seed = flags.seed + run;
    Watcher watcher;
    if (flags.verbose) {
      watcher = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    }
    const Result r = Simulate(seed, flags.actions, watcher);
    const std::lock_guard<std::mutex> lock(totals.mutex);
    if (totals.failed) return;
    if (flags.verbose || flags.runs <= 20 || totals.runs % (flags.runs / 20) == 0) {
      Print(seed, r);
      std::fflush(stdout);
    }
    ++totals.runs;
    totals.steps += r.steps;
    totals.frames += r.frames;
    totals.events += r.events;
    totals.payouts += r.payouts;
    totals.tickets += r.tickets;
    totals.starts += r.enclave_starts + r.host_starts;
    totals.virtual_time += r.virtual_time;
    if (r.failure.empty()) continue;
    totals.failed = true;
    totals.failed_seed = seed;
    totals.failure = r.failure;
    next = flags.runs;
  }
}

int Run(const Flags& flags) {
  Totals totals;
  std::atomic<uint64_t> next{0};
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < flags.jobs; ++i) {
    threads.emplace_back([&] { Work(flags, next, totals); });
  }
  Work(flags, next, totals);
  for (std::thread& thread : threads) thread.join();
  const double seconds = SecondsSince(begin);
  if (totals.failed) {
    Explain(totals.failed_seed, flags, totals.failure);
    return 1;
  }
  std::printf("%" PRIu64 " runs held from seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64
              " frames, %" PRIu64 " events, %" PRIu64 " payouts, %" PRIu64 " tickets, %" PRIu64
              " process starts\n",
              totals.runs, flags.seed, totals.steps, totals.frames, totals.events, totals.payouts,
              totals.tickets, totals.starts);
  const double cores = seconds * flags.jobs;
  std::printf("%.1f s on %u threads; a thread: %.0f steps/s, %.1f runs/s, %.2f simulated days/h\n",
              seconds, flags.jobs, static_cast<double>(totals.steps) / cores,
              static_cast<double>(totals.runs) / cores,
              absl::ToDoubleHours(totals.virtual_time) / 24 / (cores / 3600));
  return 0;
}

}  // namespace
}  // namespace coffer::sim

int main(int argc, char** argv) {
  CLI::App app{
      "Simulates the production actors of enclave and host in virtual time, with crashes, disks "
      "that lose, fail and fill up, links that break, a chain that reorganises and nodes that lie, "
      "and checks the rules from outside.\nExample: coffer_sim --seed 42 --runs 1 --verbose"};
  coffer::sim::Flags flags;
  app.add_option("--seed", flags.seed, "First seed (default: a fresh one)");
  app.add_option("--runs", flags.runs, "Runs, each with the next seed")->capture_default_str();
  app.add_option("--actions,--steps", flags.actions, "Actions in a run's plan")
      ->capture_default_str();
  app.add_option("--jobs", flags.jobs, "Threads")->capture_default_str();
  app.add_flag("--verbose", flags.verbose, "Show each action, and what the actors log");
  app.add_flag("!--no-minimise", flags.minimise, "Do not shorten the plan of a failing run");
  CLI11_PARSE(app, argc, argv);
  if (app.count("--seed") == 0) {
    flags.seed = coffer::runtime::OsRandom().NextUint64() % 1'000'000'000;
  }
  if (flags.verbose || flags.jobs == 0) flags.jobs = 1;
  coffer::runtime::LogOptions log;
  log.level = flags.verbose ? coffer::runtime::Level::kInfo : coffer::runtime::Level::kOff;
  coffer::runtime::InitLog(log);
  return coffer::sim::Run(flags);
}
