// The driver's turn: its stages, who is asked what, and the status.
#include "actors/host/payout_driver.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/ledger/wei.h"
#include "invariant/check.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::Payout;
using boundary::v1::ServerFrame;
using ledger::FromProto;
using runtime::Level;
using runtime::Log;

namespace {

// Recent payouts whose receipts are watched after a start; those of a key that is no longer the
// current one lie further back.
constexpr uint64_t kSeedPayouts = 200;
constexpr uint64_t kSeedPayoutsOfOldKey = 5000;
constexpr size_t kMaxRecords = 100'000;

const char* StateName(boundary::v1::PayoutState state) {
  switch (state) {
    case boundary::v1::PAYOUT_STATE_RESERVED:
      return "reserved";
    case boundary::v1::PAYOUT_STATE_SIGNED:
      return "signed";
    case boundary::v1::PAYOUT_STATE_SETTLED:
      return "settled";
    case boundary::v1::PAYOUT_STATE_PARTLY_SETTLED:
      return "partly_settled";
    case boundary::v1::PAYOUT_STATE_VOIDED:
      return "voided";
    default:
      return "unknown";
  }
}

}  // namespace

PayoutDriver::PayoutDriver(runtime::Dispatcher* dispatcher, EnclaveClient* enclave,
                           ChainClient* chain, PayoutDriverOptions options)
    : dispatcher_(dispatcher),
      enclave_(enclave),
      chain_(chain),
      options_(std::move(options)),
      reader_(chain),
      alive_(std::make_shared<bool>(true)),
      logs_range_(std::max<uint64_t>(options_.logs_range, 1)),
      drain_(options_) {
  status_.address = options_.key;
  status_.dry_run = options_.dry_run;
  run_wanted_ = ByClock();
}

PayoutDriver::~PayoutDriver() = default;

void PayoutDriver::Start() {
  COFFER_CHECK(!started_, "the payout driver was started twice");
  started_ = true;
  enclave_->Watch([this, weak = std::weak_ptr<bool>(alive_)](bool ready) {
    if (weak.expired()) return;
    // Another enclave, or the same one with requests lost on the way: ask for everything.
    need_list_ = true;
    status_.enclave_ready = ready;
    if (ready) Kick();
  });
  Kick();
}

void PayoutDriver::RunNow() {
  run_wanted_ = true;
  plan_now_ = true;
  Kick();
}

void PayoutDriver::Pause() {
  status_.paused = true;
  Kick();
}

void PayoutDriver::Resume() {
  status_.paused = false;
  plan_now_ = true;
  Kick();
}

// ---- the machinery

void PayoutDriver::Kick() {
  if (!started_) return;
  if (turn_ != nullptr) {
    again_ = true;
    return;
  }
  if (!enclave_->ready()) {
    status_.enclave_ready = false;
    status_.halts = {{"enclave_not_ready", "the enclave has no state loaded, or is not connected"}};
    ArmTimer();
    return;
  }
  status_.enclave_ready = true;
  timer_.reset();
  turn_ = std::make_shared<Turn>();
  RunStage(&PayoutDriver::AskStatus);
}

void PayoutDriver::ArmTimer() {
  timer_ = dispatcher_->After(options_.tick, [this] { Kick(); });
}

void PayoutDriver::RunStage(void (PayoutDriver::*stage)()) {
  turn_->next = nullptr;
  ++turn_->waiting;  // until the stage has asked all its questions
  (this->*stage)();
  Leave();
}

void PayoutDriver::Leave() {
  if (--turn_->waiting != 0) return;
  if (turn_->next != nullptr) {
    RunStage(turn_->next);
    return;
  }
  Finish();
}

