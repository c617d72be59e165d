// What a segment holds of a record: the sealed bytes and, beside them, the record's public part,
// which are the leaves that it added to the transparency log.
//
//   entry = the sealed bytes alone (they begin with "CFR1"; all that older versions wrote), or
//     magic "CFE1" | u32 sealed length | u64 tree size | sealed bytes | leaves, to the end
//
// Integers are little-endian. The tree size is the log's after these leaves. Segments know nothing
// of this: to them an entry is bytes. The 16 bytes in front are no more than a frame of the
// boundary spends on the same fields, so that an entry stays within kMaxSealedBytes.
#ifndef COFFER_ACTORS_HOST_RECORD_ENTRY_H_
#define COFFER_ACTORS_HOST_RECORD_ENTRY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coffer::host {

inline constexpr size_t kEntryHeaderBytes = 16;

// Views into the entry.
struct RecordEntry {
  std::string_view sealed;
  std::string_view leaves;  // an entry bundle (Store in proto/boundary.proto)
  uint64_t tree_size = 0;   // 0 where nothing is known of the log
};

// The sealed bytes alone when there is nothing to put beside them.
std::string EncodeEntry(std::string sealed, std::string_view leaves, uint64_t tree_size);

// DataLoss with a sentence when the lengths do not fit. Says nothing about sealed bytes or leaves.
absl::StatusOr<RecordEntry> ParseEntry(std::string_view entry);

// The leaves of an entry bundle, counted; nothing when the lengths do not fit.
std::optional<uint64_t> CountLeaves(std::string_view bundle);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_RECORD_ENTRY_H_
