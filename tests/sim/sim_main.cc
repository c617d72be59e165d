// coffer_sim: simulated runs from consecutive seeds; a failing one is repeated, made short and
// printed.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/log.h"
#include "runtime/os_random.h"
#include "tests/sim/adversary/adversary_run.h"
#include "tests/sim/minimise.h"
#include "tests/sim/simulation.h"

namespace coffer::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kShortening = 600;  // runs spent on making a plan short

struct Flags {
  std::string mode = "honest";
  uint64_t seed = 0;
  uint64_t runs = 100;
  uint64_t actions = kDefaultActions;
  unsigned jobs = 1;
  bool verbose = false;
  bool minimise = true;
  std::vector<std::string> plans;
};

// One run, whichever its mode.
struct Report {
  std::string failure;
  std::string summary;
  uint64_t steps = 0, frames = 0;
  absl::Duration virtual_time;
};

void PrintLine(const std::string& line) { std::printf("%s\n", line.c_str()); }

// The rule is what stands before the colon.
std::string RuleOf(const std::string& failure) { return failure.substr(0, failure.find(':')); }

Report ReportOf(const Result& r) {
  return {r.failure,
          absl::StrFormat(
              "%u steps, %.1f s of virtual time, %u frames, %u events, %u payouts, %u "
              "tickets, %u leaves, %u signing keys, enclave started %u times, host %u, trace %016x",
              r.steps, absl::ToDoubleSeconds(r.virtual_time), r.frames, r.events, r.payouts,
              r.tickets, r.leaves, r.signing_keys, r.enclave_starts, r.host_starts, r.trace),
          r.steps, r.frames, r.virtual_time};
}

AdversaryOptions HostileOptions(const Flags& flags) {
  AdversaryOptions options;
  options.mode = flags.mode == "rollback" ? AdversaryOptions::Mode::kRollback
                                          : AdversaryOptions::Mode::kAdversary;
  options.actions = flags.actions;
  return options;
}

Report RunSeed(const Flags& flags, uint64_t seed) {
  if (flags.mode == "honest") {
    return ReportOf(Simulate(seed, flags.actions, flags.verbose ? Watcher(PrintLine) : Watcher()));
  }
  const AdversaryResult r = RunAdversary(seed, HostileOptions(flags));
  return {r.failure,
          absl::StrFormat("%u actions, %u steps, %u answers, %u transactions, %u tickets, %u "
                          "leaves, enclaves started %u times, trace %016x",
                          r.actions, r.steps, r.seen.answers, r.seen.transactions, r.seen.tickets,
                          r.seen.leaves, r.starts, r.trace),
          r.steps, r.seen.requests + r.seen.answers, absl::ZeroDuration()};
}

void ShortenHonest(uint64_t seed, const Flags& flags, const std::string& rule) {
  const Swarm swarm = DrawSwarm(seed);
  PrintLine(Describe(swarm));
  SavedPlan saved{seed, Minimise<Action>(
                            DrawPlan(seed, swarm, flags.actions),
                            [&](const Plan& shorter) {
                              return RuleOf(RunPlan(seed, swarm, shorter).failure) == rule;
                            },
                            kShortening)};
  const std::string path = absl::StrCat("coffer_sim-", seed, ".plan");
  std::ofstream(path) << Format(saved);
  PrintLine(absl::StrCat("what is left when all is left out that this needs not (", path, "):"));
  RunPlan(seed, swarm, saved.plan, PrintLine);
}

void ShortenHostile(uint64_t seed, const Flags& flags, const std::string& rule) {
  const AdversaryOptions options = HostileOptions(flags);
  const std::vector<HostileAction> plan = Minimise<HostileAction>(
      DrawPlan(seed, flags.actions),
      [&](const std::vector<HostileAction>& shorter) {
        return RuleOf(RunPlan(seed, options, shorter).failure) == rule;
      },
      kShortening);
  PrintLine("what is left when all is left out that this needs not:");
  for (const std::string& line : DescribePlan(plan)) PrintLine(line);
  PrintLine(RunPlan(seed, options, plan).failure);
}

