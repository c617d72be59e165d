// Event ids that are in two leaves (I7), found with 8 bytes for each id: hashes are collected and
// sorted at the end.
//
// Two equal ids have equal hashes, so no repetition is ever missed. Two different ids may have
// equal hashes, by chance once in thousands of logs of 100 million ids: that is why what is found
// here are suspects, and the leaves are read again to compare the ids themselves.
#ifndef COFFER_TOOLS_EVENT_IDS_H_
#define COFFER_TOOLS_EVENT_IDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace coffer::tools {

// Any 64 bits of the id that are equal for equal ids. From several threads.
uint64_t EventHash(std::string_view event_id);

class EventIds {
 public:
  // More suspects than this are not followed up: so many do not come by chance.
  static constexpr size_t kMaxSuspects = 4096;

  void Add(uint64_t hash) { buckets_[hash >> 56].push_back(hash); }
  uint64_t size() const;
  // The hashes that were added more than once, at most kMaxSuspects. Sorts on `threads` threads.
  absl::flat_hash_set<uint64_t> Suspects(unsigned threads);

 private:
  std::array<std::vector<uint64_t>, 256> buckets_;
};

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_EVENT_IDS_H_
