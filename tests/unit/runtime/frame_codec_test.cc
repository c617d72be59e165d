#include "runtime/frame_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/random.h"
#include "tests/support/own_memory.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Framed(std::string_view payload) {
  const auto header = FrameHeader(payload.size());
  return std::string(header.data(), header.size()).append(payload);
}

// Everything that comes out when `bytes` go in at once.
std::vector<std::string> Frames(FrameDecoder& decoder, std::string_view bytes) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    const absl::StatusOr<size_t> took = decoder.Feed(bytes);
    EXPECT_TRUE(took.ok()) << took.status();
    if (!took.ok()) break;
    bytes.remove_prefix(*took);
    if (decoder.whole()) frames.push_back(decoder.Take());
  }
  return frames;
}

uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed = given == nullptr ? 20261121 : std::strtoull(given, nullptr, 10);
  std::cout << "seed " << seed << "\n";
  return seed;
}

TEST(FrameCodecTest, TheHeaderIsTheLengthInBigEndian) {
  EXPECT_THAT(FrameHeader(1), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(FrameHeader(0x01020304 & 0xffffff), ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(FrameHeader(kMaxFrameBytes), ElementsAre(1, 0, 0, 0));
}

TEST(FrameCodecTest, AnyCutOfAStreamGivesTheSameFrames) {
  SeededRandom random(Seed());
  for (int run = 0; run < 200; ++run) {
    std::vector<std::string> sent;
    std::string stream;
    for (uint64_t i = random.Below(8) + 1; i > 0; --i) {
      sent.emplace_back(random.Below(4) == 0 ? 60'000 + random.Below(90'000) : 1 + random.Below(9),
                        static_cast<char>('a' + random.Below(26)));
      stream += Framed(sent.back());
    }
    FrameDecoder decoder;
    std::vector<std::string> got;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = 1 + random.Below(random.Below(2) == 0 ? 6 : 40'000);
      for (std::string& frame : Frames(decoder, std::string_view(stream).substr(at, size))) {
        got.push_back(std::move(frame));
      }
      at += size;
    }
    ASSERT_EQ(got, sent) << "run " << run;
    EXPECT_FALSE(decoder.mid_frame());
    EXPECT_EQ(decoder.held_bytes(), 0u);
  }
}

TEST(FrameCodecTest, EveryByteOfAFrameIsItsMiddle) {
  const std::string frame = Framed("payload");
  FrameDecoder decoder;
  EXPECT_FALSE(decoder.mid_frame());
  for (size_t i = 0; i + 1 < frame.size(); ++i) {
    ASSERT_EQ(decoder.Feed(frame.substr(i, 1)).value(), 1u);
    EXPECT_TRUE(decoder.mid_frame()) << i;
    EXPECT_FALSE(decoder.whole()) << i;
    EXPECT_EQ(decoder.held_bytes(), i + 1);
  }
  ASSERT_EQ(decoder.Feed("d" + frame).value(), 1u) << "the next frame waits for its turn";
  EXPECT_TRUE(decoder.whole());
  EXPECT_FALSE(decoder.mid_frame());
  EXPECT_EQ(decoder.Feed(frame).value(), 0u);
  EXPECT_EQ(decoder.Take(), "payload");
  EXPECT_EQ(decoder.Feed(frame).value(), frame.size());
  EXPECT_EQ(decoder.Take(), "payload");
}

TEST(FrameCodecTest, AForbiddenLengthIsRefusedForEver) {
  const struct {
    std::string header;
    std::string_view announced;
  } cases[] = {{std::string(4, '\0'), "a frame of 0 bytes"},
               {std::string("\x01\x00\x00\x01", 4), "a frame of 16777217 bytes"},
               {"\xff\xff\xff\xff", "a frame of 4294967295 bytes"}};
  for (const auto& c : cases) {
    FrameDecoder decoder;
    EXPECT_EQ(decoder.Feed(c.header.substr(0, 3)).value(), 3u);
    const absl::Status refused = decoder.Feed(c.header.substr(3)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.message(), HasSubstr(c.announced));
    EXPECT_FALSE(decoder.whole());
    EXPECT_EQ(decoder.Feed(Framed("good")).status(), refused);
    EXPECT_FALSE(decoder.whole());
  }
}

TEST(FrameCodecTest, TheLongestFrameAndNoRoomForAnAnnouncement) {
  FrameDecoder decoder;
  const auto header = FrameHeader(kMaxFrameBytes);
  ASSERT_TRUE(decoder.Feed({header.data(), header.size()}).ok());
  EXPECT_LT(decoder.spare_bytes(), 64u) << "an announcement takes no room";
  ASSERT_TRUE(decoder.Feed(std::string(100, 'x')).ok());
  EXPECT_EQ(decoder.held_bytes(), 104u);
  EXPECT_EQ(decoder.held_bytes() + decoder.spare_bytes(), 4 + (64u << 10));
  const std::string chunk(1u << 20, 'x');
  for (int i = 0; i < 15; ++i) ASSERT_EQ(decoder.Feed(chunk).value(), chunk.size());
  EXPECT_GE(decoder.spare_bytes(), (1u << 20) - 100) << "the room of a text that doubles";
  EXPECT_TRUE(decoder.mid_frame());
  FrameDecoder dropped = decoder;
  dropped.Drop();
  EXPECT_EQ(dropped.held_bytes() + dropped.spare_bytes(), 0u);
  EXPECT_FALSE(dropped.mid_frame());
  ASSERT_EQ(decoder.Feed(chunk).value(), chunk.size() - 100);
  ASSERT_TRUE(decoder.whole());
  const std::string frame = decoder.Take();
  EXPECT_EQ(decoder.spare_bytes(), 0u);
  EXPECT_EQ(frame.size(), kMaxFrameBytes);
  EXPECT_LT(frame.capacity(), kMaxFrameBytes + (64u << 10)) << "more room than can ever be used";
}

TEST(FrameCodecTest, AFrameThatGrowsLeavesNoCopyBehind) {
  constexpr size_t kBytes = 300u << 10;
  const test_support::Planted secret;
  FrameDecoder decoder;
  const auto header = FrameHeader(kBytes);
  ASSERT_TRUE(decoder.Feed({header.data(), header.size()}).ok());
  std::string start = secret.Make();
  ASSERT_TRUE(decoder.Feed(start).ok());
  const std::string rest(50u << 10, 'y');
  for (size_t sent = start.size(); sent < kBytes; sent += rest.size()) {
    ASSERT_TRUE(decoder.Feed(std::string_view(rest).substr(0, kBytes - sent)).ok());
  }
  explicit_bzero(start.data(), start.size());
  std::string payload = decoder.Take();
  explicit_bzero(payload.data(), payload.size());
  EXPECT_EQ(secret.Count(), 0u);
}

TEST(FrameCodecDeathTest, WhatNobodyMaySend) {
  EXPECT_DEATH(FrameHeader(0), "forbidden length");
  EXPECT_DEATH(FrameHeader(kMaxFrameBytes + 1), "forbidden length");
  EXPECT_DEATH(FrameDecoder().Take(), "before it was whole");
}

}  // namespace
}  // namespace coffer::runtime
