// What an honest host's client does, at random: credits, corrections, repetitions, payouts,
// receipts; and what it knows to be true, for the auditor. Its memory is the test's and outlives
// the host process; its timers and calls do not.
#ifndef COFFER_TESTS_SIM_WORKLOAD_H_
#define COFFER_TESTS_SIM_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/host/enclave_client.h"
#include "runtime/test_dispatcher.h"
#include "tests/sim/chain_model.h"

namespace coffer::sim {

// One event as the client made it. Amounts are small, so plain integers add up exactly.
struct EventTruth {
  enum class Fate { kUnknown, kApplied, kRefused };
  std::string id;
  uint32_t account = 0;
  boundary::v1::Event::Kind kind = boundary::v1::Event::KIND_CREDIT;
  uint64_t amount = 0;
  bool sent = false;
  Fate fate = Fate::kUnknown;
};

class Workload {
 public:
  static constexpr uint32_t kAccounts = 12;

  Workload(ChainModel* chain, runtime::Random* random) : chain_(chain), random_(random) {}

  void OnHostStart(runtime::TestDispatcher* dispatcher, host::EnclaveClient* client);
  void OnHostKilled();

  // No new events and payouts; what is under way is brought to its end.
  void Finish() { finishing_ = true; }
  // Every event was answered, and the enclave's payouts have nothing open (as last listed).
  bool Quiet() const;

  const std::vector<EventTruth>& events() const { return events_; }
  static Address RecipientOf(uint32_t account);
  static std::string NameOf(uint32_t account);
  uint64_t answered() const { return answered_; }

 private:
  struct Session {
    runtime::TestDispatcher* dispatcher;
    host::EnclaveClient* client;
    std::unique_ptr<runtime::Timer> timer;
    size_t in_flight = 0;
  };
  using Frame = boundary::v1::ServerFrame;

  void Arm();
  void Tick();
  void Call(boundary::v1::ClientFrame frame, absl::AnyInvocable<void(const Frame&)> on_answer);
  void SendEvents();
  void OnAnswersLost();
  void OnEvents(const std::vector<size_t>& sent, const Frame& answer);
  void Prepare();
  void ListPayouts();
  void OnPayouts(const boundary::v1::PayoutList& list);
  void Advance(const boundary::v1::Payout& payout);
  void Report(const Receipt& receipt);
  void ReportVanished(const boundary::v1::Payout& payout);

  ChainModel* const chain_;
  runtime::Random* const random_;
  std::unique_ptr<Session> session_;
  std::vector<EventTruth> events_;
  bool finishing_ = false;
  bool nothing_open_ = false;
  uint64_t answered_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WORKLOAD_H_
