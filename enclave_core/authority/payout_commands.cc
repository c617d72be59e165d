// The commands that lead to a signature: PreparePayout, PrepareFunding, BumpTransaction,
// RetryPayout, and what the signer answers. Signing is reserving (I3): no job leaves here without
// its event.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/error.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_WRONG_STATE;
using ledger::FromProto;
using ledger::ToDecimal;
using ledger::Wei;
using payouts::Attempt;
using payouts::Payout;
using payouts::PendingSignature;
using payouts::SigningJob;
using policy::Fees;

absl::Status UnknownPayout(uint64_t id) {
  return Refuse(boundary::v1::ERROR_UNKNOWN_PAYOUT, absl::StrCat("there is no payout ", id));
}

// Nodes want at least 10% more on both fees of a replacement (geth's rule, per field); 12.5% is the
// customary step.
bool IsBump(const Fees& fees, const Fees& before) {
  const auto enough = [](Wei now, Wei then) { return now >= then + (then + 7) / 8; };
  return enough(fees.max_fee_per_gas, before.max_fee_per_gas) &&
         enough(fees.max_priority_fee_per_gas, before.max_priority_fee_per_gas);
}

absl::Status CheckAttemptBytes(const Payout& payout) {
  size_t bytes = 0;
  for (const Attempt& attempt : payout.attempts) bytes += attempt.raw_tx.size();
  if (bytes < kMaxAttemptBytes) return absl::OkStatus();
  return Refuse(ERROR_WRONG_STATE,
                absl::StrCat("payout ", payout.id, " has ", payout.attempts.size(),
                             " transactions of ", bytes, " bytes together; no more are signed"));
}

}  // namespace

absl::StatusOr<uint64_t> Authority::NextNonce(uint32_t key,
                                              const boundary::v1::ChainReading& reading) const {
  const ethereum::Address& signer = payouts_.keys()[key].address;
  if (!reading.address().empty() && reading.address() != signer.view()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("the reading is of another address than ",
                               ethereum::ToChecksum(signer), ", which is to sign; read again"));
  }
  const std::optional<uint64_t> own = payouts_.keys()[key].next_nonce;
  // A key that has signed nothing starts where the chain is.
  if (!own.has_value()) {
    if (reading.account_nonce() >= UINT64_MAX / 2) {  // EIP-2681 bounds nonces; leave room to count
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    "reading.account_nonce is beyond any real nonce");
    }
    return reading.account_nonce();
  }
  if (reading.account_nonce() > *own) {
    return Refuse(
        boundary::v1::ERROR_NONCE_ALARM,
        absl::StrCat("the chain's nonce is ", reading.account_nonce(),
                     ", the enclave's next one is ", *own,
                     ": the key was used elsewhere or this state is old. Nothing is signed until "
                     "that is reconciled"));
  }
  return *own;
}

