#include "actors/host/chain_rpc.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/chain_rpc_codec.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

using runtime::Level;
using runtime::Log;

constexpr std::string_view kComponent = "chain_rpc";

// These say that the HTTP server refused the request as such; others may carry a JSON-RPC error.
bool BodyMayAnswer(int status) { return status == 200 || status == 400 || status == 500; }

}  // namespace

ChainRpc::Node::Node(HttpUrl u, const ChainRpcOptions& options, runtime::Random* random)
    : url(std::move(u)),
      name(url.Masked()),
      backoff(options.first_pause, options.max_pause, random) {}

ChainRpc::ChainRpc(runtime::Dispatcher* dispatcher, HttpTransport* http, runtime::Random* random,
                   ChainRpcOptions options)
    : dispatcher_(dispatcher),
      http_(http),
      options_(std::move(options)),
      self_(std::make_shared<ChainRpc*>(this)) {
  COFFER_CHECK(!options_.urls.empty(), "ChainRpc needs a URL");
  COFFER_CHECK(options_.max_batch > 0 && options_.max_in_flight > 0 && options_.max_tries > 0,
               "ChainRpc's bounds must not be zero");
  for (const HttpUrl& url : options_.urls) {
    nodes_.push_back(std::make_unique<Node>(url, options_, random));
  }
}

ChainRpc::~ChainRpc() = default;

void ChainRpc::Call(std::string method, Json::Value params, Reply reply) {
  ++metrics_.calls;
  if (waiting_.size() >= options_.max_calls) {
    ++metrics_.overloaded;
    dispatcher_->Post([reply = std::move(reply)]() mutable {
      reply(absl::ResourceExhaustedError("too many calls to the chain are waiting"));
    });
    return;
  }
  const uint64_t id = next_id_++;
  auto call = std::make_unique<Waiting>();
  call->method = std::move(method);
  call->params = std::move(params);
  call->reply = std::move(reply);
  call->last_error = absl::UnavailableError("no node could be asked in time");
  waiting_.emplace(id, std::move(call));
  queue_.push_back(id);
  deadlines_.emplace_back(dispatcher_->Now() + options_.deadline, id);
  if (deadline_timer_ == nullptr) ArmDeadline();
  SchedulePump();
}

void ChainRpc::SchedulePump() {
  if (std::exchange(pump_posted_, true)) return;
  dispatcher_->Post([weak = std::weak_ptr<ChainRpc*>(self_)] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    (*self)->pump_posted_ = false;
    (*self)->Pump();
  });
}

void ChainRpc::Pump() {
  const absl::Time now = dispatcher_->Now();
  while (in_flight_ < options_.max_in_flight) {
    while (!queue_.empty() && !waiting_.contains(queue_.front())) queue_.pop_front();
    if (queue_.empty()) return;
    absl::Time again = absl::InfiniteFuture();
    const std::optional<size_t> node = PickNode(now, &again);
    if (!node) {
      if (again == absl::InfiniteFuture()) return;  // a check or the deadline goes on
      pump_timer_ = dispatcher_->After(again - now, [this] { Pump(); });
      return;
    }
    Send(TakeRequest(*node));
  }
}

std::optional<size_t> ChainRpc::PickNode(absl::Time now, absl::Time* again) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = *nodes_[i];
    if (node.chain == Node::Chain::kWrong) continue;
    if (expected_chain_id_ && node.chain != Node::Chain::kRight) continue;
    if (node.paused_until <= now) return i;
    *again = std::min(*again, node.paused_until);
  }
  return std::nullopt;
}

ChainRpc::Request ChainRpc::TakeRequest(size_t node) {
  Request request;
  request.node = node;
  const size_t most = nodes_[node]->batches ? options_.max_batch : 1;
  while (!queue_.empty() && request.ids.size() < most) {
    const uint64_t id = queue_.front();
    const auto found = waiting_.find(id);
    if (found != waiting_.end() && found->second->alone && !request.ids.empty()) break;
    queue_.pop_front();
    if (found == waiting_.end()) continue;
    ++found->second->tries;
    request.ids.push_back(id);
    if (found->second->alone) break;
  }
  request.batch = request.ids.size() > 1;
  return request;
}

