#include "runtime/memory_pipe.h"

#include <algorithm>
#include <array>
#include <utility>

#include "invariant/check.h"
#include "runtime/frame_codec.h"

namespace coffer::runtime {
namespace {

bool Happens(uint64_t per_mille, Random& random) { return random.Below(1000) < per_mille; }

// Where a first piece of so many bytes ends. Half of the cuts are near the beginning, where the
// length of a frame is.
size_t CutAt(size_t bytes, Random& random) {
  const size_t near = std::min<size_t>(bytes, 2 * kFrameHeaderBytes);
  return 1 + random.Below(Happens(500, random) ? near : bytes);
}

}  // namespace

size_t MemoryPipe::Send(std::string_view payload, const Rates& rates, Random& random) {
  const std::array<char, kFrameHeaderBytes> header = FrameHeader(payload.size());
  std::string rest;
  rest.reserve(header.size() + payload.size());
  rest.append(header.data(), header.size()).append(payload);
  size_t pieces = 0;
  bool cut = Happens(rates.cut, random);
  bool join = !pieces_.empty() && Happens(rates.join, random);
  while (!rest.empty()) {
    const size_t size = cut ? CutAt(rest.size(), random) : rest.size();
    std::string tail = size == rest.size() ? std::string() : rest.substr(size);
    rest.resize(size);
    if (join) {
      sent_ += size;
      pieces_.back().bytes += rest;
    } else {
      Push(std::move(rest));
      ++pieces;
    }
    rest = std::move(tail);
    join = false;
    cut = cut && Happens(500, random);
  }
  return pieces;
}

void MemoryPipe::Push(std::string bytes) {
  const uint64_t offset = sent_;
  sent_ += bytes.size();
  pieces_.push_back({offset, std::move(bytes)});
}

std::string MemoryPipe::Arrive() {
  COFFER_CHECK(!pieces_.empty(), "no piece is under way");
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  arrived_ = piece.offset + piece.bytes.size();
  if (arrived_ > lost_from_) {
    piece.bytes.resize(lost_from_ > piece.offset ? lost_from_ - piece.offset : 0);
  }
  return std::move(piece.bytes);
}

void MemoryPipe::LoseEnd(Random& random) {
  if (pieces_.empty()) return;
  const uint64_t under_way = sent_ - arrived_;
  const uint64_t kind = random.Below(4);
  uint64_t kept = under_way;
  if (kind == 1) kept = pieces_[random.Below(pieces_.size())].offset - arrived_;
  if (kind >= 2) kept = random.Below(under_way);
  lost_from_ = std::min(lost_from_, arrived_ + kept);
}

}  // namespace coffer::runtime
