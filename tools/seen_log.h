// What this machine remembers of a log: the last head that it verified, so that the next one can be
// held against it. A small text file:
//
//   coffer-seen-log v1
//   key <the log's verifier key>
//
//   <the signed checkpoint, as it was served>
//
// The file says nothing that its owner did not verify, so it is as good as the machine it is on.
#ifndef COFFER_TOOLS_SEEN_LOG_H_
#define COFFER_TOOLS_SEEN_LOG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"

namespace coffer::tools {

struct SeenLog {
  audit::VerifierKey key;
  std::string note;              // the signed checkpoint
  audit::Checkpoint checkpoint;  // what it says
};

std::string FormatSeenLog(const audit::VerifierKey& key, std::string_view note);
// InvalidArgument with a sentence unless the bytes are what FormatSeenLog makes of a checkpoint
// that this key signed.
absl::StatusOr<SeenLog> ParseSeenLog(std::string_view bytes);

// NotFound when there is no file yet. What it names is the file and what is wrong with it.
absl::StatusOr<SeenLog> LoadSeenLog(const std::string& path);
absl::Status SaveSeenLog(const std::string& path, const audit::VerifierKey& key,
                         std::string_view note);

// <state folder of the user>/coffer/<SHA-256 of the origin, in hex>: below XDG_STATE_HOME, or
// ~/.local/state. FailedPrecondition when there is no home.
absl::StatusOr<std::string> DefaultStateFile(std::string_view origin);

// Writes two heads that cannot both be true beside the state file and gives the file's path. The
// two are what anybody else needs to see who lied.
absl::StatusOr<std::string> KeepEvidence(const std::string& state_file,
                                         const audit::VerifierKey& key, std::string_view first_note,
                                         std::string_view second_note);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_SEEN_LOG_H_
