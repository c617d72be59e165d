#include "actors/enclave/frame_weight.h"

#include <gmock/gmock.h>
#include <google/protobuf/arena.h>
#include <gtest/gtest.h>

#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

using enclave::FrameWeight;
using enclave::kMaxFrameWeight;
using testing::HasSubstr;

constexpr size_t kNoLimit = 1u << 30;

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  return out + static_cast<char>(value);
}

std::string Field(uint32_t number, std::string_view bytes) {
  return Varint(number << 3 | 2).append(Varint(bytes.size())).append(bytes);
}

std::string Times(size_t count, std::string_view bytes) {
  std::string out;
  for (; count > 0; --count) out += bytes;
  return out;
}

size_t Weight(std::string_view payload, size_t limit = kNoLimit) {
  return FrameWeight(ClientFrame::descriptor(), payload, limit);
}

bool WellNested(std::string_view payload) {
  return enclave::WellNested(ClientFrame::descriptor(), payload);
}

// Frames that cost far more than their bytes: 20 is apply_events with events (1), 34 report_receipt
// with logs (5), 36 void_tickets with packed items (2), 61 change_policy with signatures (3).
struct Bomb {
  const char* what;
  std::string payload;
};
std::vector<Bomb> Bombs(size_t count) {
  return {{"empty events", Field(20, Times(count, Field(1, "")))},
          {"events with empty amounts", Field(20, Times(count, Field(1, Field(5, ""))))},
          {"empty logs", Field(34, Times(count, Field(5, "")))},
          {"empty topics", Field(34, Field(5, Times(count, Field(2, ""))))},
          {"packed items", Field(36, Field(2, std::string(2 * count, '\x01')))},
          {"items one by one", Field(36, Times(count, std::string("\x10\x01", 2)))},
          {"empty signatures", Field(61, Times(count, Field(3, "")))},
          {"unknown numbers", Times(count, std::string("\x10\x01", 2))},
          {"unknown strings", Times(count, Field(2, ""))},
          {"unknown numbers inside", Field(20, Times(count, std::string("\x78\x01", 2)))},
          {"a number as a string", Times(count, Field(1, ""))},
          {"a string as a number", Field(20, Field(1, Times(count, std::string("\x08\x01", 2))))},
          {"a number of the wrong width", Times(count, std::string("\x0d\x01\0\0\0", 5))},
          {"one body after the other", Times(count / 2, Field(20, "") + Field(34, ""))}};
}

