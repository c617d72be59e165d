// Whatever bytes come as a protobuf frame: those that nest weigh no less than the parser takes for
// them, so that a frame that is let through costs what the limit allows; those that do not are no
// frame.
#include <google/protobuf/arena.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "actors/enclave/frame_weight.h"
#include "invariant/check.h"
#include "proto/boundary.pb.h"
#include "tests/fuzz/proto_mutator.h"

namespace {

using coffer::boundary::v1::ClientFrame;
using google::protobuf::Arena;

// Blocks of an arena, the frame object itself.
constexpr size_t kFixed = 2048;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Repeated, so that what a field takes is seen apart from what any frame takes.
  constexpr size_t kTimes = 64;
  std::string payload;
  for (size_t i = 0; i < kTimes; ++i) payload.append(reinterpret_cast<const char*>(data), size);
  constexpr size_t kNoLimit = size_t{1} << 40;
  if (!coffer::enclave::WellNested(ClientFrame::descriptor(), payload)) {
    ClientFrame frame;
    const bool parsed = frame.ParseFromString(payload);
    frame.DiscardUnknownFields();
    COFFER_CHECK(!parsed || frame.SerializeAsString().size() < payload.size(),
                 "what does not nest is no frame, or has groups, which nobody knows");
    return 0;
  }
  const size_t weight = coffer::enclave::FrameWeight(ClientFrame::descriptor(), payload, kNoLimit);
  Arena arena;
  auto* frame = Arena::CreateMessage<ClientFrame>(&arena);
  const bool parsed = frame->ParseFromString(payload);
  const size_t taken = std::max<size_t>(arena.SpaceUsed(), frame->SpaceUsedLong());
  COFFER_CHECK(weight > kNoLimit || taken <= weight + 2 * payload.size() + kFixed,
               "a frame takes no more than it weighs");
  if (parsed) {
    frame->DiscardUnknownFields();
    COFFER_CHECK(coffer::enclave::WellNested(ClientFrame::descriptor(), frame->SerializeAsString()),
                 "what protobuf writes nests");
  }
  COFFER_CHECK(coffer::enclave::FrameWeight(ClientFrame::descriptor(), payload, weight) == weight,
               "a limit that is not passed changes nothing");
  return 0;
}

COFFER_FUZZ_PROTO_MUTATOR(ClientFrame)
