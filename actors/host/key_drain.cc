#include "actors/host/key_drain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "actors/host/payout_tracker.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {

absl::uint128 KeyDrain::SweepAmount(const ChainState& chain, const Fees& fees,
                                    uint64_t transfer_gas) {
  const absl::uint128 kept = 3 * fees.max_fee * transfer_gas;
  return chain.balance > 2 * kept ? chain.balance - kept : 0;
}

KeyDrain::Step KeyDrain::Due(const ChainState& chain, const Fees& fees, uint64_t transfer_gas) {
  const bool at_broker = chain.has_broker && (chain.deposit != 0 || chain.reserve != 0);
  if (!at_broker && SweepAmount(chain, fees, transfer_gas) == 0) {
    // Behind one URL there may be many nodes, some of them late, and retiring is for ever.
    const uint32_t wanted = std::max(options_.reorg_readings, 1u);
    empty_readings_ = std::min(empty_readings_ + 1, wanted);
    return empty_readings_ == wanted ? Step::kRetire : Step::kMakeSure;
  }
  empty_readings_ = 0;
  if (!options_.drain_funds) return Step::kKeep;
  if (!at_broker) return Step::kSweep;
  if (chain.withdraw_round == 0) return Step::kUnlock;
  return Unlocked(chain) ? Step::kWithdraw : Step::kAwaitRound;
}

KeyDrain::Step KeyDrain::Next(const ChainState& chain, const Fees& fees, uint64_t transfer_gas,
                              absl::Time now) {
  const Step step = due_ = Due(chain, fees, transfer_gas);
  return step == last_ && now < not_before_ ? Step::kBackOff : step;
}

void KeyDrain::Asked(Step step, absl::Time now) {
  failures_ = step == last_ ? failures_ + 1 : 1;
  last_ = step;
  not_before_ = now + RetryDelay(failures_, options_);
}

std::string KeyDrain::Words(Step step, const ChainState& chain) {
  switch (step) {
    case Step::kUnlock:
      return "unlocks its deposit and reserve";
    case Step::kAwaitRound:
      return absl::StrCat("its deposit and reserve are unlocked and can be withdrawn from round ",
                          chain.withdraw_round, " on; it is round ", chain.round);
    case Step::kWithdraw:
      return "withdraws its deposit and reserve";
    case Step::kSweep:
      return "sends its balance to the key that follows it";
    case Step::kMakeSure:
      return "has nothing of worth left; more readings have to say so";
    case Step::kRetire:
      return "is being retired";
    case Step::kKeep:
      return absl::StrCat("has no payout open, and is kept for the funds that it has: ",
                          ledger::ToDecimal(chain.deposit + chain.reserve),
                          " wei at the broker and ", ledger::ToDecimal(chain.balance),
                          " wei on its address");
    case Step::kBackOff:
      return "tried its last step in vain, and tries it again later";
  }
  return "unknown";
}

}  // namespace coffer::host
