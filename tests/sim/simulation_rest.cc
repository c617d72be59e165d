// How a run ends: whatever was broken is mended, and all comes to rest in bounded time.
#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "tests/sim/simulation_run.h"

namespace coffer::sim {
namespace {

// From the last fault to rest.
constexpr absl::Duration kLivenessBound = absl::Minutes(5);
// wei: for all that is owed.
constexpr uint64_t kEnough = 1'000'000'000;

}  // namespace

// Everything that was broken is whole again, and whoever has to do something has done it.
void Run::Mend() {
  world_.Partition(false);
  for (host::FaultyDisk* disk : {&world_.disk(), &world_.journal_disk()}) {
    disk->set_capacity(~uint64_t{0});
    disk->Heal();
  }
  world_.log_files().Heal();
  world_.nodes().SetFaults(chain::NodeFaults());
  chain::ChainModel& chain = world_.chain();
  chain.SetPaused(false);
  chain.FailInner(0);
  chain.InitializeRound();
  chain.SetBaseFee(100'000'000);
  chain.DropAllPending();  // the nodes were started again, too
  chain.AddDeposit(world_.signing_address(), kEnough);
  world_.journal().FinishPartial();
  world_.journal().RegisterAll();
  world_.PausePayouts(false);
  world_.StartEnclave();
  world_.KillHostIfDiskFailed();
  StartHost();
}

void Run::ComeToRest() {
  while (failure_.empty() && !later_.empty()) Until(later_.begin()->first);
  if (!failure_.empty()) return;
  Say("no more faults");
  Mend();
  // But one: whoever waits for an answer has to be told that none comes.
  world_.scheduler().RunUntil(
      [this] { return world_.requests_in_flight() > 0 || !auditor_.Observed().empty(); },
      absl::Seconds(5));
  world_.CutLink();
  AwaitRest();
  if (failure_.empty() && rotations_ > 0) RotateAtRest();
}

void Run::RotateAtRest() {
  const size_t before = world_.state()->payouts().keys().size();
  EnclaveDown(20);
  Down(false, absl::Milliseconds(30));
  AwaitRest();
  // One that drains for ever, for what is held for ever, lets no other come.
  if (!failure_.empty() || world_.state()->payouts().draining() != nullptr) return;
  for (int tries = 0; tries < 20 && !world_.RotateSigningKey(); ++tries) {
    if (!Until(Now() + absl::Milliseconds(250))) return;
  }
  AwaitRest();
  if (!failure_.empty() || world_.state()->payouts().keys().size() == before + 1) return;
  Broken("liveness: a signing key was asked for, at rest, and there is none");
}

void Run::AwaitRest() {
  const absl::Time bound = Now() + kLivenessBound;
  std::string unrest;
  for (uint64_t turn = 0; Now() < bound; ++turn) {
    world_.chain().Mine(8);
    if (turn % 20 == 0) world_.ReplayDeadLetters();
    world_.FundSigningKey(kEnough);
    world_.TopUpDrainingKey(kEnough);
    if (!Until(Now() + absl::Milliseconds(250)) || Broken(auditor_.CheckAlways())) return;
    if (!world_.api().quiet() || turn < 4) continue;
    unrest = auditor_.CheckAtRest();
    if (!unrest.empty()) continue;
    unrest = auditor_.CheckKeys();
    if (unrest.empty()) return Say("at rest");
    // What waits for a later round and for no payee.
    if (turn % 8 == 0) world_.chain().AdvanceRound(true);
  }
  Broken(unrest.empty()
             ? absl::StrCat("liveness: the API's events were not answered: ", world_.Trouble())
             : unrest);
}

}  // namespace coffer::sim