void PayoutDriver::AskEnclave(ClientFrame request, TakeFrame take) {
  ++turn_->waiting;
  enclave_->Call(std::move(request),
                 [this, weak = std::weak_ptr<Turn>(turn_),
                  take = std::move(take)](absl::StatusOr<ServerFrame> answer) mutable {
                   const std::shared_ptr<Turn> turn = weak.lock();
                   if (turn == nullptr) return;
                   if (answer.ok()) {
                     take(*answer);
                   } else {
                     need_list_ = true;  // whether it took effect is unknown
                     run_wanted_ = run_wanted_ || ByClock();
                   }
                   Leave();
                 });
}

void PayoutDriver::AskChain(std::string method, Json::Value params, TakeAnswer take) {
  ++turn_->waiting;
  chain_->Call(std::move(method), std::move(params),
               [this, weak = std::weak_ptr<Turn>(turn_),
                take = std::move(take)](absl::StatusOr<RpcAnswer> answer) mutable {
                 const std::shared_ptr<Turn> turn = weak.lock();
                 if (turn == nullptr) return;
                 take(answer);
                 Leave();
               });
}

void PayoutDriver::Note(std::string note) {
  if (std::find(turn_->notes.begin(), turn_->notes.end(), note) == turn_->notes.end()) {
    turn_->notes.push_back(std::move(note));
  }
}

void PayoutDriver::Halt(std::string code, std::string sentence) {
  turn_->halts.push_back({std::move(code), std::move(sentence)});
}

bool PayoutDriver::Halted() const {
  return status_.paused || options_.dry_run || !turn_->halts.empty();
}

bool PayoutDriver::Refused(const ServerFrame& frame, std::string_view what) {
  if (frame.body_case() != ServerFrame::kError) return false;
  ++status_.counters.refused;
  refusal_log_.Log(Level::kWarn, "payouts", "the enclave refused a request",
                   {{"request", what},
                    {"code", boundary::v1::ErrorCode_Name(frame.error().code())},
                    {"reason", frame.error().message()}});
  return true;
}

PayoutRecord* PayoutDriver::Find(uint64_t payout_id) {
  const auto found = records_.find(payout_id);
  return found == records_.end() ? nullptr : &found->second;
}

// ---- the stages

void PayoutDriver::AskStatus() {
  turn_->next = &PayoutDriver::AskPayouts;
  ClientFrame request;
  request.mutable_status();
  AskEnclave(std::move(request), [this](const ServerFrame& frame) {
    if (frame.body_case() == ServerFrame::kStatus) turn_->enclave = frame.status();
  });
}

void PayoutDriver::AskPayouts() {
  if (turn_->enclave.phase() != boundary::v1::PHASE_READY) {
    Halt("enclave_not_ready", "the enclave has no state loaded");
    return;
  }
  if (!TakeKey()) return;
  turn_->next = &PayoutDriver::ReadChain;
  if (!seeded_) {
    const uint64_t payouts = turn_->enclave.payouts();
    const uint64_t recent = options_.key.empty() ? kSeedPayouts : kSeedPayoutsOfOldKey;
    AskPayoutPage(payouts > recent ? payouts - recent : 1, false);
  }
  if (need_list_ || dispatcher_->Now() - last_list_ >= options_.resync_interval) {
    need_list_ = true;  // until it is here
    AskPayoutPage(1, true);
  }
}

void PayoutDriver::AskPayoutPage(uint64_t from_id, bool open_only) {
  ClientFrame request;
  boundary::v1::ListPayouts* asked = request.mutable_list_payouts();
  asked->set_from_id(from_id);
  asked->set_limit(1000);
  asked->set_open_only(open_only);
  asked->set_with_transactions(open_only);
  AskEnclave(std::move(request), [this, from_id, open_only](const ServerFrame& frame) {
    if (Refused(frame, "list_payouts") || frame.body_case() != ServerFrame::kPayouts) return;
    const boundary::v1::PayoutList& list = frame.payouts();
    for (const Payout& payout : list.payouts()) {
      if (!open_only) {
        if (Watches(payout)) Seed(payout);
      } else if (Mine(payout) && turn_->listed.size() < kMaxRecords) {
        turn_->listed.push_back(payout);
      }
    }
    if (!list.end() && list.next_id() > from_id) {
      AskPayoutPage(list.next_id(), open_only);
    } else if (open_only) {
      turn_->list_complete = true;
      need_list_ = false;
    } else {
      seeded_ = true;
    }
  });
}

