#include "tests/sim/plan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "runtime/random.h"

namespace coffer::sim {
namespace {

using runtime::Random;
using runtime::SeededRandom;

// How an action's numbers are drawn.
enum class Draw : uint8_t {
  kNone,
  kAccountAmount,
  kAny,
  kMillis,       // short, now and then longer than every time-out
  kMillisCount,  // and a count of operations
  kFew,          // 1..4
  kDepth,
  kWei,
  kClock,
  kLong,  // ms, seconds of them
};

struct Entry {
  What what;
  std::string_view name;
  Draw draw;
  uint64_t
      weight;  // the usual one; a seed takes from nothing to four times as much; 0: AddRotations
  bool fault;  // many seeds leave it out altogether
};

constexpr std::array<Entry, kWhats> kEntries = {{
    {What::kCredit, "credit", Draw::kAccountAmount, 300, false},
    {What::kCorrection, "correction", Draw::kAccountAmount, 30, false},
    {What::kRepeatLine, "repeat-line", Draw::kAny, 20, false},
    {What::kSkippedLine, "skipped-line", Draw::kAny, 15, false},
    {What::kBadLine, "bad-line", Draw::kAny, 15, false},
    {What::kPartialLine, "partial-line", Draw::kAccountAmount, 15, false},
    {What::kUnknownAccount, "unknown-account", Draw::kAccountAmount, 15, false},
    {What::kRegister, "register", Draw::kNone, 5, false},
    {What::kRotate, "rotate", Draw::kAny, 8, true},
    {What::kTruncate, "truncate", Draw::kAny, 5, true},
    {What::kDamage, "damage", Draw::kAny, 3, true},
    {What::kCopyTruncate, "copy-truncate", Draw::kNone, 4, true},
    {What::kApiCredit, "api-credit", Draw::kAccountAmount, 60, false},
    {What::kApiCorrection, "api-correction", Draw::kAccountAmount, 15, false},
    {What::kApiRepeat, "api-repeat", Draw::kAny, 15, false},
    {What::kApiConflict, "api-conflict", Draw::kAny, 10, false},
    {What::kApiRedirect, "api-redirect", Draw::kAny, 10, false},
    {What::kRunNow, "run-now", Draw::kNone, 20, false},
    {What::kPauseDriver, "pause-driver", Draw::kMillis, 3, true},
    {What::kKillEnclave, "kill-enclave", Draw::kMillisCount, 10, true},
    {What::kKillHost, "kill-host", Draw::kMillisCount, 10, true},
    {What::kPowerLoss, "power-loss", Draw::kMillisCount, 8, true},
    {What::kPowerLossAtWrite, "power-loss-at-write", Draw::kMillisCount, 8, true},
    {What::kCutLink, "cut-link", Draw::kNone, 15, true},
    {What::kPartition, "partition", Draw::kMillis, 5, true},
    {What::kStopEnclave, "stop-enclave", Draw::kMillis, 4, true},
    {What::kDiskError, "disk-error", Draw::kMillisCount, 3, true},
    {What::kSyncError, "sync-error", Draw::kMillisCount, 3, true},
    {What::kDiskFull, "disk-full", Draw::kLong, 4, true},
    {What::kBitFlip, "bit-flip", Draw::kAny, 3, true},
    {What::kLogDiskError, "log-disk-error", Draw::kMillisCount, 3, true},
    {What::kLogSyncError, "log-sync-error", Draw::kNone, 3, true},
    {What::kLogDiskFull, "log-disk-full", Draw::kMillis, 3, true},
    {What::kClockJump, "clock-jump", Draw::kClock, 3, true},
    {What::kMine, "mine", Draw::kFew, 200, false},
    {What::kMineFailing, "mine-failing", Draw::kFew, 20, true},
    {What::kReorg, "reorg", Draw::kDepth, 15, true},
    {What::kStranger, "stranger", Draw::kAny, 20, true},
    {What::kDropPending, "drop-pending", Draw::kAny, 15, true},
    {What::kSwapReplaced, "swap-replaced", Draw::kAny, 10, true},
    {What::kResurface, "resurface", Draw::kAny, 10, true},
    {What::kBaseFee, "base-fee", Draw::kAny, 10, true},
    {What::kRound, "round", Draw::kAny, 10, true},
    {What::kInitializeRound, "initialize-round", Draw::kNone, 10, false},
    {What::kPauseBroker, "pause-broker", Draw::kMillis, 4, true},
    {What::kFailInner, "fail-inner", Draw::kFew, 10, true},
    {What::kDeposit, "deposit", Draw::kWei, 20, false},
    {What::kReserve, "reserve", Draw::kWei, 10, false},
    {What::kEther, "ether", Draw::kWei, 5, false},
    {What::kNodeTrouble, "node-trouble", Draw::kMillisCount, 15, true},
    {What::kNodeDown, "node-down", Draw::kMillisCount, 8, true},
    {What::kSlowSigner, "slow-signer", Draw::kMillis, 15, true},
    {What::kEditRegistry, "edit-registry", Draw::kLong, 3, true},
    {What::kOldTicket, "old-ticket", Draw::kWei, 5, true},
    {What::kRotateStateKey, "rotate-state-key", Draw::kNone, 0, false},
    {What::kRotateSigningKey, "rotate-signing-key", Draw::kNone, 0, false},
}};

constexpr bool InOrder() {
  for (size_t i = 0; i < kWhats; ++i) {
    if (kEntries[i].what != static_cast<What>(i)) return false;
  }
  return true;
}
static_assert(InOrder(), "the table has an entry for each What, in its order");

const Entry& EntryOf(What what) { return kEntries[static_cast<size_t>(what)]; }

uint64_t Millis(Random& random) {
  const uint64_t dice = random.Below(100);
  if (dice < 60) return random.Below(300);
  return dice < 95 ? 300 + random.Below(3000) : 5000 + random.Below(20000);
}

Action DrawAction(Random& random, const Entry& entry) {
  Action action;
  action.what = entry.what;
  switch (entry.draw) {
    case Draw::kNone:
      break;
    case Draw::kAccountAmount:
      action.a = random.Below(1000);
      action.b = 1 + random.Below(random.Below(10) == 0 ? 5'000'000 : 300'000);
      break;
    case Draw::kAny:
      action.a = random.Below(1'000'000);
      action.b = random.Below(1000);
      break;
    case Draw::kMillis:
      action.a = Millis(random);
      break;
    case Draw::kMillisCount:
      action.a = Millis(random);
      action.b = 1 + random.Below(20);
      break;
    case Draw::kFew:
      action.a = 1 + random.Below(4);
      break;
    case Draw::kDepth:
      action.a = 1 + random.Below(6);
      action.b = random.Below(16);
      break;
    case Draw::kWei:
      action.a = random.Below(20'000'000);
      break;
    case Draw::kClock:
      action.a = random.Below(2);
      action.b = random.Below(200'001);
      break;
    case Draw::kLong:
      action.a = 500 + random.Below(15'000);
      break;
  }
  return action;
}

}  // namespace

std::string_view Name(What what) { return EntryOf(what).name; }

Swarm DrawSwarm(uint64_t seed) {
  SeededRandom random(seed ^ 0x5a4d);
  Swarm swarm;
  // Some seeds have hardly any fault: then what is left is looked at undisturbed.
  const uint64_t calm = random.Below(4) == 0 ? 90 : 40;
  for (const Entry& entry : kEntries) {
    if (entry.weight == 0) continue;  // AddRotations
    uint64_t weight = entry.weight * random.Below(17) / 4;
    if (entry.fault && random.Below(100) < calm) weight = 0;
    if (entry.what == What::kCredit || entry.what == What::kMine) weight += entry.weight / 2;
    swarm.weights[static_cast<size_t>(entry.what)] = weight;
  }
  swarm.pace = absl::Milliseconds(5 + random.Below(100));
  swarm.transfers = random.Below(5) == 0;
  swarm.void_expired = random.Below(3) == 0;
  // A transfer that failed may then get a second nonce, and a reorg that undoes the failure pays it
  // twice, whoever is honest: that policy needs a chain that is final (docs/threat-model.md, 7).
  if (swarm.transfers && swarm.void_expired) swarm.weights[static_cast<size_t>(What::kReorg)] = 0;
  swarm.small_deposit = random.Below(3) == 0;
  swarm.confirmations = random.Below(2) == 0 ? 1 : 2 + static_cast<uint32_t>(random.Below(3));
  swarm.max_tickets = 1 + static_cast<uint32_t>(random.Below(10));
  swarm.max_face_value = random.Below(2) == 0 ? 5'000'000 : 200'000 + random.Below(1'000'000);
  swarm.snapshot_bytes = 2000 + random.Below(40'000);
  swarm.segment_bytes = (8u << 10) << random.Below(5);
  swarm.min_delay = absl::Microseconds(random.Below(50));
  swarm.max_delay = swarm.min_delay + absl::Microseconds(1 + random.Below(10'000));
  swarm.nodes = 1 + static_cast<uint32_t>(random.Below(3));
  swarm.astray = random.Below(4) == 0;
  swarm.signers = 1 + static_cast<uint32_t>(random.Below(3));
  return swarm;
}

std::string Describe(const Swarm& swarm) {
  std::string text = absl::StrCat(
      swarm.transfers ? "transfers" : "tickets", swarm.void_expired ? ", expired ones voided" : "",
      swarm.small_deposit ? ", small deposit" : "", ", confirmations ", swarm.confirmations,
      ", max tickets ", swarm.max_tickets, ", max face value ", swarm.max_face_value,
      ", snapshot after ", swarm.snapshot_bytes, " B, segments ", swarm.segment_bytes, " B, link ",
      absl::FormatDuration(swarm.min_delay), "..", absl::FormatDuration(swarm.max_delay),
      ", signers ", swarm.signers, ", nodes ", swarm.nodes, swarm.astray ? " and one astray" : "",
      ", an action every ", absl::FormatDuration(swarm.pace), "; weights:");
  for (const Entry& entry : kEntries) {
    const uint64_t weight = swarm.weights[static_cast<size_t>(entry.what)];
    if (weight > 0) absl::StrAppend(&text, " ", std::string(entry.name), " ", weight);
  }
  return text;
}

namespace {

// Between the others, so that a swarm's weights say how often these happen: some seeds rotate all
// the time, most now and then, some never.
void AddRotations(SeededRandom random, What what, Plan* plan) {
  const uint64_t one_in = random.Below(4) == 0 ? 0 : 8 + random.Below(120);
  if (one_in == 0) return;
  for (size_t i = 0; i < plan->size(); ++i) {
    if (random.Below(one_in) != 0) continue;
    Action rotate;
    rotate.at = (*plan)[i].at;
    rotate.what = what;
    plan->insert(plan->begin() + static_cast<std::ptrdiff_t>(i++), rotate);
  }
}

}  // namespace

Plan DrawPlan(uint64_t seed, const Swarm& swarm, size_t actions) {
  SeededRandom random(seed ^ 0x91a7);
  uint64_t total = 0;
  for (const uint64_t weight : swarm.weights) total += weight;
  Plan plan;
  absl::Duration at;
  while (plan.size() < actions) {
    uint64_t dice = random.Below(total);
    size_t chosen = 0;
    while (dice >= swarm.weights[chosen]) dice -= swarm.weights[chosen++];
    // Some things come in bursts: a crash during recovery, a reorg of a reorg.
    const uint64_t times = kEntries[chosen].fault && random.Below(4) == 0 ? 2 + random.Below(3) : 1;
    for (uint64_t i = 0; i < times && plan.size() < actions; ++i) {
      at += times > 1 ? absl::Milliseconds(random.Below(60))
                      : absl::Nanoseconds(random.Below(
                            static_cast<uint64_t>(2 * absl::ToInt64Nanoseconds(swarm.pace))));
      plan.push_back(DrawAction(random, kEntries[chosen]));
      plan.back().at = at;
    }
  }
  AddRotations(SeededRandom(seed ^ 0x6e7a), What::kRotateStateKey, &plan);
  AddRotations(SeededRandom(seed ^ 0x51c9), What::kRotateSigningKey, &plan);
  return plan;
}

std::string Describe(const Action& action) {
  return absl::StrFormat("%12.6f s  %-20s %u %u", absl::ToDoubleSeconds(action.at),
                         std::string(Name(action.what)), action.a, action.b);
}

std::string Format(const SavedPlan& saved) {
  std::string text = absl::StrCat("seed ", saved.seed, "\n");
  for (const Action& action : saved.plan) absl::StrAppend(&text, Describe(action), "\n");
  return text;
}

namespace {

bool ParseAction(const std::vector<std::string>& words, Action* action) {
  double seconds = 0;
  if (words.size() != 5 || words[1] != "s" || !absl::SimpleAtod(words[0], &seconds) ||
      !absl::SimpleAtoi(words[3], &action->a) || !absl::SimpleAtoi(words[4], &action->b)) {
    return false;
  }
  action->at = absl::Microseconds(std::llround(seconds * 1e6));
  for (const Entry& entry : kEntries) {
    if (entry.name != words[2]) continue;
    action->what = entry.what;
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<SavedPlan> ParsePlan(std::string_view text) {
  SavedPlan saved;
  bool seeded = false;
  size_t number = 0;
  for (const std::string& line : std::vector<std::string>(
           absl::StrSplit(absl::string_view(text.data(), text.size()), '\n'))) {
    ++number;
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') continue;
    Action action;
    if (words.size() == 2 && words[0] == "seed" && absl::SimpleAtoi(words[1], &saved.seed)) {
      seeded = true;
    } else if (ParseAction(words, &action)) {
      saved.plan.push_back(action);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, " is no action: ", line));
    }
  }
  if (!seeded) return absl::InvalidArgumentError("a plan needs a line \"seed N\"");
  return saved;
}

}  // namespace coffer::sim
