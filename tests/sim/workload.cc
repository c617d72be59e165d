#include "tests/sim/workload.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::sim {

using boundary::v1::ClientFrame;
using boundary::v1::Event;
using Fate = EventTruth::Fate;

Address Workload::RecipientOf(uint32_t account) {
  return *Address::FromBytes(std::string(19, '\x77') + static_cast<char>(account + 1));
}

std::string Workload::NameOf(uint32_t account) { return absl::StrCat("orch-", account); }

void Workload::OnHostStart(runtime::TestDispatcher* dispatcher, host::EnclaveClient* client) {
  session_ = std::make_unique<Session>(Session{dispatcher, client, nullptr});
  Arm();
}

void Workload::OnHostKilled() {
  session_.reset();
  OnAnswersLost();
}

// Another copy of an event that was refused may have been applied after that, its answer lost: ask
// again.
void Workload::OnAnswersLost() {
  for (EventTruth& event : events_) {
    if (event.fate == Fate::kRefused) event.fate = Fate::kUnknown;
  }
}

bool Workload::Quiet() const {
  return nothing_open_ && std::none_of(events_.begin(), events_.end(), [](const EventTruth& e) {
           return e.fate == Fate::kUnknown;
         });
}

void Workload::Arm() {
  session_->timer = session_->dispatcher->After(absl::Microseconds(200 + random_->Below(8000)),
                                                [this] { Tick(); });
}

void Workload::Tick() {
  Arm();
  if (!session_->client->ready() || session_->in_flight > 8) return;
  const uint64_t dice = random_->Below(100);
  if (dice < 55) {
    SendEvents();
  } else if (dice < 70 && !finishing_) {
    Prepare();
  } else {
    ListPayouts();
  }
}

void Workload::Call(ClientFrame frame, absl::AnyInvocable<void(const Frame&)> on_answer) {
  ++session_->in_flight;
  session_->client->Call(std::move(frame),
                         [this, done = std::move(on_answer)](absl::StatusOr<Frame> answer) mutable {
                           --session_->in_flight;
                           if (!answer.ok()) return OnAnswersLost();
                           ++answered_;
                           done(*answer);
                         });
}

// New events, unknown ones again, and now and then one that was answered long ago.
void Workload::SendEvents() {
  if (!finishing_) {
    for (uint64_t i = random_->Below(4); i > 0; --i) {
      EventTruth event;
      event.id = absl::StrCat("event-", events_.size());
      event.account = static_cast<uint32_t>(random_->Below(kAccounts));
      const uint64_t kind = random_->Below(10);
      event.kind = kind < 8    ? Event::KIND_CREDIT
                   : kind == 8 ? Event::KIND_ADJUST_UP
                               : Event::KIND_ADJUST_DOWN;
      event.amount = 1 + random_->Below(1'000'000);
      events_.push_back(event);
    }
  }
  std::vector<size_t> chosen;
  for (size_t i = 0; i < events_.size() && chosen.size() < 20; ++i) {
    const bool again = events_[i].fate == Fate::kApplied && random_->Below(200) == 0;
    if (events_[i].fate == Fate::kUnknown || again) chosen.push_back(i);
  }
  if (chosen.empty()) return;
  ClientFrame frame;
  for (const size_t i : chosen) {
    events_[i].sent = true;
    Event* event = frame.mutable_apply_events()->add_events();
    event->set_id(events_[i].id);
    event->set_kind(events_[i].kind);
    event->set_account(NameOf(events_[i].account));
    event->set_recipient(std::string(RecipientOf(events_[i].account).view()));
    event->mutable_amount()->set_low(events_[i].amount);
  }
  Call(std::move(frame), [this, chosen](const Frame& answer) { OnEvents(chosen, answer); });
}

void Workload::OnEvents(const std::vector<size_t>& sent, const Frame& answer) {
  if (answer.has_error()) return;
  std::vector<Fate> fates(sent.size(), Fate::kApplied);
  for (const auto& refusal : answer.events_applied().refusals()) {
    COFFER_CHECK(refusal.error().code() == boundary::v1::ERROR_INSUFFICIENT,
                 "sim: an honest event was refused");
    fates[refusal.index()] = Fate::kRefused;
  }
  for (size_t i = 0; i < sent.size(); ++i) {
    EventTruth& event = events_[sent[i]];
    COFFER_CHECK(event.fate != Fate::kApplied || fates[i] == Fate::kApplied,
                 "I7: an applied event was forgotten");
    // Two copies may be under way: a refusal of one says nothing once the other was applied.
    if (event.fate != Fate::kApplied) event.fate = fates[i];
  }
}

