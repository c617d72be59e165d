// What the driver asks the chain about transactions, each turn: the receipts of those that are
// open, and whether those that were reported are where they were.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "actors/host/payout_driver.h"
#include "actors/host/rpc_types.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

// Blocks; nodes that prune receipts keep some 10,000 of them.
constexpr uint64_t kPruned = 8192;

}  // namespace

void PayoutDriver::AskReceipts() {
  if (!turn_->chain.has_value()) {
    // Where a search for strangers begins depends on the chain's height.
    if (turn_->list_complete) need_list_ = true;
    return;
  }
  if (turn_->list_complete) MergePayouts();
  last_chain_ = dispatcher_->Now();
  // What has grown that deep meanwhile may have been pruned, so its absence says nothing.
  std::erase_if(watched_, [this](const auto& entry) {
    const uint64_t block = entry.second.block_number;
    return turn_->chain->number >= block &&
           turn_->chain->number - block >= options_.reorg_window + kPruned;
  });
  turn_->next = &PayoutDriver::AskMoved;
  for (const auto& [id, record] : records_) {
    for (const boundary::v1::Attempt* attempt : OpenAttempts(record.payout)) {
      AskReceipt(attempt->tx_hash());
    }
  }
  // A receipt of many tickets has some hundred KB, and there are many of them: the block that each
  // is in says as much. Those of an unknown block have to be asked for.
  std::map<uint64_t, std::vector<std::string>> by_block;
  for (const auto& [tx_hash, watched] : watched_) {
    if (watched.block_hash.empty()) {
      AskReceipt(tx_hash);
    } else {
      by_block[watched.block_number].push_back(tx_hash);
    }
  }
  for (auto& [number, tx_hashes] : by_block) AskBlock(number, std::move(tx_hashes));
}

void PayoutDriver::AskReceipt(const std::string& tx_hash) {
  const auto hash = ethereum::Hash::FromBytes(tx_hash);
  if (!hash.ok()) return;
  AskChain("eth_getTransactionReceipt", HashParams(*hash),
           [this, tx_hash](const absl::StatusOr<RpcAnswer>& answer) {
             if (!answer.ok() || answer->refused) return;
             absl::StatusOr<std::optional<Receipt>> receipt = ParseReceipt(answer->result);
             if (receipt.ok() && receipt->has_value() && (*receipt)->tx_hash.view() != tx_hash) {
               receipt = absl::InvalidArgumentError("a receipt of another transaction");
             }
             if (receipt.ok()) {
               turn_->receipts[tx_hash] = *std::move(receipt);
             } else {
               chain_log_.Log(runtime::Level::kWarn, "payouts", "a receipt cannot be read",
                              {{"reason", receipt.status()}});
             }
           });
}

void PayoutDriver::AskBlock(uint64_t number, std::vector<std::string> tx_hashes) {
  AskChain(
      "eth_getBlockByNumber", BlockParams(BlockParam(number)),
      [this, number, tx_hashes = std::move(tx_hashes)](const absl::StatusOr<RpcAnswer>& answer) {
        if (!answer.ok() || answer->refused) return;
        const absl::StatusOr<std::optional<Block>> block = ParseBlock(answer->result);
        if (!block.ok() || (block->has_value() && (*block)->number != number)) {
          chain_log_.Log(runtime::Level::kWarn, "payouts", "a block cannot be read",
                         {{"number", number}, {"reason", block.status()}});
          return;
        }
        for (const std::string& tx_hash : tx_hashes) {
          const auto watched = watched_.find(tx_hash);
          if (watched == watched_.end()) continue;
          const bool same =
              block->has_value() && (*block)->hash.view() == watched->second.block_hash;
          (same ? turn_->in_place : turn_->moved).insert(tx_hash);
        }
      });
}

// Where a block is another one now, or gone, the receipt says what became of the transaction.
void PayoutDriver::AskMoved() {
  turn_->next = &PayoutDriver::Act;
  for (const std::string& tx_hash : turn_->moved) {
    if (!turn_->receipts.contains(tx_hash)) AskReceipt(tx_hash);
  }
}

}  // namespace coffer::host
