// How blocks are made and taken away.
#include <algorithm>
#include <utility>

#include "invariant/check.h"
#include "tests/sim/chain/chain_model.h"
#include "tests/sim/chain/gas.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;

const Address& Stranger() {
  static const Address kStranger = *Address::FromHex("0x57a26e57a26e57a26e57a26e57a26e57a26e57a2");
  return kStranger;
}

// EIP-1559: an eighth at most, up or down, by how far the block was from half full.
U256 NextBaseFee(const ModelBlock& block, const ChainOptions& options) {
  const U256 target = options.block_gas_limit / 2;
  const U256 used = block.gas_used;
  U256 fee = block.base_fee;
  if (used > target) {
    fee += std::max<U256>(block.base_fee * (used - target) / target / 8, 1);
  } else {
    fee -= block.base_fee * (target - used) / target / 8;
  }
  return std::max(fee, options.min_base_fee);
}

U256 GasPrice(const ethereum::Transaction& tx, const U256& base_fee) {
  const U256 room = tx.max_fee_per_gas - base_fee;
  return base_fee + std::min(room, tx.max_priority_fee_per_gas);
}

}  // namespace

void ChainModel::OpenBlock() {
  const ModelBlock& parent = head();
  Mined next;
  next.block.number = parent.number + 1;
  next.block.parent_hash = parent.hash;
  next.block.timestamp = parent.timestamp + 1;
  next.block.base_fee = next_base_fee_;
  store_.OpenBlock(next.block.number);
  blocks_.push_back(std::move(next));
}

void ChainModel::CloseBlock() {
  highest_ = std::max(highest_, height());
  Mined& mined = blocks_.back();
  ModelBlock& block = mined.block;
  std::string content(block.parent_hash.view());
  content += ethereum::ToBytes32(block.number) + ethereum::ToBytes32(reorgs_);
  for (const Receipt& receipt : mined.receipts) {
    block.transactions.push_back(receipt.tx_hash);
    content += receipt.tx_hash.view();
  }
  block.hash = ethereum::Keccak256(content);
  for (Receipt& receipt : mined.receipts) receipt.block_hash = block.hash;
  next_base_fee_ = NextBaseFee(block, options_);
  if (block.number > kFinalizedDepth) {
    finalized_ = std::max(finalized_, block.number - kFinalizedDepth);
  }
}

void ChainModel::Mine(uint64_t max_txs, bool fail_one) {
  MineBlock(max_txs, fail_one, /*strangers_last=*/false);
}

void ChainModel::MineBlock(uint64_t max_txs, bool fail_one, bool strangers_last) {
  OpenBlock();
  RunOthers(/*strangers=*/false);
  if (!strangers_last) RunOthers(/*strangers=*/true);
  RunPool(max_txs, fail_one);
  if (strangers_last) RunOthers(/*strangers=*/true);
  CloseBlock();
}

void ChainModel::ByOthers(std::function<void()> change) {
  OpenBlock();
  waiting_others_.push_back({std::move(change), {}, {}});
  RunOthers(/*strangers=*/false);
  CloseBlock();
}

// Either the changes that wait, or the strangers' transactions.
void ChainModel::RunOthers(bool strangers) {
  std::deque<Other> rest;
  for (Other& other : std::exchange(waiting_others_, {})) {
    if (other.tickets.empty() == strangers) {
      rest.push_back(std::move(other));
      continue;
    }
    if (strangers) {
      RunStranger(other);
    } else {
      other.change();
    }
    blocks_.back().others.push_back(std::move(other));
  }
  waiting_others_ = std::move(rest);
}

void ChainModel::RunStranger(const Other& other) {
  BrokerCall call;
  call.tickets = other.tickets;
  call.kind = call.tickets.size() == 1 ? BrokerCall::Kind::kRedeem : BrokerCall::Kind::kBatchRedeem;
  uint64_t none = 0;
  const Address& broker = options_.broker.contracts.broker;
  CallOutcome outcome = broker_.Execute(Stranger(), 0, call, options_.block_gas_limit, &none);
  const uint64_t gas_used = outcome.gas_used;
  AddReceipt(other.hash, Stranger(), broker, gas_used, head().base_fee, std::move(outcome));
}

