// Checks a copy of the log that somebody put into the log's folder: that its entries, taken one by
// one, make exactly its tiles and the root of its checkpoint. Nothing is written.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_ADOPTION_H_
#define COFFER_ACTORS_HOST_LOG_LOG_ADOPTION_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "actors/host/log/log_files.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::host {

class LogAdoption {
 public:
  // Who signed the checkpoint is not looked at here: the log's next head from the enclave is
  // compared with what goes on from these tiles. `files` must outlive this object.
  LogAdoption(LogFiles* files, audit::Checkpoint target)
      : files_(files), target_(std::move(target)) {}

  // Checks some hundred bundles. True when all are checked. DataLoss names the file that is missing
  // or wrong; other errors are the disk's.
  absl::StatusOr<bool> Step();
  // After the end.
  audit::TileWriter Take() { return std::move(tiles_); }
  uint64_t checked() const { return tiles_.size(); }

 private:
  absl::Status CheckBundle();

  LogFiles* const files_;
  const audit::Checkpoint target_;
  audit::TileWriter tiles_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_ADOPTION_H_
