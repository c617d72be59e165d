// `coffer checkpoint publish`: takes the head that the enclave signs for a registry to that
// registry, with any funded key. It needs no trust of anybody's: the contract checks all of it
// again, and so it can be run by whoever wants the log anchored.
#ifndef COFFER_TOOLS_CHECKPOINT_PUBLISH_H_
#define COFFER_TOOLS_CHECKPOINT_PUBLISH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tools/blocking_chain.h"
#include "tools/checkpoint_sender.h"
#include "tools/checkpoint_source.h"
#include "tools/http_fetch.h"
#include "tools/registry_client.h"

namespace coffer::tools {

struct PublishOptions {
  ethereum::Address registry;
  SenderOptions sender;
  // The log's audit address; none: the one that the host shows first, which then is kept to.
  std::optional<ethereum::Address> audit_address;
  bool dry_run = false;
  // How long the tiles of a head signed just now are waited for.
  absl::Duration patience = absl::Seconds(20);
};

// What became of one look.
struct PublishResult {
  enum class Kind {
    kNothingToDo,  // the registry has the host's head
    kWouldSubmit,  // dry run
    kSubmitted,
    kEvidence,  // another root than the registry's was signed for its size: recorded there
  };
  Kind kind = Kind::kNothingToDo;
  audit::ChainStatement statement;
  uint64_t registry_size = 0;  // before
  size_t proof_hashes = 0;
  CallPlan plan;                         // kWouldSubmit
  std::optional<host::Receipt> receipt;  // kSubmitted, kEvidence
  bool equivocated = false;              // the registry has proof of a fork, of now or of earlier
};

class Publisher {
 public:
  // All outlive this object. `key` may be null for a dry run.
  Publisher(BlockingChain* chain, HttpFetcher* host, const ethereum::PrivateKey* key,
            PublishOptions options);

  // One look at registry and host, and what follows from it. DataLoss: the host's log went back or
  // is not the one that the registry has; an alarm, and nothing was sent. Aborted: somebody else
  // was quicker. Cancelled: stopped.
  absl::StatusOr<PublishResult> Once();

 private:
  absl::Status Pin(const ethereum::Address& audit_address);
  absl::StatusOr<audit::Proof> ProofFor(const RegistryHead& head, const SignedStatement& signed_one,
                                        bool* evidence);
  absl::StatusOr<PublishResult> Submit(PublishResult result, const SignedStatement& signed_one,
                                       const audit::Proof& proof, bool evidence);

  BlockingChain* const chain_;
  HttpFetcher* const host_;
  PublishOptions options_;
  HttpSource log_;
  CheckpointSender sender_;
};

// One line for people, or for a log.
std::string Describe(const PublishResult& result);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_CHECKPOINT_PUBLISH_H_
