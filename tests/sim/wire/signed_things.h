// What the enclave signs, read with a decoder of the auditor's own: type-2 transactions, the
// calldata of TicketBroker's redemptions, fundings and withdrawals, tickets; and what a receipt's
// logs say was paid. Written from EIP-1559, the contract ABI specification and livepeer/protocol's
// contracts/pm; shares keccak, RLP, key recovery and nothing else with the enclave.
#ifndef COFFER_TESTS_SIM_WIRE_SIGNED_THINGS_H_
#define COFFER_TESTS_SIM_WIRE_SIGNED_THINGS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "enclave_core/ethereum/types.h"
#include "proto/payouts.pb.h"

namespace coffer::sim::wire {

using ethereum::Address;
using ethereum::Hash;
using ethereum::U256;

struct Ticket {
  Address recipient;
  Address sender;
  U256 face_value;  // wei
  U256 win_prob;
  U256 sender_nonce;
  U256 recipient_rand;  // the redemption's, whose hash the ticket has
  U256 creation_round;
  Hash creation_round_block_hash;
  Hash hash;
};

struct SignedTransaction {
  enum class Kind {
    kTransfer,
    kRedeem,
    kBatchRedeem,
    kFundDeposit,
    kFundReserve,
    kUnlock,
    kWithdraw
  };
  Kind kind = Kind::kTransfer;
  Address signer;
  Hash hash;
  U256 chain_id, nonce, gas_limit, max_fee, max_priority_fee, value;
  Address to;
  std::vector<Ticket> tickets;
};

// Empty, or a sentence about what is wrong with these bytes: not a type-2 transaction of one of
// `signers`, an access list, calldata that is none of the six calls, a ticket that the
// transaction's signer did not sign.
std::string ReadTransaction(std::string_view raw, absl::Span<const Address> signers,
                            const Address& broker, SignedTransaction* out);

// One ticket that a receipt says was redeemed.
struct Redemption {
  Address sender;
  Address recipient;
  U256 face_value;
  U256 win_prob;
  U256 sender_nonce;
  U256 recipient_rand;
  U256 creation_round;
  Hash creation_round_block_hash;
  U256 paid;  // wei; 0 without a transfer event
  bool Redeems(const Ticket& ticket) const;
};

// What `broker`'s events in these logs say was redeemed, of whomever's tickets. Logs that make no
// sense are skipped: whether the enclave may accept them is asked where its answer is known.
std::vector<Redemption> ReadRedemptions(
    const Address& broker, const google::protobuf::RepeatedPtrField<boundary::v1::Log>& logs);

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_SIGNED_THINGS_H_
