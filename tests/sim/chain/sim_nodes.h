// JSON-RPC nodes over the simulated chain, as an HttpTransport in virtual time: honest ones, and
// ones with the faults that nodes have in the field.
#ifndef COFFER_TESTS_SIM_CHAIN_SIM_NODES_H_
#define COFFER_TESTS_SIM_CHAIN_SIM_NODES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "actors/host/http_client.h"
#include "runtime/test_dispatcher.h"
#include "tests/sim/chain/chain_model.h"

namespace coffer::sim::chain {

// Rates are per mille of HTTP requests, unless said otherwise; all zero: honest.
struct NodeFaults {
  uint32_t timeout = 0;       // no answer in time; the node saw the request, or did not
  uint32_t refused = 0;       // no connection
  uint32_t rate_limited = 0;  // HTTP 429 (with or without Retry-After), or -32005 for one call
  uint32_t server_error = 0;  // HTTP 502, 503, 500 with a page
  uint32_t garbage = 0;       // a body that is no JSON-RPC
  uint32_t wrong_ids = 0;     // ids doubled, missing or not asked for
  uint32_t truncated = 0;     // a body that ends early
  uint32_t stale = 0;         // as of up to `max_lag` blocks ago
  // A receipt of a branch that is gone, if there is one, as if it were there; or null for one that
  // is there.
  uint32_t contradictory = 0;
  // Per mille of eth_sendRawTransaction.
  uint32_t forgets = 0;       // says yes and keeps nothing
  uint32_t odd_refusals = 0;  // takes it, and says "already known" or "nonce too low"
  uint64_t max_lag = 6;       // blocks
  // Not a rate: a wider eth_getLogs is refused; 0: none is.
  uint64_t max_log_range = 0;
  absl::Duration min_delay = absl::Milliseconds(1);  // of a request and its answer together
  absl::Duration max_delay = absl::Milliseconds(40);
};

class SimNodes {
 public:
  // Both outlive this object. At least one node.
  SimNodes(runtime::TestScheduler* scheduler, ChainModel* chain, size_t count);
  ~SimNodes();
  SimNodes(const SimNodes&) = delete;
  SimNodes& operator=(const SimNodes&) = delete;

  std::vector<host::HttpUrl> urls() const;
  // For one host process. Requests that were sent reach the node though the process crashes;
  // answers come as tasks of `dispatcher`, none after the transport's end or the crash. The
  // transport must be destroyed before this object.
  std::unique_ptr<host::HttpTransport> NewTransport(runtime::TestDispatcher* dispatcher);

  // Of all nodes, or of one.
  void SetFaults(const NodeFaults& faults);
  void SetFaults(size_t node, const NodeFaults& faults);
  // A node that is down takes no connection.
  void SetDown(size_t node, bool down);
  // A node that is on another chain.
  void SetChainId(size_t node, uint64_t chain_id);

  struct Counters {
    uint64_t requests = 0;  // HTTP
    uint64_t calls = 0;     // JSON-RPC
    uint64_t faults = 0;
    // Transactions that were handed in before the one of the nonce below was taken by any node, or
    // mined: a sequencer refuses them.
    uint64_t out_of_order = 0;
    uint64_t astray = 0;           // transactions that were handed to a node of another chain
    uint64_t unknown_methods = 0;  // what a caller asked and no node here knows: a gap of this file
  };
  const Counters& counters() const;

 private:
  class Impl;
  class Transport;
  std::shared_ptr<Impl> impl_;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_SIM_NODES_H_