absl::Status Authority::CheckItems(const boundary::v1::PreparePayout& request,
                                   sealed::v1::PayoutReserved* reserved) const {
  if (request.items().empty())
    return Refuse(boundary::v1::ERROR_MALFORMED, "a payout needs an item");
  if (request.strategy() == boundary::v1::STRATEGY_ETH_TRANSFER && request.items_size() != 1) {
    return Refuse(boundary::v1::ERROR_MALFORMED, "an eth_transfer pays exactly one account");
  }
  const bool tickets = request.strategy() == boundary::v1::STRATEGY_LIVEPEER_TICKET;
  absl::flat_hash_set<uint64_t> seen;
  Wei total = 0;
  uint64_t sender_nonce = payouts_.next_sender_nonce();
  for (const boundary::v1::PayoutRequestItem& asked : request.items()) {
    const std::optional<uint64_t> index = ledger_.Find(asked.account());
    if (!index.has_value()) return UnknownAccount(asked.account());
    if (!seen.insert(*index).second) {
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    absl::StrCat("account \"", asked.account(), "\" comes twice in one payout"));
    }
    const ledger::Account& account = ledger_.at(*index);
    if (account.recipient.IsZero()) {
      return RefuseByRule(
          "allowed_recipients",
          absl::StrCat("account \"", asked.account(), "\" has the null address as its recipient"));
    }
    if (absl::Status s = policy_.CheckRecipient(account.recipient); !s.ok()) return s;
    const Wei available = account.balances.available;
    const Wei wanted = FromProto(asked.amount());
    const Wei limit = tickets ? policy_.max_face_value : policy_.max_transfer;
    const Wei amount = wanted != 0 ? wanted : std::min(available, limit);
    if (amount == 0) {
      return Refuse(boundary::v1::ERROR_NOTHING_TO_PAY,
                    absl::StrCat("account \"", asked.account(), "\" has nothing available"));
    }
    if (amount > available) {
      return Refuse(boundary::v1::ERROR_INSUFFICIENT,
                    absl::StrCat("account \"", asked.account(), "\" has ", ToDecimal(available),
                                 " wei available, asked for were ", ToDecimal(amount)));
    }
    if (absl::Status s = policy_.CheckItemAmount(request.strategy(), amount); !s.ok()) return s;
    total += amount;  // bounded: distinct accounts, each within what is available
    sealed::v1::ReservedItem* item = reserved->add_items();
    item->set_account(*index);
    ledger::ToProto(amount, item->mutable_amount());
    if (tickets) item->set_sender_nonce(sender_nonce++);
  }
  if (!tickets) return absl::OkStatus();
  if (absl::Status s = policy_.CheckBatch(static_cast<uint64_t>(request.items_size()), total);
      !s.ok()) {
    return s;
  }
  if (request.reading().deposit_unknown()) return absl::OkStatus();
  // A ticket above the deposit is paid in part and burnt (TicketBroker.winningTicketTransfer).
  const Wei deposit = FromProto(request.reading().deposit());
  const Wei out = payouts_.current().outstanding_tickets;
  if (out > deposit || total > deposit - out) {
    return Refuse(
        boundary::v1::ERROR_DEPOSIT,
        absl::StrCat("the deposit is ", ToDecimal(deposit), " wei, of which ", ToDecimal(out),
                     " are promised by open tickets; ", ToDecimal(total), " more do not fit"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SigningJob> Authority::PreparePayout(const boundary::v1::PreparePayout& request,
                                                    Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kPreparePayout); !s.ok()) return s;
  if (absl::Status s = CheckTarget(policy_, {}, request.chain_id()); !s.ok()) return s;
  if (absl::Status s = policy_.CheckStrategy(request.strategy()); !s.ok()) return s;
  const Fees fees = policy::FromProto(request.fees());
  if (absl::Status s = policy_.CheckFees(fees); !s.ok()) return s;
  const absl::StatusOr<uint64_t> nonce = NextNonce(CurrentKey(), request.reading());
  if (!nonce.ok()) return nonce.status();

  sealed::v1::PayoutReserved reserved;
  reserved.set_signing_key_epoch(CurrentKey());
  if (absl::Status s = CheckItems(request, &reserved); !s.ok()) return s;
  if (request.strategy() == boundary::v1::STRATEGY_LIVEPEER_TICKET) {
    const absl::StatusOr<ethereum::Hash> block_hash =
        RequestHash(request.reading().round_block_hash(), "reading.round_block_hash");
    if (!block_hash.ok()) return block_hash.status();
    if (block_hash->IsZero()) {
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    absl::StrCat("round ", request.reading().round(),
                                 " has no block hash: the round is not initialised"));
    }
    reserved.set_creation_round(request.reading().round());
    reserved.set_creation_round_block_hash(std::string(block_hash->view()));
  }
  reserved.set_id(payouts_.next_id());
  reserved.set_strategy(request.strategy());
  reserved.set_nonce(*nonce);
  policy::ToProto(fees, reserved.mutable_fees());
  if (absl::Status s = CheckVelocity(SpendsOf(reserved)); !s.ok()) return s;
  reserved.set_time(TimeToSeal());
  sealed::v1::StateEvent* event = out->add_events();
  *event->mutable_payout_reserved() = std::move(reserved);
  Emit(event);
  const Payout& payout = *payouts_.Find(payouts_.size());
  return MakeJob(payout, *payout.pending);
}

