// Tiles, bundles and trees that a stranger serves: what is accepted is written back the same, a
// writer that resumes from hostile tiles never has a root that its tiles do not give, and the
// answers of witnesses are read within their limits.
//
// Input: a byte that chooses, and bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/host/record_entry.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/audit/witness.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

using coffer::fuzz::Input;
namespace audit = coffer::audit;

void CheckTree(std::string_view bytes) {
  const auto tree = audit::Tree::Parse(bytes);
  if (!tree.ok()) return;
  COFFER_CHECK(tree->Serialize() == bytes, "a tree has one form");
  COFFER_CHECK(tree->size() <= audit::kMaxTreeSize, "a size is within its limit");
  if (tree->size() == audit::kMaxTreeSize) return;
  audit::Tree grown = *tree;
  grown.Append(audit::LeafHash("x"));
  COFFER_CHECK(grown.size() == tree->size() + 1 && !(grown.Root() == tree->Root()), "it grows");
}

void CheckBundle(Input input) {
  const uint32_t width = 1u + input.Byte();
  const auto entries = audit::ParseBundle(input.rest(), width);
  const auto counted = coffer::host::CountLeaves(input.rest());
  if (!entries.ok()) return;
  COFFER_CHECK(entries->size() == width && counted == width, "as many as were asked for");
  std::string again;
  for (const std::string_view entry : *entries) {
    COFFER_CHECK(audit::AppendToBundle(entry, &again).ok(), "what was read can be written");
  }
  COFFER_CHECK(again == input.rest(), "a bundle has one form");
}

// An honest log of `size` leaves, whose tiles come back damaged where the input says so.
void CheckResume(Input input) {
  const uint64_t size = input.Number(2) % 700;
  audit::TileWriter writer;
  audit::Tree tree;
  std::vector<audit::TileFile> files;
  for (uint64_t i = 0; i < size; ++i) {
    const std::string entry(1 + i % 3, static_cast<char>('a' + i % 26));
    COFFER_CHECK(writer.Append(entry).ok(), "an entry is appended");
    tree.Append(audit::LeafHash(entry));
  }
  for (audit::TileFile& file : writer.Take()) files.push_back(std::move(file));
  COFFER_CHECK(writer.Root() == tree.Root(), "both know one root");
  bool damaged = false;
  const auto fetch = [&](const audit::TileRef& ref) -> absl::StatusOr<std::string> {
    for (const audit::TileFile& file : files) {
      if (file.tile != ref) continue;
      std::string content = file.content;
      const uint8_t how = input.Byte();
      const size_t at = input.Number(2) % content.size();
      if (how % 4 == 1) content[at] = static_cast<char>(content[at] ^ (how | 1));
      if (how % 4 == 2) content.resize(at);
      if (how % 4 == 3) content += content.substr(at);
      damaged = damaged || content != file.content;
      return content;
    }
    return absl::NotFoundError("no such tile");
  };
  const auto resumed = audit::TileWriter::Resume(size, fetch);
  if (!damaged) {
    COFFER_CHECK(resumed.ok() && resumed->Root() == tree.Root(), "it goes on where it was");
  } else if (resumed.ok()) {
    COFFER_CHECK(resumed->size() == size, "a size is what was asked for");
    (void)resumed->Root();
  }
}

void CheckPath(std::string_view path) {
  const auto tile = audit::ParseTilePath(path);
  if (!tile.ok()) return;
  COFFER_CHECK(audit::TilePath(*tile) == path && path.front() != '/', "a tile has one path");
  COFFER_CHECK(path.find("..") == std::string_view::npos, "it stays below the log");
  COFFER_CHECK(tile->width >= 1 && tile->width <= audit::kTileWidth, "a width is 1 to 256");
}

void CheckWitness(std::string_view body) {
  const audit::Tree tree;
  audit::Checkpoint checkpoint;
  checkpoint.origin = "log.example";
  const auto lines = audit::ParseSignatureLines(body);
  if (lines.ok()) COFFER_CHECK(lines->size() <= audit::kMaxSignatures, "limits are kept");
  (void)audit::ParseSizeAnswer(body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.Below(5)) {
    case 0:
      CheckTree(input.rest());
      break;
    case 1:
      CheckBundle(input);
      break;
    case 2:
      CheckResume(input);
      break;
    case 3:
      CheckPath(input.rest());
      break;
    default:
      CheckWitness(input.rest());
  }
  return 0;
}
