// PrepareRedeem and ConfirmPayout: payouts for clients that own no list of them, ask again and
// again with the nonce that they read on the chain, and know of a transaction only its status.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/wire.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "enclave_core/ethereum/transaction.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ERROR_WRONG_STATE;
using ethereum::Hash;
using ledger::Wei;
using payouts::Attempt;
using payouts::Item;
using payouts::Payout;

// Whether this nonce was used, or is about to be, to pay this payout.
bool Uses(const Payout& payout, uint64_t nonce) {
  return (payout.pending.has_value() && payout.pending->nonce == nonce) ||
         std::any_of(payout.attempts.begin(), payout.attempts.end(),
                     [&](const Attempt& a) { return a.nonce == nonce; });
}

}  // namespace

// A client that lost an answer asks with the same nonce, so the payout that has it comes first, and
// one that could be signed again before one that has nothing to sign. The nonce is the address's
// that signs what is new: payouts of a key that drains are not asked for in this way.
const Payout* Authority::FindRedemption(uint64_t account, uint64_t nonce) const {
  const Payout* idle = nullptr;
  const Payout* any = nullptr;
  for (const uint64_t id : payouts_.open()) {
    const Payout* payout = payouts_.Find(id);
    if (payout->key != CurrentKey() || !payout->IsTickets() || payout->items.size() != 1 ||
        payout->items[0].account != account || payout->AllItemsResolved()) {
      continue;
    }
    if (Uses(*payout, nonce)) return payout;
    if (idle == nullptr && !payout->UnderWay()) idle = payout;
    if (any == nullptr) any = payout;
  }
  return idle != nullptr ? idle : any;
}

absl::Status Authority::CheckRedeemNonce(uint64_t nonce) const {
  const std::optional<uint64_t> next = payouts_.current().next_nonce;
  // One above the next is NextNonce's alarm.
  if (!next.has_value() || nonce >= *next) return absl::OkStatus();
  std::string why = "it is used up";
  for (const uint64_t id : payouts_.open()) {
    const Payout& payout = *payouts_.Find(id);
    if (payout.key != CurrentKey() || !Uses(payout, nonce)) continue;
    why = absl::StrCat("payout ", id, " was signed with it");
    break;
  }
  return Refuse(ERROR_WRONG_STATE, absl::StrCat("nonce ", nonce, " is not the next one: ", why,
                                                "; the enclave's next nonce is ", *next,
                                                ", whatever the chain has mined so far"));
}

absl::StatusOr<Authority::Redemption> Authority::PrepareRedeem(
    const boundary::v1::PrepareRedeem& request, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kPrepareRedeem); !s.ok()) return s;
  if (request.broker().empty()) return Refuse(ERROR_MALFORMED, "broker must be 20 bytes, not 0");
  if (absl::Status s = CheckTarget(policy_, request.broker(), request.chain_id()); !s.ok())
    return s;
  const std::optional<uint64_t> account = ledger_.Find(request.account());
  if (!account.has_value()) return UnknownAccount(request.account());
  const uint64_t nonce = request.reading().account_nonce();
  const Payout* open = FindRedemption(*account, nonce);
  if (open != nullptr && Uses(*open, nonce)) {
    if (open->pending.has_value() && open->pending->nonce == nonce) {
      return Refuse(ERROR_WRONG_STATE,
                    absl::StrCat("payout ", open->id, " of account \"", request.account(),
                                 "\" is being signed with nonce ", nonce,
                                 " at this moment; ask again for its transaction"));
    }
    return Redemption{open->id, std::nullopt};
  }
  if (absl::Status s = CheckRedeemNonce(nonce); !s.ok()) return s;
  if (open == nullptr || open->UnderWay()) return RedeemAnew(request, *account, out);
  boundary::v1::RetryPayout retry;
  retry.set_payout_id(open->id);
  *retry.mutable_reading() = request.reading();
  *retry.mutable_fees() = request.fees();
  absl::StatusOr<payouts::SigningJob> job = RetryPayout(retry, out);
  if (!job.ok()) return job.status();
  return Redemption{job->payout_id, *std::move(job)};
}

absl::StatusOr<Authority::Redemption> Authority::RedeemAnew(
    const boundary::v1::PrepareRedeem& request, uint64_t account, Batch* out) {
  const Wei available = ledger_.at(account).balances.available;
  if (const Payout* open = FindRedemption(account, UINT64_MAX); available == 0 && open != nullptr) {
    const uint64_t used =
        open->pending.has_value() ? open->pending->nonce : open->attempts.back().nonce;
    return Refuse(
        boundary::v1::ERROR_NOTHING_TO_PAY,
        absl::StrCat("all that account \"", request.account(), "\" is owed is held by payout ",
                     open->id, ", which is under way with nonce ", used,
                     ": ask with that nonce for its transaction"));
  }
  boundary::v1::PreparePayout prepare;
  prepare.set_strategy(boundary::v1::STRATEGY_LIVEPEER_TICKET);
  boundary::v1::PayoutRequestItem* item = prepare.add_items();
  item->set_account(request.account());
  // 0 stands for all that there is, also where there is nothing.
  const Wei limit = ledger::FromProto(request.max_amount());
  if (limit != 0) {
    ledger::ToProto(std::min({limit, available, policy_.max_face_value}), item->mutable_amount());
  }
  *prepare.mutable_reading() = request.reading();
  *prepare.mutable_fees() = request.fees();
  absl::StatusOr<payouts::SigningJob> job = PreparePayout(prepare, out);
  if (!job.ok()) return job.status();
  return Redemption{job->payout_id, *std::move(job)};
}

