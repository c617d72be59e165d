// What one simulated node answers to JSON-RPC calls: the methods that a payer uses, with the
// answers and errors of real nodes.
#ifndef COFFER_TESTS_SIM_CHAIN_NODE_RPC_H_
#define COFFER_TESTS_SIM_CHAIN_NODE_RPC_H_

#include <json/value.h>

#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/chain/chain_model.h"

namespace coffer::sim::chain {

// How this answer departs from an honest one.
struct NodeMood {
  uint64_t lag = 0;            // blocks that the node has not seen yet
  bool contradictory = false;  // receipts of branches that are gone, none of those there
  bool forgets = false;        // takes a transaction and keeps nothing
  uint32_t odd_refusal = 0;    // 1: "already known", 2: "nonce too low", though it was taken
  bool rate_limits = false;    // -32005
  uint32_t wording = 0;        // whose words: geth, nethermind, besu (modulo)
  uint64_t chain_id = 0;
  uint64_t max_log_range = 0;  // blocks; 0: any
};

class NodeRpc {
 public:
  NodeRpc(ChainModel* chain, const NodeMood& mood) : chain_(*chain), mood_(mood) {}

  // The answer to one call: an object with "result" or "error". `known` is false for a method that
  // this node has not.
  Json::Value Answer(const Json::Value& call, bool* known);

 private:
  Json::Value Dispatch(const std::string& method, const Json::Value& params);
  Json::Value SendRaw(const Json::Value& params);
  Json::Value Refuse(Refusal refusal) const;
  Json::Value EthCall(const Json::Value& params);
  Json::Value EstimateGas(const Json::Value& params);
  Json::Value GetLogs(const Json::Value& params);
  Json::Value GetReceipt(const Json::Value& params);
  Json::Value GetTransaction(const Json::Value& params);
  Json::Value BlockJson(const ModelBlock* block) const;
  uint64_t head() const;
  // The number that a tag or a quantity names; nothing when the node has no such block.
  std::optional<uint64_t> BlockNumber(const Json::Value& value) const;

  ChainModel& chain_;
  const NodeMood mood_;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_SIM_CHAIN_NODE_RPC_H_
