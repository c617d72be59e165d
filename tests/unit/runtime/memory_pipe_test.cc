#include "runtime/memory_pipe.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/frame_codec.h"

namespace coffer::runtime {
namespace {

std::string Framed(std::string_view payload) {
  const auto header = FrameHeader(payload.size());
  return std::string(header.data(), header.size()).append(payload);
}

TEST(MemoryPipeTest, CutsAndJoinsAndKeepsEveryByteInItsPlace) {
  bool cut = false;
  bool joined = false;
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SeededRandom random(seed);
    MemoryPipe pipe;
    std::string sent;
    size_t under_way = 0;
    for (int i = 0; i < 5; ++i) {
      const std::string payload(1 + random.Below(40), static_cast<char>('a' + i));
      const size_t pieces = pipe.Send(payload, {500, 500}, random);
      cut |= pieces > 1;
      joined |= pieces == 0;
      under_way += pieces;
      sent += Framed(payload);
    }
    std::string arrived;
    for (; under_way > 0; --under_way) {
      const std::string piece = pipe.Arrive();
      ASSERT_FALSE(piece.empty());
      sizes.insert(piece.size());
      arrived += piece;
    }
    ASSERT_EQ(arrived, sent) << "seed " << seed;
  }
  EXPECT_TRUE(cut);
  EXPECT_TRUE(joined);
  for (size_t size = 1; size <= 40; ++size) EXPECT_EQ(sizes.count(size), 1u) << size;
}

TEST(MemoryPipeTest, WithoutCutsAFrameIsAPiece) {
  SeededRandom random(1);
  MemoryPipe pipe;
  for (int i = 0; i < 50; ++i) ASSERT_EQ(pipe.Send("frame", {0, 0}, random), 1u);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(pipe.Arrive(), Framed("frame"));
}

TEST(MemoryPipeTest, AnyEndIsLostAndNothingElse) {
  const std::string sent = Framed("one") + Framed("two") + Framed("three");
  std::set<size_t> kept;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SeededRandom random(seed);
    MemoryPipe pipe;
    size_t under_way = pipe.Send("one", {}, random);
    std::string arrived;
    for (; under_way > 0; --under_way) arrived += pipe.Arrive();
    ASSERT_EQ(arrived, Framed("one")) << "it was there before";
    under_way = pipe.Send("two", {}, random) + pipe.Send("three", {}, random);
    pipe.LoseEnd(random);
    pipe.LoseEnd(random);  // twice is no way to get anything back
    for (; under_way > 0; --under_way) arrived += pipe.Arrive();
    ASSERT_EQ(arrived, sent.substr(0, arrived.size()));
    kept.insert(arrived.size());
  }
  for (size_t size = Framed("one").size(); size <= sent.size(); ++size) {
    EXPECT_EQ(kept.count(size), 1u) << size;
  }
}

}  // namespace
}  // namespace coffer::runtime