// What this driver's forerunner has reported is watched again.
void PayoutDriver::Seed(const Payout& payout) {
  if (options_.reorg_window == 0) return;
  uint64_t block = 0;
  for (const boundary::v1::Attempt& attempt : payout.attempts()) {
    if (!attempt.mined()) continue;
    watched_.try_emplace(attempt.tx_hash(),
                         Watched{attempt.block_number(), attempt.block_hash(), 0});
    block = std::max(block, attempt.block_number());
  }
  known_block_ = std::max(known_block_, block);
  // The enclave does not name the block of a stranger's redemption; it is near our own attempt's,
  // and learned from the first receipt that is seen.
  for (const boundary::v1::PayoutItem& item : payout.items()) {
    if (!item.paid_by().empty()) watched_.try_emplace(item.paid_by(), Watched{block, "", 0});
  }
}

void PayoutDriver::ReadChain() {
  const absl::Time now = dispatcher_->Now();
  if (need_list_) return;  // what is known may be old, and old knowledge signs twice
  if (turn_->list_complete && turn_->listed.empty()) MergePayouts();
  const bool drains = status_.use == boundary::v1::SigningKeyState::USE_DRAINING;
  const bool idle = records_.empty() && turn_->listed.empty() && watched_.empty() && !RunDue() &&
                    (!drains || drain_.Waits());
  if (idle && now - last_chain_ < options_.idle_interval) {
    for (const PayoutHalt& halt : status_.halts) {  // still true as far as is known
      if (halt.code != "operator_paused") turn_->halts.push_back(halt);
    }
    turn_->notes = status_.notes;
    return;
  }
  turn_->next = &PayoutDriver::AskReceipts;
  ChainQuery query;
  const auto address = ethereum::Address::FromBytes(turn_->enclave.address());
  const auto broker = ethereum::Address::FromBytes(turn_->enclave.broker());
  if (!address.ok() || !broker.ok()) {
    Halt("enclave_not_ready", "the enclave's status names no address or no broker");
    return;
  }
  query.address = *address;
  query.broker = *broker;
  const boundary::v1::Policy& policy = turn_->enclave.policy();
  query.with_broker = policy.allow_tickets();
  if (!options_.key.empty()) {  // everything that it may have left behind
    query.with_broker = query.with_broker || FromProto(policy.max_fund_deposit()) != 0 ||
                        FromProto(policy.max_fund_reserve()) != 0;
  }
  query.finality = options_.finality;
  query.confirmations = options_.confirmations;
  ++turn_->waiting;
  reader_.Read(query, [this](absl::StatusOr<ChainState> state) {
    if (state.ok()) {
      turn_->chain = *std::move(state);
    } else {
      ++status_.counters.unreadable;
      chain_log_.Log(Level::kWarn, "payouts", "the chain cannot be read",
                     {{"reason", state.status()}});
      Halt("chain_unreachable", std::string(state.status().message()));
    }
    Leave();
  });
}

void PayoutDriver::AskAccounts() {
  turn_->next = &PayoutDriver::PreparePayouts;
  // What changed in this turn is looked at first, with a new reading: the deposit that was read may
  // be older than what was reported.
  if (need_list_) return;
  if (!options_.key.empty()) {
    DrainKey();
    return;
  }
  Fund();
  if (blocked_room_.has_value() && Room() > *blocked_room_) plan_now_ = true;
  if (RunDue() && !status_.paused && turn_->halts.empty() && turn_->fees.has_value()) {
    AskAccountPage(0);
  }
}