bool ChainModel::CanRun(const Submission& submission) const {
  const ethereum::Transaction& tx = submission.tx.transaction;
  return tx.max_fee_per_gas >= head().base_fee &&
         tx.value + tx.max_fee_per_gas * tx.gas_limit <= Balance(submission.from) &&
         head().gas_used + tx.gas_limit <= options_.block_gas_limit;
}

// Sender by sender, each in the order of its nonces as far as they can run.
void ChainModel::RunPool(uint64_t max_txs, bool fail_one) {
  std::vector<size_t> waiting;
  for (const auto& [key, index] : pool_) waiting.push_back(index);
  for (const size_t index : waiting) {
    if (max_txs == 0) return;
    const Submission& submission = submissions_[index];
    const uint64_t nonce = submission.tx.transaction.nonce;
    if (nonce < Nonce(submission.from)) pool_.erase({submission.from, nonce});
    if (nonce != Nonce(submission.from) || !CanRun(submission)) continue;
    pool_.erase({submission.from, nonce});
    Execute(index, std::exchange(fail_one, false));
    --max_txs;
  }
}

void ChainModel::Execute(size_t index, bool fails) {
  const Submission& submission = submissions_[index];
  const ethereum::Transaction& tx = submission.tx.transaction;
  const Address& from = submission.from;
  const uint64_t intrinsic = IntrinsicGas(tx.data);
  store_.Add({F::kNonce, from}, 1);
  CallOutcome outcome;
  if (fails) {
    outcome.gas_used = tx.gas_limit - intrinsic;
  } else {
    outcome = Apply(from, tx.to, tx.value, submission.call, tx.gas_limit - intrinsic, &fail_inner_);
  }
  const uint64_t gas_used = intrinsic + outcome.gas_used;
  const U256 price = GasPrice(tx, head().base_fee);
  store_.Subtract({F::kBalance, from}, price * gas_used);
  blocks_.back().own.push_back(index);
  AddReceipt(submission.hash, from, tx.to, gas_used, price, std::move(outcome));
}

CallOutcome ChainModel::Apply(const Address& from, const std::optional<Address>& to,
                              const U256& value, const BrokerCall& call, uint64_t gas,
                              uint64_t* fail_inner) {
  const Contracts& contracts = options_.broker.contracts;
  if (to == contracts.broker) return broker_.Execute(from, value, call, gas, fail_inner);
  CallOutcome outcome;
  const bool refuses = !to || to == contracts.controller || to == contracts.rounds_manager ||
                       to == contracts.bonding_manager || to == contracts.minter;
  if (refuses) return outcome;
  store_.Subtract({F::kBalance, from}, value);
  store_.Add({F::kBalance, *to}, value);
  store_.Add({F::kTransfersReceived, *to}, value);
  outcome.succeeded = true;
  return outcome;
}

void ChainModel::AddReceipt(const Hash& hash, const Address& from, const std::optional<Address>& to,
                            uint64_t gas_used, const U256& gas_price, CallOutcome outcome) {
  Mined& mined = blocks_.back();
  Receipt receipt;
  receipt.tx_hash = hash;
  receipt.from = from;
  receipt.to = to;
  receipt.succeeded = outcome.succeeded;
  receipt.block_number = mined.block.number;
  receipt.index = mined.receipts.size();
  receipt.gas_used = gas_used;
  receipt.effective_gas_price = gas_price;
  receipt.revert = std::move(outcome.revert);
  receipt.tickets = std::move(outcome.tickets);
  receipt.logs = std::move(outcome.logs);
  size_t logs_before = 0;
  for (const Receipt& one : mined.receipts) logs_before += one.logs.size();
  for (ethereum::Log& log : receipt.logs) log.log_index += logs_before;
  mined.block.gas_used += gas_used;
  mined_[hash] = {mined.block.number, mined.receipts.size()};
  orphans_.erase(hash);
  mined.receipts.push_back(std::move(receipt));
}

