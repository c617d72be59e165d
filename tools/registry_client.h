// The on-chain side of the log: what deploy/contracts/CheckpointRegistry.sol holds, and submitting
// to it.
#ifndef COFFER_TOOLS_REGISTRY_CLIENT_H_
#define COFFER_TOOLS_REGISTRY_CLIENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::tools {

// What the registry accepted last from one audit address.
struct RegistryHead {
  uint64_t size = 0;  // 0: nothing was accepted yet, and the fields below are zero
  audit::Hash root;
  uint64_t accepted_block = 0;  // block.number of the acceptance (on Arbitrum the L1 block's)
  uint64_t accepted_time = 0;   // seconds since 1970, as that block says
  bool equivocated = false;     // the registry was shown two signed roots for one size
  uint64_t block_number = 0;    // of the block that this was read at
  uint64_t chain_id = 0;        // as the node says
};

// Reads by eth_call at the node's latest block. Blocks, for some seconds at most when nobody
// answers. `rpc_url`: http or https; errors show it masked. InvalidArgument for a URL that is none;
// Unavailable when the node gives no answer; FailedPrecondition when there is no registry at that
// address. The answer is the node's word: it proves nothing without trust in that node.
absl::StatusOr<RegistryHead> ReadRegistry(const std::string& rpc_url,
                                          const ethereum::Address& registry,
                                          const ethereum::Address& audit_address);
// The root accepted for exactly this size; zero when that size was never submitted. Errors as
// above.
absl::StatusOr<audit::Hash> ReadRegistryRoot(const std::string& rpc_url,
                                             const ethereum::Address& registry,
                                             const ethereum::Address& audit_address, uint64_t size);

// The same over a chain that the caller has.
class BlockingChain;
absl::StatusOr<RegistryHead> ReadRegistryOn(BlockingChain& chain, const ethereum::Address& registry,
                                            const ethereum::Address& audit_address);
absl::StatusOr<audit::Hash> ReadRegistryRootOn(BlockingChain& chain,
                                               const ethereum::Address& registry,
                                               const ethereum::Address& audit_address,
                                               uint64_t size);

// The calls and what comes back, pure.
std::string LatestCall(const ethereum::Address& audit_address);
std::string RootAtCall(const ethereum::Address& audit_address, uint64_t size);
std::string SubmitCall(const audit::ChainStatement& statement, const ethereum::Signature& signature,
                       const audit::Proof& proof);
// FailedPrecondition for bytes that the registry's `latest` does not return, none at all included.
absl::StatusOr<RegistryHead> ParseLatest(std::string_view returned);
// Why the registry reverted, as a sentence, from the revert's data; empty when it is none of its
// errors.
std::string RegistryErrorText(std::string_view revert_data);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_REGISTRY_CLIENT_H_
