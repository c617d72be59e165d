// The witness protocol (c2sp.org/tlog-witness): a log shows a witness each new checkpoint with a
// proof that it only grew, and gets a cosignature. This is both ends' formats and the witness's
// decision; HTTP and storage are the caller's.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_WITNESS_H_
#define COFFER_ENCLAVE_CORE_AUDIT_WITNESS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/proof.h"

namespace coffer::audit {

inline constexpr std::string_view kSizeContentType = "text/x.tlog.size";
inline constexpr size_t kMaxAddCheckpointBytes = kMaxNoteBytes + 64 * 64;

// The body of POST <prefix>/add-checkpoint: "old <size>", proof lines, an empty line, the
// checkpoint.
struct AddCheckpoint {
  uint64_t old_size = 0;
  Proof proof;             // from old_size to the checkpoint's size; at most 63 hashes
  std::string checkpoint;  // the note
};
std::string FormatAddCheckpoint(const AddCheckpoint& request);
// InvalidArgument with a sentence. The checkpoint itself is not looked at.
absl::StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body);

// The body of a 409 with kSizeContentType: the size that the witness has.
absl::StatusOr<uint64_t> ParseSizeAnswer(std::string_view body);
// The body of a 200, checked: the cosignatures of this witness on this checkpoint (others are
// ignored, as the specification has it). PermissionDenied when there is none or one is wrong.
absl::StatusOr<std::vector<NoteSignature>> ParseCosignatureAnswer(std::string_view body,
                                                                  std::string_view checkpoint_text,
                                                                  const VerifierKey& witness);

struct WitnessAnswer {
  int status = 200;  // HTTP
  std::string content_type;
  std::string body;
  // What the witness must have on disk before it sends this answer. If it cannot be stored, the
  // answer must not go and the Witness be made anew from what is stored.
  std::optional<Checkpoint> to_store;
};

// A witness's whole state is the latest checkpoint it cosigned for each origin. One request at a
// time: look, decide and remember are one step, so no older checkpoint can overtake a newer one.
class Witness {
 public:
  // `signer` is of type kCosignatureV1.
  explicit Witness(NoteSigner signer) : signer_(std::move(signer)) {}

  const VerifierKey& key() const { return signer_.key(); }
  // A log that it watches, by its key (whose name is the origin). More keys of one origin may
  // follow. InvalidArgument for a key that is no log's.
  absl::Status AddLog(VerifierKey log_key);
  // Sets the latest checkpoint of a log it watches, as stored. NotFound for another.
  absl::Status Restore(const Checkpoint& latest);
  // The latest checkpoint cosigned for this origin.
  std::optional<Checkpoint> Latest(std::string_view origin) const;

  // `now`: seconds since 1970. 200 with the cosignature line; 400 malformed, or old size above the
  // checkpoint's; 403 no valid signature of the log's keys; 404 unknown origin; 409 another old
  // size than the witness's (its size as the body), or another root at the same size; 422 a proof
  // that does not hold.
  WitnessAnswer Handle(std::string_view body, uint64_t now);

 private:
  struct Log {
    std::vector<VerifierKey> keys;
    Checkpoint latest;  // size 0 and the empty root before the first
  };
  NoteSigner signer_;
  std::map<std::string, Log, std::less<>> logs_;
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_WITNESS_H_
