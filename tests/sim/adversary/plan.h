// What a hostile host does, as data: a list of actions drawn from a seed before anything runs. An
// action names what it acts on by numbers that are taken modulo what there is at that moment, so
// any part of a plan is a plan, and one that fails can be shortened.
#ifndef COFFER_TESTS_SIM_ADVERSARY_PLAN_H_
#define COFFER_TESTS_SIM_ADVERSARY_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace coffer::sim {

enum class Kind : uint8_t {
  kRecover,    // whatever is missing for good service: a process, a connection, a loaded state
  kStart,      // an enclave process
  kKill,       //
  kConnect,    // one more session
  kClose,      // a session, with what is under way on it
  kCut,        // all sessions of an enclave
  kLoad,       // a whole state: as it was stored, or dropped, doubled, reordered, altered, foreign
  kLoadPiece,  // one frame of a load, whether it fits or not
  kAttach,     // as the storage, with a true claim or a false one
  kStorageMode,  // acknowledge all at once, or nothing, from now on
  kAck,          // one acknowledgement: true, twice, beyond, of nothing, from a stranger
  kEvents,       // credits and corrections, new ones
  kRepeatEvent,  // one that was sent before: the same, or under its id with something changed
  kPrepare,
  kRedeem,
  kFunding,
  kBump,
  kRetry,
  kVoid,
  kReceipt,  // true, partial, forged, a stranger's
  kConfirm,
  kReorg,
  kRead,        // accounts, payouts, status, policy, heads
  kSign,        // what only the signer profile signs
  kPolicy,      // a change, with or without its admins
  kKeys,        // attestation, provisioning, states as blobs
  kClock,       // the enclave's wall clock, forward and back
  kGarbage,     // bytes that are no frame, and JSON
  kSameId,      // two requests under one id
  kSlowSigner,  // signatures take longer than everything else for a while
  kRotate,      // one step of a rotation of the signing key, from its making to its end
};
inline constexpr size_t kKinds = static_cast<size_t>(Kind::kRotate) + 1;

struct HostileAction {
  absl::Duration at;  // since the start of the run
  Kind kind = Kind::kRecover;
  uint64_t a = 0;  // on which enclave and session
  uint64_t b = 0;  // which way
  uint64_t c = 0;  // everything else is drawn from this
};

// The name that DescribePlan prints: "receipt".
const char* KindName(Kind kind);
std::vector<HostileAction> DrawPlan(uint64_t seed, uint64_t actions);
// One line an action: when, what, with which numbers.
std::vector<std::string> DescribePlan(const std::vector<HostileAction>& plan);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_PLAN_H_
