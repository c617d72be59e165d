// What a protobuf frame would take in memory, found out before it is parsed: two bytes on the wire
// can be an empty submessage of a hundred, so that a frame of 16 MiB could ask for a gigabyte.
#ifndef COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_
#define COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string_view>

namespace coffer::enclave {

// Bytes. The heaviest useful requests, 10,000 events or the 16,384 logs of a receipt, are a third
// of it.
inline constexpr size_t kMaxFrameWeight = 32u << 20;
// Shorter frames are not worth a look: all they can ask for is less than that.
inline constexpr size_t kMinWeighedBytes = 256u << 10;

// About what parsing `payload` as a `type` allocates beyond the payload's own bytes: its objects,
// strings, repeated numbers and unknown fields. Stops soon after `limit` is passed. Where the bytes
// are no protobuf it stops as the parser will, and says what it has by then. Groups, which proto3
// never writes, weigh more than any limit.
size_t FrameWeight(const google::protobuf::Descriptor* type, std::string_view payload,
                   size_t limit);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_
