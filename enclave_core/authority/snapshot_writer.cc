#include "enclave_core/authority/snapshot_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "enclave_core/authority/wire.h"
#include "enclave_core/ledger/account_line.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using payouts::Item;
using payouts::Payout;
using sealed::v1::SnapshotPart;

void Fill(const Item& item, sealed::v1::ItemState* out) {
  out->set_account(item.account);
  ledger::ToProto(item.amount, out->mutable_amount());
  out->set_sender_nonce(item.sender_nonce);
  out->set_state(item.state == Item::State::kOpen   ? boundary::v1::PayoutItem::STATE_OPEN
                 : item.state == Item::State::kPaid ? boundary::v1::PayoutItem::STATE_PAID
                                                    : boundary::v1::PayoutItem::STATE_VOID);
  ledger::ToProto(item.paid, out->mutable_paid());
  if (item.state == Item::State::kPaid) out->set_paid_by(std::string(item.paid_by.view()));
  if (item.ticket.has_value()) ToProto(*item.ticket, out->mutable_ticket());
}

void Fill(const Payout& payout, sealed::v1::PayoutStateRecord* out) {
  out->set_id(payout.id);
  out->set_strategy(payout.strategy);
  out->set_signing_key_epoch(payout.key);
  for (const Item& item : payout.items) Fill(item, out->add_items());
  ledger::ToProto(payout.funding, out->mutable_funding());
  for (const payouts::Attempt& attempt : payout.attempts) {
    boundary::v1::Attempt* to = out->add_attempts();
    to->set_nonce(attempt.nonce);
    to->set_tx_hash(std::string(attempt.tx_hash.view()));
    to->set_raw_tx(attempt.raw_tx);
    policy::ToProto(attempt.fees, to->mutable_fees());
    if (!attempt.mined.has_value()) continue;
    to->set_mined(true);
    to->set_succeeded(attempt.mined->succeeded);
    to->set_block_number(attempt.mined->block_number);
    to->set_block_hash(std::string(attempt.mined->block_hash.view()));
  }
  out->set_creation_round(payout.aux_data.creation_round);
  out->set_creation_round_block_hash(std::string(payout.aux_data.creation_round_block_hash.view()));
  if (payout.pending.has_value()) {
    out->mutable_pending()->set_nonce(payout.pending->nonce);
    policy::ToProto(payout.pending->fees, out->mutable_pending()->mutable_fees());
  }
}

uint32_t Parts(uint64_t things, uint64_t each) {
  return static_cast<uint32_t>((things + each - 1) / each);
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::vector<SnapshotPart> first, const SnapshotSource& source, Of of)
    : first_(std::move(first)),
      of_(of),
      accounts_(source.ledger.size()),
      payout_count_(source.payouts.size()),
      account_parts_(Parts(accounts_, kPartAccounts)),
      // Each but the last gets kPartBytes or more, so that there are never too few.
      payout_parts_(Parts(source.payouts.bytes(), kPartBytes)),
      id_chunks_(source.ids.Chunks(kPartIds)) {}

uint32_t SnapshotWriter::count() const {
  return static_cast<uint32_t>(first_.size()) + account_parts_ + payout_parts_ + id_chunks_;
}

SnapshotPart SnapshotWriter::Next(const SnapshotSource& source) {
  COFFER_CHECK(written_ < count(), "a snapshot has no more parts");
  uint32_t at = written_++;
  if (at < first_.size()) return std::move(first_[at]);
  at -= static_cast<uint32_t>(first_.size());
  SnapshotPart part;
  if (at < account_parts_) {
    WriteAccounts(source.ledger, &part);
  } else if (at < account_parts_ + payout_parts_) {
    WritePayouts(source.payouts, at + 1 == account_parts_ + payout_parts_, &part);
  } else {
    part.set_event_ids(source.ids.Chunk(next_id_chunk_++, id_chunks_, of_ == Of::kMoment));
  }
  return part;
}

void SnapshotWriter::WriteAccounts(const ledger::Ledger& accounts, SnapshotPart* part) {
  const uint64_t end = std::min(next_account_ + kPartAccounts, accounts_);
  std::string* const lines = part->mutable_account_lines();
  for (; next_account_ < end; ++next_account_) {
    const ledger::Account& account = accounts.at(next_account_);
    const ledger::Balances& sums =
        of_ == Of::kNow ? account.balances : accounts.moment().At(next_account_, account.balances);
    ledger::AppendAccountLine(account, sums, lines);
  }
}

void SnapshotWriter::WritePayouts(const payouts::Payouts& all, bool rest, SnapshotPart* part) {
  for (uint64_t bytes = 0; next_payout_ < payout_count_ && (rest || bytes < kPartBytes);
       ++next_payout_) {
    const Payout& now = *all.Find(next_payout_ + 1);
    const Payout& payout = of_ == Of::kNow ? now : all.moment().At(next_payout_, now);
    Fill(payout, part->add_payouts());
    bytes += payouts::Payouts::BytesOf(payout);
  }
}

}  // namespace coffer::authority