absl::StatusOr<Authority::Redemption> Authority::PrepareFundingOnce(
    const boundary::v1::PrepareFunding& request, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kPrepareFunding); !s.ok()) return s;
  if (absl::Status s = CheckTarget(policy_, request.broker(), request.chain_id()); !s.ok())
    return s;
  const uint64_t nonce = request.reading().account_nonce();
  for (const uint64_t id : payouts_.open()) {
    const Payout& open = *payouts_.Find(id);
    if (open.key != CurrentKey() || !Uses(open, nonce) || open.strategy != request.strategy() ||
        open.funding != ledger::FromProto(request.amount())) {
      continue;
    }
    if (!open.pending.has_value()) return Redemption{id, std::nullopt};
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("the funding ", id, " is being signed with nonce ", nonce,
                               " at this moment; ask again for its transaction"));
  }
  if (absl::Status s = CheckRedeemNonce(nonce); !s.ok()) return s;
  absl::StatusOr<payouts::SigningJob> job = PrepareFunding(request, out);
  if (!job.ok()) return job.status();
  return Redemption{job->payout_id, *std::move(job)};
}

// Which tickets a transaction redeems is read from its own bytes: a payout that was signed again
// has transactions with fewer of them.
absl::Status Authority::MatchStatus(const Payout& payout, const Attempt& attempt,
                                    sealed::v1::ReceiptApplied* applied) const {
  if (!payout.IsTickets()) return absl::OkStatus();  // a transfer is matched as ever
  const auto transaction = ethereum::ParseSignedTransaction(attempt.raw_tx);
  COFFER_CHECK(transaction.ok(), "a transaction that was signed here can be read");
  const auto call = ethereum::DecodeBrokerCall(transaction->transaction.data, policy::kMaxTickets);
  COFFER_CHECK(call.ok(), "calldata that was made here can be read");
  absl::flat_hash_set<uint64_t> redeemed;
  for (const ethereum::RedemptionArguments& arguments : call->tickets) {
    redeemed.insert(static_cast<uint64_t>(arguments.ticket.sender_nonce));
  }
  for (uint32_t i = 0; i < payout.items.size(); ++i) {
    const Item& item = payout.items[i];
    if (item.state != Item::State::kOpen || !redeemed.contains(item.sender_nonce)) continue;
    sealed::v1::ItemPaid* paid = applied->add_items();
    paid->set_payout_id(payout.id);
    paid->set_item(i);
    ledger::ToProto(item.amount, paid->mutable_paid());
  }
  return absl::OkStatus();
}

absl::Status Authority::ConfirmPayout(const boundary::v1::ConfirmPayout& request,
                                      boundary::v1::PayoutConfirmed* answer, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kConfirmPayout); !s.ok()) return s;
  if (!request.has_logs() && !request.logs().empty()) {
    return Refuse(ERROR_MALFORMED, "there are logs, and has_logs says that there are none");
  }
  const absl::StatusOr<Hash> tx_hash = RequestHash(request.tx_hash(), "tx_hash");
  if (!tx_hash.ok()) return tx_hash.status();
  boundary::v1::ReportReceipt receipt;
  receipt.set_tx_hash(request.tx_hash());
  receipt.set_succeeded(request.succeeded());
  receipt.set_block_number(request.block_number());
  receipt.set_block_hash(request.block_hash());
  *receipt.mutable_logs() = request.logs();
  if (request.block_hash().empty()) receipt.set_block_hash(std::string(Hash::kSize, '\0'));
  const std::optional<uint64_t> own = payouts_.FindTransaction(*tx_hash);
  if (own.has_value()) {
    const std::optional<payouts::Mined>& before = payouts_.Find(*own)->FindAttempt(*tx_hash)->mined;
    // Where one of the two does not name the block, they do not disagree about it.
    const bool unnamed = request.block_hash().empty() ||
                         (before.has_value() && before->block_hash.IsZero() && !request.has_logs());
    if (before.has_value() && unnamed) {
      receipt.set_block_hash(std::string(before->block_hash.view()));
    }
  }
  boundary::v1::ReceiptResult result;
  const uint64_t log_size = log_.size();
  if (absl::Status s = ApplyReceipt(receipt, !request.has_logs(), &result, out); !s.ok()) return s;
  if (request.want_audit_entries()) {
    log_.ForEachSince(log_size, [&](uint64_t index, std::string_view leaf) {
      boundary::v1::AuditEntry* entry = answer->add_audit_entries();
      entry->set_leaf_index(index);
      entry->set_leaf(std::string(leaf));
    });
  }
  answer->set_known(result.known());
  // A stranger's transaction that paid a ticket of ours has no payout of its own.
  const uint64_t id = own.has_value()                     ? *own
                      : !result.payouts().empty()         ? result.payouts(0).id()
                      : payouts_.PaidBy(*tx_hash).empty() ? 0
                                                          : payouts_.PaidBy(*tx_hash)[0].payout_id;
  answer->set_ledger_root(std::string(LedgerRoot().view()));
  if (id == 0) return absl::OkStatus();
  if (absl::Status s = GetPayout(id, false, answer->mutable_payout()); !s.ok()) return s;
  if (answer->payout().items_size() != 1) return absl::OkStatus();
  boundary::v1::GetAccount get;
  get.set_id(answer->payout().items(0).account());
  return GetAccount(get, answer->mutable_account());
}

}  // namespace coffer::authority
