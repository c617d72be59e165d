// One bundle of a log and its tile of leaf hashes, read, hashed, parsed and compared.
#ifndef COFFER_TOOLS_LOG_BLOCK_H_
#define COFFER_TOOLS_LOG_BLOCK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tree.h"
#include "tools/log_source.h"
#include "tools/verified_tiles.h"

namespace coffer::tools {

// Kept and filled again by the same scan, for the capacity of what is in it.
struct LogBlock {
  uint64_t index = 0;  // of the bundle
  uint32_t width = 0;
  absl::Status source;  // not OK: the source could not be asked
  std::vector<std::string> tile_problems, leaf_problems, bad_files;
  // The leaves are the signed tree's, or nothing is known against them, and each could be parsed.
  bool readable = false;
  audit::Hash root;    // of its leaves, when it has all of them
  std::string hashes;  // its leaves' hashes, as a tile
  // Tiles that differ from the leaves although the tiles above them vouch for neither; what is
  // wrong is known when the root is.
  std::string undecided;
  std::vector<audit::Leaf> leaves;
  std::vector<uint64_t> event_hashes;
  uint64_t bytes = 0;
};

// `trusted`: whether the tiles above could be held against the head.
void ReadBlock(LogSource& source, VerifiedTiles& tiles, bool trusted, uint64_t index,
               uint32_t width, LogBlock& block);

// Whether an error means that the log is wrong, and not that the source could not be asked.
bool IsLogsFault(const absl::Status& status);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_BLOCK_H_
