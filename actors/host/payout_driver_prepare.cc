// The driver's turn, where new transactions are asked for: payouts and fundings of the deposit.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/payout_driver.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {

using boundary::v1::Attempt;
using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ledger::FromProto;
using ledger::ToDecimal;
using runtime::Level;
using runtime::Log;

namespace {

// What `part` leaves of `whole`, never below 0.
absl::uint128 Less(absl::uint128 whole, absl::uint128 part) {
  return whole - std::min(whole, part);
}

absl::uint128 OrPolicy(absl::uint128 ours, const boundary::v1::Wei& policy) {
  return ours == 0 ? FromProto(policy) : std::min(ours, FromProto(policy));
}

}  // namespace

void PayoutDriver::ChooseNewFees() {
  const boundary::v1::Policy& policy = turn_->enclave.policy();
  turn_->fee_limits = options_.fees;
  turn_->fee_limits.max_fee_ceiling =
      OrPolicy(options_.fees.max_fee_ceiling, policy.max_fee_per_gas());
  turn_->fee_limits.max_priority_fee_ceiling =
      OrPolicy(options_.fees.max_priority_fee_ceiling, policy.max_priority_fee_per_gas());
  const absl::StatusOr<Fees> fees =
      ChooseFees(turn_->chain->base_fee, options_.priority_fee, turn_->fee_limits);
  if (fees.ok()) {
    turn_->fees = *fees;
  } else {
    Halt("fee_ceiling", std::string(fees.status().message()));
  }
  turn_->gas_room = Less(turn_->chain->balance, Committed());
  if (UnderWay() == 0) gas_refusal_.clear();  // what was refused has found another way
  if (!gas_refusal_.empty()) {
    Halt("insufficient_funds",
         absl::StrCat("the node says that the balance of ", ToDecimal(turn_->chain->balance),
                      " wei does not pay for the gas of what is under way: ", gas_refusal_));
  }
}

bool PayoutDriver::RunDue() const {
  return (run_wanted_ && plan_now_) || (ByClock() && dispatcher_->Now() >= next_run_);
}

uint64_t PayoutDriver::GasCap() const {
  return std::min(turn_->enclave.policy().max_gas_limit(), turn_->chain->block_gas_limit);
}

uint64_t PayoutDriver::UnderWay() const {
  return static_cast<uint64_t>(
      std::count_if(records_.begin(), records_.end(),
                    [](const auto& entry) { return entry.second.payout.under_way(); }));
}

absl::uint128 PayoutDriver::Outstanding() const {
  absl::uint128 sum = 0;
  for (const auto& [id, record] : records_) sum += OpenWei(record.payout);
  return sum;
}

// What the transactions under way may cost at most: gas at their newest fees, and their value.
absl::uint128 PayoutDriver::Committed() const {
  absl::uint128 sum = 0;
  for (const auto& [id, record] : records_) {
    const std::vector<const Attempt*> attempts = OpenAttempts(record.payout);
    if (!attempts.empty()) {
      const boundary::v1::Fees& fees = attempts.back()->fees();
      sum += FromProto(fees.max_fee_per_gas()) * fees.gas_limit();
    }
    if (IsTickets(record.payout)) continue;
    sum += IsFunding(record.payout) ? FromProto(record.payout.total()) : OpenWei(record.payout);
  }
  return sum;
}

absl::uint128 PayoutDriver::Room() const {
  if (options_.strategy != boundary::v1::STRATEGY_LIVEPEER_TICKET) return turn_->gas_room;
  absl::uint128 promised = 0;
  for (const auto& [id, record] : records_) {
    if (IsTickets(record.payout)) promised += OpenWei(record.payout);
  }
  return Less(turn_->chain->deposit, promised);
}

void PayoutDriver::FillReading(boundary::v1::ChainReading* out) const {
  const ChainState& chain = *turn_->chain;
  out->set_address(turn_->enclave.address());
  out->set_account_nonce(chain.nonce);
  ledger::ToProto(chain.deposit, out->mutable_deposit());
  out->set_round(chain.round);
  out->set_round_block_hash(std::string(chain.round_block_hash.view()));
  out->set_block_number(chain.number);
}

void PayoutDriver::FillFees(uint64_t gas_limit, const Fees& fees, boundary::v1::Fees* out) const {
  out->set_gas_limit(gas_limit);
  ledger::ToProto(fees.max_fee, out->mutable_max_fee_per_gas());
  ledger::ToProto(fees.max_priority_fee, out->mutable_max_priority_fee_per_gas());
}