TEST(FrameWeightTest, WeighsNoLessThanTheParserTakes) {
  for (const Bomb& bomb : Bombs(20'000)) {
    google::protobuf::Arena arena;
    auto* frame = google::protobuf::Arena::CreateMessage<ClientFrame>(&arena);
    ASSERT_TRUE(frame->ParseFromString(bomb.payload)) << bomb.what;
    // Unknown fields and strings are on the heap, which the message knows better than the arena.
    const size_t taken = std::max<size_t>(arena.SpaceUsed(), frame->SpaceUsedLong());
    const size_t weight = Weight(bomb.payload);
    EXPECT_TRUE(WellNested(bomb.payload)) << bomb.what;
    EXPECT_GE(weight + bomb.payload.size() + 1024, taken) << bomb.what;
    EXPECT_GT(weight, bomb.payload.size()) << bomb.what;
    EXPECT_LE(Weight(bomb.payload, 10'000), 10'000u + 20'000 * 2 * 16) << "it stops: " << bomb.what;
  }
}

// `bytes` of a message that says it has more than the frame.
std::string Overlong(uint32_t number, std::string_view bytes) {
  return Varint(number << 3 | 2).append(Varint(1u << 30)).append(bytes);
}

// Found by the fuzzer: the parser believes such a length to the end of the frame, and makes
// everything on the way.
TEST(FrameWeightTest, WhatIsLongerThanWhatIsAroundItIsNotParsed) {
  const std::string events = Times(20'000, Field(1, ""));
  const Bomb bombs[] = {
      {"empty events", Overlong(20, events)},
      {"empty logs", Overlong(34, Times(20'000, Field(5, "")))},
      {"packed items", Overlong(36, Overlong(2, std::string(40'000, '\x01')))},
      {"a string in a message, both far too long", Overlong(20, Overlong(5, "signature"))},
      {"packed items in a request", Field(36, Overlong(2, "\x01")) + std::string(40'000, '\x01')},
      {"an amount in an event", Field(20, Field(1, Overlong(5, "")))},
      {"a receipt whose log is longer than it is",
       Field(34, Varint(5 << 3 | 2).append(Varint(30'000))).append(Times(20'000, Field(2, "")))},
      {"events in a frame that ends amid one", Field(20, events).append(Overlong(20, events))},
      {"a length that its message cuts", Field(20, "\x0a\xff") + Times(3, "\xff") + "\x01"},
      {"a tag that its message cuts", Field(20, "\x8a") + std::string("\0", 1)},
      {"field number 0", std::string(2, '\0')},
      {"a group", "\x0b\x0c"}};
  for (const Bomb& bomb : bombs) {
    EXPECT_FALSE(WellNested(bomb.payload)) << bomb.what;
    World world(1);
    Host& host = world.Connect();
    host.stream->Send(bomb.payload);
    world.scheduler.RunUntilIdle();
    ASSERT_EQ(host.answers.count(0), 1u) << bomb.what;
    EXPECT_EQ(host.answers[0].error().code(), v1::ERROR_MALFORMED) << bomb.what;
    EXPECT_FALSE(host.closed);
  }
}

// Where the messages around it are as long as they say, the parser takes what is there.
TEST(FrameWeightTest, OtherLengthsThatAreTooLargeWeighWhatTheParserTakes) {
  const Bomb bombs[] = {{"a string", Field(34, Field(5, Overlong(1, "address")))},
                        {"an unknown string", Field(20, Field(1, Field(5, Overlong(99, "what"))))}};
  for (const Bomb& bomb : bombs) {
    EXPECT_TRUE(WellNested(bomb.payload)) << bomb.what;
    google::protobuf::Arena arena;
    auto* frame = google::protobuf::Arena::CreateMessage<ClientFrame>(&arena);
    EXPECT_FALSE(frame->ParseFromString(bomb.payload)) << bomb.what;
    const size_t taken = std::max<size_t>(arena.SpaceUsed(), frame->SpaceUsedLong());
    EXPECT_GE(Weight(bomb.payload) + bomb.payload.size() + 1024, taken) << bomb.what;
  }
}

// Found by the fuzzer: a provision is larger than most messages, and each of a body's repetitions
// stays on the arena when another body comes between them.
TEST(FrameWeightTest, EveryBodyWeighsWhatItIs) {
  const auto* const type = ClientFrame::descriptor();
  const std::string unknown("\xb8\x7f\x07", 3);
  const std::string sign_ticket = Field(52, "");
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* const body = type->field(i)->message_type();
    if (body == nullptr) continue;
    const auto number = static_cast<uint32_t>(type->field(i)->number());
    for (uint32_t inner = 0; inner <= 10; ++inner) {
      const auto* const field = body->FindFieldByNumber(static_cast<int>(inner));
      if (inner != 0 && (field == nullptr || field->message_type() == nullptr)) continue;
      const std::string content = inner == 0 ? unknown : Field(inner, unknown);
      const std::string payload = Times(1000, Field(number, content) + sign_ticket);
      google::protobuf::Arena arena;
      auto* frame = google::protobuf::Arena::CreateMessage<ClientFrame>(&arena);
      ASSERT_TRUE(frame->ParseFromString(payload)) << body->full_name() << " " << inner;
      EXPECT_GE(Weight(payload) + 1024, arena.SpaceUsed()) << body->full_name() << " " << inner;
    }
  }
}

TEST(FrameWeightTest, BytesThatAreNoFrame) {
  EXPECT_EQ(Weight(""), 0u);
  EXPECT_EQ(Weight(std::string(1000, '\0')), 0u) << "field number 0";
  EXPECT_EQ(Weight(std::string(1000, '\xff')), 0u) << "a tag without an end";
}

TEST(FrameWeightTest, WhatIsUsefulIsLight) {
  ClientFrame events;
  for (int i = 0; i < 10'000; ++i) {
    *events.mutable_apply_events()->add_events() = MakeEvent(std::string(71, 'e'), "account", 7);
  }
  EXPECT_LT(Weight(events.SerializeAsString()), kMaxFrameWeight / 4);
  ClientFrame receipt;
  for (int i = 0; i < 16'384; ++i) {
    v1::Log* log = receipt.mutable_report_receipt()->add_logs();
    log->set_address(std::string(20, 'a'));
    for (int t = 0; t < 4; ++t) log->add_topics(std::string(32, 't'));
    log->set_data(std::string(256, 'd'));
  }
  EXPECT_LT(Weight(receipt.SerializeAsString()), kMaxFrameWeight / 3);
  ClientFrame record;
  record.mutable_load_record()->set_sealed(std::string(15u << 20, 's'));
  EXPECT_LT(Weight(record.SerializeAsString()), 1000u);
}

TEST(FrameWeightTest, TheGatewayRefusesABombAndServesOn) {
  for (const Bomb& bomb : Bombs(5'000'000)) {
    World world(1);
    Host& host = world.Connect();
    ASSERT_GT(bomb.payload.size(), kMaxFrameWeight / 8) << bomb.what;
    const std::string payload = bomb.payload.substr(0, runtime::kMaxFrameBytes);
    host.stream->Send(payload);
    world.scheduler.RunUntilIdle();
    ASSERT_EQ(host.answers.count(0), 1u) << bomb.what;
    EXPECT_EQ(host.answers[0].error().code(), v1::ERROR_MALFORMED) << bomb.what;
    EXPECT_FALSE(host.closed);
  }
  World world(1);
  Host& host = world.Connect();
  host.stream->Send(Bombs(2'000'000)[0].payload);
  world.scheduler.RunUntilIdle();
  EXPECT_THAT(host.answers[0].error().message(), HasSubstr("more fields than any request needs"));
  EXPECT_EQ(world.Status(host).phase(), world.Status(world.Connect()).phase());
}

}  // namespace
}  // namespace coffer::test
