#include "tests/sim/chain/chain_model.h"

#include <algorithm>

#include "invariant/check.h"
#include "tests/sim/chain/gas.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;

// At least 10% more, as pools want it.
bool IsBump(const U256& before, const U256& after) { return after * 10 >= before * 11; }

U256 MaxCost(const ethereum::Transaction& tx) {
  return tx.value + tx.max_fee_per_gas * tx.gas_limit;
}

}  // namespace

std::string_view RefusalText(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "";
    case Refusal::kMalformed:
      return "rlp: expected input list for types.LegacyTx";
    case Refusal::kWrongChain:
      return "invalid chain id for signer";
    case Refusal::kAlreadyKnown:
      return "already known";
    case Refusal::kNonceTooLow:
      return "nonce too low";
    case Refusal::kNonceTooHigh:
      return "nonce too high";
    case Refusal::kUnderpricedReplacement:
      return "replacement transaction underpriced";
    case Refusal::kInsufficientFunds:
      return "insufficient funds for gas * price + value";
    case Refusal::kIntrinsicGas:
      return "intrinsic gas too low";
    case Refusal::kGasLimit:
      return "exceeds block gas limit";
    case Refusal::kTipAboveFee:
      return "max priority fee per gas higher than max fee per gas";
    case Refusal::kBelowBaseFee:
      return "max fee per gas less than block base fee";
  }
  return "";
}

ChainModel::ChainModel(const ChainOptions& options)
    : options_(options),
      broker_(&store_, options.broker),
      next_base_fee_(options.base_fee),
      finalized_(options.first_block) {
  Mined first;
  first.block.number = options_.first_block;
  first.block.hash = ethereum::Keccak256("the first block");
  first.block.timestamp = 1'767'225'600;  // 2026-01-01T00:00:00Z
  first.block.base_fee = options_.base_fee;
  blocks_.push_back(std::move(first));
}

size_t ChainModel::Record(std::string_view raw, ethereum::SignedTransaction tx,
                          const Address& from) {
  const Hash hash = ethereum::Keccak256(raw);
  const auto [known, first] = submission_of_.try_emplace(hash, submissions_.size());
  if (first) {
    Submission submission;
    submission.raw = std::string(raw);
    submission.tx = std::move(tx);
    submission.from = from;
    submission.hash = hash;
    if (submission.tx.transaction.to == options_.broker.contracts.broker) {
      submission.call = DecodeBrokerCall(submission.tx.transaction.data);
    }
    LearnTickets(submission.call);
    submissions_.push_back(std::move(submission));
  }
  ++submissions_[known->second].times;
  return known->second;
}

void ChainModel::LearnTickets(const BrokerCall& call) {
  for (const TicketCall& ticket : call.tickets) {
    const Hash hash = ticket.TicketHash();
    if (known_.insert(hash).second) known_tickets_.emplace_back(hash, ticket);
  }
}

Refusal ChainModel::Submit(std::string_view raw) {
  absl::StatusOr<ethereum::SignedTransaction> tx = ethereum::ParseSignedTransaction(raw);
  if (!tx.ok() || tx->transaction.type != ethereum::Transaction::Type::kDynamicFee) {
    return Refusal::kMalformed;
  }
  const absl::StatusOr<Address> from = tx->Sender();
  if (!from.ok()) return Refusal::kMalformed;
  const uint64_t nonce = tx->transaction.nonce;
  const size_t index = Record(raw, *std::move(tx), *from);
  Submission& submission = submissions_[index];
  const Refusal refusal = Judge(submission);
  if (refusal != Refusal::kNone) return refusal;
  pool_.insert_or_assign({*from, nonce}, index);
  if (!submission.pooled) of_nonce_[{*from, nonce}].push_back(index);
  submission.pooled = true;
  return Refusal::kNone;
}

void ChainModel::Overhear(std::string_view raw) {
  absl::StatusOr<ethereum::SignedTransaction> tx = ethereum::ParseSignedTransaction(raw);
  if (!tx.ok()) return;
  const absl::StatusOr<Address> from = tx->Sender();
  if (from.ok()) Record(raw, *std::move(tx), *from);
}

Refusal ChainModel::Judge(const Submission& submission) const {
  const ethereum::Transaction& tx = submission.tx.transaction;
  if (tx.chain_id != options_.chain_id) return Refusal::kWrongChain;
  if (tx.max_priority_fee_per_gas > tx.max_fee_per_gas) return Refusal::kTipAboveFee;
  if (tx.gas_limit > options_.block_gas_limit) return Refusal::kGasLimit;
  if (tx.gas_limit < IntrinsicGas(tx.data)) return Refusal::kIntrinsicGas;
  if (tx.nonce < Nonce(submission.from)) return Refusal::kNonceTooLow;
  const auto waiting = pool_.find({submission.from, tx.nonce});
  if (waiting == pool_.end()) {
    if (tx.nonce > PendingNonce(submission.from)) return Refusal::kNonceTooHigh;
  } else {
    const Submission& other = submissions_[waiting->second];
    if (other.hash == submission.hash) return Refusal::kAlreadyKnown;
    const ethereum::Transaction& before = other.tx.transaction;
    if (tx.max_fee_per_gas <= before.max_fee_per_gas ||
        !IsBump(before.max_fee_per_gas, tx.max_fee_per_gas) ||
        !IsBump(before.max_priority_fee_per_gas, tx.max_priority_fee_per_gas)) {
      return Refusal::kUnderpricedReplacement;
    }
  }
  if (MaxCost(tx) > Balance(submission.from)) return Refusal::kInsufficientFunds;
  if (options_.refuse_below_base_fee && tx.max_fee_per_gas < next_base_fee_) {
    return Refusal::kBelowBaseFee;
  }
  return Refusal::kNone;
}

