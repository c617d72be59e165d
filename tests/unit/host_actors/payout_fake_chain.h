// A small chain for tests of the payout driver: the transactions of a few keys, a mempool, blocks
// that can be taken back, and a TicketBroker that pays in part and swallows failures as the real
// one does.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_FAKE_CHAIN_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_FAKE_CHAIN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/host/chain_client.h"
#include "actors/host/rpc_types.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/ledger/wei.h"
#include "runtime/test_dispatcher.h"

namespace coffer::host {

class FakeChain final : public ChainClient {
 public:
  struct Sender {
    uint64_t nonce = 0;
    absl::uint128 deposit = 0;
    absl::uint128 reserve = 0;
    uint64_t withdraw_round = 0;
  };
  struct State : Sender {  // of the first key
    std::map<ethereum::Address, Sender> others;
    std::map<ethereum::Address, absl::uint128> balances;
    std::map<ethereum::Address, absl::uint128> paid;  // by tickets and transfers
    std::set<ethereum::Hash> used;
    uint64_t round = 100;
    bool initialized = true;
    bool paused = false;
    std::set<ethereum::Address> unregistered;  // "transcoder must be registered"
  };

  FakeChain(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
            const ethereum::Address& key, const ethereum::Address& broker);

  void Call(std::string method, Json::Value params, Reply reply) override;

  // ---- what a test does to the chain
  void Mine(bool with_pool = true);
  // Takes back `depth` blocks, with their transactions, and mines as many empty ones.
  void Reorg(uint64_t depth);
  // The next block holds a stranger's redemption of the `ticket`-th ticket of `calldata`.
  void StrangerRedeems(const std::string& calldata, size_t ticket);
  // Another key, whose transactions are taken from now on. It has had its money since the genesis,
  // so that no reorg takes that.
  void AddSender(const ethereum::Address& key, absl::uint128 balance, absl::uint128 deposit);
  Sender& Of(const ethereum::Address& key) { return key == key_ ? now_ : now_.others.at(key); }
  State& now() { return now_; }  // of the next block
  const State& now() const { return now_; }
  uint64_t height() const { return blocks_.size() - 1; }
  using Pool = std::map<std::pair<ethereum::Address, uint64_t>, ethereum::SignedTransaction>;
  const Pool& pool() const { return pool_; }
  void DropPool() { pool_.clear(); }
  uint64_t calls(const std::string& method) { return calls_[method]; }

  uint64_t genesis = 0;  // no reorg goes below this block
  uint64_t base_fee = 100;
  uint64_t block_gas_limit = 30'000'000;
  uint64_t chain_id = 31337;
  uint64_t validity = 2;
  uint64_t unlock_period = 3;
  uint32_t failing_withdrawals = 0;  // so many revert, although they were estimated
  bool reachable = true;
  bool early_gap_is_refused = true;  // "nonce too high"
  uint32_t lost_percent = 0;         // of answers, the call having taken effect or not
  std::vector<std::string> sent;     // every accepted raw transaction, in order
  std::vector<std::string> refusals;

 private:
  struct Mined {
    ethereum::Hash hash;
    bool succeeded = false;
    std::vector<ethereum::Log> logs;
    ethereum::Address from;
  };
  struct Block {
    ethereum::Hash hash;
    State after;
    std::vector<Mined> txs;
  };

  RpcAnswer Answer(const std::string& method, const Json::Value& params);
  RpcAnswer Send(const std::string& raw);
  RpcAnswer EthCall(const Json::Value& params);
  Json::Value ReceiptJson(const std::string& hash) const;
  Json::Value LogsJson(const Json::Value& filter) const;
  Json::Value LogJson(const ethereum::Log& log, uint64_t block, const ethereum::Hash& tx) const;
  const State& At(const Json::Value& block) const;
  void MinePool(const ethereum::Address& key, Block* block);
  Mined Execute(const ethereum::SignedTransaction& tx);
  bool RunCall(const ethereum::Address& from, const std::string& data, absl::uint128 value,
               uint64_t gas, std::vector<ethereum::Log>* logs);
  bool Withdraw(const ethereum::Address& from);
  // Nothing when it is refused.
  bool Redeem(const ethereum::SignedTicket& ticket, std::vector<ethereum::Log>* logs);

  runtime::TestScheduler* const scheduler_;
  runtime::TestDispatcher* const dispatcher_;
  const uint64_t source_;
  const ethereum::Address key_;
  const ethereum::Address broker_;
  State now_;
  std::vector<Block> blocks_;
  Pool pool_;
  std::vector<ethereum::SignedTicket> strangers_;
  std::map<std::string, uint64_t> calls_;
  uint64_t salt_ = 0;
};

// The tickets in the calldata of a redemption.
std::vector<ethereum::SignedTicket> DecodeTickets(const std::string& calldata);

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_FAKE_CHAIN_H_
