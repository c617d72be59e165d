// An Ethereum-like chain in memory with the payment contracts on it: mempool, blocks, fees,
// reorganisations, strangers. Shares no code with the payouts or the ledger.
//
// It decides nothing by itself and has no randomness: every lever takes its parameters, so that a
// plan of calls can be replayed and cut down. Levers that change contracts or give ether ("by
// others") make a block of their own at once; when a reorganisation takes that block away, the
// change comes again in the first block of the new branch, because others want it as before.
#ifndef COFFER_TESTS_SIM_CHAIN_CHAIN_MODEL_H_
#define COFFER_TESTS_SIM_CHAIN_CHAIN_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "enclave_core/ethereum/transaction.h"
#include "tests/sim/chain/broker_model.h"

namespace coffer::sim::chain {

struct ChainOptions {
  uint64_t chain_id = 42161;
  BrokerOptions broker;
  U256 base_fee = 100'000'000;     // wei per gas, of the first block
  U256 min_base_fee = 10'000'000;  // it never falls below
  uint64_t block_gas_limit = 60'000'000;
  // As nitro does: a transaction below the base fee is refused at once. False, as geth: it waits.
  bool refuse_below_base_fee = false;
  uint64_t first_block = 100;  // there is a past
};

// How far behind the head the tags are. No reorganisation goes below the finalized block.
inline constexpr uint64_t kSafeDepth = 32;
inline constexpr uint64_t kFinalizedDepth = 64;

struct Receipt {
  Hash tx_hash;
  Address from;
  std::optional<Address> to;
  bool succeeded = false;
  uint64_t block_number = 0;
  Hash block_hash;
  uint64_t index = 0;  // in the block
  uint64_t gas_used = 0;
  U256 effective_gas_price;         // wei per gas
  std::vector<ethereum::Log> logs;  // log_index counts through the block
  // Not in a real receipt: what the contract said, and what became of each ticket.
  std::string revert;
  std::vector<TicketOutcome> tickets;
};

struct ModelBlock {
  uint64_t number = 0;
  Hash hash;
  Hash parent_hash;
  uint64_t timestamp = 0;  // seconds since 1970
  U256 base_fee;           // wei per gas
  uint64_t gas_used = 0;
  std::vector<Hash> transactions;
};

// A transaction that somebody handed to a node, taken or not.
struct Submission {
  std::string raw;
  ethereum::SignedTransaction tx;
  Address from;
  Hash hash;
  BrokerCall call;      // its calldata in words; kUnknown unless it goes to the broker
  uint64_t times = 0;   // handed in
  bool pooled = false;  // at least once
};

// Why eth_sendRawTransaction says no, with the reason in geth's words.
enum class Refusal {
  kNone,
  kMalformed,
  kWrongChain,
  kAlreadyKnown,
  kNonceTooLow,
  kNonceTooHigh,
  kUnderpricedReplacement,
  kInsufficientFunds,
  kIntrinsicGas,
  kGasLimit,
  kTipAboveFee,
  kBelowBaseFee,
};
std::string_view RefusalText(Refusal refusal);

class ChainModel {
 public:
  explicit ChainModel(const ChainOptions& options);
  ChainModel(const ChainModel&) = delete;
  ChainModel& operator=(const ChainModel&) = delete;

  // ---- transactions
  // eth_sendRawTransaction on an honest node.
  Refusal Submit(std::string_view raw);
  // It was seen (and is kept among the submissions, and strangers know its tickets), but no pool
  // has it: a node that takes a transaction and forgets it.
  void Overhear(std::string_view raw);

