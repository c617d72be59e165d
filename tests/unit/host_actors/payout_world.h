// The payout driver with the enclave's real state machine on one side and a small chain on the
// other, in virtual time.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_WORLD_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_WORLD_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/host/enclave_client.h"
#include "actors/host/payout_driver.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/payouts/signing.h"
#include "enclave_core/policy/policy.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/host_actors/payout_fake_chain.h"

namespace coffer::host {

// Authority and signer behind the client's interface; sealing is left out.
class FakeEnclave final : public EnclaveClient {
 public:
  FakeEnclave(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
              const policy::Policy& policy, char secret = '\x11');
  void Call(boundary::v1::ClientFrame request, Reply reply) override;
  bool ready() const override { return ready_; }
  void Watch(absl::AnyInvocable<void(bool)> observer) override {
    observers_.push_back(std::move(observer));
  }
  void SetReady(bool ready);
  void Credit(const std::string& account, const ethereum::Address& recipient, absl::uint128 wei);

  const authority::Authority& authority() const { return authority_; }
  const ethereum::PrivateKey& key() const { return key_; }
  const ethereum::Address& address() const { return key_.address(); }
  // At once, without Call's way there and back.
  boundary::v1::ServerFrame Answer(const boundary::v1::ClientFrame& request);
  uint64_t calls(boundary::v1::ClientFrame::BodyCase body) { return calls_[body]; }

  uint32_t lost_percent = 0;         // of answers, the request having taken effect or not
  uint32_t lost_report_answers = 0;  // of so many receipts, which are taken all the same

 private:
  absl::Status Handle(const boundary::v1::ClientFrame& request, boundary::v1::ServerFrame* answer);
  absl::Status Sign(absl::StatusOr<payouts::SigningJob> job, boundary::v1::ServerFrame* answer);

  runtime::TestScheduler* const scheduler_;
  runtime::TestDispatcher* const dispatcher_;
  const uint64_t source_;
  const ethereum::PrivateKey key_;
  const policy::Policy policy_;
  authority::Authority authority_;
  bool ready_ = true;
  std::vector<absl::AnyInvocable<void(bool)>> observers_;
  std::map<int, uint64_t> calls_;
  uint64_t events_ = 0;
};

policy::Policy TestPolicy();
ethereum::Address TestRecipient(uint64_t index);
uint64_t TestSeed();

struct World {
  explicit World(policy::Policy policy = TestPolicy(), uint64_t seed = TestSeed());
  ~World();

  // A driver of its own, as after a restart of the host.
  PayoutDriver& Start(PayoutDriverOptions options);
  // Credits account "a<index>", whose recipient is TestRecipient(index).
  void Credit(uint64_t index, absl::uint128 wei);
  // Advances virtual time, a block every second unless `blocks` is false.
  void Run(absl::Duration duration, bool blocks = true);
  // Until nothing is open; false when that takes longer than `limit`.
  bool Settle(absl::Duration limit);
  bool Halted(const std::string& code) const;
  bool Noted(const std::string& text) const;
  // What must hold at any end: paid on the chain is paid in the ledger, recipient by recipient, and
  // I2 holds in sum.
  void CheckBooks() const;
  const payouts::Payout& Payout(uint64_t id) const {
    return *enclave.authority().payouts().Find(id);
  }
  absl::uint128 Paid(uint64_t index) const;
  // The calldata of the payout's newest transaction.
  std::string Calldata(uint64_t id) const;

  runtime::TestScheduler scheduler;
  runtime::TestDispatcher* dispatcher;
  FakeEnclave enclave;
  FakeChain chain;
  std::unique_ptr<PayoutDriver> driver;
  std::set<uint64_t> accounts;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_PAYOUT_WORLD_H_
