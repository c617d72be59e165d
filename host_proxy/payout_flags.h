// The options of coffer-host that are about the chain and about paying.
#ifndef COFFER_HOST_PROXY_PAYOUT_FLAGS_H_
#define COFFER_HOST_PROXY_PAYOUT_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/http_client.h"
#include "actors/host/payout_options.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/config.h"

namespace coffer::host_proxy {

struct PayoutFlags {
  host::HttpOptions http;
  host::ChainRpcOptions rpc;
  host::PayoutDriverOptions driver;
  uint64_t chain_id = 0;
  // What the operator believes the enclave to be bound to; checked, never told to it.
  std::optional<ethereum::Address> broker;
  bool start_paused = false;
};

void AddPayoutOptions(runtime::ConfigSpec& spec);

// Nothing without --chain.urls: this host pays nobody. InvalidArgument names the option that is
// wrong.
absl::StatusOr<std::optional<PayoutFlags>> ParsePayoutFlags(const runtime::Config& config);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_PAYOUT_FLAGS_H_