void PayoutDriver::Estimate(const CallRequest& call, std::string_view what,
                            absl::AnyInvocable<void(uint64_t)> take) {
  AskChain(
      "eth_estimateGas", CallParams(call, BlockParam(turn_->chain->number)),
      [this, what = std::string(what),
       take = std::move(take)](const absl::StatusOr<RpcAnswer>& answer) mutable {
        if (!answer.ok()) return;
        if (answer->refused) {
          Note(absl::StrCat(what, " would fail on the chain: ", RevertReasonOf(answer->error)));
          return;
        }
        const absl::StatusOr<uint64_t> estimate = ParseQuantity(answer->result);
        if (!estimate.ok()) return;
        const std::optional<uint64_t> gas = EstimatedGasLimit(*estimate, GasCap(), options_);
        if (gas.has_value()) {
          take(*gas);
        } else {
          Note(absl::StrCat(what, " needs more gas than is allowed: ", *estimate));
        }
      });
}

// ---- the deposit

void PayoutDriver::Fund() {
  if (options_.fund_below == 0 || Halted() || !turn_->fees.has_value()) return;
  const ChainState& chain = *turn_->chain;
  if (!chain.has_broker || chain.paused || chain.deposit >= options_.fund_below) return;
  for (const auto& [id, record] : records_) {
    if (IsFunding(record.payout)) return;  // one at a time
  }
  const absl::uint128 most = FromProto(turn_->enclave.policy().max_fund_deposit());
  const absl::uint128 amount = std::min(Less(options_.fund_target, chain.deposit), most);
  if (amount == 0) {
    Note("the deposit is low, and the enclave's policy or the target allows no funding");
    return;
  }
  CallRequest call;
  const auto from = ethereum::Address::FromBytes(turn_->enclave.address());
  const auto to = ethereum::Address::FromBytes(turn_->enclave.broker());
  if (!from.ok() || !to.ok()) return;
  call.from = *from;
  call.to = *to;
  call.data = ethereum::EncodeFundDeposit();
  call.value = ledger::ToU256(amount);
  constexpr const char* kWhat = "funding the deposit";
  Estimate(call, kWhat, [this, amount](uint64_t gas_limit) {
    PrepareFunding(boundary::v1::STRATEGY_FUND_DEPOSIT, amount, gas_limit, kWhat);
  });
}

bool PayoutDriver::PrepareFunding(boundary::v1::Strategy strategy, absl::uint128 amount,
                                  uint64_t gas_limit, const char* what) {
  const absl::uint128 cost = amount + turn_->fees->max_fee * gas_limit;
  if (cost > turn_->gas_room) {
    Note(absl::StrCat(what, " needs ", ToDecimal(cost), " wei with its gas, and the balance has ",
                      ToDecimal(turn_->gas_room), " left"));
    return false;
  }
  turn_->gas_room -= cost;
  ClientFrame request;
  boundary::v1::PrepareFunding* funding = request.mutable_prepare_funding();
  funding->set_strategy(strategy);
  ledger::ToProto(amount, funding->mutable_amount());
  FillReading(funding->mutable_reading());
  FillFees(gas_limit, *turn_->fees, funding->mutable_fees());
  AskEnclave(std::move(request), [this, strategy, amount, what](const ServerFrame& frame) {
    if (Refused(frame, "prepare_funding")) {
      Note(absl::StrCat(what, " is refused by the enclave: ", frame.error().message()));
      return;
    }
    if (strategy == boundary::v1::STRATEGY_FUND_DEPOSIT) ++status_.counters.funded;
    need_list_ = true;
    turn_->progress = true;
    Log(Level::kInfo, "payouts", what, {{"wei", ToDecimal(amount)}});
  });
  return true;
}

// ---- payouts

