#include "tools/blocking_chain.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::tools {

absl::StatusOr<std::unique_ptr<BlockingChain>> BlockingChain::Make(
    runtime::EventLoop* loop, const BlockingChainOptions& options) {
  absl::StatusOr<host::HttpUrl> url = host::HttpUrl::Parse(options.url);
  if (!url.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the node's URL: ", url.status().message()));
  }
  auto chain = std::unique_ptr<BlockingChain>(new BlockingChain(loop));
  host::HttpOptions http_options;
  http_options.ca_file = options.ca_file;
  http_options.max_body = 4u << 20;
  absl::StatusOr<std::unique_ptr<host::HttpClient>> http =
      host::HttpClient::Create(loop, std::move(http_options));
  if (!http.ok()) return http.status();
  chain->http_ = *std::move(http);
  chain->name_ = url->Masked();
  host::ChainRpcOptions rpc;
  rpc.urls.push_back(*std::move(url));
  rpc.deadline = options.timeout;
  rpc.try_timeout = options.timeout / 2;
  rpc.max_pause = absl::Seconds(2);
  chain->rpc_ =
      std::make_unique<host::ChainRpc>(loop, chain->http_.get(), &chain->random_, std::move(rpc));
  return chain;
}

absl::StatusOr<host::RpcAnswer> BlockingChain::Ask(const std::string& method, Json::Value params) {
  // Shared, because an answer may come after this call was cancelled.
  auto answer = std::make_shared<std::optional<absl::StatusOr<host::RpcAnswer>>>();
  if (!cancelled_) {
    rpc_->Call(method, std::move(params),
               [answer, loop = loop_](absl::StatusOr<host::RpcAnswer> got) {
                 *answer = std::move(got);
                 loop->Stop();
               });
  }
  while (!cancelled_ && !answer->has_value()) loop_->Run();
  if (!answer->has_value()) return absl::CancelledError("stopped");
  if (!(*answer)->ok()) {
    const absl::Status& why = (*answer)->status();
    return absl::Status(why.code(), absl::StrCat(method, " at ", name_, ": ", why.message()));
  }
  return std::move(**answer);
}

absl::StatusOr<Json::Value> BlockingChain::Call(const std::string& method, Json::Value params) {
  absl::StatusOr<host::RpcAnswer> answer = Ask(method, std::move(params));
  if (!answer.ok()) return answer.status();
  if (answer->refused) {
    return absl::FailedPreconditionError(
        absl::StrCat(method, " at ", name_, " was refused: ", answer->error.message));
  }
  return std::move(answer->result);
}

bool BlockingChain::Sleep(absl::Duration duration) {
  bool over = false;
  const std::unique_ptr<runtime::Timer> timer = loop_->After(duration, [&] {
    over = true;
    loop_->Stop();
  });
  while (!cancelled_ && !over) loop_->Run();
  return !cancelled_;
}

void BlockingChain::Cancel() {
  cancelled_ = true;
  loop_->Stop();
}

}  // namespace coffer::tools
