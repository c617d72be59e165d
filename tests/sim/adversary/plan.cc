#include "tests/sim/adversary/plan.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/random.h"

namespace coffer::sim {
namespace {

struct Weighed {
  Kind kind;
  const char* name;
  uint64_t weight;
};

// Enough that is good for deep states, enough that is bad to trip over.
constexpr Weighed kWeights[kKinds] = {
    {Kind::kRecover, "recover", 60},
    {Kind::kStart, "start", 3},
    {Kind::kKill, "kill", 12},
    {Kind::kConnect, "connect", 10},
    {Kind::kClose, "close", 6},
    {Kind::kCut, "cut", 3},
    {Kind::kLoad, "load", 10},
    {Kind::kLoadPiece, "load_piece", 8},
    {Kind::kAttach, "attach", 12},
    {Kind::kStorageMode, "storage_mode", 14},
    {Kind::kAck, "ack", 30},
    {Kind::kEvents, "events", 90},
    {Kind::kRepeatEvent, "repeat", 40},
    {Kind::kPrepare, "prepare", 60},
    {Kind::kRedeem, "redeem", 30},
    {Kind::kFunding, "funding", 20},
    {Kind::kBump, "bump", 30},
    {Kind::kRetry, "retry", 30},
    {Kind::kVoid, "void", 20},
    {Kind::kReceipt, "receipt", 100},
    {Kind::kConfirm, "confirm", 30},
    {Kind::kReorg, "reorg", 40},
    {Kind::kRead, "read", 70},
    {Kind::kSign, "sign", 8},
    {Kind::kPolicy, "policy", 16},
    {Kind::kKeys, "keys", 12},
    {Kind::kClock, "clock", 6},
    {Kind::kGarbage, "garbage", 8},
    {Kind::kSameId, "same_id", 8},
    {Kind::kSlowSigner, "slow_signer", 12},
    {Kind::kRotate, "rotate", 24},
};

// What this seed's host likes to do: everything from not at all to four times as often as usual, so
// that each seed goes deep somewhere. Without credits and recoveries there is nothing to attack.
std::array<uint64_t, kKinds> DrawWeights(runtime::Random& random) {
  std::array<uint64_t, kKinds> weights{};
  for (const Weighed& one : kWeights) {
    uint64_t& weight = weights[static_cast<size_t>(one.kind)];
    weight = one.weight * random.Below(9) / 2;
    const bool needed = one.kind == Kind::kRecover || one.kind == Kind::kEvents;
    if (needed) weight = std::max(weight, one.weight);
  }
  return weights;
}

Kind Draw(runtime::Random& random, const std::array<uint64_t, kKinds>& weights) {
  uint64_t sum = 0;
  for (const uint64_t weight : weights) sum += weight;
  uint64_t dice = random.Below(sum);
  size_t chosen = 0;
  while (dice >= weights[chosen]) dice -= weights[chosen++];
  return static_cast<Kind>(chosen);
}

}  // namespace

const char* KindName(Kind kind) { return kWeights[static_cast<int>(kind)].name; }

std::vector<HostileAction> DrawPlan(uint64_t seed, uint64_t actions) {
  runtime::SeededRandom random(seed);
  const std::array<uint64_t, kKinds> weights = DrawWeights(random);
  std::vector<HostileAction> plan;
  absl::Duration at;
  // Some seeds crowd everything into no time, others leave room for answers.
  const uint64_t pace = 200 + random.Below(12'000);
  for (uint64_t i = 0; i < actions; ++i) {
    at += absl::Microseconds(random.Below(pace));
    HostileAction action;
    action.at = at;
    // A state with something in it comes first.
    action.kind = i == 0 ? Kind::kRecover : i < 6 ? Kind::kEvents : Draw(random, weights);
    action.a = random.NextUint64();
    action.b = random.NextUint64();
    action.c = random.NextUint64();
    plan.push_back(action);
  }
  return plan;
}

std::vector<std::string> DescribePlan(const std::vector<HostileAction>& plan) {
  std::vector<std::string> lines;
  for (const HostileAction& action : plan) {
    lines.push_back(absl::StrFormat("%10.3f ms  %-12s a=%x b=%x c=%x",
                                    absl::ToDoubleMilliseconds(action.at), KindName(action.kind),
                                    action.a, action.b, action.c));
  }
  return lines;
}

}  // namespace coffer::sim
