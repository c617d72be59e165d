// Calldata of the four calls of TicketBroker that Coffer knows, read strictly: only what solc's and
// ethers' encoders write is accepted (offsets where they put them, clean padding, no trailing
// bytes).
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_CALLS_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_CALLS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/ticket_broker.h"

namespace coffer::ethereum {

// A ticket as a redemption names it. The signature is any 65 bytes: whether it is good is the
// contract's business.
struct RedemptionArguments {
  Ticket ticket;
  std::string signature;  // 65 bytes
  U256 recipient_rand;
  bool operator==(const RedemptionArguments&) const = default;
};

struct BrokerCall {
  enum class Kind { kRedeem, kBatchRedeem, kFundDeposit, kFundReserve };
  Kind kind = Kind::kRedeem;
  std::vector<RedemptionArguments> tickets;  // one for kRedeem, none for fundings
  bool operator==(const BrokerCall&) const = default;
};

// InvalidArgument says what is wrong and where: an unknown selector (with its hex), a wrong length,
// more than `max_tickets`, an auxData that is not 64 bytes, a creation round of 2^64 or more, or
// bytes other than the encoder's.
absl::StatusOr<BrokerCall> DecodeBrokerCall(std::string_view calldata, size_t max_tickets);

// The inverse, byte for byte.
std::string EncodeBrokerCall(const BrokerCall& call);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_CALLS_H_
