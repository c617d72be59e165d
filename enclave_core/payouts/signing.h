// What the signer does: from a job that the authority has checked and reserved for, to signed
// bytes. A pure function of the key and the job (RFC 6979 nonces, derived recipientRand), so asking
// twice gives the same bytes.
#ifndef COFFER_ENCLAVE_CORE_PAYOUTS_SIGNING_H_
#define COFFER_ENCLAVE_CORE_PAYOUTS_SIGNING_H_

#include <cstdint>
#include <vector>

#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/payouts/payout.h"

namespace coffer::payouts {

// One transaction to sign. Everything in it comes from sealed state and the policy, nothing from a
// request (I10).
struct SigningJob {
  uint64_t payout_id = 0;
  Strategy strategy = boundary::v1::STRATEGY_UNSPECIFIED;
  ethereum::Address sender;  // of the signing key
  uint64_t chain_id = 0;
  ethereum::Address to;  // the broker, the recipient of a transfer, or of a sweep the next key
  ethereum::U256 value;  // wei: a transfer, a funding or a sweep
  uint64_t nonce = 0;
  Fees fees;
  struct TicketToSign {
    uint64_t sender_nonce = 0;
    ethereum::Address recipient;
    Wei face_value = 0;
    std::optional<TicketSecrets> secrets;  // when it was signed before
  };
  std::vector<TicketToSign> tickets;  // LIVEPEER_TICKET: those that this transaction redeems
  ethereum::TicketAuxData aux_data;
  bool first_signing = false;  // the tickets are all new, and are part of the result
};

struct SigningResult {
  uint64_t payout_id = 0;
  Attempt attempt;
  std::vector<TicketSecrets> tickets;  // first_signing only
};

// `key` is the one of job.sender.
SigningResult Sign(const ethereum::PrivateKey& key, const SigningJob& job);

}  // namespace coffer::payouts

#endif  // COFFER_ENCLAVE_CORE_PAYOUTS_SIGNING_H_
