#include "runtime/frame_codec.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::runtime {
namespace {

// A frame up to this size gets its room in one go; a longer one as its bytes come, so that an
// announcement alone costs its sender as much as the receiver.
constexpr size_t kRoomAtOnce = 64u << 10;

}  // namespace

std::array<char, kFrameHeaderBytes> FrameHeader(size_t payload_bytes) {
  COFFER_CHECK(payload_bytes > 0 && payload_bytes <= kMaxFrameBytes, "frame of a forbidden length");
  const auto length = static_cast<uint32_t>(payload_bytes);
  return {static_cast<char>(length >> 24), static_cast<char>(length >> 16),
          static_cast<char>(length >> 8), static_cast<char>(length)};
}

absl::StatusOr<size_t> FrameDecoder::Feed(std::string_view bytes) {
  size_t took = 0;
  while (header_bytes_ < kFrameHeaderBytes && took < bytes.size()) {
    header_ = header_ << 8 | static_cast<unsigned char>(bytes[took++]);
    ++header_bytes_;
  }
  if (header_bytes_ < kFrameHeaderBytes) return took;
  if (header_ == 0 || header_ > kMaxFrameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the peer announced a frame of ", header_,
                                                   " bytes; allowed are 1 to ", kMaxFrameBytes));
  }
  length_ = header_;
  const std::string_view part = bytes.substr(took, length_ - payload_.size());
  const size_t size = payload_.size() + part.size();
  if (size > payload_.capacity()) {
    const size_t room = std::max({size, 2 * payload_.capacity(), kRoomAtOnce});
    // A new text, since one that grows may take twice what it had, whatever it is asked for.
    std::string grown;
    grown.reserve(std::min<size_t>(length_, room));
    grown.append(payload_);
    explicit_bzero(payload_.data(), payload_.size());  // it may hold credentials (I8)
    payload_ = std::move(grown);
  }
  payload_.append(part);
  return took + part.size();
}

void FrameDecoder::Drop() {
  header_bytes_ = 0;
  header_ = 0;
  length_ = 0;
  explicit_bzero(payload_.data(), payload_.size());
  std::string().swap(payload_);  // assigning an empty text would keep the room
}

std::string FrameDecoder::Take() {
  COFFER_CHECK(whole(), "a frame was taken before it was whole");
  header_bytes_ = 0;
  header_ = 0;
  length_ = 0;
  return std::exchange(payload_, std::string());
}

}  // namespace coffer::runtime
