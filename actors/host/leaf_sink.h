// Where the public part of stored records goes: the leaves of the transparency log.
#ifndef COFFER_ACTORS_HOST_LEAF_SINK_H_
#define COFFER_ACTORS_HOST_LEAF_SINK_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace coffer::host {

// On the store's thread; calls may block.
class LeafSink {
 public:
  virtual ~LeafSink() = default;
  // The leaves of a record that is durable, in the order of the records: an entry bundle (Store in
  // proto/boundary.proto), and the log's size after them. What it has already is passed over. It
  // reports its own troubles; a log that cannot be written keeps no record from being acknowledged.
  virtual void Append(uint64_t tree_size, std::string_view leaves) = 0;
  // Asked before records are removed: OK when every leaf that was appended is durable in the log's
  // own files. Otherwise the records must stay, because the log can be made again from them.
  virtual absl::Status Sync() = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LEAF_SINK_H_
