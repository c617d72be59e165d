// What `coffer checkpoint publish` takes from a host: the head that the enclave signed for a
// registry, and the proof that it grew out of the head that the registry has. Nothing of it is
// believed unchecked.
#ifndef COFFER_TOOLS_CHECKPOINT_SOURCE_H_
#define COFFER_TOOLS_CHECKPOINT_SOURCE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/ethereum/signature.h"
#include "tools/http_fetch.h"
#include "tools/log_source.h"

namespace coffer::tools {

struct SignedStatement {
  audit::ChainStatement statement;
  ethereum::Signature signature;  // valid over it
};

// An answer of GET /api/transparency/tee-core/audit/checkpoint, read strictly. InvalidArgument when
// it is not one for this chain and registry; PermissionDenied when the signature is not the audit
// address's over it.
absl::StatusOr<SignedStatement> ParseStatementAnswer(std::string_view json, uint64_t chain_id,
                                                     const ethereum::Address& registry);

// Asks the host for one.
absl::StatusOr<SignedStatement> FetchStatement(HttpFetcher& host, uint64_t chain_id,
                                               const ethereum::Address& registry);

// The proof from (first, first_root) to the statement's size and root, out of the tiles of the
// head that the log published last, which is not older than the statement; a head that is
// published yet waits for it. `wait` sleeps, and says false to give up. DataLoss when the tiles
// contradict the two roots: then one of them is of another history.
absl::StatusOr<audit::Proof> FetchConsistency(LogSource& log, uint64_t first,
                                              const audit::Hash& first_root,
                                              const audit::ChainStatement& statement,
                                              absl::Duration patience,
                                              absl::FunctionRef<bool(absl::Duration)> wait);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_CHECKPOINT_SOURCE_H_
