// What an honest host may say to its enclave and to its nodes, whoever it was told by: looked at
// where it leaves the host, in front of the enclave's own auditor.
#ifndef COFFER_TESTS_SIM_HOST_WATCH_H_
#define COFFER_TESTS_SIM_HOST_WATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proto/boundary.pb.h"
#include "tests/sim/chain/sim_nodes.h"
#include "tests/sim/wire/tapped_network.h"

namespace coffer::sim {

class HostWatch : public FrameObserver {
 public:
  // All outlive this object. `confirmations`: of a receipt before it is reported, its own block
  // counted.
  HostWatch(FrameObserver* next, const chain::ChainModel* chain, const chain::SimNodes* nodes,
            uint32_t confirmations)
      : next_(next), chain_(chain), nodes_(nodes), confirmations_(confirmations) {}

  void OnToEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) override;
  void OnFromEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) override {
    next_->OnFromEnclave(enclave, connection, payload);
  }

  // What the nodes were given.
  void LookAtNodes();
  // The first rule that was broken, as a sentence that begins with its number.
  const std::string& broken() const { return broken_; }

 private:
  void Broken(std::string sentence) {
    if (broken_.empty()) broken_ = std::move(sentence);
  }
  void CheckReceipt(uint64_t block);
  void CheckEvents(const boundary::v1::ApplyEvents& request,
                   std::map<std::string, std::string>* recipients);

  FrameObserver* const next_;
  const chain::ChainModel* const chain_;
  const chain::SimNodes* const nodes_;
  const uint32_t confirmations_;
  // By account, of one connection: an enclave that was stopped hears of an earlier life of the host
  // after the next one has begun.
  std::map<std::pair<uint64_t, uint64_t>, std::map<std::string, std::string>> recipients_;
  std::string broken_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_HOST_WATCH_H_
