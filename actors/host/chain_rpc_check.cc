// Which chain a URL is on.
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/chain_rpc_codec.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

using runtime::Level;
using runtime::Log;

absl::Status Refused(const RpcError& error) {
  return absl::UnavailableError(absl::StrCat("the node answered with error ", error.code));
}

absl::StatusOr<uint64_t> ChainIdOf(const absl::StatusOr<HttpResponse>& response, uint64_t id) {
  if (!response.ok()) return response.status();
  absl::StatusOr<Decoded> decoded = DecodeResponse(response->body, {&id, 1}, /*batch=*/false);
  if (response->status != 200 && !decoded.ok()) {
    return absl::UnavailableError(absl::StrCat("HTTP status ", response->status));
  }
  if (!decoded.ok()) return decoded.status();
  // A node's own words may hold the key it was asked with, so only the code is told.
  if (decoded->refused_whole) return Refused(*decoded->refused_whole);
  const RpcAnswer& answer = decoded->answers.at(0).second;
  if (answer.refused) return Refused(answer.error);
  return ParseQuantity(answer.result);
}

}  // namespace

void ChainRpc::CheckChainId(uint64_t expected, absl::AnyInvocable<void(absl::Status)> done) {
  COFFER_CHECK(!expected_chain_id_, "the chain id is checked once");
  expected_chain_id_ = expected;
  checked_ = std::move(done);
  unchecked_ = nodes_.size();
  for (size_t i = 0; i < nodes_.size(); ++i) AskChainId(i);
}

void ChainRpc::AskChainId(size_t index) {
  const std::string method = "eth_chainId";
  const Json::Value params(Json::arrayValue);
  const uint64_t id = next_id_++;
  const OutgoingCall call{id, &method, &params};
  ++metrics_.requests;
  http_->Post(
      nodes_[index]->url, EncodeRequest({&call, 1}), options_.try_timeout,
      [weak = std::weak_ptr<ChainRpc*>(self_), index, id](absl::StatusOr<HttpResponse> response) {
        const auto self = weak.lock();
        if (self != nullptr) (*self)->OnChainId(index, ChainIdOf(response, id));
      });
}

void ChainRpc::OnChainId(size_t index, absl::StatusOr<uint64_t> chain_id) {
  Node& node = *nodes_[index];
  if (!chain_id.ok()) {
    const absl::Duration wait = node.backoff.Next();
    Log(Level::kWarn, "chain_rpc", "a node does not say which chain it is on; not used until then",
        {{"url", node.name}, {"error", chain_id.status()}});
    node.recheck = dispatcher_->After(wait, [this, index] { AskChainId(index); });
  } else if (*chain_id != *expected_chain_id_) {
    node.chain = Node::Chain::kWrong;
    Log(Level::kError, "chain_rpc", "a node is on another chain; it is never used",
        {{"url", node.name}, {"chain_id", *chain_id}, {"expected", *expected_chain_id_}});
  } else {
    node.chain = Node::Chain::kRight;
    node.backoff.Reset();
    SchedulePump();
  }
  // Later answers of a URL that is asked again do not count.
  if (std::exchange(node.asked, true) || --unchecked_ > 0) return;
  bool any_right = false;
  bool all_wrong = true;
  for (const auto& one : nodes_) {
    any_right = any_right || one->chain == Node::Chain::kRight;
    all_wrong = all_wrong && one->chain == Node::Chain::kWrong;
  }
  absl::Status status;
  if (all_wrong) {
    status = absl::FailedPreconditionError(
        absl::StrCat("no URL is on chain ", *expected_chain_id_, "; see the log for each"));
  } else if (!any_right) {
    status = absl::UnavailableError("no URL has said yet which chain it is on; see the log");
  }
  // It may end this object.
  auto done = std::move(checked_);
  done(status);
}

}  // namespace coffer::host