void Explain(uint64_t seed, const Flags& flags, const std::string& failure) {
  PrintLine("FAILED: " + failure);
  PrintLine(absl::StrCat("repeat with: coffer_sim --mode ", flags.mode, " --seed ", seed,
                         " --runs 1 --actions ", flags.actions));
  std::fflush(stdout);
  if (!flags.minimise) return;
  if (flags.mode == "honest") {
    ShortenHonest(seed, flags, RuleOf(failure));
  } else {
    ShortenHostile(seed, flags, RuleOf(failure));
  }
}

struct Totals {
  std::mutex mutex;
  uint64_t runs = 0, steps = 0, frames = 0;
  absl::Duration virtual_time;
  uint64_t failed_seed = 0;
  std::string failure;
};

void Work(const Flags& flags, std::atomic<uint64_t>& next, Totals& totals) {
  for (;;) {
    const uint64_t run = next++;
    if (run >= flags.runs) return;
    const uint64_t seed = flags.seed + run;
    const Report report = RunSeed(flags, seed);
    const std::lock_guard<std::mutex> lock(totals.mutex);
    if (!totals.failure.empty()) return;
    if (flags.verbose || flags.runs <= 20 || totals.runs % (flags.runs / 20) == 0) {
      PrintLine(absl::StrCat("seed ", seed, ": ", report.summary));
      std::fflush(stdout);
    }
    ++totals.runs;
    totals.steps += report.steps;
    totals.frames += report.frames;
    totals.virtual_time += report.virtual_time;
    if (report.failure.empty()) continue;
    totals.failed_seed = seed;
    totals.failure = report.failure;
    next = flags.runs;
  }
}

int RunSeeds(const Flags& flags) {
  Totals totals;
  std::atomic<uint64_t> next{0};
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < flags.jobs; ++i) {
    threads.emplace_back([&] { Work(flags, next, totals); });
  }
  Work(flags, next, totals);
  for (std::thread& thread : threads) thread.join();
  if (!totals.failure.empty()) {
    Explain(totals.failed_seed, flags, totals.failure);
    return 1;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double cores = seconds * flags.jobs;
  PrintLine(absl::StrFormat("%u %s runs held from seed %u: %u steps, %u frames", totals.runs,
                            flags.mode, flags.seed, totals.steps, totals.frames));
  PrintLine(absl::StrFormat(
      "%.1f s on %u threads; a thread: %.0f steps/s, %.1f runs/s, %.1f simulated days/h", seconds,
      flags.jobs, static_cast<double>(totals.steps) / cores,
      static_cast<double>(totals.runs) / cores,
      absl::ToDoubleHours(totals.virtual_time) / 24 / (cores / 3600)));
  return 0;
}

// Plans that once failed.
int RunFiles(const Flags& flags) {
  for (const std::string& path : flags.plans) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    const absl::StatusOr<SavedPlan> saved = ParsePlan(text.str());
    if (!file || !saved.ok()) {
      PrintLine(absl::StrCat(path, ": ",
                             file ? std::string(saved.status().message()) : "cannot be read"));
      return 2;
    }
    const Result result = RunPlan(saved->seed, DrawSwarm(saved->seed), saved->plan,
                                  flags.verbose ? Watcher(PrintLine) : Watcher());
    PrintLine(absl::StrCat(path, ": ", result.failure.empty() ? "held" : result.failure));
    if (!result.failure.empty()) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace coffer::sim

int main(int argc, char** argv) {
  CLI::App app{
      "Simulates the production actors of enclave and host in virtual time, with crashes, disks "
      "that lose, fail and fill up, links that break, a chain that reorganises and nodes that lie "
      "(honest), or the enclaves alone with a host that says anything (adversary) and also loads "
      "old states (rollback); checks the rules from outside.\nExample: coffer_sim --seed 42 --runs "
      "1 --verbose"};
  coffer::sim::Flags flags;
  app.add_option("--mode", flags.mode, "honest, adversary or rollback")
      ->check(CLI::IsMember({"honest", "adversary", "rollback"}))
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "First seed (default: a fresh one)");
  app.add_option("--runs", flags.runs, "Runs, each with the next seed")->capture_default_str();
  app.add_option("--actions,--steps", flags.actions, "Actions in a run's plan")
      ->capture_default_str();
  app.add_option("--jobs", flags.jobs, "Threads")->capture_default_str();
  app.add_option("--plan", flags.plans, "Files with plans to run instead (mode honest)");
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
  return flags.plans.empty() ? coffer::sim::RunSeeds(flags) : coffer::sim::RunFiles(flags);
}