  // ---- levers
  // One block with up to `max_txs` transactions of the pool, those of strangers first. With
  // `fail_one` the first of the pool's transactions fails as a whole (status 0, gas paid).
  void Mine(uint64_t max_txs, bool fail_one = false);
  struct Branch {
    uint64_t depth = 1;  // blocks that vanish; fewer when they are final
    // Of the pool's transactions in them so many return to the pool, lowest nonces first; the rest
    // is forgotten.
    uint64_t keep = UINT64_MAX;
    bool keep_strangers = true;  // else their transactions are gone
    // The other branch, there at once: so many blocks, each with up to `txs` transactions,
    // strangers' before ours or after.
    uint64_t new_blocks = 0;
    uint64_t txs = 8;
    bool strangers_last = false;
    // What returns to the pool is another transaction of its nonce, where there was one (see
    // SwapReplaced).
    bool swap_replaced = false;
  };
  // False when nothing could vanish.
  bool Reorg(const Branch& branch);
  bool Reorg(uint64_t depth, uint64_t keep) { return Reorg(Branch{.depth = depth, .keep = keep}); }
  // A stranger sends a redemption of a ticket seen in any transaction ever submitted and not used
  // yet (the pick-th of them, modulo); it is mined in the next block, before ours. False: none.
  bool StrangerRedeems(uint64_t pick);
  // The same for tickets that the caller has; more than one go as a batch.
  void StrangerRedeems(const std::vector<TicketCall>& tickets);
  // The pick-th waiting transaction (modulo) vanishes from the pool. False: none waits.
  bool DropPending(uint64_t pick);
  void DropAllPending() { pool_.clear(); }
  // Who builds the next block has another of the transactions that were once pooled for the nonce
  // of the pick-th waiting one (modulo), such as the one that it replaced. False: there is none.
  bool SwapReplaced(uint64_t pick);
  // Somebody hands in again the pick-th (modulo) of all submissions, as anybody can. False: it was
  // not taken.
  bool Resurface(uint64_t pick);
  // Of the next block; from there it moves as EIP-1559 says.
  void SetBaseFee(const U256& wei_per_gas) { next_base_fee_ = wei_per_gas; }
  // The next `count` inner calls of batches run out of gas.
  void FailInner(uint64_t count) { fail_inner_ = count; }
  // By others, each a block of its own.
  void AddEther(const Address& account, const U256& wei);
  void AddDeposit(const Address& sender, const U256& wei);
  void AddReserve(const Address& sender, const U256& wei);
  void RegisterTranscoder(const Address& transcoder);
  void SetPaused(bool paused);
  void AdvanceRound(bool initialize);
  void InitializeRound();
  // What a key has done before the simulation begins. Only before its first transaction.
  void SetNonce(const Address& account, uint64_t nonce);

  // ---- reading the canonical chain
  uint64_t height() const { return blocks_.back().block.number; }
  uint64_t highest() const { return highest_; }  // on any branch
  uint64_t finalized() const { return finalized_; }
  uint64_t safe() const;
  const ModelBlock& head() const { return blocks_.back().block; }
  const ModelBlock* FindBlock(uint64_t number) const;  // null: not there
  const ModelBlock* FindBlock(const Hash& hash) const;
  // Null: not mined in this branch.
  const Receipt* FindReceipt(const Hash& tx_hash) const;
  // Of a branch that is gone; null: none (or mined again since).
  const Receipt* FindOrphan(const Hash& tx_hash) const;
  const std::vector<Receipt>& ReceiptsOf(uint64_t block) const;
  const Submission* FindSubmission(const Hash& tx_hash) const;
  bool Pending(const Hash& tx_hash) const;
  size_t pending() const { return pool_.size(); }
  uint64_t Nonce(const Address& account) const;
  uint64_t NonceAt(const Address& account, uint64_t block) const;
  U256 Balance(const Address& account) const;
  U256 BalanceAt(const Address& account, uint64_t block) const;
  // The nonce after all that waits in the pool without a gap.
  uint64_t PendingNonce(const Address& account) const;
  BrokerModel::ReadAnswer Call(const Address& to, std::string_view data, uint64_t block) const {
    return broker_.Read(to, data, block);
  }
  // eth_estimateGas at the head: the least gas with which the transaction as a whole succeeds,
  // which for a batch is too little for its tickets, as on a real node. !reverted: `data` is empty.
  struct Estimate {
    bool reverted = false;
    std::string revert;
    uint64_t gas = 0;
  };
  Estimate EstimateGas(const Address& from, const std::optional<Address>& to, const U256& value,
                       std::string_view data);