bool ChainModel::Reorg(const Branch& branch) {
  const uint64_t depth = std::min(branch.depth, height() - finalized_);
  if (depth == 0) return false;
  ++reorgs_;
  std::deque<size_t> own;
  std::deque<Other> others;
  for (uint64_t i = 0; i < depth; ++i) TakeBlockAway(&own, &others);
  store_.RollBack(height());
  for (; !others.empty(); others.pop_back()) {
    if (!others.back().tickets.empty() && !branch.keep_strangers) continue;
    waiting_others_.push_front(std::move(others.back()));
  }
  uint64_t kept = 0;
  for (const size_t index : own) {
    if (kept++ >= branch.keep) break;
    const size_t back = branch.swap_replaced ? OtherOfNonce(index) : index;
    const Submission& submission = submissions_[back];
    pool_.emplace(std::pair(submission.from, submission.tx.transaction.nonce), back);
  }
  for (uint64_t i = 0; i < branch.new_blocks; ++i) {
    MineBlock(branch.txs, /*fail_one=*/false, branch.strangers_last);
  }
  return true;
}

void ChainModel::TakeBlockAway(std::deque<size_t>* own, std::deque<Other>* others) {
  Mined& mined = blocks_.back();
  for (Receipt& receipt : mined.receipts) {
    mined_.erase(receipt.tx_hash);
    orphans_[receipt.tx_hash] = std::move(receipt);
  }
  own->insert(own->begin(), mined.own.begin(), mined.own.end());
  others->insert(others->begin(), std::make_move_iterator(mined.others.begin()),
                 std::make_move_iterator(mined.others.end()));
  next_base_fee_ = mined.block.base_fee;
  blocks_.pop_back();
}

ChainModel::Estimate ChainModel::EstimateGas(const Address& from, const std::optional<Address>& to,
                                             const U256& value, std::string_view data) {
  Estimate estimate;
  const uint64_t intrinsic = IntrinsicGas(data);
  BrokerCall call;
  if (to == options_.broker.contracts.broker) call = DecodeBrokerCall(data);
  const auto run = [&](uint64_t gas) {
    const size_t mark = store_.Mark();
    uint64_t none = 0;
    CallOutcome outcome = Apply(from, to, value, call, gas - intrinsic, &none);
    store_.RevertTo(mark);
    return outcome;
  };
  if (value > Balance(from)) {
    estimate.reverted = true;
    estimate.revert = RefusalText(Refusal::kInsufficientFunds);
    return estimate;
  }
  const CallOutcome most = run(options_.block_gas_limit);
  if (!most.succeeded) {
    estimate.reverted = true;
    estimate.revert = most.revert;
    return estimate;
  }
  uint64_t fails = intrinsic - 1;
  uint64_t succeeds = options_.block_gas_limit;
  while (succeeds - fails > 1) {
    const uint64_t middle = fails + (succeeds - fails) / 2;
    (run(middle).succeeded ? succeeds : fails) = middle;
  }
  estimate.gas = succeeds;
  return estimate;
}

uint64_t ChainModel::safe() const {
  const uint64_t first = options_.first_block;
  return std::max({finalized_, first, height() - std::min(height(), kSafeDepth)});
}

const ModelBlock* ChainModel::FindBlock(uint64_t number) const {
  const uint64_t first = options_.first_block;
  if (number < first || number > height()) return nullptr;
  return &blocks_[number - first].block;
}

const ModelBlock* ChainModel::FindBlock(const Hash& hash) const {
  const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                  [&](const Mined& mined) { return mined.block.hash == hash; });
  return found == blocks_.rend() ? nullptr : &found->block;
}

const Receipt* ChainModel::FindReceipt(const Hash& tx_hash) const {
  const auto found = mined_.find(tx_hash);
  if (found == mined_.end()) return nullptr;
  return &ReceiptsOf(found->second.first)[found->second.second];
}

const Receipt* ChainModel::FindOrphan(const Hash& tx_hash) const {
  const auto found = orphans_.find(tx_hash);
  return found == orphans_.end() ? nullptr : &found->second;
}

const std::vector<Receipt>& ChainModel::ReceiptsOf(uint64_t block) const {
  COFFER_CHECK(FindBlock(block) != nullptr, "sim: there is no such block");
  return blocks_[block - options_.first_block].receipts;
}

}  // namespace coffer::sim::chain
