// A stream of bytes gives the same frames in whatever pieces it comes, and the same as a decoder
// that has all of it before it.
//
// Input: a count of pieces, a byte for each that is its length, and the stream; what the pieces
// leave over comes last.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "invariant/check.h"
#include "runtime/frame_codec.h"
#include "tests/fuzz/input.h"

namespace {

using coffer::fuzz::Input;
using coffer::runtime::FrameDecoder;
using coffer::runtime::kMaxFrameBytes;

struct Seen {
  std::vector<std::string> frames;
  bool refused = false;
  size_t rest = 0;  // bytes of a frame that is not whole
  bool operator==(const Seen&) const = default;
};

void Feed(FrameDecoder& decoder, std::string_view piece, Seen& seen) {
  while (!seen.refused && !piece.empty()) {
    const auto took = decoder.Feed(piece);
    if (!took.ok()) {
      seen.refused = true;
      COFFER_CHECK(!decoder.whole(), "a refused stream has no frame");
      COFFER_CHECK(decoder.Feed("x").status() == took.status(), "refused once is refused for ever");
      return;
    }
    COFFER_CHECK(*took > 0 && *took <= piece.size(), "it goes on, and takes what it was given");
    COFFER_CHECK(*took == piece.size() || decoder.whole(), "only a whole frame leaves bytes over");
    piece.remove_prefix(*took);
    if (decoder.whole()) seen.frames.push_back(decoder.Take());
    COFFER_CHECK(decoder.mid_frame() == (decoder.held_bytes() > 0), "held is within a frame");
  }
}

// The rule of docs/protocol.md, written once more.
Seen Naive(std::string_view stream) {
  Seen seen;
  while (stream.size() >= 4) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length * 256 + static_cast<uint8_t>(stream[i]);
    if (length == 0 || length > kMaxFrameBytes) {
      seen.refused = true;
      return seen;
    }
    if (stream.size() - 4 < length) break;
    seen.frames.emplace_back(stream.substr(4, length));
    stream.remove_prefix(4 + length);
  }
  seen.rest = stream.size();
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const std::string_view sizes = input.Text();
  const std::string_view stream = input.rest();
  FrameDecoder decoder;
  Seen pieces;
  for (const char one : sizes) Feed(decoder, input.Take(static_cast<uint8_t>(one)), pieces);
  Feed(decoder, input.rest(), pieces);
  if (!pieces.refused) pieces.rest = decoder.held_bytes();
  COFFER_CHECK(pieces == Naive(stream), "the pieces change nothing");
  std::string again;
  for (const std::string& frame : pieces.frames) {
    const auto header = coffer::runtime::FrameHeader(frame.size());
    again.append(header.data(), header.size()).append(frame);
  }
  COFFER_CHECK(again == stream.substr(0, again.size()), "decoding is the inverse of encoding");
  return 0;
}
