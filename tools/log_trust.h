// Which key must have signed a log's head, and what this machine has seen of the log before.
#ifndef COFFER_TOOLS_LOG_TRUST_H_
#define COFFER_TOOLS_LOG_TRUST_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/quorum.h"
#include "tools/log_source.h"
#include "tools/seen_log.h"
#include "tools/verified_tiles.h"

namespace coffer::tools {

struct TrustOptions {
  std::optional<audit::VerifierKey> key;  // wins over the policy's logs
  std::optional<audit::QuorumPolicy> policy;
  // The operator's word for the log's key, for a first look with neither. May be empty.
  std::function<absl::StatusOr<std::string>()> ask_key;
  std::string state_file;  // empty: DefaultStateFile
};

// The log as it was remembered; absent when it is new here.
struct Memory {
  std::string file;
  std::optional<SeenLog> seen;
};
// Unavailable or FailedPrecondition, with a sentence, when the file cannot be read or is damaged.
absl::StatusOr<Memory> Recall(const TrustOptions& options, const std::string& origin);

struct TrustedKey {
  audit::VerifierKey key;
  std::string sentence;  // who vouches for it
};
// The key that signed the head. PermissionDenied: no trusted key did. Unavailable: there is no key
// to be had.
absl::StatusOr<TrustedKey> CheckSignature(const TrustOptions& options,
                                          const audit::SignedCheckpoint& head,
                                          const Memory* memory);

// OK when the tree of `head` begins with the first `size` leaves of the tree of `root`. DataLoss or
// NotFound: a tile is wrong. FailedPrecondition: it does not. Else the source's error.
absl::Status CheckPrefix(VerifiedTiles& tiles, const audit::Checkpoint& head, uint64_t size,
                         const audit::Hash& root);

// The head against what was seen before. A sentence for success; FailedPrecondition for two
// histories or a log cut back, with the evidence kept; errors as CheckPrefix.
absl::StatusOr<std::string> CheckHistory(const Memory& memory, VerifiedTiles& tiles,
                                         const audit::SignedCheckpoint& head,
                                         const std::string& note, const audit::VerifierKey& key);

// Whether the tree of `later`, which is the larger one, begins with that of `head`, as far as the
// source has the later tree's tiles. FailedPrecondition: it does not. Anything else: nobody can
// tell from here.
absl::Status CheckContinued(LogSource& source, const audit::Checkpoint& head,
                            const audit::Checkpoint& later);

// Puts a head that was verified in the state file. Runs may overlap, so what is there now is looked
// at again, under a lock: a head that was not known when this run began is held against this one,
// and a larger one stays. A sentence for success; FailedPrecondition for two histories, with the
// evidence kept; Unavailable when it cannot be told or written. The file is then as it was.
absl::StatusOr<std::string> RememberHead(const Memory& memory, LogSource& source,
                                         const audit::SignedCheckpoint& head,
                                         const std::string& note, const audit::VerifierKey& key);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_TRUST_H_
