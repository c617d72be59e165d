// What the adversary asks of a loaded state: good requests, good requests with something wrong in
// them, and nonsense.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/sim/adversary/hostile_host.h"

namespace coffer::sim {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::Event;

constexpr uint64_t kAccounts = 6;

std::string Account(uint64_t i) { return absl::StrCat("acct-", i % kAccounts); }
std::string Recipient(uint64_t i) {
  return std::string(19, '\x77') + static_cast<char>(1 + i % kAccounts);
}
std::string BlockHash(uint64_t i) {
  return std::string(ethereum::Keccak256(absl::StrCat("block ", i)).view());
}
// A limit itself, or one less or more: where mistakes are made.
template <typename Draw>
uint64_t Near(Draw& draw, absl::uint128 limit) {
  return absl::Uint128Low64(limit) - 1 + draw.Below(3);
}

}  // namespace

ClientFrame HostileHost::Request(Kind kind, uint64_t how, Draw& draw) {
  ClientFrame frame;
  switch (kind) {
    case Kind::kEvents:
      NewEvents(draw, frame.mutable_apply_events());
      SignEvents(draw, frame.mutable_apply_events());
      break;
    case Kind::kRepeatEvent:
      *frame.mutable_apply_events()->add_events() = Repeat(how, draw);
      SignEvents(draw, frame.mutable_apply_events());
      break;
    case Kind::kPrepare:
      Prepare(draw, frame.mutable_prepare_payout());
      break;
    case Kind::kRedeem: {
      auto* redeem = frame.mutable_prepare_redeem();
      redeem->set_account(Account(draw.Below(kAccounts + 1)));
      if (draw.OneIn(2)) redeem->mutable_max_amount()->set_low(1 + draw.Below(500'000));
      redeem->set_broker(draw.OneIn(15) ? std::string(20, '\x66')
                                        : std::string(world_->policy().broker.view()));
      Reading(asked_place_->current, draw, redeem->mutable_reading());
      // This client names its own nonce: the next one, or the last one again.
      const auto used = memory_.highest_nonce.find(asked_place_->current);
      redeem->mutable_reading()->set_account_nonce(
          used != memory_.highest_nonce.end() ? used->second + draw.Below(2) : 7);
      Fees(draw, redeem->mutable_fees());
      break;
    }
    case Kind::kFunding:
      Funding(how, draw, frame.mutable_prepare_funding());
      break;
    case Kind::kBump:
      Bump(draw, frame.mutable_bump_transaction());
      break;
    case Kind::kRetry: {
      auto* retry = frame.mutable_retry_payout();
      retry->set_payout_id(draw.OneIn(3) ? PayoutId(draw) : FailedPayout(draw));
      Reading(SignerOf(retry->payout_id()), draw, retry->mutable_reading());
      Fees(draw, retry->mutable_fees());
      break;
    }
    case Kind::kVoid: {
      auto* voided = frame.mutable_void_tickets();
      voided->set_payout_id(PayoutId(draw));
      if (draw.OneIn(2)) voided->add_items(static_cast<uint32_t>(draw.Below(3)));
      if (draw.OneIn(10)) voided->add_items(static_cast<uint32_t>(draw.Below(3)));
      voided->set_round(draw.OneIn(3) ? 104 : draw.OneIn(6) ? UINT64_MAX : 100 + draw.Below(4));
      break;
    }
    case Kind::kReceipt:
      *frame.mutable_report_receipt() = Receipt(how, draw);
      break;
    case Kind::kConfirm: {
      const boundary::v1::ReportReceipt receipt = Receipt(how, draw);
      auto* confirm = frame.mutable_confirm_payout();
      confirm->set_tx_hash(receipt.tx_hash());
      confirm->set_succeeded(receipt.succeeded());
      confirm->set_has_logs(!draw.OneIn(3));
      if (confirm->has_logs() || draw.OneIn(10)) *confirm->mutable_logs() = receipt.logs();
      confirm->set_block_number(receipt.block_number());
      if (!draw.OneIn(3)) confirm->set_block_hash(receipt.block_hash());
      confirm->set_want_audit_entries(draw.OneIn(2));
      confirm->set_sign_audit_entries(draw.OneIn(4));
      break;
    }
    case Kind::kReorg:
      frame.mutable_report_reorg()->set_tx_hash(
          !memory_.receipts.empty() && !draw.OneIn(4)
              ? memory_.receipts[draw.Below(memory_.receipts.size())].tx_hash()
              : Transaction(draw));
      break;
    case Kind::kSign:
      Sign(how, draw, &frame);
      break;
    case Kind::kPolicy:
      ChangePolicy(how, draw, frame.mutable_change_policy());
      break;
    case Kind::kKeys:
      Keys(how, draw, &frame);
      break;
    default:
      Read(how, draw, &frame);
  }
  return frame;
}

// ---- events ------------------------------------------------------------------------------------

Event HostileHost::NewEvent(Draw& draw) {
  Event event;
  event.set_id(absl::StrCat("event-", event_count_++));
  const uint64_t account = draw.Below(kAccounts);
  event.set_account(Account(account));
  event.set_recipient(Recipient(account));
  const uint64_t kind = draw.Below(12);
  event.set_kind(kind < 9     ? Event::KIND_CREDIT
                 : kind == 9  ? Event::KIND_ADJUST_UP
                 : kind == 10 ? Event::KIND_ADJUST_DOWN
                              : static_cast<Event::Kind>(draw.Below(5)));
  event.mutable_amount()->set_low(1 + draw.Below(1'000'000));
  switch (draw.Below(40)) {  // now and then something extreme
    case 0:
      event.mutable_amount()->set_low(0);
      break;
    case 1:
      event.mutable_amount()->set_high(UINT64_MAX >> draw.Below(4));
      break;
    case 2:
      event.set_recipient(Recipient(account + 1));
      break;
    case 3:
      event.set_recipient("short");
      break;
    case 4:
      event.set_id(draw.OneIn(2) ? "" : std::string(129, 'x'));
      break;
    case 5:
      event.set_account("bell\a");
      break;
    default:
      break;
  }
  if (draw.OneIn(5)) event.set_content_hash(BlockHash(draw.Below(9)));
  return event;
}

void HostileHost::NewEvents(Draw& draw, boundary::v1::ApplyEvents* out) {
  const uint64_t count = draw.OneIn(30) ? 0 : 1 + draw.Below(6);
  for (uint64_t i = 0; i < count; ++i) {
    *out->add_events() = NewEvent(draw);
    memory_.events.push_back(out->events(out->events_size() - 1));
    // The same id twice in one request, alike or not.
    if (draw.OneIn(15)) *out->add_events() = Repeat(draw.Below(6), draw);
  }
  out->set_want_ledger_root(draw.OneIn(4));
  out->set_want_audit_entries(draw.OneIn(4));
  out->set_sign_audit_entries(draw.OneIn(8));
}

Event HostileHost::Repeat(uint64_t how, Draw& draw) {
  if (memory_.events.empty()) return NewEvent(draw);
  Event event = memory_.events[draw.Below(memory_.events.size())];
  switch (how % 8) {
    case 0:
      event.mutable_amount()->set_low(event.amount().low() + 1);
      break;
    case 1:
      event.set_recipient(std::string(20, '\x99'));
      break;
    case 2:
      event.set_account(Account(draw.Below(kAccounts)));
      break;
    case 3:
      event.set_kind(Event::KIND_ADJUST_UP);
      break;
    case 4:
      event.set_content_hash(BlockHash(draw.Below(9)));  // about it, and no part of it
      break;
    default:
      break;
  }
  return event;
}

// ---- payouts -----------------------------------------------------------------------------------

void HostileHost::Reading(const std::string& address, Draw& draw,
                          boundary::v1::ChainReading* out) const {
  const auto used = memory_.highest_nonce.find(address);
  const uint64_t highest = used == memory_.highest_nonce.end() ? 0 : used->second;
  out->set_account_nonce(used == memory_.highest_nonce.end() ? 7 : highest);
  if (draw.OneIn(2)) out->set_address(address);
  if (draw.OneIn(20)) {
    const std::string others[] = {asked_place_->current, asked_place_->draining, "short"};
    out->set_address(others[draw.Below(3)]);
  }
  if (draw.OneIn(20)) out->set_account_nonce(highest + 1 + draw.Below(50));
  if (draw.OneIn(40)) out->set_account_nonce(UINT64_MAX - draw.Below(2));
  if (draw.OneIn(20)) out->set_account_nonce(0);
  out->mutable_deposit()->set_low(draw.OneIn(habits_.small_deposits) ? draw.Below(3'000'000)
                                                                     : 500'000'000);
  if (draw.OneIn(20)) out->mutable_deposit()->set_high(UINT64_MAX);
  out->set_deposit_unknown(draw.OneIn(10));
  out->set_round(draw.OneIn(30) ? UINT64_MAX : 100 + draw.Below(3));
  out->set_round_block_hash(BlockHash(out->round()));
  if (draw.OneIn(40)) out->set_round_block_hash(std::string(32, '\0'));
  if (draw.OneIn(40)) out->set_round_block_hash("short");
}

std::string HostileHost::SignerOf(uint64_t payout) const {
  for (const KeptTransaction& kept : memory_.transactions()) {
    if (kept.payout == payout) return std::string(kept.transaction.signer.view());
  }
  return asked_place_->current;
}

void HostileHost::Funding(uint64_t how, Draw& draw, boundary::v1::PrepareFunding* out) const {
  out->set_strategy(how % 8 == 0   ? boundary::v1::STRATEGY_ETH_TRANSFER
                    : how % 2 == 0 ? boundary::v1::STRATEGY_FUND_DEPOSIT
                                   : boundary::v1::STRATEGY_FUND_RESERVE);
  out->mutable_amount()->set_low(draw.Below(2'000'000));
  if (draw.OneIn(3)) {
    out->mutable_amount()->set_low(Near(draw, how % 2 == 0 ? world_->policy().max_fund_deposit
                                                           : world_->policy().max_fund_reserve));
  }
  if (draw.OneIn(8)) out->mutable_amount()->set_high(draw.Below(1u << 20));
  Reading(asked_place_->current, draw, out->mutable_reading());
  Fees(draw, out->mutable_fees());
  // What only a draining key signs, at any time.
  if (how % 8 >= 6) {
    static constexpr boundary::v1::Strategy kMoves[] = {boundary::v1::STRATEGY_UNLOCK,
                                                        boundary::v1::STRATEGY_WITHDRAW,
                                                        boundary::v1::STRATEGY_SWEEP};
    Move(kMoves[draw.Below(3)], draw, out);
    if (draw.OneIn(6)) out->mutable_amount()->set_low(draw.Below(2));
  }
  if (draw.OneIn(8)) out->set_broker(std::string(20, '\x66'));
  if (draw.OneIn(8)) out->set_chain_id(1);
  out->set_once(draw.OneIn(3));
}

void HostileHost::Move(boundary::v1::Strategy strategy, Draw& draw,
                       boundary::v1::PrepareFunding* out) const {
  out->set_strategy(strategy);
  out->clear_amount();
  if (strategy == boundary::v1::STRATEGY_SWEEP) {
    out->mutable_amount()->set_low(1 + draw.Below(2'000'000));
  }
  Reading(asked_place_->draining, draw, out->mutable_reading());
  Fees(draw, out->mutable_fees());
}

void HostileHost::Fees(Draw& draw, boundary::v1::Fees* out) const {
  out->set_gas_limit(1'000'000);
  // Steps of 13% and more, so that a bump is one now and then.
  uint64_t fee = 1000;
  for (uint64_t i = draw.Below(12); i > 0; --i) fee = fee * 8 / 7 + 1;
  out->mutable_max_fee_per_gas()->set_low(fee);
  out->mutable_max_priority_fee_per_gas()->set_low(fee / 4);
  if (draw.OneIn(25)) out->set_gas_limit(draw.OneIn(2) ? UINT64_MAX : draw.Below(30'000));
  if (draw.OneIn(25)) out->set_gas_limit(Near(draw, world_->policy().max_gas_limit));
  if (draw.OneIn(25)) {
    out->mutable_max_fee_per_gas()->set_low(Near(draw, world_->policy().max_fee_per_gas));
  }
  if (draw.OneIn(25)) out->mutable_max_fee_per_gas()->set_high(draw.Below(UINT64_MAX));
  if (draw.OneIn(25)) out->mutable_max_priority_fee_per_gas()->set_low(fee + 1);
}

uint64_t HostileHost::PayoutId(Draw& draw) const {
  return draw.OneIn(20) ? draw.Below(3) * UINT64_MAX / 2
                        : 1 + draw.Below(memory_.highest_payout + 1);
}

// One of which a transaction was said to have failed, when there is one.
uint64_t HostileHost::FailedPayout(Draw& draw) const {
  std::vector<uint64_t> failed;
  for (const KeptTransaction& kept : memory_.transactions()) {
    for (const boundary::v1::ReportReceipt& receipt : memory_.receipts) {
      if (!receipt.succeeded() && receipt.tx_hash() == kept.transaction.hash.view()) {
        failed.push_back(kept.payout);
      }
    }
  }
  return failed.empty() ? PayoutId(draw) : failed[draw.Below(failed.size())];
}

// Mostly of a transaction that is there, with fees that are a little higher: enough or not.
void HostileHost::Bump(Draw& draw, boundary::v1::BumpTransaction* out) const {
  out->set_payout_id(PayoutId(draw));
  Fees(draw, out->mutable_fees());
  const auto& known = memory_.transactions();
  if (known.empty() || draw.OneIn(3)) return;
  const KeptTransaction& kept = known[draw.Below(known.size())];
  const auto raised = [&](const ethereum::U256& wei) {
    return static_cast<uint64_t>(wei) * (100 + draw.Below(25)) / 100;
  };
  out->set_payout_id(kept.payout);
  out->mutable_fees()->mutable_max_fee_per_gas()->set_low(raised(kept.transaction.max_fee));
  out->mutable_fees()->mutable_max_priority_fee_per_gas()->set_low(
      raised(kept.transaction.max_priority_fee));
}

void HostileHost::Prepare(Draw& draw, boundary::v1::PreparePayout* out) const {
  const bool transfer = draw.OneIn(habits_.transfers);
  out->set_strategy(transfer         ? boundary::v1::STRATEGY_ETH_TRANSFER
                    : draw.OneIn(30) ? boundary::v1::STRATEGY_FUND_DEPOSIT
                                     : boundary::v1::STRATEGY_LIVEPEER_TICKET);
  const uint64_t first = draw.Below(kAccounts);
  const uint64_t count = transfer && !draw.OneIn(10) ? 1 : draw.Below(5);
  for (uint64_t i = 0; i < count; ++i) {
    auto* item = out->add_items();
    item->set_account(draw.OneIn(30) ? "nobody" : Account(first + (draw.OneIn(30) ? 0 : i)));
    if (draw.OneIn(2)) item->mutable_amount()->set_low(1 + draw.Below(300'000));
    if (draw.OneIn(8)) {
      item->mutable_amount()->set_low(
          Near(draw, transfer ? world_->policy().max_transfer : world_->policy().max_face_value));
    }
    if (draw.OneIn(30)) item->mutable_amount()->set_high(draw.Below(UINT64_MAX));
  }
  Reading(asked_place_->current, draw, out->mutable_reading());
  Fees(draw, out->mutable_fees());
  if (draw.OneIn(30)) out->set_chain_id(1);
}

// ---- the chain, as it is told ------------------------------------------------------------------

std::string HostileHost::Transaction(Draw& draw) const {
  const auto& known = memory_.transactions();
  if (known.empty() || draw.OneIn(10)) return BlockHash(1000 + draw.Below(50));
  return std::string(known[draw.Below(known.size())].transaction.hash.view());
}

boundary::v1::ReportReceipt HostileHost::Receipt(uint64_t how, Draw& draw) {
  auto& told = memory_.receipts;
  if (!told.empty() && how % 6 == 0) {  // once more, alike or in another block
    boundary::v1::ReportReceipt again = told[draw.Below(told.size())];
    if (draw.OneIn(2)) again.set_block_hash(BlockHash(draw.Below(4)));
    if (draw.OneIn(6)) again.set_succeeded(!again.succeeded());
    return again;
  }
  boundary::v1::ReportReceipt receipt;
  receipt.set_tx_hash(Transaction(draw));
  receipt.set_block_number(draw.Below(1000));
  receipt.set_block_hash(BlockHash(draw.Below(4)));
  receipt.set_succeeded(!draw.OneIn(habits_.failures));
  const auto& known = memory_.transactions();
  if (!known.empty() && receipt.succeeded()) {
    const auto it = std::find_if(known.begin(), known.end(), [&](const KeptTransaction& one) {
      return one.transaction.hash.view() == receipt.tx_hash();
    });
    const KeptTransaction& kept = it != known.end() ? *it : known[draw.Below(known.size())];
    AddRedemptions(kept, how / 6 % 10, draw, &receipt);
    // Tickets of somebody else's transaction in this one: a stranger, or a lie.
    if (draw.OneIn(12)) AddRedemptions(known[draw.Below(known.size())], 0, draw, &receipt);
  }
  if (draw.OneIn(30)) receipt.set_tx_hash("short");
  if (draw.OneIn(30)) receipt.set_succeeded(!receipt.succeeded());
  told.push_back(receipt);
  return receipt;
}

void HostileHost::AddRedemptions(const KeptTransaction& kept, uint64_t how, Draw& draw,
                                 boundary::v1::ReportReceipt* out) const {
  for (const wire::Ticket& ticket : kept.transaction.tickets) {
    wire::Ticket shown = ticket;
    ethereum::U256 paid = ticket.face_value;
    switch (how) {
      case 0:
        paid = draw.Below(1'000'000);  // in part, or more than there was
        break;
      case 1:
        paid = 0;
        break;
      case 2:
        if (draw.OneIn(2)) continue;  // a batch swallows the failure of one
        break;
      case 3:
        shown.face_value += 1;
        break;
      case 4:
        shown.sender_nonce += draw.Below(3);
        break;
      case 5:
        shown.recipient.bytes[19] ^= 1;
        break;
      case 6:
        if (draw.OneIn(2)) shown.recipient_rand += 1;
        if (draw.OneIn(2)) shown.creation_round += 1;
        if (draw.OneIn(2)) shown.sender.bytes[0] ^= 1;
        break;
      default:
        break;
    }
    AppendLogs(world_->policy().broker, shown, paid, out->mutable_logs());
  }
  if (out->logs().empty()) return;
  const int log = static_cast<int>(draw.Below(static_cast<uint64_t>(out->logs_size())));
  if (draw.OneIn(30)) out->mutable_logs(log)->set_address(std::string(20, '\x66'));
  if (draw.OneIn(30)) out->mutable_logs()->SwapElements(log, 0);
  if (draw.OneIn(30)) out->mutable_logs(log)->mutable_data()->resize(31);
  if (draw.OneIn(30)) *out->add_logs() = boundary::v1::Log(out->logs(log));
}

// ---- everything else ---------------------------------------------------------------------------

void HostileHost::Read(uint64_t how, Draw& draw, ClientFrame* out) const {
  switch (how % 8) {
    case 0:
      out->mutable_status()->set_want_ledger_root(draw.OneIn(2));
      return;
    case 1:
      out->mutable_get_account()->set_id(Account(draw.Below(kAccounts)));
      if (draw.OneIn(5)) out->mutable_get_account()->set_id(std::string(draw.Below(200), 'y'));
      return;
    case 2:
      out->mutable_list_accounts()->set_limit(static_cast<uint32_t>(draw.Below(20)));
      out->mutable_list_accounts()->set_from_index(draw.OneIn(5) ? draw.Below(UINT64_MAX) : 0);
      return;
    case 3:
      out->mutable_get_payout()->set_id(PayoutId(draw));
      return;
    case 4:
      out->mutable_get_policy();
      return;
    case 5:
      out->mutable_get_checkpoint()->set_chain_id(draw.Below(3));
      if (draw.OneIn(3)) out->mutable_get_checkpoint()->set_registry(std::string(20, '\x12'));
      if (draw.OneIn(6)) out->mutable_get_checkpoint()->set_registry("short");
      return;
    default:
      out->mutable_list_payouts()->set_limit(draw.OneIn(10) ? 0 : 1000);
      out->mutable_list_payouts()->set_open_only(draw.OneIn(4));
      out->mutable_list_payouts()->set_with_transactions(true);
  }
}

void HostileHost::Sign(uint64_t how, Draw& draw, ClientFrame* out) const {
  if (how % 3 == 0) {
    out->mutable_sign_message()->set_message(BlockHash(draw.Below(9)));
  } else if (how % 3 == 1) {
    auto* ticket = out->mutable_sign_ticket();
    ticket->set_recipient(std::string(20, '\x99'));
    ticket->set_face_value("\x01");
    ticket->set_recipient_rand_hash(BlockHash(1));
    ticket->set_aux_data(std::string(64, '\1'));
  } else {
    auto* transaction = out->mutable_sign_transaction();
    transaction->set_type(2);
    transaction->set_chain_id(world_->policy().chain_id);
    transaction->set_to(std::string(20, '\x99'));
    transaction->set_gas_limit(21'000);
    transaction->set_value("\x7f");
  }
}

}  // namespace coffer::sim
