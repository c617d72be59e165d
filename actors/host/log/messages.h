// What the host's actors of the transparency log say to each other.
//
//   StateStore --leaves--> LogWriter        on the store's thread (leaf_sink.h)
//   EnclaveLink --signed heads--> LogPublisher --CutLog, PublishLog--> LogWriter
//   LogPublisher --a head--> Cosigner (the witnesses) --the head with cosignatures--> LogPublisher
//   LogReader reads the files, on a thread of its own, for HTTP and for the witnesses' proofs
//
// The log's folder is the contract between them: `checkpoint` and tile/... as C2SP tlog-tiles has
// them. A head is published (written to `checkpoint`) only when all tiles of its size are there.
#ifndef COFFER_ACTORS_HOST_LOG_MESSAGES_H_
#define COFFER_ACTORS_HOST_LOG_MESSAGES_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/proof.h"
#include "runtime/mailbox.h"

namespace coffer::host {

// ---- LogPublisher -> LogWriter
// Write the partial tiles of this size, after a comparison with the root that the enclave signed.
struct CutLog {
  uint64_t size = 0;
  audit::Hash root;
};
// Put this note in place of `checkpoint`, durably and at once for all readers.
struct PublishLog {
  uint64_t size = 0;
  std::string note;  // with the cosignatures
};
using LogCommand = std::variant<CutLog, PublishLog>;

// ---- LogWriter -> LogPublisher
// Each command is answered once. Unavailable: the leaves are not here yet, ask again. DataLoss:
// the log here is not the one that the enclave signed.
struct LogCut {
  uint64_t size = 0;
  absl::Status status;
};
struct LogPublished {
  uint64_t size = 0;
  absl::Status status;
};
using LogEvent = std::variant<LogCut, LogPublished>;

// Asks the configured witnesses for cosignatures of a head whose tiles are written.
class Cosigner {
 public:
  virtual ~Cosigner() = default;
  struct Cosigned {
    std::string note;       // the log's signature, then the witnesses' that answered in time
    bool satisfied = true;  // the quorum that is configured
    std::string sentence;   // who cosigned and who did not
  };
  using Done = absl::AnyInvocable<void(Cosigned)>;
  // `done` is called once, later, on this dispatcher, and in bounded time. One at a time.
  virtual void Cosign(const audit::Checkpoint& head, std::string note, Done done) = 0;
};

// Makes proofs from the tiles, off the main thread.
class LogProofs {
 public:
  virtual ~LogProofs() = default;
  using Done = absl::AnyInvocable<void(absl::StatusOr<audit::Proof>)>;
  // `done` is called once, later, on the caller's dispatcher.
  virtual void Consistency(uint64_t first, uint64_t second, Done done) = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_MESSAGES_H_
