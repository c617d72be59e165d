// JSON-RPC over HTTP to one of several nodes, whichever answers.
//
// Calls of one loop turn travel in one batch. A node that fails, lies about ids, sends garbage or
// asks for patience is left alone for a while (jittered back-off, or as long as it asked) and the
// calls go to the next in the operator's order. A call ends with a node's answer, or with an error
// at its deadline or after its last try. Repeating a call is harmless: reads are reads, and
// eth_sendRawTransaction sends the same bytes (a second node may then say "already known" or, when
// it was mined meanwhile, "nonce too low": both belong to the caller).
#ifndef COFFER_ACTORS_HOST_CHAIN_RPC_H_
#define COFFER_ACTORS_HOST_CHAIN_RPC_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/chain_client.h"
#include "actors/host/http_client.h"
#include "actors/host/rpc_types.h"
#include "runtime/backoff.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

struct ChainRpcOptions {
  std::vector<HttpUrl> urls;  // in the operator's order; at least one
  absl::Duration try_timeout = absl::Seconds(10);
  absl::Duration deadline = absl::Seconds(45);  // of one call, all tries together
  int max_tries = 8;                            // of one call
  size_t max_batch = 50;                        // calls in a request
  size_t max_in_flight = 8;                     // requests
  size_t max_calls = 10'000;                    // waiting or in flight; more are refused at once
  absl::Duration first_pause = absl::Milliseconds(100);  // of a node that failed
  absl::Duration max_pause = absl::Seconds(15);
  absl::Duration max_retry_after = absl::Minutes(2);  // a node that asks for more waits so long
};

struct ChainRpcMetrics {
  uint64_t calls = 0;
  uint64_t requests = 0;  // HTTP requests, batches included
  uint64_t answers = 0;
  uint64_t refusals = 0;  // answers that were a node's error
  // What went wrong, by kind; a request counts once.
  uint64_t timeouts = 0;
  uint64_t unavailable = 0;  // no connection, TLS refused, HTTP errors
  uint64_t rate_limited = 0;
  uint64_t malformed = 0;   // garbage, wrong ids, too large
  uint64_t expired = 0;     // calls that ended without an answer
  uint64_t overloaded = 0;  // calls refused because max_calls were waiting
  // Refusals by RpcErrorKind.
  std::array<uint64_t, static_cast<size_t>(RpcErrorKind::kOther) + 1> refusals_by_kind{};
  absl::Duration last_latency = absl::ZeroDuration();  // of the last request that was answered
  size_t current_url = 0;                              // index of the node last used
  size_t usable_urls = 0;                              // not on a wrong chain, not paused
};

class ChainRpc final : public ChainClient {
 public:
  // All outlive this object. Replies not yet given when it is destroyed are never given.
  ChainRpc(runtime::Dispatcher* dispatcher, HttpTransport* http, runtime::Random* random,
           ChainRpcOptions options);
  ~ChainRpc() override;

  void Call(std::string method, Json::Value params, Reply reply) override;

  // Asks every URL for its chain id. From now on only URLs that answered `expected` are used; one
  // on another chain is never used again, one that did not answer is asked again in the background
  // until it does. `done` is called once, when each has been asked once: OK when one or more may be
  // used, FailedPrecondition when all are on a wrong chain, else Unavailable. Call it once.
  void CheckChainId(uint64_t expected, absl::AnyInvocable<void(absl::Status)> done);

  ChainRpcMetrics metrics() const;
  // For logs and the status page: no secrets.
  const std::string& url_name(size_t index) const { return nodes_[index]->name; }

 private:
  struct Node {
    Node(HttpUrl u, const ChainRpcOptions& options, runtime::Random* random);
    HttpUrl url;
    std::string name;  // masked
    enum class Chain { kUnchecked, kRight, kWrong } chain = Chain::kUnchecked;
    bool asked = false;  // its chain id, at least once, with whatever outcome
    bool batches = true;
    runtime::Backoff backoff;
    absl::Time paused_until = absl::InfinitePast();
    std::unique_ptr<runtime::Timer> recheck;
  };
  struct Waiting {
    std::string method;
    Json::Value params;
    Reply reply;
    int tries = 0;
    bool alone = false;  // after a batch that could not be read: maybe this call was why
    absl::Status last_error;
  };
  struct Request {
    size_t node = 0;
    std::vector<uint64_t> ids;
    bool batch = false;
    absl::Time sent;
  };

  void SchedulePump();
  void Pump();
  // The first node that may be used now; if there is none, when to look again.
  std::optional<size_t> PickNode(absl::Time now, absl::Time* again);
  Request TakeRequest(size_t node);
  void Send(Request request);
  void OnResponse(const Request& request, absl::StatusOr<HttpResponse> response);
  // Error: the answer as a whole is unusable, and no call was answered.
  absl::Status TakeAnswers(const Request& request, const HttpResponse& response);
  void OnAnswer(uint64_t id, RpcAnswer answer);
  void OnFailure(const Request& request, const absl::Status& why,
                 std::optional<absl::Duration> retry_after);
  // `alone`: never in a batch again.
  void Requeue(const std::vector<uint64_t>& ids, const absl::Status& why, bool alone);
  void Finish(uint64_t id, absl::StatusOr<RpcAnswer> answer);
  // Leaves the node alone for its back-off, and at least as long as it asked.
  void Pause(Node& node, std::optional<absl::Duration> at_least);
  void ArmDeadline();
  void ExpireDue();
  void AskChainId(size_t index);
  void OnChainId(size_t index, absl::StatusOr<uint64_t> chain_id);

  runtime::Dispatcher* const dispatcher_;
  HttpTransport* const http_;
  const ChainRpcOptions options_;
  std::vector<std::unique_ptr<Node>> nodes_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Waiting>> waiting_;
  std::deque<uint64_t> queue_;                             // ids not in flight; some may have ended
  std::deque<std::pair<absl::Time, uint64_t>> deadlines_;  // ascending
  std::unique_ptr<runtime::Timer> deadline_timer_;
  std::unique_ptr<runtime::Timer> pump_timer_;
  bool pump_posted_ = false;
  size_t in_flight_ = 0;
  uint64_t next_id_ = 1;
  std::optional<uint64_t> expected_chain_id_;
  size_t unchecked_ = 0;  // nodes whose first check is under way
  absl::AnyInvocable<void(absl::Status)> checked_;
  ChainRpcMetrics metrics_;
  // Callbacks of the transport and posted tasks hold a weak one, so that they end with this object.
  std::shared_ptr<ChainRpc*> self_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CHAIN_RPC_H_
