// A client of the host's API: posts events, asks again until it is answered, sends some twice and
// some that must be refused. Its memory is the test's and outlives the host process.
#ifndef COFFER_TESTS_SIM_API_CLIENT_H_
#define COFFER_TESTS_SIM_API_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/host/enclave_client.h"
#include "runtime/test_dispatcher.h"
#include "tests/sim/truth.h"

namespace coffer::sim {

class ApiClient {
 public:
  explicit ApiClient(Truth* truth) : truth_(truth) {}

  void OnHostStart(runtime::TestDispatcher* dispatcher, host::EnclaveClient* client);
  void OnHostKilled();

  void Credit(uint64_t account, uint64_t wei) { New(account, EventTruth::Kind::kCredit, wei); }
  void Correction(uint64_t account, uint64_t wei);
  void Repeat(uint64_t choice);
  // The id of an event that was acknowledged, with another amount.
  void Conflict(uint64_t choice);
  // An event that pays a known account's money to somebody else.
  void Redirect(uint64_t choice);

  // Everything was answered.
  bool quiet() const { return open_.empty() && in_flight_ == 0; }

 private:
  using Frame = boundary::v1::ServerFrame;
  struct Session {
    runtime::TestDispatcher* dispatcher;
    host::EnclaveClient* client;
    std::unique_ptr<runtime::Timer> timer;
  };

  void New(uint64_t account, EventTruth::Kind kind, uint64_t wei);
  void Arm();
  void Tick();
  void Send(const std::vector<std::string>& ids);
  void Take(const std::vector<std::string>& ids, const Frame& answer);
  // One event that the enclave must refuse with this code.
  void MustRefuse(const boundary::v1::Event& event, boundary::v1::ErrorCode code, std::string rule);
  void Broken(std::string sentence);

  Truth* const truth_;
  std::unique_ptr<Session> session_;
  std::vector<std::string> open_;   // not answered yet
  std::vector<std::string> known_;  // acknowledged, in their order
  uint64_t in_flight_ = 0;
  uint64_t count_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_API_CLIENT_H_