void Workload::Prepare() {
  ClientFrame frame;
  boundary::v1::PreparePayout* prepare = frame.mutable_prepare_payout();
  const bool transfer = random_->Below(5) == 0;
  prepare->set_strategy(transfer ? boundary::v1::STRATEGY_ETH_TRANSFER
                                 : boundary::v1::STRATEGY_LIVEPEER_TICKET);
  std::set<uint64_t> accounts;
  const uint64_t wanted = transfer ? 1 : 1 + random_->Below(6);
  while (accounts.size() < wanted) accounts.insert(random_->Below(kAccounts));
  for (const uint64_t account : accounts) {
    auto* item = prepare->add_items();
    item->set_account(NameOf(static_cast<uint32_t>(account)));
    if (random_->Below(2) == 0) item->mutable_amount()->set_low(1 + random_->Below(200'000));
  }
  *prepare->mutable_reading() = chain_->Reading();
  prepare->mutable_fees()->set_gas_limit(1'000'000);
  prepare->mutable_fees()->mutable_max_fee_per_gas()->set_low(1000 + random_->Below(100));
  prepare->mutable_fees()->mutable_max_priority_fee_per_gas()->set_low(100);
  Call(std::move(frame), [this](const Frame& answer) {
    if (answer.has_payout()) Advance(answer.payout());
  });
}

void Workload::ListPayouts() {
  ClientFrame frame;
  frame.mutable_list_payouts()->set_limit(1000);
  frame.mutable_list_payouts()->set_with_transactions(true);
  Call(std::move(frame), [this](const Frame& answer) {
    if (answer.has_payouts()) OnPayouts(answer.payouts());
  });
}

void Workload::OnPayouts(const boundary::v1::PayoutList& list) {
  nothing_open_ = list.end();
  for (const boundary::v1::Payout& payout : list.payouts()) {
    const bool open = payout.under_way() || payout.state() == boundary::v1::PAYOUT_STATE_RESERVED ||
                      payout.state() == boundary::v1::PAYOUT_STATE_SIGNED;
    if (open) nothing_open_ = false;
    ReportVanished(payout);
    if (open) Advance(payout);
  }
  for (const Hash& hash : chain_->strangers()) {
    if (const Receipt* receipt = chain_->FindReceipt(hash)) Report(*receipt);
  }
}

// Reorgs: whatever the enclave believes mined must still be on the chain.
void Workload::ReportVanished(const boundary::v1::Payout& payout) {
  std::set<std::string> believed;
  for (const auto& attempt : payout.attempts()) {
    const Receipt* receipt = chain_->FindReceipt(*Hash::FromBytes(attempt.tx_hash()));
    if (attempt.mined() &&
        (receipt == nullptr || receipt->block_hash.view() != attempt.block_hash())) {
      believed.insert(attempt.tx_hash());
    }
  }
  for (const auto& item : payout.items()) {
    if (item.state() == boundary::v1::PayoutItem::STATE_PAID &&
        chain_->FindReceipt(*Hash::FromBytes(item.paid_by())) == nullptr) {
      believed.insert(item.paid_by());
    }
  }
  for (const std::string& hash : believed) {
    nothing_open_ = false;
    ClientFrame frame;
    frame.mutable_report_reorg()->set_tx_hash(hash);
    Call(std::move(frame), [](const Frame&) {});
  }
}

// One payout a step further: broadcast, report, bump, retry.
void Workload::Advance(const boundary::v1::Payout& payout) {
  for (const auto& attempt : payout.attempts()) {
    const Receipt* receipt = chain_->FindReceipt(*Hash::FromBytes(attempt.tx_hash()));
    if (receipt != nullptr && !attempt.mined()) Report(*receipt);
    if (receipt == nullptr && !attempt.mined()) chain_->Submit(attempt.raw_tx());
  }
  if (payout.attempts().empty()) return;  // its signature is on the way
  ClientFrame frame;
  boundary::v1::Fees fees = payout.attempts().rbegin()->fees();
  if (payout.under_way() && random_->Below(10) == 0) {
    fees.mutable_max_fee_per_gas()->set_low(fees.max_fee_per_gas().low() * 9 / 8 + 1);
    fees.mutable_max_priority_fee_per_gas()->set_low(fees.max_priority_fee_per_gas().low() * 9 / 8 +
                                                     1);
    frame.mutable_bump_transaction()->set_payout_id(payout.id());
    *frame.mutable_bump_transaction()->mutable_fees() = fees;
  } else if (!payout.under_way() && payout.state() == boundary::v1::PAYOUT_STATE_RESERVED) {
    frame.mutable_retry_payout()->set_payout_id(payout.id());
    *frame.mutable_retry_payout()->mutable_reading() = chain_->Reading();
    *frame.mutable_retry_payout()->mutable_fees() = fees;
  } else {
    return;
  }
  Call(std::move(frame), [](const Frame&) {});
}

void Workload::Report(const Receipt& receipt) {
  ClientFrame frame;
  boundary::v1::ReportReceipt* report = frame.mutable_report_receipt();
  report->set_tx_hash(std::string(receipt.tx_hash.view()));
  report->set_succeeded(receipt.succeeded);
  report->set_block_number(receipt.block_number);
  report->set_block_hash(std::string(receipt.block_hash.view()));
  for (const ethereum::Log& log : receipt.logs) {
    boundary::v1::Log* out = report->add_logs();
    out->set_address(std::string(log.address.view()));
    for (const Hash& topic : log.topics) out->add_topics(std::string(topic.view()));
    out->set_data(log.data);
  }
  Call(std::move(frame), [](const Frame&) {});
}

}  // namespace coffer::sim
