// What things cost in gas on the simulated chain. The figures are near those measured with the
// deployed contracts; their shape is what matters: a batch that is given too little succeeds, and
// the inner call that ran dry redeemed nothing.
#ifndef COFFER_TESTS_SIM_CHAIN_GAS_H_
#define COFFER_TESTS_SIM_CHAIN_GAS_H_

#include <cstdint>
#include <string_view>

namespace coffer::sim::chain {

inline constexpr uint64_t kTransferGas = 21'000;
inline constexpr uint64_t kFundGas = 40'000;          // beside the intrinsic gas
inline constexpr uint64_t kPlainCallGas = 30'000;     // unlock, withdraw, a call that reverts
inline constexpr uint64_t kBatchGas = 30'000;         // once
inline constexpr uint64_t kBatchTicketGas = 8'000;    // for each ticket, outside its inner call
inline constexpr uint64_t kRedeemGas = 245'000;       // one redemption
inline constexpr uint64_t kRedeemNeeds = 255'000;     // must be there to begin with (63/64 rule)
inline constexpr uint64_t kFailedRedeemGas = 45'000;  // an inner call that reverts

// 21,000, 4 a zero byte and 16 any other (EIP-2028).
uint64_t IntrinsicGas(std::string_view calldata);

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_GAS_H_