void ChainRpc::Send(Request request) {
  std::vector<OutgoingCall> calls;
  for (const uint64_t id : request.ids) {
    const Waiting& call = *waiting_.at(id);
    calls.push_back({id, &call.method, &call.params});
  }
  request.sent = dispatcher_->Now();
  ++in_flight_;
  ++metrics_.requests;
  metrics_.current_url = request.node;
  const HttpUrl& url = nodes_[request.node]->url;
  http_->Post(url, EncodeRequest(calls), options_.try_timeout,
              [weak = std::weak_ptr<ChainRpc*>(self_),
               request = std::move(request)](absl::StatusOr<HttpResponse> response) {
                const auto self = weak.lock();
                if (self != nullptr) (*self)->OnResponse(request, std::move(response));
              });
}

void ChainRpc::OnResponse(const Request& request, absl::StatusOr<HttpResponse> response) {
  --in_flight_;
  SchedulePump();
  if (!response.ok()) return OnFailure(request, response.status(), std::nullopt);
  if (response->status == 429) {
    return OnFailure(request, absl::ResourceExhaustedError("HTTP 429: asked too often"),
                     response->retry_after.value_or(absl::ZeroDuration()));
  }
  if (!BodyMayAnswer(response->status)) {
    return OnFailure(request,
                     absl::UnavailableError(absl::StrCat("HTTP status ", response->status)),
                     response->retry_after);
  }
  const absl::Status taken = TakeAnswers(request, *response);
  if (taken.ok()) return;
  if (response->status != 200 && absl::IsDataLoss(taken)) {
    return OnFailure(request,
                     absl::UnavailableError(absl::StrCat("HTTP status ", response->status)),
                     response->retry_after);
  }
  OnFailure(request, taken, std::nullopt);
}

absl::Status ChainRpc::TakeAnswers(const Request& request, const HttpResponse& response) {
  Node& node = *nodes_[request.node];
  absl::StatusOr<Decoded> decoded = DecodeResponse(response.body, request.ids, request.batch);
  if (!decoded.ok()) return decoded.status();
  if (decoded->refused_whole) {
    const RpcError& error = *decoded->refused_whole;
    if (ClassifyRpcError(error) == RpcErrorKind::kRateLimited) {
      OnFailure(request, absl::ResourceExhaustedError("the node asks for patience"),
                absl::ZeroDuration());
      return absl::OkStatus();
    }
    if (!request.batch) {
      return absl::DataLossError(absl::StrCat("error ", error.code, " that names no call"));
    }
    Log(Level::kInfo, kComponent, "the node takes no batches; calls go one by one",
        {{"url", node.name}, {"code", error.code}});
    node.batches = false;
    for (const uint64_t id : request.ids) {
      const auto found = waiting_.find(id);
      if (found != waiting_.end()) --found->second->tries;
    }
    Requeue(request.ids, absl::UnavailableError("the node refused a batch"), /*alone=*/false);
    return absl::OkStatus();
  }
  metrics_.last_latency = dispatcher_->Now() - request.sent;
  node.backoff.Reset();
  std::vector<uint64_t> later;
  for (auto& [id, answer] : decoded->answers) {
    if (answer.refused && ClassifyRpcError(answer.error) == RpcErrorKind::kRateLimited) {
      later.push_back(id);
    } else {
      OnAnswer(id, std::move(answer));
    }
  }
  if (!later.empty()) {
    ++metrics_.rate_limited;
    Pause(node, absl::ZeroDuration());
    Requeue(later, absl::ResourceExhaustedError("the node asks for patience"), /*alone=*/false);
  }
  return absl::OkStatus();
}

void ChainRpc::OnAnswer(uint64_t id, RpcAnswer answer) {
  ++metrics_.answers;
  if (answer.refused) {
    ++metrics_.refusals;
    ++metrics_.refusals_by_kind[static_cast<size_t>(ClassifyRpcError(answer.error))];
  }
  Finish(id, std::move(answer));
}

