#include "actors/host/log/tile_proofs.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::host {

absl::StatusOr<audit::Proof> ProofFromTiles(LogFiles& files, uint64_t first, uint64_t second) {
  const auto fetch = [&](const audit::TileRef& tile) -> absl::StatusOr<std::string> {
    const std::string path = audit::TilePath(tile);
    absl::StatusOr<std::string> content = files.Read(path);
    if (absl::IsNotFound(content.status())) {
      return absl::DataLossError(absl::StrCat("the log's file ", path, " is missing"));
    }
    return content;
  };
  const audit::TileHashReader reader(second, fetch);
  return audit::BuildConsistency(first, second, reader);
}

TileProofs::TileProofs(LogFiles* files, runtime::Dispatcher* work, runtime::Dispatcher* home)
    : files_(files), work_(work), home_(home) {}

void TileProofs::Consistency(uint64_t first, uint64_t second, Done done) {
  work_->Post([files = files_, home = home_, first, second, done = std::move(done),
               weak = std::weak_ptr<bool>(alive_)]() mutable {
    absl::StatusOr<audit::Proof> proof = ProofFromTiles(*files, first, second);
    home->Post(
        [proof = std::move(proof), done = std::move(done), weak = std::move(weak)]() mutable {
          if (!weak.expired()) done(std::move(proof));
        });
  });
}

}  // namespace coffer::host