void PayoutDriver::AskAccountPage(uint64_t from_index) {
  ClientFrame request;
  boundary::v1::ListAccounts* list = request.mutable_list_accounts();
  list->set_from_index(from_index);
  list->set_limit(5000);
  list->set_payable_only(true);
  ledger::ToProto(std::max(options_.threshold, absl::uint128(1)), list->mutable_min_available());
  AskEnclave(std::move(request), [this, from_index](const ServerFrame& frame) {
    if (Refused(frame, "list_accounts") || frame.body_case() != ServerFrame::kAccounts) return;
    const boundary::v1::AccountList& accounts = frame.accounts();
    turn_->accounts.insert(turn_->accounts.end(), accounts.accounts().begin(),
                           accounts.accounts().end());
    // One turn never needs more than this many; the next one begins again with those left.
    const size_t enough = size_t{options_.max_under_way} * 100 + 5000;
    if (!accounts.end() && accounts.next_index() > from_index && turn_->accounts.size() < enough) {
      AskAccountPage(accounts.next_index());
    } else {
      turn_->accounts_cut = !accounts.end();
      MakeThePlan();
    }
  });
}

void PayoutDriver::Finish() {
  const std::shared_ptr<Turn> turn = turn_;
  if (status_.paused) {
    turn->halts.insert(turn->halts.begin(), {"operator_paused", "paused by the operator"});
  }
  for (const PayoutHalt& halt : run_halts_) {
    if (std::find(turn->halts.begin(), turn->halts.end(), halt) == turn->halts.end()) {
      turn->halts.push_back(halt);
    }
  }
  for (const PayoutHalt& halt : turn->halts) {
    const auto same = [&](const PayoutHalt& other) { return other.code == halt.code; };
    if (std::none_of(status_.halts.begin(), status_.halts.end(), same)) {
      Log(Level::kWarn, "payouts", "nothing new is signed",
          {{"code", halt.code},
           {"reason", halt.sentence},
           {"key", ethereum::ToHex(status_.address)}});
    }
  }
  for (const std::string& note : turn->notes) {
    if (std::find(logged_notes_.begin(), logged_notes_.end(), note) == logged_notes_.end()) {
      Log(Level::kWarn, "payouts", note);
    }
  }
  logged_notes_ = turn->notes;
  status_.halts = std::move(turn->halts);
  status_.notes = std::move(turn->notes);
  const boundary::v1::Status& enclave = turn->enclave;
  if (enclave.phase() == boundary::v1::PHASE_READY) {
    status_.nonce_known = enclave.nonce_known();
    status_.next_nonce = enclave.next_nonce();
    status_.owed = FromProto(enclave.totals().available());
  }
  if (turn->chain.has_value()) {
    status_.last_reading = dispatcher_->WallNow();
    status_.chain_nonce = turn->chain->nonce;
    status_.block_number = turn->chain->number;
    status_.round = turn->chain->round;
    status_.deposit = turn->chain->deposit;
    status_.reserve = turn->chain->reserve;
    status_.balance = turn->chain->balance;
  }
  status_.open_payouts = records_.size();
  status_.under_way = UnderWay();
  status_.retry_waiting = status_.open_payouts - status_.under_way;
  status_.outstanding = Outstanding();
  status_.watched_receipts = watched_.size();
  status_.open_by_state = {
      {"reserved", 0}, {"signed", 0}, {"settled", 0}, {"partly_settled", 0}, {"voided", 0}};
  status_.oldest_open = absl::ZeroDuration();
  for (const auto& [id, record] : records_) {
    ++status_.open_by_state[StateName(record.payout.state())];
    status_.oldest_open = std::max(status_.oldest_open, dispatcher_->Now() - record.first_seen);
  }
  const bool again = again_ || turn->progress;
  again_ = false;
  const bool asleep = Asleep();
  turn_.reset();
  if (!again) {
    if (!asleep) ArmTimer();
    return;
  }
  // Through the timer, so that a caller's stack never grows with the work to be done.
  timer_ = dispatcher_->After(absl::Milliseconds(10), [this] { Kick(); });
}

}  // namespace coffer::host