  // ---- for an auditor
  // Wei that reached the recipient on this branch: fees credited and plain transfers.
  U256 Paid(const Address& recipient) const;
  bool TicketUsed(const Hash& ticket_hash) const { return broker_.Used(ticket_hash); }
  uint64_t TicketsUsed() const;
  // In the order of first sight; never shrinks.
  const std::deque<Submission>& submissions() const { return submissions_; }
  // Hashes of strangers' transactions on any branch.
  const std::vector<Hash>& strangers() const { return strangers_; }
  uint64_t reorgs() const { return reorgs_; }
  const BrokerModel& broker() const { return broker_; }
  const ChainOptions& options() const { return options_; }

 private:
  // A change by others, or a stranger's transaction: what is not in the pool.
  struct Other {
    std::function<void()> change;     // or empty
    std::vector<TicketCall> tickets;  // a stranger's
    Hash hash;                        // its transaction
  };
  struct Mined {
    ModelBlock block;
    std::vector<Receipt> receipts;
    std::vector<Other> others;
    std::vector<size_t> own;  // indices into submissions_
  };

  size_t Record(std::string_view raw, ethereum::SignedTransaction tx, const Address& from);
  Refusal Judge(const Submission& submission) const;
  void OpenBlock();
  void CloseBlock();
  void MineBlock(uint64_t max_txs, bool fail_one, bool strangers_last);
  void RunOthers(bool strangers);
  void RunPool(uint64_t max_txs, bool fail_one);
  void RunStranger(const Other& other);
  void ByOthers(std::function<void()> change);
  bool CanRun(const Submission& submission) const;
  size_t OtherOfNonce(size_t submission) const;  // or the same
  void LearnTickets(const BrokerCall& call);
  void Execute(size_t index, bool fails);
  CallOutcome Apply(const Address& from, const std::optional<Address>& to, const U256& value,
                    const BrokerCall& call, uint64_t gas, uint64_t* fail_inner);
  void AddReceipt(const Hash& hash, const Address& from, const std::optional<Address>& to,
                  uint64_t gas_used, const U256& gas_price, CallOutcome outcome);
  // The newest block's transactions go in front of these.
  void TakeBlockAway(std::deque<size_t>* own, std::deque<Other>* others);

  const ChainOptions options_;
  VersionedStore store_;
  BrokerModel broker_;
  std::deque<Mined> blocks_;                                      // from first_block on
  absl::flat_hash_map<Hash, std::pair<uint64_t, size_t>> mined_;  // transaction: block, receipt
  absl::flat_hash_map<Hash, Receipt> orphans_;
  std::map<std::pair<Address, uint64_t>, size_t> pool_;  // (from, nonce): index of the submission
  std::deque<Other> waiting_others_;
  std::deque<Submission> submissions_;
  absl::flat_hash_map<Hash, size_t> submission_of_;
  std::map<std::pair<Address, uint64_t>, std::vector<size_t>> of_nonce_;  // once pooled
  std::vector<std::pair<Hash, TicketCall>> known_tickets_;  // by strangers, as first seen
  absl::flat_hash_set<Hash> known_;
  std::vector<Hash> strangers_;
  uint64_t stranger_count_ = 0;
  U256 next_base_fee_;
  uint64_t fail_inner_ = 0;
  uint64_t finalized_ = 0;
  uint64_t highest_ = 0;
  uint64_t reorgs_ = 0;  // so that a block mined again has another hash
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_CHAIN_MODEL_H_
