#include "enclave_core/payouts/signing.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::payouts {
namespace {

using ethereum::SignedTicket;
using ethereum::U256;

// The preimage that lets a ticket be redeemed. It is a function of the key, so that a ticket can be
// made again, byte for byte, from what is sealed.
U256 DeriveRecipientRand(const ethereum::PrivateKey& key, uint64_t sender_nonce) {
  const std::string secret = key.Derive(absl::StrCat("recipientRand v1:", sender_nonce));
  absl::StatusOr<U256> rand = ethereum::U256FromBytes(secret);
  COFFER_CHECK(rand.ok(), "a derived secret has 32 bytes");
  return *rand;
}

// `hash` becomes the ticket's.
SignedTicket MakeTicket(const ethereum::PrivateKey& key, const SigningJob& job,
                        const SigningJob::TicketToSign& wanted, ethereum::Hash* hash) {
  SignedTicket out;
  out.recipient_rand = wanted.secrets.has_value() ? wanted.secrets->recipient_rand
                                                  : DeriveRecipientRand(key, wanted.sender_nonce);
  out.ticket.recipient = wanted.recipient;
  out.ticket.sender = key.address();
  out.ticket.face_value = ledger::ToU256(wanted.face_value);
  out.ticket.sender_nonce = wanted.sender_nonce;
  out.ticket.recipient_rand_hash = ethereum::Keccak256(ethereum::ToBytes32(out.recipient_rand));
  out.ticket.aux_data = job.aux_data;
  *hash = out.ticket.TicketHash();
  if (wanted.secrets.has_value()) {
    COFFER_CHECK(*hash == wanted.secrets->ticket_hash, "I3: a ticket changed");
    out.signature = wanted.secrets->signature;
  } else {
    out.signature = key.Sign(ethereum::Eip191Hash(hash->view()));  // Ticket::SigningHash
  }
  return out;
}

std::string Calldata(const ethereum::PrivateKey& key, const SigningJob& job,
                     std::vector<TicketSecrets>* secrets) {
  std::vector<SignedTicket> tickets;
  switch (job.strategy) {
    case boundary::v1::STRATEGY_ETH_TRANSFER:
    case boundary::v1::STRATEGY_SWEEP:
      return "";
    case boundary::v1::STRATEGY_FUND_DEPOSIT:
      return ethereum::EncodeFundDeposit();
    case boundary::v1::STRATEGY_FUND_RESERVE:
      return ethereum::EncodeFundReserve();
    case boundary::v1::STRATEGY_UNLOCK:
      return ethereum::EncodeUnlock();
    case boundary::v1::STRATEGY_WITHDRAW:
      return ethereum::EncodeWithdraw();
    default:
      break;
  }
  COFFER_CHECK(!job.tickets.empty(), "a redemption without tickets");
  tickets.reserve(job.tickets.size());
  for (const SigningJob::TicketToSign& wanted : job.tickets) {
    ethereum::Hash hash;
    tickets.push_back(MakeTicket(key, job, wanted, &hash));
    const SignedTicket& made = tickets.back();
    if (job.first_signing) secrets->push_back({hash, made.signature, made.recipient_rand});
  }
  return tickets.size() == 1 ? ethereum::EncodeRedeemWinningTicket(tickets[0])
                             : ethereum::EncodeBatchRedeemWinningTickets(tickets);
}

}  // namespace

SigningResult Sign(const ethereum::PrivateKey& key, const SigningJob& job) {
  COFFER_CHECK(key.address() == job.sender, "a job of another signing key");
  SigningResult result;
  result.payout_id = job.payout_id;
  ethereum::Transaction tx;
  tx.type = ethereum::Transaction::Type::kDynamicFee;
  tx.chain_id = job.chain_id;
  tx.nonce = job.nonce;
  tx.gas_limit = job.fees.gas_limit;
  tx.max_fee_per_gas = ledger::ToU256(job.fees.max_fee_per_gas);
  tx.max_priority_fee_per_gas = ledger::ToU256(job.fees.max_priority_fee_per_gas);
  tx.to = job.to;
  tx.value = job.value;
  tx.data = Calldata(key, job, &result.tickets);
  const ethereum::SignedTransaction signed_tx = ethereum::SignTransaction(std::move(tx), key);
  result.attempt.nonce = job.nonce;
  result.attempt.fees = job.fees;
  result.attempt.raw_tx = signed_tx.Encode();
  result.attempt.tx_hash = ethereum::Keccak256(result.attempt.raw_tx);
  return result;
}

}  // namespace coffer::payouts
