// Consistency proofs for the witnesses, out of the tiles of a head that is cut but not published
// yet: witnesses are asked before `checkpoint` names it, so a reader of the published log cannot
// serve them.
#ifndef COFFER_ACTORS_HOST_LOG_TILE_PROOFS_H_
#define COFFER_ACTORS_HOST_LOG_TILE_PROOFS_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "actors/host/log/log_files.h"
#include "actors/host/log/messages.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

// The proof from `first` to `second`, whose tiles are in the folder. Blocks. DataLoss for a tile
// that is missing or has another length. Checked by the witness, who has the first root.
absl::StatusOr<audit::Proof> ProofFromTiles(LogFiles& files, uint64_t first, uint64_t second);

class TileProofs final : public LogProofs {
 public:
  // Reads on `work`, which may block, and answers on `home`, where it is called and destroyed.
  // `files` is used on `work` alone and outlives what runs there, as `home` outlives it. Nobody
  // asks faster than answers come: a Cosigner has one head at a time.
  TileProofs(LogFiles* files, runtime::Dispatcher* work, runtime::Dispatcher* home);
  void Consistency(uint64_t first, uint64_t second, Done done) override;

 private:
  LogFiles* const files_;
  runtime::Dispatcher* const work_;
  runtime::Dispatcher* const home_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_TILE_PROOFS_H_