absl::StatusOr<SigningJob> Authority::PrepareFunding(const boundary::v1::PrepareFunding& request,
                                                     Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kPrepareFunding); !s.ok()) return s;
  if (absl::Status s = CheckTarget(policy_, request.broker(), request.chain_id()); !s.ok())
    return s;
  const absl::StatusOr<uint32_t> key =
      payouts::IsMove(request.strategy()) ? CheckMove(request) : CheckFunding(request);
  if (!key.ok()) return key.status();
  const Fees fees = policy::FromProto(request.fees());
  if (absl::Status s = policy_.CheckFees(fees); !s.ok()) return s;
  const absl::StatusOr<uint64_t> nonce = NextNonce(*key, request.reading());
  if (!nonce.ok()) return nonce.status();
  if (absl::Status s = CheckVelocity({}); !s.ok()) return s;  // a signature, and nobody is paid

  sealed::v1::StateEvent* event = out->add_events();
  sealed::v1::PayoutReserved* reserved = event->mutable_payout_reserved();
  reserved->set_id(payouts_.next_id());
  reserved->set_strategy(request.strategy());
  reserved->set_signing_key_epoch(*key);
  ledger::ToProto(FromProto(request.amount()), reserved->mutable_funding());
  reserved->set_nonce(*nonce);
  reserved->set_time(TimeToSeal());
  policy::ToProto(fees, reserved->mutable_fees());
  Emit(event);
  const Payout& payout = *payouts_.Find(payouts_.size());
  return MakeJob(payout, *payout.pending);
}

absl::StatusOr<std::optional<SigningJob>> Authority::BumpTransaction(
    const boundary::v1::BumpTransaction& request, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kBumpTransaction); !s.ok()) return s;
  const Payout* payout = payouts_.Find(request.payout_id());
  if (payout == nullptr) return UnknownPayout(request.payout_id());
  if (payout->pending.has_value() || !payout->UnderWay()) {
    return Refuse(
        ERROR_WRONG_STATE,
        absl::StrCat("payout ", payout->id, " has no signed transaction that waits to be mined"));
  }
  // One nonce at a time is under way for a payout, except after a reorg; the oldest holds up all
  // others.
  const Attempt* newest = nullptr;
  std::optional<uint64_t> nonce;
  for (const Attempt& attempt : payout->attempts) {
    const bool mined = std::any_of(
        payout->attempts.begin(), payout->attempts.end(),
        [&](const Attempt& a) { return a.nonce == attempt.nonce && a.mined.has_value(); });
    if (mined) continue;
    if (!nonce.has_value()) nonce = attempt.nonce;
    if (attempt.nonce == *nonce) newest = &attempt;
  }
  COFFER_CHECK(newest != nullptr, "a payout under way has a transaction that is not mined");
  const Fees fees = policy::FromProto(request.fees());
  for (const Attempt& attempt : payout->attempts) {
    if (attempt.nonce == *nonce && attempt.fees == fees) return std::optional<SigningJob>();
  }
  if (absl::Status s = CheckKeySigns(*payout); !s.ok()) return s;
  if (absl::Status s = policy_.CheckFees(fees); !s.ok()) return s;
  if (absl::Status s = CheckAttemptBytes(*payout); !s.ok()) return s;
  if (!IsBump(fees, newest->fees)) {
    return Refuse(
        ERROR_WRONG_STATE,
        absl::StrCat("a replacement needs both fees at least 12.5% above the newest attempt's (",
                     ToDecimal(newest->fees.max_fee_per_gas), " and ",
                     ToDecimal(newest->fees.max_priority_fee_per_gas), " wei a gas)"));
  }
  if (absl::Status s = CheckVelocity(SpendsOf(*payout)); !s.ok()) return s;
  sealed::v1::StateEvent* event = out->add_events();
  event->mutable_bump_reserved()->set_payout_id(payout->id);
  event->mutable_bump_reserved()->set_time(TimeToSeal());
  event->mutable_bump_reserved()->set_nonce(*nonce);
  policy::ToProto(fees, event->mutable_bump_reserved()->mutable_fees());
  Emit(event);
  return std::optional<SigningJob>(MakeJob(*payout, *payout->pending));
}

