// What a witness must never forget: the latest checkpoint of each log that it cosigned.
//
// One small file a log, replaced whole: written beside, fsync, rename, fsync of the folder. A file
// that is damaged is an error and never "nothing yet", because a witness without a memory would
// cosign another history.
#ifndef COFFER_TOOLS_WITNESS_STORE_H_
#define COFFER_TOOLS_WITNESS_STORE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "runtime/socket_address.h"

namespace coffer::tools {

class WitnessStore {
 public:
  // Makes the folder when it is missing. FailedPrecondition when another witness works in it.
  static absl::StatusOr<WitnessStore> Open(const std::string& folder);

  // Nothing when no checkpoint of this log was ever stored; DataLoss for a damaged file.
  absl::StatusOr<std::optional<audit::Checkpoint>> Load(const std::string& origin) const;
  // Durable when it returns OK: origin, size and root. Otherwise nobody knows which of the two is
  // on the disk.
  absl::Status Save(const audit::Checkpoint& checkpoint) const;

  const std::string& folder() const { return folder_; }

 private:
  WitnessStore(std::string folder, runtime::Fd directory, runtime::Fd lock)
      : folder_(std::move(folder)), directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::string folder_;
  runtime::Fd directory_;
  runtime::Fd lock_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_WITNESS_STORE_H_
