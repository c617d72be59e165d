// Sends one call to a contract as an EIP-1559 transaction and waits until it is mined, with more
// fees when it is stuck.
#ifndef COFFER_TOOLS_CHECKPOINT_SENDER_H_
#define COFFER_TOOLS_CHECKPOINT_SENDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/fees.h"
#include "actors/host/rpc_types.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"
#include "tools/blocking_chain.h"

namespace coffer::tools {

struct SenderOptions {
  uint64_t chain_id = 0;
  absl::uint128 max_fee = 0;  // wei per gas, the ceiling, bumps included
  // In which a transaction must be mined; after it the same nonce goes out with higher fees.
  absl::Duration stuck_after = absl::Minutes(2);
  absl::Duration poll = absl::Seconds(1);
  int max_bumps = 4;
};

// What would be sent, or what was.
struct CallPlan {
  ethereum::Address to;
  std::string data;
  uint64_t nonce = 0;
  uint64_t gas_limit = 0;
  host::Fees fees;
};

class CheckpointSender {
 public:
  // Both outlive this object. Without a key there are only plans.
  CheckpointSender(BlockingChain* chain, const ethereum::PrivateKey* key, SenderOptions options)
      : chain_(chain), key_(key), options_(options) {}

  // Nonce, gas and fees as the chain is now. FailedPrecondition with a sentence when the call would
  // revert, the account cannot pay for it, or the chain asks more than the ceiling.
  absl::StatusOr<CallPlan> Plan(const ethereum::Address& to, std::string data);
  // Signs, sends, waits. The receipt is of whichever of the transactions was mined; it may say
  // that the call reverted. DeadlineExceeded when none was, with the last hash.
  absl::StatusOr<host::Receipt> Send(CallPlan plan);

 private:
  absl::StatusOr<host::Fees> MarketFees(absl::uint128* base_fee, absl::uint128* tip);
  host::FeeLimits Limits() const;
  absl::Status CheckBalance(const CallPlan& plan);
  enum class Outcome { kTaken, kUnderpriced, kNonceSpent };
  absl::StatusOr<Outcome> Broadcast(const CallPlan& plan, std::vector<ethereum::Hash>& sent);
  absl::StatusOr<std::optional<host::Receipt>> AwaitAny(const std::vector<ethereum::Hash>& sent,
                                                        absl::Duration patience);

  BlockingChain* const chain_;
  const ethereum::PrivateKey* const key_;
  const SenderOptions options_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_CHECKPOINT_SENDER_H_
