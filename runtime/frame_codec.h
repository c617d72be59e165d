// The framing of every stream, apart from any socket: a 4-byte big-endian length and a payload of
// 1..kMaxFrameBytes bytes (docs/protocol.md). The real streams and the ones in memory
// share it.
#ifndef COFFER_RUNTIME_FRAME_CODEC_H_
#define COFFER_RUNTIME_FRAME_CODEC_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::runtime {

inline constexpr size_t kMaxFrameBytes = 16u << 20;  // 16 MiB, payload only
inline constexpr size_t kFrameHeaderBytes = 4;

// What is sent before a payload of so many bytes, 1..kMaxFrameBytes (checked).
std::array<char, kFrameHeaderBytes> FrameHeader(size_t payload_bytes);

// Puts frames together from a stream's bytes, in whatever pieces they come.
class FrameDecoder {
 public:
  // Takes bytes up to the end of a frame and returns how many: all of them, unless a frame became
  // whole or one already is. kInvalidArgument for a length that no frame has, as soon as its four
  // bytes are there and before room is made for it; the stream cannot be read on then, and every
  // later call says the same. What has been announced but not sent takes no memory.
  absl::StatusOr<size_t> Feed(std::string_view bytes);
  // A frame is whole; Take() hands it over, and is called for nothing else (checked).
  bool whole() const { return length_ > 0 && payload_.size() == length_; }
  std::string Take();
  // Forgets the frame that has begun and gives its room back: nothing will be read any more.
  void Drop();
  // A frame has begun and is not whole: a stream that ends here was torn.
  bool mid_frame() const { return header_bytes_ > 0 && !whole(); }
  // Bytes taken of the frame that has begun, its header included.
  size_t held_bytes() const { return header_bytes_ + payload_.size(); }
  // Room that is reserved for more of it. Where memory is locked, as in the enclave, it is taken.
  size_t spare_bytes() const { return length_ > 0 ? payload_.capacity() - payload_.size() : 0; }

 private:
  size_t header_bytes_ = 0;
  uint32_t header_ = 0;  // as far as its bytes have come
  uint32_t length_ = 0;  // announced; 0 until it is known
  std::string payload_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_FRAME_CODEC_H_
