#include "enclave_core/ethereum/ticket_broker.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

constexpr size_t kAuxDataBytes = 64;
constexpr size_t kSignatureBytes = 65;
// The Ticket tuple: six static words, the offset of auxData, auxData.
constexpr size_t kTicketHeadWords = 7;
constexpr size_t kTicketBytes = kTicketHeadWords * abi::kWord + abi::BytesSize(kAuxDataBytes);

std::string AuxDataBytes(const TicketAuxData& aux) {
  std::string out;
  abi::AppendUint(aux.creation_round, out);
  abi::AppendHash(aux.creation_round_block_hash, out);
  return out;
}

void AppendTicket(const Ticket& ticket, std::string& out) {
  abi::AppendAddress(ticket.recipient, out);
  abi::AppendAddress(ticket.sender, out);
  abi::AppendUint(ticket.face_value, out);
  abi::AppendUint(ticket.win_prob, out);
  abi::AppendUint(ticket.sender_nonce, out);
  abi::AppendHash(ticket.recipient_rand_hash, out);
  abi::AppendUint(kTicketHeadWords * abi::kWord, out);
  abi::AppendBytes(AuxDataBytes(ticket.aux_data), out);
}

// The length of an array of `count` dynamic elements and their offsets, which count from behind the
// length.
void AppendArrayHead(size_t count, size_t element_bytes, std::string& out) {
  abi::AppendUint(count, out);
  for (size_t i = 0; i < count; ++i) {
    abi::AppendUint(count * abi::kWord + i * element_bytes, out);
  }
}

}  // namespace

Hash Ticket::TicketHash() const {
  std::string packed;  // abi.encodePacked: addresses take 20 bytes, nothing is padded
  packed.reserve(2 * Address::kSize + 4 * abi::kWord + kAuxDataBytes);
  packed.append(recipient.view()).append(sender.view());
  abi::AppendUint(face_value, packed);
  abi::AppendUint(win_prob, packed);
  abi::AppendUint(sender_nonce, packed);
  abi::AppendHash(recipient_rand_hash, packed);
  packed.append(AuxDataBytes(aux_data));
  return Keccak256(packed);
}

Hash Ticket::SigningHash() const { return Eip191Hash(TicketHash().view()); }

Hash RecipientRandHash(const U256& recipient_rand) { return Keccak256(ToBytes32(recipient_rand)); }

std::string EncodeRedeemWinningTicket(const SignedTicket& ticket) {
  constexpr size_t kHead = 3 * abi::kWord;
  std::string out = abi::Selector(
      "redeemWinningTicket((address,address,uint256,uint256,uint256,bytes32,bytes),bytes,uint256)");
  out.reserve(out.size() + kHead + kTicketBytes + abi::BytesSize(kSignatureBytes));
  abi::AppendUint(kHead, out);
  abi::AppendUint(kHead + kTicketBytes, out);
  abi::AppendUint(ticket.recipient_rand, out);
  AppendTicket(ticket.ticket, out);
  abi::AppendBytes(ticket.signature.ToBytes65(), out);
  return out;
}

std::string EncodeBatchRedeemWinningTickets(absl::Span<const SignedTicket> tickets) {
  constexpr size_t kHead = 3 * abi::kWord;
  constexpr size_t kSignature = abi::BytesSize(kSignatureBytes);
  const size_t count = tickets.size();
  const size_t tickets_bytes = abi::kWord + count * (abi::kWord + kTicketBytes);
  const size_t signatures_bytes = abi::kWord + count * (abi::kWord + kSignature);

  std::string out = abi::Selector(
      "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],"
      "bytes[],uint256[])");
  out.reserve(out.size() + kHead + tickets_bytes + signatures_bytes + abi::kWord * (1 + count));
  abi::AppendUint(kHead, out);
  abi::AppendUint(kHead + tickets_bytes, out);
  abi::AppendUint(kHead + tickets_bytes + signatures_bytes, out);
  AppendArrayHead(count, kTicketBytes, out);
  for (const SignedTicket& ticket : tickets) AppendTicket(ticket.ticket, out);
  AppendArrayHead(count, kSignature, out);
  for (const SignedTicket& ticket : tickets) {
    abi::AppendBytes(ticket.signature.ToBytes65(), out);
  }
  abi::AppendUint(count, out);
  for (const SignedTicket& ticket : tickets) abi::AppendUint(ticket.recipient_rand, out);
  return out;
}

std::string EncodeFundDeposit() { return abi::Selector("fundDeposit()"); }

std::string EncodeFundReserve() { return abi::Selector("fundReserve()"); }

}  // namespace coffer::ethereum