bool ChainModel::StrangerRedeems(uint64_t pick) {
  std::vector<const TicketCall*> unused;
  for (const auto& [hash, ticket] : known_tickets_) {
    if (!broker_.Used(hash)) unused.push_back(&ticket);
  }
  if (unused.empty()) return false;
  StrangerRedeems(std::vector<TicketCall>{*unused[pick % unused.size()]});
  return true;
}

void ChainModel::StrangerRedeems(const std::vector<TicketCall>& tickets) {
  Other other;
  other.tickets = tickets;
  other.hash = ethereum::Keccak256("stranger " + std::to_string(++stranger_count_));
  strangers_.push_back(other.hash);
  waiting_others_.push_back(std::move(other));
}

bool ChainModel::DropPending(uint64_t pick) {
  if (pool_.empty()) return false;
  pool_.erase(std::next(pool_.begin(), static_cast<std::ptrdiff_t>(pick % pool_.size())));
  return true;
}

size_t ChainModel::OtherOfNonce(size_t submission) const {
  const Submission& one = submissions_[submission];
  const std::vector<size_t>& all = of_nonce_.at({one.from, one.tx.transaction.nonce});
  const auto at = std::find(all.begin(), all.end(), submission);
  return at == all.begin() ? all.back() : *std::prev(at);
}

bool ChainModel::SwapReplaced(uint64_t pick) {
  if (pool_.empty()) return false;
  const auto waiting = std::next(pool_.begin(), static_cast<std::ptrdiff_t>(pick % pool_.size()));
  const size_t other = OtherOfNonce(waiting->second);
  return std::exchange(waiting->second, other) != other;
}

bool ChainModel::Resurface(uint64_t pick) {
  if (submissions_.empty()) return false;
  const std::string raw = submissions_[pick % submissions_.size()].raw;
  return Submit(raw) == Refusal::kNone;
}

void ChainModel::AddEther(const Address& account, const U256& wei) {
  ByOthers([this, account, wei] { store_.Add({F::kBalance, account}, wei); });
}

void ChainModel::AddDeposit(const Address& sender, const U256& wei) {
  ByOthers([this, sender, wei] { broker_.AddDeposit(sender, wei); });
}

void ChainModel::AddReserve(const Address& sender, const U256& wei) {
  ByOthers([this, sender, wei] { broker_.AddReserve(sender, wei); });
}

void ChainModel::RegisterTranscoder(const Address& transcoder) {
  ByOthers([this, transcoder] { broker_.Register(transcoder); });
}

void ChainModel::SetPaused(bool paused) {
  ByOthers([this, paused] { broker_.SetPaused(paused); });
}

void ChainModel::AdvanceRound(bool initialize) {
  ByOthers([this, initialize] { broker_.AdvanceRound(initialize); });
}

void ChainModel::InitializeRound() {
  ByOthers([this] { broker_.InitializeRound(); });
}

void ChainModel::SetNonce(const Address& account, uint64_t nonce) {
  COFFER_CHECK(blocks_.size() == 1 && pool_.empty(), "sim: a past is given at the beginning only");
  store_.Set({F::kNonce, account}, nonce);
}

const Submission* ChainModel::FindSubmission(const Hash& tx_hash) const {
  const auto found = submission_of_.find(tx_hash);
  return found == submission_of_.end() ? nullptr : &submissions_[found->second];
}

bool ChainModel::Pending(const Hash& tx_hash) const {
  const auto found = submission_of_.find(tx_hash);
  if (found == submission_of_.end()) return false;
  const Submission& submission = submissions_[found->second];
  const auto waiting = pool_.find({submission.from, submission.tx.transaction.nonce});
  return waiting != pool_.end() && waiting->second == found->second;
}

uint64_t ChainModel::Nonce(const Address& account) const {
  return static_cast<uint64_t>(store_.Get({F::kNonce, account}));
}

uint64_t ChainModel::NonceAt(const Address& account, uint64_t block) const {
  return static_cast<uint64_t>(store_.GetAt({F::kNonce, account}, block));
}

U256 ChainModel::Balance(const Address& account) const {
  return store_.Get({F::kBalance, account});
}

U256 ChainModel::BalanceAt(const Address& account, uint64_t block) const {
  return store_.GetAt({F::kBalance, account}, block);
}

uint64_t ChainModel::PendingNonce(const Address& account) const {
  uint64_t nonce = Nonce(account);
  while (pool_.contains({account, nonce})) ++nonce;
  return nonce;
}

U256 ChainModel::Paid(const Address& recipient) const {
  return broker_.FeesCredited(recipient) + store_.Get({F::kTransfersReceived, recipient});
}

uint64_t ChainModel::TicketsUsed() const {
  return static_cast<uint64_t>(store_.Get(F::kTicketsUsed));
}

}  // namespace coffer::sim::chain
