// The host's door to the chain, as the payout driver sees it. ChainRpc is the real one; tests hand
// in a fake.
#ifndef COFFER_ACTORS_HOST_CHAIN_CLIENT_H_
#define COFFER_ACTORS_HOST_CHAIN_CLIENT_H_

#include <json/value.h>

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace coffer::host {

// What a JSON-RPC node said no with.
struct RpcError {
  int64_t code = 0;
  std::string message;
  std::string data;  // 0x hex of a revert's return data, or empty
};

// A JSON-RPC answer: the result, a node's refusal (ok() with has error), or no answer at all.
struct RpcAnswer {
  bool refused = false;
  RpcError error;      // when refused
  Json::Value result;  // when not
};

class ChainClient {
 public:
  virtual ~ChainClient() = default;
  // A non-OK status: no URL gave an answer within its time-outs and retries.
  using Reply = absl::AnyInvocable<void(absl::StatusOr<RpcAnswer>)>;
  // Calls one method; `reply` is called exactly once, later, on this dispatcher. Calls made in one
  // turn of the loop may travel in one batch. Reads may be answered by any URL.
  virtual void Call(std::string method, Json::Value params, Reply reply) = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CHAIN_CLIENT_H_
