// A random play of calls on the broker's model, told as JSON lines, so that the same calls can be
// made on the contract itself and everything compared.
#ifndef COFFER_TESTS_SIM_CHAIN_SCENARIO_H_
#define COFFER_TESTS_SIM_CHAIN_SCENARIO_H_

#include <json/value.h>

#include <cstdint>
#include <string>
#include <vector>

#include "enclave_core/ethereum/signature.h"
#include "runtime/random.h"
#include "tests/sim/chain/broker_model.h"

namespace coffer::sim::chain {

class Scenario {
 public:
  explicit Scenario(uint64_t seed);

  // What is there before the first step: periods, the round, who is registered.
  Json::Value Setup() const;
  // Makes the next step and tells what was done ("op" and its inputs), what the model says became
  // of it, and what it would answer now to the calls that a payer reads.
  Json::Value Step();

 private:
  Json::Value InitializeRound();
  Json::Value Pause(bool paused);
  Json::Value Register();
  Json::Value SetValidityPeriod();
  Json::Value Call();
  Json::Value Starved();
  // Makes the call on the model and says what became of it.
  Json::Value Tell(const Address& from, const U256& value, const std::string& data, uint64_t gas,
                   const std::vector<TicketCall>& tickets);
  // Picks a caller, the value and calldata of a call that is no redemption.
  void FundingCall(Address* from, U256* value, std::string* data);
  std::string RedemptionCall(std::vector<TicketCall>* tickets);
  TicketCall RandomTicket();
  U256 RandomFaceValue(const Address& sender, const Address& recipient);
  void SpoilTicket(TicketCall* ticket);
  Json::Value Back();
  Json::Value Reads(const std::vector<TicketCall>& tickets) const;
  Json::Value Fees() const;
  const Address& AnyRecipient() { return recipients_[Below(recipients_.size())]; }
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }

  runtime::SeededRandom random_;
  VersionedStore store_;
  BrokerModel model_;
  std::vector<ethereum::PrivateKey> senders_;
  std::vector<Address> recipients_;  // the last two are not registered at first
  std::vector<TicketCall> made_;
  uint64_t step_ = 0;
  uint64_t mark_ = 0;  // the step that "back" goes back to
  uint64_t sender_nonce_ = 0;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_SCENARIO_H_
