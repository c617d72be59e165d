#include "tests/sim/wire/asked.h"

#include <algorithm>

namespace coffer::sim::wire {

using boundary::v1::ClientFrame;
using boundary::v1::Event;

absl::uint128 ToWei(const boundary::v1::Wei& wei) {
  return absl::MakeUint128(wei.high(), wei.low());
}

U256 ToU256(absl::uint128 wei) {
  return (U256(absl::Uint128High64(wei)) << 64) | U256(absl::Uint128Low64(wei));
}

AskedEvent ContentOf(const Event& event) {
  return {event.kind(), event.account(), event.recipient(), ToWei(event.amount())};
}

audit::LeafKind LeafKindOf(Event::Kind kind) {
  return kind == Event::KIND_CREDIT      ? audit::LeafKind::kCredit
         : kind == Event::KIND_ADJUST_UP ? audit::LeafKind::kAdjustUp
                                         : audit::LeafKind::kAdjustDown;
}

bool IsMove(boundary::v1::Strategy strategy) {
  return strategy == boundary::v1::STRATEGY_UNLOCK || strategy == boundary::v1::STRATEGY_WITHDRAW ||
         strategy == boundary::v1::STRATEGY_SWEEP;
}

void Asked::Note(const ClientFrame& frame, const Address& broker, Told* told) {
  const auto reading = [told](const boundary::v1::ChainReading& r) {
    told->rounds.emplace(r.round(), r.round_block_hash());
  };
  switch (frame.body_case()) {
    case ClientFrame::kLoadEnd:
      loads = true;
      return;
    case ClientFrame::kApplyEvents:
      for (const Event& event : frame.apply_events().events()) {
        EventCopies& copies = events[event.id()];
        ++copies.asked;
        accounts.emplace(event.account(), event.recipient());
        AskedEvent content = ContentOf(event);
        if (std::find(copies.contents.begin(), copies.contents.end(), content) ==
            copies.contents.end()) {
          copies.contents.push_back(std::move(content));
        }
      }
      return;
    case ClientFrame::kPreparePayout:
      ++prepares;
      reading(frame.prepare_payout().reading());
      for (const auto& item : frame.prepare_payout().items()) {
        items[item.account()].insert(
            {frame.prepare_payout().strategy(), ToWei(item.amount()), false});
      }
      return;
    case ClientFrame::kPrepareRedeem:
      ++prepares;
      reading(frame.prepare_redeem().reading());
      items[frame.prepare_redeem().account()].insert({boundary::v1::STRATEGY_LIVEPEER_TICKET,
                                                      ToWei(frame.prepare_redeem().max_amount()),
                                                      true});
      return;
    case ClientFrame::kPrepareFunding:
      ++prepares;
      fundings.emplace(frame.prepare_funding().strategy(), ToWei(frame.prepare_funding().amount()));
      return;
    case ClientFrame::kReportReceipt: {
      const auto& r = frame.report_receipt();
      receipts[r.tx_hash()].push_back({r.succeeded(), false, ReadRedemptions(broker, r.logs())});
      told->mined.emplace(r.tx_hash(), r.block_hash(), r.succeeded());
      return;
    }
    case ClientFrame::kConfirmPayout: {
      const auto& r = frame.confirm_payout();
      receipts[r.tx_hash()].push_back(
          {r.succeeded(), !r.has_logs(), ReadRedemptions(broker, r.logs())});
      told->mined.emplace(r.tx_hash(), r.block_hash(), r.succeeded());
      return;
    }
    case ClientFrame::kReportReorg:
      reorgs.insert(frame.report_reorg().tx_hash());
      told->reorgs.insert(frame.report_reorg().tx_hash());
      return;
    case ClientFrame::kVoidTickets: {
      const auto& r = frame.void_tickets();
      voids[r.payout_id()].push_back({{r.items().begin(), r.items().end()}, r.round()});
      return;
    }
    case ClientFrame::kChangePolicy:
      policies.push_back(frame.change_policy());
      return;
    case ClientFrame::kProvision:
    case ClientFrame::kGenerate:
      provisions = true;
      return;
    case ClientFrame::kAdoptSigningKey:
      adoptions.insert(frame.adopt_signing_key().address());
      return;
    case ClientFrame::kRetireSigningKey:
      retirements.insert(frame.retire_signing_key().address());
      return;
    default:
      return;
  }
}

}  // namespace coffer::sim::wire
