// The payout drivers of a state whose signing key is being replaced: two enclaves of one key each
// pass for one of two keys, and the chain takes the transactions of both.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_TWO_KEYS_WORLD_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_TWO_KEYS_WORLD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/host/payout_drivers.h"
#include "tests/unit/host_actors/payout_world.h"

namespace coffer::host {

// Routes each request to the enclave of the key that it is about, gives payouts ids over both, and
// does by itself what only a draining key does: unlock, withdraw, sweep, retire.
class TwoKeyEnclave final : public EnclaveClient {
 public:
  TwoKeyEnclave(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
                const policy::Policy& policy);
  void Call(boundary::v1::ClientFrame request, Reply reply) override;
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}
  boundary::v1::ServerFrame Answer(const boundary::v1::ClientFrame& request);
  void Adopt() { adopted_ = true; }

  bool adopted() const { return adopted_; }
  bool retired() const { return retired_; }
  FakeEnclave& Current() { return adopted_ ? second : first; }
  // Of all payouts, in the order of their ids.
  std::vector<boundary::v1::Payout> Payouts() const;
  boundary::v1::Payout Payout(uint64_t id) const;
  std::vector<boundary::v1::Payout> Drained() const { return drained_; }
  size_t Open() const;
  size_t OpenOfOld() const;

  FakeEnclave first;
  FakeEnclave second;
  uint32_t lost_percent = 0;  // of answers, the request having taken effect or not
  uint32_t lost_retire_answers = 0;
  // Each request with a reading: whose key signed for it, and the reading.
  std::vector<std::pair<ethereum::Address, boundary::v1::ChainReading>> readings;

 private:
  enum class Part : uint8_t { kFirst, kSecond, kDrained };
  using Id = std::pair<Part, uint64_t>;

  boundary::v1::ServerFrame Route(const boundary::v1::ClientFrame& request);
  boundary::v1::ServerFrame Ask(Part part, boundary::v1::ClientFrame request);
  boundary::v1::Status Status();
  boundary::v1::ServerFrame List(const boundary::v1::ListPayouts& request) const;
  boundary::v1::ServerFrame PrepareDrain(const boundary::v1::PrepareFunding& request);
  boundary::v1::ServerFrame Bump(boundary::v1::Payout* payout, const boundary::v1::Fees& fees);
  boundary::v1::ServerFrame Report(const boundary::v1::ClientFrame& request);
  boundary::v1::ServerFrame Retire(const std::string& address);
  void SignDrained(boundary::v1::Payout* payout, ethereum::Transaction tx,
                   const boundary::v1::Fees& fees);
  boundary::v1::Payout* DrainedBy(const std::string& tx_hash);
  Part PartOf(const boundary::v1::ClientFrame& request) const;
  uint64_t NextNonceOfOld();
  uint64_t GlobalId(Part part, uint64_t id);
  FakeEnclave& Of(Part part) { return part == Part::kFirst ? first : second; }
  const FakeEnclave& Of(Part part) const { return part == Part::kFirst ? first : second; }

  runtime::TestScheduler* const scheduler_;
  runtime::TestDispatcher* const dispatcher_;
  const uint64_t source_;
  const policy::Policy policy_;
  std::vector<Id> ids_;  // the payout with id n is ids_[n - 1]
  std::vector<boundary::v1::Payout> drained_;
  bool adopted_ = false;
  bool retired_ = false;
};

struct TwoKeysWorld {
  explicit TwoKeysWorld(uint64_t seed = TestSeed());
  ~TwoKeysWorld();

  // Drivers of their own, as after a restart of the host.
  void Start(PayoutDriverOptions wanted);
  void Restart() { Start(options); }
  void Credit(uint64_t index, absl::uint128 wei);
  void Run(absl::Duration duration, bool blocks = true);
  // Until the old key is retired; false when that takes longer than `limit`.
  bool RunUntilRetired(absl::Duration limit);
  absl::uint128 Paid(uint64_t index) const;
  FakeChain::Sender& Old() { return chain.Of(enclave.first.address()); }
  FakeChain::Sender& New() { return chain.Of(enclave.second.address()); }
  absl::uint128& BalanceOfOld() { return chain.now().balances[enclave.first.address()]; }
  absl::uint128& BalanceOfNew() { return chain.now().balances[enclave.second.address()]; }
  // The strategies of what the old key did at its end, in order.
  std::vector<boundary::v1::Strategy> DrainSteps() const;
  void CheckBooks() const;

  runtime::TestScheduler scheduler;
  runtime::TestDispatcher* dispatcher;
  TwoKeyEnclave enclave;
  FakeChain chain;
  PayoutDriverOptions options;
  std::unique_ptr<PayoutDrivers> drivers;
  std::vector<std::string> told_retired;
  std::set<uint64_t> accounts;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_TWO_KEYS_WORLD_H_
