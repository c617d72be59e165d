#include "enclave_core/ethereum/ticket_broker.h"

#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"

namespace coffer::ethereum {
namespace {

RedemptionArguments ArgumentsOf(const SignedTicket& ticket) {
  return {ticket.ticket, ticket.signature.ToBytes65(), ticket.recipient_rand};
}

}  // namespace

std::string TicketAuxData::ToBytes64() const {
  std::string out;
  abi::AppendUint(creation_round, out);
  abi::AppendHash(creation_round_block_hash, out);
  return out;
}

Hash Ticket::TicketHash() const {
  std::string packed;  // abi.encodePacked: addresses take 20 bytes, nothing is padded
  packed.reserve(2 * Address::kSize + 4 * abi::kWord + 2 * abi::kWord);
  packed.append(recipient.view()).append(sender.view());
  abi::AppendUint(face_value, packed);
  abi::AppendUint(win_prob, packed);
  abi::AppendUint(sender_nonce, packed);
  abi::AppendHash(recipient_rand_hash, packed);
  packed.append(aux_data.ToBytes64());
  return Keccak256(packed);
}

Hash Ticket::SigningHash() const { return Eip191Hash(TicketHash().view()); }

Hash RecipientRandHash(const U256& recipient_rand) { return Keccak256(ToBytes32(recipient_rand)); }

std::string EncodeRedeemWinningTicket(const SignedTicket& ticket) {
  return EncodeBrokerCall({BrokerCall::Kind::kRedeem, {ArgumentsOf(ticket)}});
}

std::string EncodeBatchRedeemWinningTickets(absl::Span<const SignedTicket> tickets) {
  BrokerCall call{BrokerCall::Kind::kBatchRedeem, {}};
  call.tickets.reserve(tickets.size());
  for (const SignedTicket& ticket : tickets) call.tickets.push_back(ArgumentsOf(ticket));
  return EncodeBrokerCall(call);
}

std::string EncodeFundDeposit() { return EncodeBrokerCall({BrokerCall::Kind::kFundDeposit, {}}); }

std::string EncodeFundReserve() { return EncodeBrokerCall({BrokerCall::Kind::kFundReserve, {}}); }

// No BrokerCall::Kind: DecodeBrokerCall reads what a client of the signer profile may ask for.
std::string EncodeUnlock() { return abi::Selector("unlock()"); }

std::string EncodeWithdraw() { return abi::Selector("withdraw()"); }

}  // namespace coffer::ethereum
