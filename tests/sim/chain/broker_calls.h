// The calls of TicketBroker, read from calldata by a reader that shares nothing with the encoder
// under test.
#ifndef COFFER_TESTS_SIM_CHAIN_BROKER_CALLS_H_
#define COFFER_TESTS_SIM_CHAIN_BROKER_CALLS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "enclave_core/ethereum/types.h"

namespace coffer::sim::chain {

using ethereum::Address;
using ethereum::Hash;
using ethereum::U256;

// A ticket with what is needed to redeem it, as sent: nothing of it was checked.
struct TicketCall {
  Address recipient;
  Address sender;
  U256 face_value;  // wei
  U256 win_prob;
  U256 sender_nonce;
  Hash recipient_rand_hash;
  std::string aux_data;   // 64 bytes in a valid one: creation round, its block hash
  std::string signature;  // 65 bytes in a valid one: r, s, v
  U256 recipient_rand;

  // keccak-256 of the packed fields, as the contract makes it.
  Hash TicketHash() const;
  bool operator==(const TicketCall&) const = default;
};

struct BrokerCall {
  enum class Kind {
    kUnknown,  // no function of the broker, or bytes that it cannot read: reverts without a word
    kFundDeposit,
    kFundReserve,
    kFundDepositAndReserve,
    kRedeem,
    kBatchRedeem,
    kUnlock,
    kWithdraw,
  };
  Kind kind = Kind::kUnknown;
  std::vector<TicketCall> tickets;  // one of kRedeem, any number of kBatchRedeem
  bool lengths_differ = false;      // of the batch's three arrays: Panic 0x32
  U256 deposit_amount;              // of kFundDepositAndReserve
  U256 reserve_amount;
};

BrokerCall DecodeBrokerCall(std::string_view calldata);
// Calldata of kRedeem (one ticket) or kBatchRedeem, for strangers and tests. Arrays of different
// lengths: without the last `signatures_less` signatures and `rands_less` recipientRands.
std::string EncodeRedeem(const TicketCall& ticket);
std::string EncodeBatchRedeem(const std::vector<TicketCall>& tickets, size_t signatures_less = 0,
                              size_t rands_less = 0);

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_BROKER_CALLS_H_
