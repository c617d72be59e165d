// What becomes of a draining signing key's own funds once none of its payouts is open: the deposit
// is unlocked and, rounds later, withdrawn, what is then on the address goes to the key that
// follows, and the key is retired.
//
// Level-triggered like the driver that asks it: each step is what a reading of the chain calls for,
// so a restart between two of them loses nothing but how long was waited.
#ifndef COFFER_ACTORS_HOST_KEY_DRAIN_H_
#define COFFER_ACTORS_HOST_KEY_DRAIN_H_

#include <cstdint>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/time/time.h"
#include "actors/host/chain_reader.h"
#include "actors/host/fees.h"
#include "actors/host/payout_options.h"

namespace coffer::host {

class KeyDrain {
 public:
  enum class Step : uint8_t {
    kUnlock,
    kAwaitRound,  // unlocked; it can be withdrawn from the reading's withdraw_round on
    kWithdraw,
    kSweep,
    kMakeSure,  // nothing of worth is left; as many readings have to say so as a reorg needs
    kRetire,
    kKeep,     // there are funds, and they are to stay
    kBackOff,  // the last step was in vain
  };

  // `options` outlives this object.
  explicit KeyDrain(const PayoutDriverOptions& options) : options_(options) {}

  // Once a reading of the chain, and only while no payout of the key is open and the receipts of
  // all of them are deep. `transfer_gas`: the gas limit of a plain transfer.
  Step Next(const ChainState& chain, const Fees& fees, uint64_t transfer_gas, absl::Time now);
  // `step` was asked of the enclave: when it is due again after that, it was in vain, and waits.
  void Asked(Step step, absl::Time now);
  // Something of the key is open again.
  void Disturbed() {
    empty_readings_ = 0;
    due_ = Step::kMakeSure;
  }
  // For a round, or for somebody who takes the funds: there is no hurry to read again.
  bool Waits() const { return due_ == Step::kAwaitRound || due_ == Step::kKeep; }

  // What a sweep moves, in wei: the balance without three times what the transaction may cost at
  // its fees, so that there is gas for a replacement when it is stuck (which then pays more than
  // twice as much, since fees are twice the base fee). 0 unless it moves more than that again.
  static absl::uint128 SweepAmount(const ChainState& chain, const Fees& fees,
                                   uint64_t transfer_gas);
  // For the operator.
  static std::string Words(Step step, const ChainState& chain);

 private:
  Step Due(const ChainState& chain, const Fees& fees, uint64_t transfer_gas);

  const PayoutDriverOptions& options_;
  Step due_ = Step::kMakeSure;  // by the last reading
  Step last_ = Step::kKeep;     // of those that were asked for
  uint32_t failures_ = 0;
  absl::Time not_before_ = absl::InfinitePast();
  uint32_t empty_readings_ = 0;  // in a row
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_DRAIN_H_
