// What a protobuf frame would take in memory, found out before it is parsed: two bytes on the wire
// can be an empty submessage of a hundred, so that a frame of 16 MiB could ask for a gigabyte.
#ifndef COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_
#define COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string_view>

namespace coffer::enclave {

// False: a field in `payload`, a `type`, says that it is longer than the message around it, or is
// cut off by its end, or there is a group, which proto3 never writes. The parser reads on behind
// the message in both cases, to the end of the payload, and makes room for a string as long as such
// a length allows, up to 50 MB for a frame of twenty bytes (protobuf 3.21, kSafeStringSize). Ask
// before anything is parsed. True says nothing else about the bytes.
bool WellNested(const google::protobuf::Descriptor* type, std::string_view payload);

// Bytes. The heaviest useful requests, 10,000 events or the 16,384 logs of a receipt, are a third
// of it.
inline constexpr size_t kMaxFrameWeight = 32u << 20;
// Shorter frames are not worth a look: all they can ask for is less than that.
inline constexpr size_t kMinWeighedBytes = 256u << 10;

// About what parsing `payload`, which is well nested, as a `type` allocates beyond the payload's
// own bytes: its objects, strings, repeated numbers and unknown fields. Stops soon after `limit` is
// passed. Where the bytes are no protobuf it stops as the parser will, and says what it has by
// then. Groups weigh more than any limit.
size_t FrameWeight(const google::protobuf::Descriptor* type, std::string_view payload,
                   size_t limit);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_FRAME_WEIGHT_H_
