// One run of the honest simulation: a world, its auditor, and a plan of what goes wrong when.
#ifndef COFFER_TESTS_SIM_SIMULATION_RUN_H_
#define COFFER_TESTS_SIM_SIMULATION_RUN_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "tests/sim/auditor.h"
#include "tests/sim/simulation.h"
#include "tests/sim/world.h"

namespace coffer::sim {

// Of a process that ended by itself.
inline constexpr absl::Duration kRestart = absl::Milliseconds(100);

class Run {
 public:
  Run(uint64_t seed, const Swarm& swarm, const Watcher& watcher)
      : watcher_(watcher), world_(seed, swarm), auditor_(&world_), begin_(Now()) {
    world_.StartEnclave();
    world_.StartHost();
  }

  Result Go(const Plan& plan) {
    for (const Action& action : plan) {
      if (!Until(begin_ + action.at)) break;
      if (watcher_) watcher_(Describe(action));
      Take(action);
      world_.FundSigningKey(FirstDeposit(world_.swarm()));
      if (Broken(auditor_.CheckAlways())) break;
    }
    if (failure_.empty()) ComeToRest();
    return Summary();
  }

 private:
  absl::Time Now() { return world_.scheduler().Now(); }
  void Say(const std::string& what) {
    if (!watcher_) return;
    watcher_(absl::StrFormat("%12.6f s  %s", absl::ToDoubleSeconds(Now() - begin_), what));
  }
  bool Broken(std::string sentence) {
    if (failure_.empty() && !sentence.empty()) {
      failure_ = std::move(sentence);
      Say("BROKEN: " + failure_);
    }
    return !failure_.empty();
  }

  // Lets the world go on to that time, doing on the way what was put off. False when it broke.
  bool Until(absl::Time time) {
    for (;;) {
      const absl::Time next = later_.empty() ? time : std::min(time, later_.begin()->first);
      while (world_.scheduler().RunUntil(
          [this] { return world_.power_failed() || !auditor_.Observed().empty(); }, next - Now())) {
        if (Broken(auditor_.Observed())) return false;
        Say("the power is off");
        if (power_down_ % 2 == 1) EnclaveDown(power_down_);
        Down(true, absl::Milliseconds(power_down_));
      }
      world_.scheduler().Advance(next - Now());
      if (Broken(auditor_.Observed())) return false;
      if (later_.empty() || later_.begin()->first > time) return true;
      runtime::Task task = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      task();
    }
  }
  void Later(uint64_t millis, runtime::Task task) {
    later_.emplace(Now() + absl::Milliseconds(millis), std::move(task));
  }

  void Down(bool power, absl::Duration duration) {
    world_.KillHost(power);
    later_.emplace(Now() + duration, [this] { StartHost(); });
  }
  void EnclaveDown(uint64_t millis) {
    world_.KillEnclave();
    Later(millis, [this] {
      Say("the enclave starts");
      world_.StartEnclave();
    });
  }
  // So many steps go by, and not much time.
  void Step(uint64_t steps) {
    const uint64_t last = world_.scheduler().steps() + steps;
    world_.scheduler().RunUntil(
        [&] { return world_.scheduler().steps() >= last || world_.power_failed(); },
        absl::Milliseconds(20));
  }
  // A supervisor tries again and again.
  void StartHost() {
    Say("the host starts");
    if (!world_.StartHost()) later_.emplace(Now() + kRestart, [this] { StartHost(); });
  }

  void Take(const Action& action);
  bool TakeJournal(const Action& action);
  void EditRegistry(uint64_t millis);
  bool TakeApi(const Action& action);
  bool TakeProcess(const Action& action);
  bool TakeDisk(const Action& action);
  bool TakeChain(const Action& action);
  void Mend();
  void ComeToRest();
  void AwaitRest();
  // Once more, with what is left of the keys: both start anew, and sign with yet another one.
  void RotateAtRest();
  Result Summary();

  const Watcher& watcher_;
  World world_;
  Auditor auditor_;
  const absl::Time begin_;
  std::multimap<absl::Time, runtime::Task> later_;
  uint64_t power_down_ = 100;  // ms, of the next loss of power in mid-operation
  uint64_t rotations_ = 0;     // of the signing key, that were asked for
  std::string failure_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_SIMULATION_RUN_H_
