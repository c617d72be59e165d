// Asks the witnesses of a policy to cosign the log's heads (c2sp.org/tlog-witness, add-checkpoint).
//
// All are asked at once, each from the size that it is known to have, with a consistency proof from
// the tiles. One that has another size says so (409) and is asked once more from there. Whatever a
// witness says is checked: only cosignatures that verify under its key get into the note.
//
// A witness that refuses a proof, or has another root at the same size, saw another history of this
// log, or the files here are damaged: that is an alarm, and it stays until somebody looks.
#ifndef COFFER_ACTORS_HOST_LOG_WITNESS_CLIENT_H_
#define COFFER_ACTORS_HOST_LOG_WITNESS_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/http_client.h"
#include "actors/host/log/messages.h"
#include "enclave_core/audit/quorum.h"
#include "runtime/backoff.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

struct WitnessClientOptions {
  // In which a head's cosignatures must have come; what is late is left out of it.
  absl::Duration timeout = absl::Seconds(5);
  // How long the others are waited for once the quorum is met.
  absl::Duration grace = absl::Milliseconds(500);
  // A witness that gave no answer is left alone so long, at first and at most (jittered, doubling),
  // so that a dead one does not hold up every head.
  absl::Duration first_pause = absl::Seconds(1);
  absl::Duration max_pause = absl::Minutes(1);
};

// What is known of one witness: for metrics, logs and the status page. No secrets.
struct WitnessReport {
  std::string name;   // in the policy
  std::string url;    // masked; empty when the policy has none, and then it is not asked
  uint64_t size = 0;  // the latest size that it has, as far as it said; 0: not known
  // Heads it was asked about end as one of these.
  uint64_t cosigned = 0;
  uint64_t refused = 0;      // 403, 404, 422, a head behind or beside its own, a wrong cosignature
  uint64_t unavailable = 0;  // no answer in time, 5xx, anything unexpected
  uint64_t skipped = 0;      // was left alone after an unavailable
  uint64_t conflicts = 0;    // 409s met on the way
  std::string last_error;    // of the last head; empty when it cosigned that
  std::string alarm;         // it saw another history; stays until this process ends
};

class WitnessClient final : public Cosigner {
 public:
  // All outlive this object. InvalidArgument for a witness URL that is none. A policy that names
  // logs must name the one whose heads come; others are passed on without cosignatures.
  static absl::StatusOr<std::unique_ptr<WitnessClient>> Create(
      runtime::Dispatcher* dispatcher, HttpTransport* http, LogProofs* proofs,
      runtime::Random* random, audit::QuorumPolicy policy, WitnessClientOptions options = {});
  ~WitnessClient() override;

  // Ends within the time-out, whatever witnesses and proofs do.
  void Cosign(const audit::Checkpoint& head, std::string note, Done done) override;

  const audit::QuorumPolicy& policy() const { return policy_; }
  // In the policy's order.
  std::vector<WitnessReport> reports() const;
  // The alarms of all witnesses as sentences; none when all is well.
  std::vector<std::string> alarms() const;

 private:
  struct Witness;
  struct Round;
  struct SharedProof;

  WitnessClient(runtime::Dispatcher* dispatcher, HttpTransport* http, LogProofs* proofs,
                audit::QuorumPolicy policy, WitnessClientOptions options);

  // The steps of asking one witness about the head of the round under way.
  void Ask(size_t index);
  void WithProof(size_t index, uint64_t old_size, const absl::StatusOr<audit::Proof>& proof);
  void OnAnswer(size_t index, uint64_t old_size, absl::StatusOr<HttpResponse> response);
  void OnCosignature(size_t index, const std::string& body);
  void OnConflict(size_t index, uint64_t old_size, const HttpResponse& response);
  // Ends the witness's part of the round.
  void Refuse(size_t index, std::string why, bool alarm = false);
  void Unavailable(size_t index, std::string why);
  void Settle(size_t index);
  void FinishRound();
  audit::QuorumVerdict Judge() const;
  std::string Sentence(const audit::QuorumVerdict& verdict) const;

  runtime::Dispatcher* const dispatcher_;
  HttpTransport* const http_;
  LogProofs* const proofs_;
  const audit::QuorumPolicy policy_;
  const WitnessClientOptions options_;
  std::vector<std::unique_ptr<Witness>> witnesses_;
  std::unique_ptr<Round> round_;
  uint64_t rounds_ = 0;  // answers of an earlier round find another number here
  // Callbacks hold a weak one, so that they end with this object.
  std::shared_ptr<WitnessClient*> self_;
};

// Reads a policy file (c2sp.org/tlog-policy). Blocks; for start-up. The error names the file.
absl::StatusOr<audit::QuorumPolicy> ReadWitnessPolicy(const std::string& path);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_WITNESS_CLIENT_H_