void PayoutDriver::MakeThePlan() {
  const bool tickets = options_.strategy == boundary::v1::STRATEGY_LIVEPEER_TICKET;
  const boundary::v1::Policy& policy = turn_->enclave.policy();
  run_halts_.clear();
  blocked_room_.reset();
  plan_now_ = false;
  run_wanted_ = false;
  next_run_ = dispatcher_->Now() + options_.run_interval;
  status_.last_run = dispatcher_->WallNow();

  PlanLimits limits;
  limits.max_face_value = FromProto(policy.max_face_value());
  limits.max_batch_total = FromProto(policy.max_batch_total());
  limits.max_batches =
      options_.max_under_way - std::min<uint64_t>(options_.max_under_way, UnderWay());
  limits.room = Room();
  if (tickets) {
    limits.max_items = std::min<uint64_t>(
        {policy.max_tickets(), options_.max_tickets, TicketsWithin(GasCap(), options_)});
    if (limits.max_items == 0) {
      run_wanted_ = true;
      run_halts_.push_back(
          {"gas_limit", absl::StrCat("a single ticket needs ", TicketGasLimit(1, options_),
                                     " gas; allowed are ", GasCap())});
      return;
    }
  } else {
    limits.cost_per_batch =
        turn_->fees->max_fee * EstimatedGasLimit(0, UINT64_MAX, options_).value_or(0);
  }
  turn_->plan = MakePlan(turn_->accounts, limits);
  turn_->accounts.clear();
  Plan& plan = turn_->plan;
  // When a slot is free.
  if (plan.more || (turn_->accounts_cut && !plan.batches.empty())) run_wanted_ = true;
  if (plan.skipped != 0) {
    run_wanted_ = true;  // when there is more room
    blocked_room_ = limits.room;
    run_halts_.push_back({tickets ? "deposit_too_low" : "balance_too_low",
                          absl::StrCat(plan.skipped, " accounts with ", ToDecimal(plan.skipped_wei),
                                       " wei are not paid: only ", ToDecimal(limits.room),
                                       tickets ? " wei of the deposit are not promised yet"
                                               : " wei of the balance are free")});
  }
  if (!tickets) return;
  absl::uint128 gas_room = turn_->gas_room;
  for (size_t i = 0; i < plan.batches.size(); ++i) {
    const absl::uint128 cost =
        turn_->fees->max_fee * TicketGasLimit(plan.batches[i].items.size(), options_);
    if (cost <= gas_room) {
      gas_room -= cost;
      continue;
    }
    run_halts_.push_back(
        {"insufficient_funds",
         absl::StrCat("the balance has ", ToDecimal(turn_->gas_room),
                      " wei left for gas, the next transaction may need ", ToDecimal(cost))});
    run_wanted_ = true;
    plan.batches.resize(i);
    break;
  }
}

void PayoutDriver::SayThePlan() {
  const Plan& plan = turn_->plan;
  size_t accounts = 0;
  for (const PlannedBatch& batch : plan.batches) accounts += batch.items.size();
  status_.last_plan = absl::StrCat(options_.dry_run ? "would pay " : "pays ", ToDecimal(plan.total),
                                   " wei to ", accounts, " accounts in ", plan.batches.size(),
                                   " transactions", plan.more ? ", and more later" : "");
  if (!plan.batches.empty()) Log(Level::kInfo, "payouts", status_.last_plan);
}

void PayoutDriver::PreparePayouts() {
  if (turn_->plan.batches.empty()) return;
  SayThePlan();
  if (options_.dry_run) {
    run_wanted_ = false;
    return;
  }
  const auto from = ethereum::Address::FromBytes(turn_->enclave.address());
  if (!from.ok()) return;
  for (const PlannedBatch& batch : turn_->plan.batches) {
    if (options_.strategy == boundary::v1::STRATEGY_LIVEPEER_TICKET) {
      // The node's estimate of a redemption is no help: of a batch it is wrong (the contract
      // swallows what runs dry), and a single one's calldata exists only once it is signed.
      Prepare(batch, TicketGasLimit(batch.items.size(), options_));
      continue;
    }
    const auto to = ethereum::Address::FromBytes(batch.items[0].recipient);
    if (!to.ok()) continue;
    CallRequest call;
    call.from = *from;
    call.to = *to;
    call.value = ledger::ToU256(batch.total);
    Estimate(call, absl::StrCat("a transfer to account \"", batch.items[0].account, "\""),
             [this, batch](uint64_t gas_limit) { Prepare(batch, gas_limit); });
  }
}

void PayoutDriver::Prepare(const PlannedBatch& batch, uint64_t gas_limit) {
  ClientFrame request;
  boundary::v1::PreparePayout* prepare = request.mutable_prepare_payout();
  prepare->set_strategy(options_.strategy);
  for (const PlannedItem& item : batch.items) {
    boundary::v1::PayoutRequestItem* out = prepare->add_items();
    out->set_account(item.account);
    ledger::ToProto(item.amount, out->mutable_amount());
  }
  FillReading(prepare->mutable_reading());
  FillFees(gas_limit, *turn_->fees, prepare->mutable_fees());
  AskEnclave(std::move(request), [this](const ServerFrame& frame) {
    if (Refused(frame, "prepare_payout")) {
      const boundary::v1::ErrorCode code = frame.error().code();
      run_halts_.push_back({code == boundary::v1::ERROR_NONCE_ALARM ? "nonce_alarm"
                            : code == boundary::v1::ERROR_DEPOSIT   ? "deposit_too_low"
                                                                    : "enclave_refused",
                            frame.error().message()});
      run_wanted_ = true;
      return;
    }
    ++status_.counters.prepared;
    need_list_ = true;
    turn_->progress = true;
  });
}

}  // namespace coffer::host
