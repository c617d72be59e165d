#include "tests/sim/simulation.h"

#include <utility>

#include "enclave_core/authority/authority.h"
#include "tests/sim/simulation_run.h"

namespace coffer::sim {

void Run::Take(const Action& action) {
  if (TakeJournal(action) || TakeApi(action) || TakeProcess(action) || TakeDisk(action)) return;
  TakeChain(action);
}

bool Run::TakeJournal(const Action& action) {
  JournalWriter& journal = world_.journal();
  switch (action.what) {
    case What::kCredit:
      journal.Credit(action.a % kKnownAccounts, action.b);
      return true;
    case What::kCorrection:
      journal.Correction(action.a % kKnownAccounts, action.b);
      return true;
    case What::kRepeatLine:
      journal.Repeat(action.a);
      return true;
    case What::kSkippedLine:
      journal.Skipped(action.a);
      return true;
    case What::kBadLine:
      journal.Bad(action.a);
      return true;
    case What::kPartialLine:
      journal.BeginPartial(action.a % kKnownAccounts, action.b);
      Later(action.b % 700, [this] { world_.journal().FinishPartial(); });
      return true;
    case What::kUnknownAccount:
      journal.Credit(kKnownAccounts + action.a % (kAccounts - kKnownAccounts), action.b);
      return true;
    case What::kRegister:
      journal.RegisterAll();
      world_.ReplayDeadLetters();
      return true;
    case What::kRotate:
      if (action.a % 3 == 1) {
        Down(false, absl::Milliseconds(300));
        journal.Credit(action.b % kKnownAccounts, 1 + action.a);
      }
      // Late is soon after a rotation: what is written to a file long after is nobody's to find.
      if (journal.Rotate() && action.a % 3 == 2) {
        Later(action.b % 700,
              [this, action] { world_.journal().Late(action.b % kKnownAccounts, 1 + action.a); });
      }
      return true;
    case What::kTruncate:
      journal.Truncate(action.a);
      return true;
    case What::kDamage:
      journal.Damage(action.a);
      return true;
    case What::kCopyTruncate:
      journal.CopyTruncate();
      return true;
    case What::kEditRegistry:
      EditRegistry(action.a);
      return true;
    default:
      return false;
  }
}

// A host that starts meanwhile believes it, and has to be started again when it is mended.
void Run::EditRegistry(uint64_t millis) {
  // Of an account that was opened for good: the first recipient is the registry's to choose.
  const auto known = [&] {
    for (const auto& [id, leaf] : world_.log().events()) {
      if (leaf.account == AccountName(millis % kKnownAccounts)) return true;
    }
    return false;
  };
  if (!known()) return;
  world_.journal().EditRegistry(millis);
  world_.ReplayDeadLetters();
  Later(millis, [this, starts = world_.host_starts()] {
    world_.journal().RestoreRegistry();
    if (world_.host_starts() != starts) Down(false, absl::Milliseconds(50));
  });
}

bool Run::TakeApi(const Action& action) {
  ApiClient& api = world_.api();
  switch (action.what) {
    case What::kApiCredit:
      api.Credit(action.a, action.b);
      return true;
    case What::kApiCorrection:
      api.Correction(action.a, action.b);
      return true;
    case What::kApiRepeat:
      api.Repeat(action.a);
      return true;
    case What::kApiConflict:
      api.Conflict(action.a);
      return true;
    case What::kApiRedirect:
      api.Redirect(action.a);
      return true;
    case What::kRunNow:
      world_.RunPayouts();
      return true;
    case What::kPauseDriver:
      world_.PausePayouts(true);
      Later(action.a, [this] { world_.PausePayouts(false); });
      return true;
    default:
      return false;
  }
}

bool Run::TakeProcess(const Action& action) {
  switch (action.what) {
    case What::kKillEnclave:
      Step(action.b);
      EnclaveDown(action.a);
      return true;
    case What::kKillHost:
      Step(action.b);
      Down(false, absl::Milliseconds(action.a));
      return true;
    case What::kPowerLoss:
      if (action.b % 2 == 1) EnclaveDown(action.a);
      Down(true, absl::Milliseconds(action.a));
      return true;
    case What::kPowerLossAtWrite:
      power_down_ = action.a;
      if (action.b % 3 == 0) {
        world_.journal_disk().CrashAt(world_.journal_disk().operations() + action.b);
      } else if (action.b % 3 == 1) {
        world_.log_files().CrashAt(action.b);
      } else {
        world_.disk().CrashAt(world_.disk().operations() + action.b);
      }
      return true;
    case What::kCutLink:
      world_.CutLink();
      return true;
    case What::kPartition:
      world_.Partition(true);
      Later(action.a, [this] { world_.Partition(false); });
      return true;
    case What::kStopEnclave:
      world_.StopEnclave(absl::Milliseconds(action.a));
      return true;
    case What::kSlowSigner:
      world_.StopSigner(absl::Milliseconds(action.a));
      return true;
    case What::kRotateStateKey:
      world_.RotateStateKey();
      return true;
    case What::kRotateSigningKey:
      ++rotations_;
      (void)world_.RotateSigningKey();
      return true;
    case What::kClockJump:
      world_.JumpClock(action.a % 2 == 1, absl::Seconds(static_cast<int64_t>(action.b) - 100'000));
      return true;
    default:
      return false;
  }
}

bool Run::TakeDisk(const Action& action) {
  const auto some_disk = [this, &action]() -> host::FaultyDisk& {
    return action.b % 2 == 0 ? world_.disk() : world_.journal_disk();
  };
  switch (action.what) {
    case What::kDiskError:
      some_disk().FailAt(some_disk().operations() + 1, absl::InternalError("input/output error"),
                         action.b);
      break;
    case What::kSyncError:
      some_disk().LoseNextSync();
      break;
    case What::kDiskFull:
      world_.disk().set_capacity(0);
      world_.journal_disk().set_capacity(0);
      Later(action.a, [this] {
        world_.disk().set_capacity(~uint64_t{0});
        world_.journal_disk().set_capacity(~uint64_t{0});
      });
      return true;
    case What::kBitFlip:
      world_.FlipBit(action.a);
      Down(false, absl::Milliseconds(50));
      return true;
    case What::kLogDiskError:
      world_.log_files().FailNext(action.b, absl::InternalError("input/output error"));
      return true;
    case What::kLogSyncError:
      world_.log_files().FailSync(absl::InternalError("fsync failed"));
      return true;
    case What::kLogDiskFull:
      world_.log_files().set_capacity(0);
      Later(action.a, [this] { world_.log_files().set_capacity(~uint64_t{0}); });
      return true;
    default:
      return false;
  }
  // A disk that gave an error is trusted again only by a new process.
  Later(action.a, [this] {
    world_.KillHostIfDiskFailed();
    StartHost();
  });
  return true;
}

bool Run::TakeChain(const Action& action) {
  chain::ChainModel& chain = world_.chain();
  switch (action.what) {
    case What::kMine:
      chain.Mine(action.a);
      return true;
    case What::kMineFailing:
      chain.Mine(action.a, true);
      return true;
    case What::kReorg: {
      chain::ChainModel::Branch branch;
      branch.depth = action.a;
      branch.keep = action.b % 4 < 2 ? action.b / 4 : UINT64_MAX;
      branch.keep_strangers = action.b % 2 == 0;
      branch.new_blocks = action.b % 5;
      branch.strangers_last = action.b % 3 == 0;
      chain.Reorg(branch);
      return true;
    }
    case What::kStranger:
      chain.StrangerRedeems(action.a);
      return true;
    case What::kOldTicket:
      world_.RedeemOldTicket(1 + action.a);
      return true;
    case What::kDropPending:
      chain.DropPending(action.a);
      return true;
    case What::kSwapReplaced:
      chain.SwapReplaced(action.a);
      return true;
    case What::kResurface:
      chain.Resurface(action.a);
      return true;
    case What::kBaseFee:
      chain.SetBaseFee(ethereum::U256(10'000'000) * (1 + action.a % 200));
      return true;
    case What::kRound:
      chain.AdvanceRound(action.a % 2 == 1);
      return true;
    case What::kInitializeRound:
      chain.InitializeRound();
      return true;
    case What::kPauseBroker:
      chain.SetPaused(true);
      Later(action.a, [this] { world_.chain().SetPaused(false); });
      return true;
    case What::kFailInner:
      chain.FailInner(action.a);
      return true;
    case What::kDeposit:
      chain.AddDeposit(world_.signing_address(), action.a);
      return true;
    case What::kReserve:
      chain.AddReserve(world_.signing_address(), action.a);
      return true;
    case What::kEther:
      chain.AddEther(world_.signing_address(), action.a);
      return true;
    case What::kNodeTrouble:
      world_.TroubleNodes(action.b);
      Later(action.a, [this] { world_.nodes().SetFaults(chain::NodeFaults()); });
      return true;
    case What::kNodeDown: {
      const size_t node = action.b % world_.nodes().urls().size();
      world_.nodes().SetDown(node, true);
      Later(action.a, [this, node] { world_.nodes().SetDown(node, false); });
      return true;
    }
    default:
      return false;
  }
}

Result Run::Summary() {
  Result result;
  result.failure = failure_;
  result.steps = world_.scheduler().steps();
  result.virtual_time = Now() - begin_;
  const WireAuditor::Seen& seen = world_.wire().seen();
  result.frames = seen.requests + seen.answers;
  result.events = world_.truth().events.size();
  result.payouts = world_.state() ? world_.state()->payouts().size() : 0;
  for (size_t i = 0; world_.state() != nullptr && i < world_.state()->payouts().keys().size();
       ++i) {
    result.signing_keys = i + 1;
    result.retired_keys += world_.state()->payouts().keys()[i].retired ? 1 : 0;
  }
  result.tickets = seen.tickets;
  result.leaves = seen.leaves;
  result.enclave_starts = world_.enclave_starts();
  result.host_starts = world_.host_starts();
  result.trace = world_.scheduler().trace();
  return result;
}

Result RunPlan(uint64_t seed, const Swarm& swarm, const Plan& plan, const Watcher& watcher) {
  return Run(seed, swarm, watcher).Go(plan);
}

Result Simulate(uint64_t seed, size_t actions, const Watcher& watcher) {
  const Swarm swarm = DrawSwarm(seed);
  return RunPlan(seed, swarm, DrawPlan(seed, swarm, actions), watcher);
}

}  // namespace coffer::sim
