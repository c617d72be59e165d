// What happens to the simulated system from outside: credits, faults, what the chain does. A plan
// is drawn from a seed before the run, so that it can be printed, repeated, and shortened. Its
// actions stand for themselves: numbers are read relative to what is there when their time comes,
// and one that finds nothing to do does nothing.
#ifndef COFFER_TESTS_SIM_PLAN_H_
#define COFFER_TESTS_SIM_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coffer::sim {

enum class What : uint8_t {
  // The journal. `a` chooses an account, `b` an amount in wei, where one is needed.
  kCredit,
  kCorrection,      // a negative amount
  kRepeatLine,      // the bytes of line `a` once more
  kSkippedLine,     // one that is skipped by rule
  kBadLine,         // one of several kinds of garbage
  kPartialLine,     // a credit in two writes, `b` ms apart
  kUnknownAccount,  // a credit of somebody whom the registry does not know yet
  kRegister,        // the registry learns of the unknown ones; dead letters are replayed
  kRotate,        // and, as `a` says, while the host is down, or its writer goes on in the old file
  kTruncate,      // the last `a` bytes that the tailer may not have read are gone
  kDamage,        // as many are overwritten
  kCopyTruncate,  // copied to a rotated name, then emptied
  // The API.
  kApiCredit,
  kApiCorrection,
  kApiRepeat,    // an event that was sent before
  kApiConflict,  // its id with another content: must be refused
  kApiRedirect,  // an event that names another recipient: must be refused
  kRunNow,
  kPauseDriver,  // for `a` ms
  // The processes; down for `a` ms.
  kKillEnclave,       // `b` steps of the scheduler from now
  kKillHost,          // likewise
  kPowerLoss,         // of the enclave's machine as well when `b` is odd
  kPowerLossAtWrite,  // at the `b`th operation of the disk from now; likewise when `a` is odd
  kCutLink,
  kPartition,    // for `a` ms
  kStopEnclave,  // SIGSTOP for `a` ms: alive and silent
  // The disk.
  kDiskError,  // the next `b` operations fail
  kSyncError,  // one fsync fails; what it should have kept is lost
  kDiskFull,   // for `a` ms
  kBitFlip,    // bit `a` of what the store holds; mended once it was noticed
  kLogDiskError,
  kLogSyncError,
  kLogDiskFull,
  // Clocks: the wall clock of the enclave (a odd) or host (a even) jumps by `b` - 100,000 s.
  kClockJump,
  // The chain.
  kMine,  // up to `a` transactions
  kMineFailing,
  kReorg,     // `a` blocks deep, and `b` tells which of their transactions come back
  kStranger,  // redeems ticket `a`
  kDropPending,
  kSwapReplaced,  // a replaced transaction takes the place of its successor
  kResurface,     // somebody sends old bytes again
  kBaseFee,
  kRound,  // the next; initialized when `a` is odd
  kInitializeRound,
  kPauseBroker,  // for `a` ms
  kFailInner,    // the next `a` inner calls of a batch run out of gas
  kDeposit,
  kReserve,
  kEther,
  // The nodes: all endpoints behave badly, in the way of `b`, for `a` ms.
  kNodeTrouble,
  kNodeDown,  // node `b`, for `a` ms
  // More of all of that.
  kSlowSigner,        // the enclave's signing thread gets no processor for `a` ms
  kEditRegistry,      // the registry's file gives an account to somebody else, for `a` ms
  kOldTicket,         // a ticket of `a` wei turns up that this key signed long ago
  kRotateStateKey,    // the operator has the enclave seal under a new key
  kRotateSigningKey,  // or sign with one
  kCount,
};
inline constexpr size_t kWhats = static_cast<size_t>(What::kCount);
std::string_view Name(What what);

struct Action {
  absl::Duration at;  // since the run began
  What what = What::kCredit;
  uint64_t a = 0, b = 0;
};
using Plan = std::vector<Action>;  // ascending in time

// How this seed's system is set up, and how often what happens.
struct Swarm {
  uint64_t weights[kWhats] = {};
  absl::Duration pace;  // mean time between two actions
  bool transfers = false;
  bool void_expired = false;
  bool small_deposit = false;
  uint32_t confirmations = 1;
  uint32_t max_tickets = 10;
  uint64_t max_face_value = 0;
  uint64_t snapshot_bytes = 0;  // the enclave makes one after so many bytes of records
  uint64_t segment_bytes = 0;
  uint32_t signers = 1;
  absl::Duration min_delay, max_delay;  // of the link
  uint32_t nodes = 1;
  bool astray = false;  // the operator's list has one more node, which is on another chain
};
Swarm DrawSwarm(uint64_t seed);
// What a signing key has at the broker at first, in wei.
inline uint64_t FirstDeposit(const Swarm& swarm) {
  return swarm.small_deposit ? 1'000'000 : 50'000'000;
}
std::string Describe(const Swarm& swarm);

Plan DrawPlan(uint64_t seed, const Swarm& swarm, size_t actions);
// "    1.250000 s  kill-host            1500 0"
std::string Describe(const Action& action);

// A plan as a file keeps it: "seed 42" and then a line an action, as Describe has it; lines that
// begin with # are for people.
struct SavedPlan {
  uint64_t seed = 0;  // of the swarm, and of what the scheduler chooses
  Plan plan;
};
std::string Format(const SavedPlan& saved);
// InvalidArgument names the line.
absl::StatusOr<SavedPlan> ParsePlan(std::string_view text);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_PLAN_H_