void ChainRpc::OnFailure(const Request& request, const absl::Status& why,
                         std::optional<absl::Duration> retry_after) {
  Node& node = *nodes_[request.node];
  // Neither says that the node is ill: perhaps one call asked for too much.
  const bool unreadable =
      absl::IsDataLoss(why) || (absl::IsResourceExhausted(why) && !retry_after.has_value());
  if (absl::IsDeadlineExceeded(why)) {
    ++metrics_.timeouts;
  } else if (unreadable) {
    ++metrics_.malformed;
  } else if (absl::IsResourceExhausted(why)) {
    ++metrics_.rate_limited;
  } else {
    ++metrics_.unavailable;
  }
  Pause(node, retry_after);
  Log(Level::kWarn, kComponent, "a node gave no usable answer",
      {{"url", node.name},
       {"error", why},
       {"calls", request.ids.size()},
       {"pause_ms", absl::ToInt64Milliseconds(node.paused_until - dispatcher_->Now())}});
  Requeue(request.ids, why, unreadable && request.batch);
}

// Requests that failed together pause the node once.
void ChainRpc::Pause(Node& node, std::optional<absl::Duration> at_least) {
  const absl::Time now = dispatcher_->Now();
  if (node.paused_until <= now) node.paused_until = now + node.backoff.Next();
  if (at_least) {
    node.paused_until =
        std::max(node.paused_until, now + std::min(*at_least, options_.max_retry_after));
  }
}

// To the front: they are the oldest.
void ChainRpc::Requeue(const std::vector<uint64_t>& ids, const absl::Status& why, bool alone) {
  const std::vector<uint64_t> youngest_first(ids.rbegin(), ids.rend());
  for (const uint64_t id : youngest_first) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) continue;
    Waiting& call = *found->second;
    call.last_error = why;
    call.alone = call.alone || alone;
    if (call.tries < options_.max_tries) {
      queue_.push_front(id);
      continue;
    }
    ++metrics_.expired;
    Finish(id,
           absl::UnavailableError(absl::StrCat(call.method, " had no answer after ", call.tries,
                                               " tries; the last: ", std::string{why.message()})));
  }
  SchedulePump();
}

// The reply runs from the loop, so that it may call again, or end this object.
void ChainRpc::Finish(uint64_t id, absl::StatusOr<RpcAnswer> answer) {
  auto node = waiting_.extract(id);
  if (node.empty()) return;
  dispatcher_->Post([weak = std::weak_ptr<ChainRpc*>(self_),
                     reply = std::move(node.mapped()->reply),
                     answer = std::move(answer)]() mutable {
    if (weak.lock() != nullptr) reply(std::move(answer));
  });
}

void ChainRpc::ArmDeadline() {
  deadline_timer_.reset();
  while (!deadlines_.empty() && !waiting_.contains(deadlines_.front().second)) {
    deadlines_.pop_front();
  }
  if (deadlines_.empty()) return;
  deadline_timer_ =
      dispatcher_->After(deadlines_.front().first - dispatcher_->Now(), [this] { ExpireDue(); });
}

void ChainRpc::ExpireDue() {
  const absl::Time now = dispatcher_->Now();
  while (!deadlines_.empty() && deadlines_.front().first <= now) {
    const uint64_t id = deadlines_.front().second;
    deadlines_.pop_front();
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) continue;
    ++metrics_.expired;
    Finish(id, absl::UnavailableError(
                   absl::StrCat(found->second->method, " had no answer within ",
                                absl::FormatDuration(options_.deadline),
                                "; the last: ", std::string{found->second->last_error.message()})));
  }
  ArmDeadline();
}

ChainRpcMetrics ChainRpc::metrics() const {
  ChainRpcMetrics out = metrics_;
  const absl::Time now = dispatcher_->Now();
  for (const auto& node : nodes_) {
    const bool right = node->chain == Node::Chain::kRight ||
                       (!expected_chain_id_ && node->chain == Node::Chain::kUnchecked);
    if (right && node->paused_until <= now) ++out.usable_urls;
  }
  return out;
}

}  // namespace coffer::host
