// The accounts: who is owed what. Pure state; the commands that may change it are checked by
// authority/.
//
// I1: an account's recipient is fixed when it is opened; no function here changes it.
// I2: credited + adjusted_up - adjusted_down = available + reserved + paid, per account and in sum,
// after every call.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_
#define COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/moment.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::ledger {

// All amounts in wei, each at most kMaxWei.
struct Balances {
  Wei available = 0;      // owed, and free to be paid
  Wei reserved = 0;       // owed, and held for a payout under way
  Wei credited = 0;       // sum of all credits
  Wei adjusted_up = 0;    // sum of corrections upwards
  Wei adjusted_down = 0;  // sum of corrections downwards
  Wei paid = 0;           // sum of what the chain has paid
  bool operator==(const Balances&) const = default;
};

// Two cache lines: a state has many, and every credit touches one.
struct alignas(64) Account {
  std::string_view id() const { return {id_bytes, id_size}; }

  const char* id_bytes = nullptr;  // the ledger's, for as long as it lives
  ethereum::Address recipient;
  uint8_t id_size = 0;  // 1..128
  Balances balances;
};
static_assert(sizeof(Account) == 128);

enum class Change { kCredit, kAdjustUp, kAdjustDown };

class Ledger {
 public:
  using Index = uint64_t;
  static constexpr size_t kMaxIdBytes = 128;
  static constexpr uint64_t kMaxAccounts = UINT32_MAX;

  std::optional<Index> Find(std::string_view id) const;
  const Account& at(Index index) const;
  uint64_t size() const { return accounts_->size; }
  const Balances& totals() const { return totals_; }

  // Whether a change would keep every sum in range and the account from going below zero. kOk, or
  // why not.
  enum class Verdict { kOk, kInsufficient, kOutOfRange };
  Verdict Check(std::optional<Index> index, Change change, Wei amount) const;

  // The functions below are the fold: what they are given has been checked, and a violation stops
  // the process.
  Index Open(std::string_view id, const ethereum::Address& recipient);
  void Apply(Index index, Change change, Wei amount);
  void Reserve(Index index, Wei amount);            // available -> reserved
  void Release(Index index, Wei amount);            // reserved -> available
  void Pay(Index index, Wei reserved, Wei paid);    // reserved -> paid, the shortfall -> available
  void Unpay(Index index, Wei reserved, Wei paid);  // the inverse of Pay, after a reorg
  bool CanUnpay(Index index, Wei reserved, Wei paid) const;
  // A snapshot's account. Its id must be new.
  void Restore(std::string_view id, const ethereum::Address& recipient, const Balances& balances);
  // Room for so many, so that the index need not grow. No promise.
  void ExpectAccounts(uint64_t count);
  // The sums as they were when moment().Begin was called, for as long as it was not ended.
  Moment<Balances>& moment() { return moment_; }
  const Moment<Balances>& moment() const { return moment_; }

 private:
  static constexpr size_t kBlock = 256;          // accounts
  static constexpr size_t kIdChunk = 16u << 10;  // bytes

  struct Accounts {
    Account& operator[](Index index) { return (*blocks[index / kBlock])[index % kBlock]; }

    std::vector<std::unique_ptr<std::array<Account, kBlock>>> blocks;
    uint64_t size = 0;
  };

  // The index holds places, and reads the ids where they are: 4 bytes an account instead of 24.
  struct IdHash {
    using is_transparent = void;
    Accounts* accounts;
    size_t operator()(std::string_view id) const { return absl::HashOf(id); }
    size_t operator()(uint32_t index) const { return absl::HashOf((*accounts)[index].id()); }
  };
  struct IdEq {
    using is_transparent = void;
    Accounts* accounts;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t index, std::string_view id) const {
      return (*accounts)[index].id() == id;
    }
    bool operator()(std::string_view id, uint32_t index) const { return (*this)(index, id); }
  };

  Balances& BalancesAt(Index index);
  void CheckConservation(const Balances& balances) const;
  const char* KeepId(std::string_view id);

  std::unique_ptr<Accounts> accounts_ = std::make_unique<Accounts>();
  // The bytes of the ids, one after the other; an account's stay where they are.
  std::vector<std::unique_ptr<char[]>> id_chunks_;
  size_t id_chunk_used_ = kIdChunk;
  absl::flat_hash_set<uint32_t, IdHash, IdEq> by_id_{0, IdHash{accounts_.get()},
                                                     IdEq{accounts_.get()}};
  Balances totals_;
  Moment<Balances> moment_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_LEDGER_H_
