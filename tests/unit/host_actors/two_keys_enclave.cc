#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/abi.h"
#include "invariant/check.h"
#include "tests/unit/host_actors/two_keys_world.h"

namespace coffer::host {

using boundary::v1::Attempt;
using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using boundary::v1::SigningKeyState;

namespace {

ServerFrame No(boundary::v1::ErrorCode code, const std::string& why) {
  ServerFrame answer;
  ToProto(Refuse(code, why), answer.mutable_error());
  return answer;
}

bool IsOpen(const boundary::v1::Payout& payout) {
  return payout.under_way() || payout.state() == boundary::v1::PAYOUT_STATE_RESERVED ||
         payout.state() == boundary::v1::PAYOUT_STATE_SIGNED;
}

std::string Bytes(const ethereum::Address& address) { return std::string(address.view()); }

}  // namespace

TwoKeyEnclave::TwoKeyEnclave(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
                             const policy::Policy& policy)
    : first(scheduler, dispatcher, policy),
      second(scheduler, dispatcher, policy, '\x22'),
      scheduler_(scheduler),
      dispatcher_(dispatcher),
      source_(scheduler->NewSource()),
      policy_(policy) {}

void TwoKeyEnclave::Call(ClientFrame request, Reply reply) {
  auto shared = std::make_shared<Reply>(std::move(reply));
  const uint64_t dice = scheduler_->random().Below(200);
  const bool before = dice < lost_percent;
  bool after = dice < 2 * lost_percent;
  scheduler_->PostFrom(source_, dispatcher_, [this, request, shared, before, after]() mutable {
    if (before) {
      (*shared)(absl::UnavailableError("lost on the way there"));
      return;
    }
    ServerFrame answer = Answer(request);
    if (request.has_retire_signing_key() && lost_retire_answers > 0) {
      --lost_retire_answers;
      after = true;
    }
    if (after) {
      (*shared)(absl::UnavailableError("lost on the way back"));
    } else {
      (*shared)(std::move(answer));
    }
  });
}

uint64_t TwoKeyEnclave::GlobalId(Part part, uint64_t id) {
  const auto found = std::find(ids_.begin(), ids_.end(), Id{part, id});
  if (found != ids_.end()) return static_cast<uint64_t>(found - ids_.begin()) + 1;
  ids_.emplace_back(part, id);
  return ids_.size();
}

boundary::v1::Payout TwoKeyEnclave::Payout(uint64_t id) const {
  const auto [part, local] = ids_.at(id - 1);
  boundary::v1::Payout payout;
  if (part == Part::kDrained) {
    payout = drained_.at(local);
  } else {
    COFFER_CHECK(Of(part).authority().GetPayout(local, true, &payout).ok(), "it is known");
    payout.set_sender(Bytes(Of(part).address()));
  }
  payout.set_id(id);
  return payout;
}

std::vector<boundary::v1::Payout> TwoKeyEnclave::Payouts() const {
  std::vector<boundary::v1::Payout> payouts;
  for (uint64_t id = 1; id <= ids_.size(); ++id) payouts.push_back(Payout(id));
  return payouts;
}

size_t TwoKeyEnclave::Open() const {
  const std::vector<boundary::v1::Payout> payouts = Payouts();
  return static_cast<size_t>(std::count_if(payouts.begin(), payouts.end(), IsOpen));
}

size_t TwoKeyEnclave::OpenOfOld() const {
  const std::vector<boundary::v1::Payout> payouts = Payouts();
  return static_cast<size_t>(
      std::count_if(payouts.begin(), payouts.end(), [this](const boundary::v1::Payout& payout) {
        return IsOpen(payout) && payout.sender() == first.address().view();
      }));
}

ServerFrame TwoKeyEnclave::Ask(Part part, ClientFrame request) {
  ServerFrame answer = Of(part).Answer(request);
  const auto shown = [&](boundary::v1::Payout* payout) {
    payout->set_id(GlobalId(part, payout->id()));
    payout->set_sender(Bytes(Of(part).address()));
  };
  if (answer.has_payout()) shown(answer.mutable_payout());
  if (answer.has_receipt()) {
    for (boundary::v1::Payout& payout : *answer.mutable_receipt()->mutable_payouts()) {
      shown(&payout);
    }
  }
  return answer;
}

uint64_t TwoKeyEnclave::NextNonceOfOld() {
  ClientFrame request;
  request.mutable_status();
  uint64_t next = first.Answer(request).status().next_nonce();
  for (const boundary::v1::Payout& payout : drained_) {
    next = std::max(next, payout.attempts(0).nonce() + 1);
  }
  return next;
}

boundary::v1::Status TwoKeyEnclave::Status() {
  ClientFrame request;
  request.mutable_status();
  const boundary::v1::Status old = first.Answer(request).status();
  boundary::v1::Status status = Current().Answer(request).status();
  status.set_payouts(ids_.size());
  status.set_open_payouts(Open());
  if (!adopted_) return status;
  SigningKeyState* key = status.add_signing_keys();
  key->set_address(Bytes(first.address()));
  key->set_use(retired_ ? SigningKeyState::USE_RETIRED : SigningKeyState::USE_DRAINING);
  key->set_nonce_known(old.nonce_known() || !drained_.empty());
  key->set_next_nonce(NextNonceOfOld());
  key->set_open_payouts(OpenOfOld());
  key = status.add_signing_keys();
  key->set_epoch(1);
  key->set_address(Bytes(second.address()));
  key->set_use(SigningKeyState::USE_CURRENT);
  key->set_nonce_known(status.nonce_known());
  key->set_next_nonce(status.next_nonce());
  return status;
}

ServerFrame TwoKeyEnclave::List(const boundary::v1::ListPayouts& request) const {
  ServerFrame answer;
  boundary::v1::PayoutList* list = answer.mutable_payouts();
  for (uint64_t id = std::max<uint64_t>(request.from_id(), 1); id <= ids_.size(); ++id) {
    const boundary::v1::Payout payout = Payout(id);
    if (!request.open_only() || IsOpen(payout)) *list->add_payouts() = payout;
  }
  list->set_end(true);
  return answer;
}

void TwoKeyEnclave::SignDrained(boundary::v1::Payout* payout, ethereum::Transaction tx,
                                const boundary::v1::Fees& fees) {
  tx.gas_limit = fees.gas_limit();
  tx.max_fee_per_gas = ledger::ToU256(ledger::FromProto(fees.max_fee_per_gas()));
  tx.max_priority_fee_per_gas = ledger::ToU256(ledger::FromProto(fees.max_priority_fee_per_gas()));
  Attempt* attempt = payout->add_attempts();
  attempt->set_nonce(tx.nonce);
  *attempt->mutable_fees() = fees;
  const ethereum::SignedTransaction made = ethereum::SignTransaction(std::move(tx), first.key());
  attempt->set_raw_tx(made.Encode());
  attempt->set_tx_hash(std::string(made.TransactionHash().view()));
  payout->set_under_way(true);
  payout->set_state(boundary::v1::PAYOUT_STATE_SIGNED);
}

ServerFrame TwoKeyEnclave::PrepareDrain(const boundary::v1::PrepareFunding& request) {
  if (!adopted_ || retired_ || OpenOfOld() != 0) {
    return No(boundary::v1::ERROR_WRONG_STATE, "no key drains, or a payout of it is open");
  }
  const uint64_t nonce = NextNonceOfOld();
  if (request.reading().account_nonce() > nonce) {
    return No(boundary::v1::ERROR_NONCE_ALARM, "the reading is of another address");
  }
  ethereum::Transaction tx;
  tx.chain_id = policy_.chain_id;
  tx.nonce = nonce;
  tx.to = policy_.broker;
  switch (request.strategy()) {
    case boundary::v1::STRATEGY_UNLOCK:
      tx.data = ethereum::abi::Selector("unlock()");
      break;
    case boundary::v1::STRATEGY_WITHDRAW:
      tx.data = ethereum::abi::Selector("withdraw()");
      break;
    default:
      tx.to = second.address();
      tx.value = ledger::ToU256(ledger::FromProto(request.amount()));
  }
  drained_.emplace_back();
  boundary::v1::Payout* payout = &drained_.back();
  payout->set_strategy(request.strategy());
  payout->set_sender(Bytes(first.address()));
  *payout->mutable_total() = request.amount();
  SignDrained(payout, std::move(tx), request.fees());
  ServerFrame answer;
  *answer.mutable_payout() = Payout(GlobalId(Part::kDrained, drained_.size() - 1));
  return answer;
}

ServerFrame TwoKeyEnclave::Bump(boundary::v1::Payout* payout, const boundary::v1::Fees& fees) {
  const std::string raw = payout->attempts(0).raw_tx();
  SignDrained(payout, ethereum::ParseSignedTransaction(raw)->transaction, fees);
  ServerFrame answer;
  *answer.mutable_payout() = *payout;
  return answer;
}

boundary::v1::Payout* TwoKeyEnclave::DrainedBy(const std::string& tx_hash) {
  for (boundary::v1::Payout& payout : drained_) {
    for (const Attempt& attempt : payout.attempts()) {
      if (attempt.tx_hash() == tx_hash) return &payout;
    }
  }
  return nullptr;
}

ServerFrame TwoKeyEnclave::Report(const ClientFrame& request) {
  const bool reorg = request.has_report_reorg();
  const std::string& tx_hash =
      reorg ? request.report_reorg().tx_hash() : request.report_receipt().tx_hash();
  boundary::v1::Payout* payout = DrainedBy(tx_hash);
  if (payout == nullptr) return Ask(PartOf(request), request);
  ServerFrame answer;
  answer.mutable_receipt();
  for (Attempt& attempt : *payout->mutable_attempts()) {
    if (attempt.tx_hash() != tx_hash) continue;
    const boundary::v1::ReportReceipt& receipt = request.report_receipt();
    if (!reorg && attempt.mined() && attempt.block_hash() != receipt.block_hash()) {
      return No(boundary::v1::ERROR_EVIDENCE, "it was reported in another block");
    }
    answer.mutable_receipt()->set_known(attempt.mined() == reorg);
    attempt.set_mined(!reorg);
    if (reorg) continue;
    attempt.set_succeeded(receipt.succeeded());
    attempt.set_block_number(receipt.block_number());
    attempt.set_block_hash(receipt.block_hash());
  }
  payout->set_under_way(reorg);
  payout->set_state(reorg ? boundary::v1::PAYOUT_STATE_SIGNED : boundary::v1::PAYOUT_STATE_SETTLED);
  return answer;
}

TwoKeyEnclave::Part TwoKeyEnclave::PartOf(const ClientFrame& request) const {
  const bool reorg = request.has_report_reorg();
  const auto hash = ethereum::Hash::FromBytes(reorg ? request.report_reorg().tx_hash()
                                                    : request.report_receipt().tx_hash());
  const payouts::Payouts& old = first.authority().payouts();
  if (old.FindTransaction(*hash).has_value() || !old.PaidBy(*hash).empty()) return Part::kFirst;
  const payouts::Payouts& now = second.authority().payouts();
  if (now.FindTransaction(*hash).has_value() || !now.PaidBy(*hash).empty()) return Part::kSecond;
  // A stranger's: the sender of its tickets says whose they are.
  for (const boundary::v1::Log& log : request.report_receipt().logs()) {
    if (log.topics_size() > 1 && log.topics(1).substr(12) == first.address().view()) {
      return Part::kFirst;
    }
  }
  return Part::kSecond;
}

ServerFrame TwoKeyEnclave::Retire(const std::string& address) {
  if (!adopted_ || address != first.address().view() || OpenOfOld() != 0) {
    return No(boundary::v1::ERROR_WRONG_STATE, "it does not drain, or a payout of it is open");
  }
  retired_ = true;
  ServerFrame answer;
  *answer.mutable_signing_key_retired() = Status();
  return answer;
}

ServerFrame TwoKeyEnclave::Answer(const ClientFrame& request) {
  ServerFrame answer = Route(request);
  const boundary::v1::ChainReading* reading = nullptr;
  if (request.has_prepare_payout()) reading = &request.prepare_payout().reading();
  if (request.has_prepare_funding()) reading = &request.prepare_funding().reading();
  if (request.has_retry_payout()) reading = &request.retry_payout().reading();
  if (reading != nullptr && answer.has_payout()) {
    readings.emplace_back(*ethereum::Address::FromBytes(answer.payout().sender()), *reading);
  }
  return answer;
}

ServerFrame TwoKeyEnclave::Route(const ClientFrame& request) {
  ClientFrame local = request;
  uint64_t id = 0;
  switch (request.body_case()) {
    case ClientFrame::kStatus: {
      ServerFrame answer;
      *answer.mutable_status() = Status();
      return answer;
    }
    case ClientFrame::kListPayouts:
      return List(request.list_payouts());
    case ClientFrame::kPrepareFunding:
      if (request.prepare_funding().strategy() >= boundary::v1::STRATEGY_UNLOCK) {
        return PrepareDrain(request.prepare_funding());
      }
      break;
    case ClientFrame::kReportReceipt:
    case ClientFrame::kReportReorg:
      return Report(request);
    case ClientFrame::kAdoptSigningKey: {
      Adopt();
      ServerFrame answer;
      *answer.mutable_signing_key_adopted() = Status();
      return answer;
    }
    case ClientFrame::kRetireSigningKey:
      return Retire(request.retire_signing_key().address());
    case ClientFrame::kBumpTransaction:
      id = request.bump_transaction().payout_id();
      local.mutable_bump_transaction()->set_payout_id(ids_.at(id - 1).second);
      break;
    case ClientFrame::kRetryPayout:
      id = request.retry_payout().payout_id();
      local.mutable_retry_payout()->set_payout_id(ids_.at(id - 1).second);
      break;
    case ClientFrame::kVoidTickets:
      id = request.void_tickets().payout_id();
      local.mutable_void_tickets()->set_payout_id(ids_.at(id - 1).second);
      break;
    default:
      break;
  }
  if (id == 0) return Ask(adopted_ ? Part::kSecond : Part::kFirst, local);
  const Part part = ids_.at(id - 1).first;
  if (retired_ && part != Part::kSecond && !request.has_void_tickets()) {
    return No(boundary::v1::ERROR_WRONG_STATE, "the key that signed it is retired");
  }
  if (part != Part::kDrained) return Ask(part, local);
  return Bump(&drained_.at(ids_.at(id - 1).second), request.bump_transaction().fees());
}

}  // namespace coffer::host
