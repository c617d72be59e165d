// JSON-RPC for commands: one call after the other, each waited for.
#ifndef COFFER_TOOLS_BLOCKING_CHAIN_H_
#define COFFER_TOOLS_BLOCKING_CHAIN_H_

#include <json/value.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/http_client.h"
#include "actors/host/rpc_types.h"
#include "runtime/event_loop.h"
#include "runtime/os_random.h"

namespace coffer::tools {

struct BlockingChainOptions {
  std::string url;      // http or https
  std::string ca_file;  // PEM of the authorities to trust; empty: the system's
  absl::Duration timeout = absl::Seconds(20);  // of one call, retries included
};

class BlockingChain {
 public:
  // `loop` outlives this object and runs inside the calls below; signals registered on it are
  // served meanwhile. InvalidArgument for a URL or a CA file that is none.
  static absl::StatusOr<std::unique_ptr<BlockingChain>> Make(runtime::EventLoop* loop,
                                                             const BlockingChainOptions& options);

  // The result. FailedPrecondition, with the node's words, when it refused; Unavailable when nobody
  // answered; Cancelled after Cancel.
  absl::StatusOr<Json::Value> Call(const std::string& method, Json::Value params);
  // As Call, with the refusal as it is.
  absl::StatusOr<host::RpcAnswer> Ask(const std::string& method, Json::Value params);
  // Waits, unless cancelled. False when it was.
  bool Sleep(absl::Duration duration);
  // From the loop: ends the call or the wait under way, and all that come.
  void Cancel();
  bool cancelled() const { return cancelled_; }
  // Masked, for messages.
  const std::string& name() const { return name_; }
  runtime::Random* random() { return &random_; }
  runtime::EventLoop* loop() { return loop_; }

 private:
  explicit BlockingChain(runtime::EventLoop* loop) : loop_(loop) {}

  runtime::EventLoop* const loop_;
  runtime::OsRandom random_;
  std::unique_ptr<host::HttpClient> http_;
  std::unique_ptr<host::ChainRpc> rpc_;
  std::string name_;
  bool cancelled_ = false;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_BLOCKING_CHAIN_H_
