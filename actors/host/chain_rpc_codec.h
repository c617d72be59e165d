// JSON-RPC 2.0 requests and answers as text. Pure.
#ifndef COFFER_ACTORS_HOST_CHAIN_RPC_CODEC_H_
#define COFFER_ACTORS_HOST_CHAIN_RPC_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "actors/host/chain_client.h"

namespace coffer::host {

struct OutgoingCall {
  uint64_t id;
  const std::string* method;
  const Json::Value* params;
};

// An object for one call, an array for more.
std::string EncodeRequest(absl::Span<const OutgoingCall> calls);

struct Decoded {
  std::vector<std::pair<uint64_t, RpcAnswer>> answers;  // one for each id asked
  // Instead of answers: one error without an id, as nodes give that take no batches, or none so
  // large.
  std::optional<RpcError> refused_whole;
};

// DataLoss when the body is not exactly one answer for each of `ids`: no JSON, nested deeper than
// 64, an unknown, doubled or missing id, neither result nor error. Nothing of such a body is used.
absl::StatusOr<Decoded> DecodeResponse(std::string_view body, absl::Span<const uint64_t> ids,
                                       bool batch);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CHAIN_RPC_CODEC_H_