absl::StatusOr<SigningJob> Authority::RetryPayout(const boundary::v1::RetryPayout& request,
                                                  Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kRetryPayout); !s.ok()) return s;
  const Payout* payout = payouts_.Find(request.payout_id());
  if (payout == nullptr) return UnknownPayout(request.payout_id());
  if (payout->UnderWay()) {
    return Refuse(ERROR_WRONG_STATE, absl::StrCat("a transaction of payout ", payout->id,
                                                  " is under way; bump it, or report its receipt"));
  }
  if (payout->AllItemsResolved()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("payout ", payout->id, " has nothing left to pay"));
  }
  // A ticket pays once under any nonce. A transfer pays again: a host that lies about its failure,
  // or a reorg that lets it succeed after all, would pay twice (I3).
  if (!payout->IsTickets() && !policy_.void_on_host_word) {
    return RefuseByRule(
        "void_on_host_word",
        absl::StrCat(
            "payout ", payout->id,
            " is a transfer, and only the host says that it failed; sending it again could pay "
            "twice, so its funds stay held until its failure can be proven"));
  }
  if (absl::Status s = CheckKeySigns(*payout); !s.ok()) return s;
  if (absl::Status s = CheckAttemptBytes(*payout); !s.ok()) return s;
  const Fees fees = policy::FromProto(request.fees());
  if (absl::Status s = policy_.CheckFees(fees); !s.ok()) return s;
  const absl::StatusOr<uint64_t> nonce = NextNonce(payout->key, request.reading());
  if (!nonce.ok()) return nonce.status();
  if (absl::Status s = CheckVelocity(SpendsOf(*payout)); !s.ok()) return s;
  sealed::v1::StateEvent* event = out->add_events();
  event->mutable_retry_reserved()->set_payout_id(payout->id);
  event->mutable_retry_reserved()->set_time(TimeToSeal());
  event->mutable_retry_reserved()->set_nonce(*nonce);
  policy::ToProto(fees, event->mutable_retry_reserved()->mutable_fees());
  Emit(event);
  return MakeJob(*payout, *payout->pending);
}

SigningJob Authority::MakeJob(const Payout& payout, const PendingSignature& pending) const {
  SigningJob job;
  job.payout_id = payout.id;
  job.strategy = payout.strategy;
  job.sender = payouts_.keys()[payout.key].address;
  job.chain_id = policy_.chain_id;
  job.nonce = pending.nonce;
  job.fees = pending.fees;
  job.aux_data = payout.aux_data;
  job.to = policy_.broker;
  job.value = ledger::ToU256(payout.funding);
  // Only a draining key sweeps, so there is one after it.
  if (payout.strategy == boundary::v1::STRATEGY_SWEEP) {
    job.to = payouts_.keys()[payout.key + 1].address;
  }
  if (payout.strategy == boundary::v1::STRATEGY_ETH_TRANSFER) {
    job.to = ledger_.at(payout.items[0].account).recipient;
    job.value = ledger::ToU256(payout.items[0].amount);
  }
  if (!payout.IsTickets()) return job;
  // A bump repeats what its nonce stood for, so it takes the tickets that were open when that nonce
  // was first used; an item that a stranger redeemed meanwhile only makes that part of the call
  // fail. Taking all open ones is the same or less.
  job.first_signing = payout.attempts.empty();
  for (const payouts::Item& item : payout.items) {
    if (item.state != payouts::Item::State::kOpen) continue;
    job.tickets.push_back(
        {item.sender_nonce, ledger_.at(item.account).recipient, item.amount, item.ticket});
  }
  if (job.tickets.empty()) {
    // Everything was resolved otherwise, yet the nonce has to be used up: the same redemption,
    // which pays nothing.
    const payouts::Item& item = payout.items[0];
    job.tickets.push_back(
        {item.sender_nonce, ledger_.at(item.account).recipient, item.amount, item.ticket});
  }
  return job;
}

std::vector<SigningJob> Authority::PendingJobs() const {
  std::vector<SigningJob> jobs;
  for (const uint64_t id : payouts_.open()) {
    const Payout& payout = *payouts_.Find(id);
    if (payout.pending.has_value()) jobs.push_back(MakeJob(payout, *payout.pending));
  }
  return jobs;
}

void Authority::CompleteSigning(payouts::SigningResult result, Batch* out) {
  const Payout* payout = payouts_.Find(result.payout_id);
  COFFER_CHECK(payout != nullptr && payout->pending.has_value(),
               "I4: a signature that nobody asked for");
  sealed::v1::StateEvent* event = out->add_events();
  sealed::v1::TransactionSigned* signed_event = event->mutable_transaction_signed();
  signed_event->set_payout_id(result.payout_id);
  signed_event->set_nonce(result.attempt.nonce);
  policy::ToProto(result.attempt.fees, signed_event->mutable_fees());
  signed_event->set_tx_hash(std::string(result.attempt.tx_hash.view()));
  signed_event->set_raw_tx(std::move(result.attempt.raw_tx));
  for (const payouts::TicketSecrets& ticket : result.tickets)
    ToProto(ticket, signed_event->add_tickets());
  Emit(event);
}

}  // namespace coffer::authority
