#include "actors/host/record_entry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/little_endian.h"

namespace coffer::host {
namespace {

constexpr std::string_view kMagic = "CFE1";

bool HasMagic(std::string_view bytes) { return bytes.substr(0, kMagic.size()) == kMagic; }

}  // namespace

std::string EncodeEntry(std::string sealed, std::string_view leaves, uint64_t tree_size) {
  // Sealed bytes that begin like a container are put into one, so that reading is unambiguous.
  if (leaves.empty() && tree_size == 0 && !HasMagic(sealed)) return sealed;
  std::string entry;
  entry.reserve(kEntryHeaderBytes + sealed.size() + leaves.size());
  entry.append(kMagic);
  AppendLittleEndian(entry, static_cast<uint32_t>(sealed.size()));
  AppendLittleEndian(entry, tree_size);
  entry.append(sealed);
  entry.append(leaves);
  return entry;
}

absl::StatusOr<RecordEntry> ParseEntry(std::string_view entry) {
  if (!HasMagic(entry)) return RecordEntry{entry, {}, 0};
  if (entry.size() < kEntryHeaderBytes) {
    return absl::DataLossError(absl::StrCat("a record's entry ends after ", entry.size(),
                                            " bytes, within its own header"));
  }
  const uint32_t sealed = ReadLittleEndian<uint32_t>(entry, 4);
  const uint64_t tree_size = ReadLittleEndian<uint64_t>(entry, 8);
  entry.remove_prefix(kEntryHeaderBytes);
  if (sealed == 0 || sealed > entry.size()) {
    return absl::DataLossError(absl::StrCat("a record's entry says that ", sealed,
                                            " bytes are sealed, of ", entry.size()));
  }
  return RecordEntry{entry.substr(0, sealed), entry.substr(sealed), tree_size};
}

std::optional<uint64_t> CountLeaves(std::string_view bundle) {
  uint64_t count = 0;
  for (; !bundle.empty(); ++count) {
    if (bundle.size() < 2) return std::nullopt;
    const size_t size =
        static_cast<size_t>(static_cast<uint8_t>(bundle[0])) << 8 | static_cast<uint8_t>(bundle[1]);
    if (bundle.size() - 2 < size) return std::nullopt;
    bundle.remove_prefix(2 + size);
  }
  return count;
}

}  // namespace coffer::host
