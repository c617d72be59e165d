// Livepeer's TicketBroker: tickets, the calldata of the four calls Coffer makes, and the events
// that say what was paid. Source of every rule: livepeer/protocol, contracts/pm (TicketBroker,
// MixinTicketBrokerCore, MixinReserve).
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum {

// creationRound (uint256) || creationRoundBlockHash: the 64 bytes of auxData.
struct TicketAuxData {
  uint64_t creation_round = 0;
  Hash creation_round_block_hash;
  std::string ToBytes64() const;
  bool operator==(const TicketAuxData&) const = default;
};

struct Ticket {
  Address recipient;
  Address sender;
  U256 face_value;           // wei
  U256 win_prob = ~U256(0);  // 2^256-1: always wins, which is how a payer uses tickets
  U256 sender_nonce;
  Hash recipient_rand_hash;  // keccak-256(uint256 recipientRand)
  TicketAuxData aux_data;
  bool operator==(const Ticket&) const = default;

  // keccak-256 of the packed fields. It names neither chain nor contract.
  Hash TicketHash() const;
  // What is signed: the EIP-191 hash of the 32 bytes of TicketHash().
  Hash SigningHash() const;
};

struct SignedTicket {
  Ticket ticket;
  Signature signature;
  U256 recipient_rand;
};

// keccak-256 of the 32 bytes of recipientRand: what a ticket commits to.
Hash RecipientRandHash(const U256& recipient_rand);

// Calldata, selector included, encoded as solc's own encoder does.
std::string EncodeRedeemWinningTicket(const SignedTicket& ticket);
// The contract swallows the failure of single tickets; only the events say which were paid. An
// empty batch is encoded too.
std::string EncodeBatchRedeemWinningTickets(absl::Span<const SignedTicket> tickets);
std::string EncodeFundDeposit();
std::string EncodeFundReserve();
// Of a sender that gives up: no ticket of it pays once the unlock period is over, and then deposit
// and reserve can be withdrawn to it.
std::string EncodeUnlock();
std::string EncodeWithdraw();

// One log of a receipt. topics: at most 4.
struct Log {
  Address address;
  std::vector<Hash> topics;
  std::string data;
  uint64_t log_index = 0;
};

// One ticket that a transaction redeemed, and what it paid.
struct Redemption {
  Address sender;
  Address recipient;
  U256 face_value;
  U256 win_prob;
  U256 sender_nonce;
  U256 recipient_rand;
  TicketAuxData aux_data;
  // WinningTicketTransfer.amount; 0 when that event was absent (nothing was paid, the ticket is
  // burnt all the same).
  U256 paid;  // wei
};

// Reads the redemptions out of a receipt's logs, in their order. Only logs of `broker` count. A
// WinningTicketTransfer belongs to the next WinningTicketRedeemed with the same sender and
// recipient and no other Redeemed of the broker in between. Malformed logs of the broker, a
// transfer without its redemption, and an amount above the face value are errors.
absl::StatusOr<std::vector<Redemption>> DecodeRedemptions(const Address& broker,
                                                          absl::Span<const Log> logs);

// Topic 0 of the events, for eth_getLogs.
const Hash& WinningTicketTransferTopic();
const Hash& WinningTicketRedeemedTopic();

struct Funding {
  enum class Kind { kDeposit, kReserve };
  Kind kind;
  Address sender;
  U256 amount;  // wei
};
// DepositFunded and ReserveFunded of `broker`.
absl::StatusOr<std::vector<Funding>> DecodeFundings(const Address& broker,
                                                    absl::Span<const Log> logs);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_H_
