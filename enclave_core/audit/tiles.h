// Tiles and entry bundles as C2SP tlog-tiles has them (c2sp.org/tlog-tiles): the static files from
// which anybody reads entries and makes proofs. Their content never changes once written, whatever
// batches the log grew by.
//
// - tile/<L>/<N>[.p/<W>]: hashes of tree level 8 * L, 256 a tile (8,192 bytes), W in a partial one
// - tile/entries/<N>[.p/<W>]: entries, each behind its length as 2 bytes big-endian
//
// N is written in groups of three digits, all but the last behind an "x": 1234067 is x001/x234/067.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_TILES_H_
#define COFFER_ENCLAVE_CORE_AUDIT_TILES_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/tree.h"

namespace coffer::audit {

inline constexpr uint32_t kTileHeight = 8;
inline constexpr uint32_t kTileWidth = 256;
inline constexpr size_t kMaxEntryBytes = 65'535;
// With 8 levels a tile, a log of kMaxTreeSize leaves has the levels 0 to 7.
inline constexpr uint8_t kTileLevels = 8;

struct TileRef {
  bool entries = false;         // an entry bundle; its level is 0
  uint8_t level = 0;            // 0..63
  uint64_t index = 0;           // N
  uint32_t width = kTileWidth;  // 1..256; below 256 it is partial
  auto operator<=>(const TileRef&) const = default;
};

// The path below the log's prefix, as above. Never begins with a slash.
std::string TilePath(const TileRef& tile);
// Exactly what TilePath makes; anything else is InvalidArgument. Safe on hostile request paths.
absl::StatusOr<TileRef> ParseTilePath(std::string_view path);

// The width of tile (level, index) in a tree of this size; 0 when the tree has no such tile.
uint32_t TileWidthAt(uint8_t level, uint64_t index, uint64_t size);
// Every tile and bundle that a tree of `new_size` has and one of `old_size` had not, partial ones
// of `new_size` included. InvalidArgument when the tree shrinks.
absl::StatusOr<std::vector<TileRef>> ChangedTiles(uint64_t old_size, uint64_t new_size);

// Appends one entry with its length. InvalidArgument above kMaxEntryBytes.
absl::Status AppendToBundle(std::string_view entry, std::string* bundle);
// The entries of a bundle of exactly `width`, as views into it. DataLoss with a sentence otherwise.
absl::StatusOr<std::vector<std::string_view>> ParseBundle(std::string_view bundle, uint32_t width);

struct TileFile {
  TileRef tile;
  std::string content;
};

// Fetches a tile or bundle. A full tile may be given for a partial one (it begins with it).
using TileFetch = absl::FunctionRef<absl::StatusOr<std::string>(const TileRef&)>;

// Turns a growing log into files. Memory: one open tile a level, and what was not taken yet.
class TileWriter {
 public:
  TileWriter() : levels_(1) {}
  // Goes on after `size` entries, from the open (partial) tiles read back. The caller compares
  // tree() with the root that the enclave signed before it goes on. DataLoss when a tile is
  // damaged.
  static absl::StatusOr<TileWriter> Resume(uint64_t size, TileFetch fetch);

  // InvalidArgument, and nothing changed, for an entry above kMaxEntryBytes.
  absl::Status Append(std::string_view entry);
  uint64_t size() const { return size_; }
  // The files that became final since the last call, and the partial ones of size(), which the next
  // growth replaces by wider ones under other names. Call it at each checkpoint.
  std::vector<TileFile> Take();
  // Of Take() only the files that became final, to be called as often as memory is to be freed.
  std::vector<TileFile> TakeFull() { return std::exchange(done_, {}); }
  // What the tile or bundle holds in a tree of some earlier size, whose last one it was, if it is
  // still open: its first tile.width hashes or entries. Nothing otherwise.
  std::optional<std::string> FromOpen(const TileRef& tile) const;
  // The root of what was appended, from the open tiles; equals Tree's.
  Hash Root() const;

 private:
  void AddHash(uint8_t level, const Hash& hash);

  uint64_t size_ = 0;
  uint64_t taken_ = 0;
  std::vector<std::string> levels_;  // the open tile of each level: concatenated hashes
  std::string bundle_;
  std::vector<TileFile> done_;
};

// Gives a proof's hashes out of tiles, each tile fetched once; is a HashReader. `fetch` must
// outlive it. Trusts nothing: what is built from it is only as good as the check against a signed
// root that follows.
class TileHashReader {
 public:
  TileHashReader(uint64_t size, TileFetch fetch) : size_(size), fetch_(fetch) {}
  // NotFound when the tree of this size has no such complete subtree; DataLoss for a tile of the
  // wrong length; else the fetch's own error.
  absl::StatusOr<Hash> operator()(uint32_t level, uint64_t index) const;

 private:
  absl::StatusOr<const std::string*> Load(uint8_t level, uint64_t index) const;

  uint64_t size_;
  TileFetch fetch_;
  mutable std::map<std::pair<uint8_t, uint64_t>, std::string> tiles_;  // fetched
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_TILES_H_
