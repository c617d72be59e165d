// A tap on the enclave's door: a Network that shows every frame of every accepted connection to an
// observer and changes nothing. Put it between an enclave and its network. A frame to the enclave
// is shown when the enclave is given it, a frame from it when it is sent, so the order in which the
// observer sees them is the order in which the enclave did.
#ifndef COFFER_TESTS_SIM_WIRE_TAPPED_NETWORK_H_
#define COFFER_TESTS_SIM_WIRE_TAPPED_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "runtime/stream.h"

namespace coffer::sim {

// `enclave` numbers the enclave processes of a run (from 1, never reused), `connection` the
// connections of one of them (from 1, in the order of their acceptance).
class FrameObserver {
 public:
  virtual ~FrameObserver() = default;
  virtual void OnToEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) = 0;
  virtual void OnFromEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) = 0;
};

class TappedNetwork : public runtime::Network {
 public:
  // `observer` outlives this network and every stream that it made.
  TappedNetwork(std::unique_ptr<runtime::Network> inner, uint64_t enclave, FrameObserver* observer)
      : inner_(std::move(inner)), enclave_(enclave), observer_(observer) {}

  absl::StatusOr<std::unique_ptr<runtime::Listener>> Listen(const runtime::Endpoint& endpoint,
                                                            OnAccept on_accept) override;
  // Not tapped: an enclave calls nobody.
  void Connect(const runtime::Endpoint& endpoint, OnConnect on_connect) override {
    inner_->Connect(endpoint, std::move(on_connect));
  }

 private:
  const std::unique_ptr<runtime::Network> inner_;
  const uint64_t enclave_;
  FrameObserver* const observer_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WIRE_TAPPED_NETWORK_H_
