// The hash tiles of a log, each held against the signed head before anybody uses it: the tiles at
// the right edge make up the root, and every other tile hashes to what the tile above it says.
#ifndef COFFER_TOOLS_VERIFIED_TILES_H_
#define COFFER_TOOLS_VERIFIED_TILES_H_

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/tree.h"
#include "tools/log_source.h"

namespace coffer::tools {

// One tile or bundle as a source has it, of the width asked for. Of a partial one the full one is
// taken too, because a log that has grown may have removed the partial one. NotFound and DataLoss
// name the file and are the log's fault; any other error is the source's.
absl::StatusOr<std::string> ReadTile(LogSource& source, const audit::TileRef& tile);

// The root of the complete subtree of a full tile's 256 hashes.
audit::Hash FullTileRoot(std::string_view tile);
// Hash number `at` of a tile.
audit::Hash TileHash(std::string_view tile, uint64_t at);

class VerifiedTiles {
 public:
  VerifiedTiles(LogSource* source, uint64_t size, const audit::Hash& root)
      : source_(source), size_(size), root_(root) {}

  // Reads the right edge and compares it with the root. Before anything else, once. NotFound or
  // DataLoss with a sentence when the log is wrong; other errors are the source's.
  absl::Status LoadEdge();
  // A hash tile (no bundle) that is what the head says. Errors as above. From several threads.
  absl::StatusOr<std::string> Fetch(const audit::TileRef& tile);
  // What the 256 leaf hashes of a full tile of level 0 must hash to.
  absl::StatusOr<audit::Hash> RootOfFullTile(uint64_t index);

 private:
  struct Cached {
    bool valid = false;
    uint64_t index = 0;
    std::string content;
  };
  absl::StatusOr<std::string> FetchLocked(uint8_t level, uint64_t index);
  absl::StatusOr<audit::Hash> ExpectedLocked(uint8_t level, uint64_t index);

  LogSource* const source_;
  const uint64_t size_;
  const audit::Hash root_;
  std::array<std::string, audit::kTileLevels> edge_;  // by level; empty = no partial tile
  std::mutex mutex_;
  // Two tiles a level, so that readers on both sides of a border do not take turns.
  std::array<std::array<Cached, 2>, audit::kTileLevels> cache_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFIED_TILES_H_
