// What the host reads from the TicketBroker, its Controller and its RoundsManager by eth_call:
// calldata and answers. The answers are the host's claim, never a proof.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_READS_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_READS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum {

// TicketBroker.
std::string EncodeGetSenderInfo(const Address& sender);       // -> DecodeSenderInfo
std::string EncodeUsedTickets(const Hash& ticket_hash);       // -> DecodeBool
std::string EncodeTicketValidityPeriod();                     // -> DecodeUint, rounds
std::string EncodeController();                               // -> DecodeAddress
std::string EncodeIsUnlockInProgress(const Address& sender);  // -> DecodeBool
std::string EncodeClaimableReserve(const Address& reserve_holder,
                                   const Address& claimant);  // -> DecodeUint, wei
// Controller. The contract's id is keccak-256 of its name ("RoundsManager", "TicketBroker").
std::string EncodeGetContract(std::string_view name);  // -> DecodeAddress
std::string EncodePaused();                            // -> DecodeBool
// RoundsManager.
std::string EncodeCurrentRound();                     // -> DecodeUint
std::string EncodeCurrentRoundInitialized();          // -> DecodeBool
std::string EncodeBlockHashForRound(uint64_t round);  // -> DecodeBytes32

struct SenderInfo {
  U256 deposit;                   // wei
  uint64_t withdraw_round = 0;    // 0: no unlock in progress
  U256 reserve_funds_remaining;   // wei
  U256 claimed_in_current_round;  // wei
  bool operator==(const SenderInfo&) const = default;
};
// Exactly four words.
absl::StatusOr<SenderInfo> DecodeSenderInfo(std::string_view answer);

// An answer of exactly one word. An empty answer means that there is no such contract at the
// address asked.
absl::StatusOr<U256> DecodeUint(std::string_view answer);
absl::StatusOr<bool> DecodeBool(std::string_view answer);
absl::StatusOr<Address> DecodeAddress(std::string_view answer);
absl::StatusOr<Hash> DecodeBytes32(std::string_view answer);

inline constexpr size_t kMaxRevertReason = 256;  // bytes of the contract's own text

// The data of a failed eth_call in words: the text of Error(string), "Panic 0x.." with its meaning,
// or what else was there. Never an error: this is for logs and for matching the broker's sentences.
// Unprintable bytes are escaped.
std::string DecodeRevertReason(std::string_view data);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_TICKET_BROKER_READS_H_
