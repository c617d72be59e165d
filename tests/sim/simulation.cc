#include "tests/sim/simulation.h"

#include "absl/strings/str_cat.h"
#include "tests/sim/auditor.h"
#include "tests/sim/chain_model.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace coffer::sim {
namespace {

// In per mille of the rounds.
struct Faults {
  uint64_t kill_enclave, kill_host, power_loss, cut, reorg, stranger, fail_percent, revive;
};

Faults Draw(runtime::Random& random) {
  return {random.Below(25), random.Below(25), random.Below(15),    random.Below(30),
          random.Below(20), random.Below(40), 5 * random.Below(5), 50 + random.Below(400)};
}

std::string Describe(const Faults& f) {
  return absl::StrCat("kill enclave ", f.kill_enclave, ", kill host ", f.kill_host, ", power loss ",
                      f.power_loss, ", cut ", f.cut, ", reorg ", f.reorg, ", stranger ", f.stranger,
                      " per mille; transactions fail ", f.fail_percent, " %; revive ", f.revive,
                      " per mille");
}

class Run {
 public:
  explicit Run(uint64_t seed)
      : world_(seed),
        chain_(world_.policy().chain_id, world_.policy().broker, world_.address(),
               &world_.random()),
        workload_(&chain_, &world_.random()),
        auditor_(&world_, &chain_, &workload_),
        faults_(Draw(world_.random())) {
    chain_.AddDeposit(50'000'000);
    world_.OnHostStart([this](runtime::TestDispatcher* dispatcher, host::EnclaveClient* client) {
      ++host_starts_;
      workload_.OnHostStart(dispatcher, client);
    });
    world_.StartEnclave();
    world_.StartHost();
  }
  ~Run() { KillHost(false); }

  Result Go(uint64_t rounds) {
    Result result;
    result.faults = Describe(faults_);
    for (uint64_t i = 0; i < rounds && result.failure.empty(); ++i) {
      Fault();
      Chain(faults_.fail_percent);
      world_.scheduler().Advance(absl::Milliseconds(1 + world_.random().Below(20)));
      result.failure = auditor_.CheckAlways();
    }
    if (result.failure.empty()) result.failure = ComeToRest();
    result.steps = world_.scheduler().steps();
    result.events = workload_.events().size();
    result.payouts = world_.state() ? world_.state()->payouts().size() : 0;
    result.recoveries = world_.recoveries();
    result.host_starts = host_starts_;
    result.trace = world_.scheduler().trace();
    return result;
  }

 private:
  bool Happens(uint64_t per_mille) { return world_.random().Below(1000) < per_mille; }

  void KillHost(bool power) {
    workload_.OnHostKilled();
    world_.KillHost(power);
  }

  void Fault() {
    if (Happens(faults_.kill_enclave)) world_.KillEnclave();
    if (Happens(faults_.kill_host)) KillHost(false);
    if (Happens(faults_.power_loss)) KillHost(true);
    if (Happens(faults_.cut)) world_.CutLink();
    if (Happens(faults_.revive)) world_.StartEnclave();
    if (Happens(faults_.revive)) world_.StartHost();
  }

  void Chain(uint64_t fail_percent) {
    if (Happens(faults_.reorg)) chain_.Reorg();
    if (Happens(faults_.stranger)) chain_.StrangerRedeems();
    if (Happens(300)) chain_.Mine(1 + world_.random().Below(4), fail_percent);
    if (Happens(100)) chain_.AddDeposit(world_.random().Below(20'000'000));
  }

  // Faults stop; everything that was asked for must come about in bounded virtual time.
  std::string ComeToRest() {
    workload_.Finish();
    world_.StartEnclave();
    world_.StartHost();
    for (int i = 0; i < 3000; ++i) {
      chain_.Mine(4, 0);
      world_.scheduler().Advance(absl::Milliseconds(20));
      if (std::string broken = auditor_.CheckAlways(); !broken.empty()) return broken;
      if (workload_.Quiet() && auditor_.CheckAtRest().empty()) return "";
    }
    const std::string rest = auditor_.CheckAtRest();
    return rest.empty()
               ? "liveness: events or payouts did not come to rest within 60 s of virtual time"
               : rest;
  }

  World world_;
  ChainModel chain_;
  Workload workload_;
  Auditor auditor_;
  const Faults faults_;
  uint64_t host_starts_ = 0;
};

}  // namespace

Result Simulate(uint64_t seed, uint64_t rounds) { return Run(seed).Go(rounds); }

}  // namespace coffer::sim
