// A host that sends any frames never stops an enclave, and the enclave serves the next connection.
//
// Input: frames one after the other, each a length of two bytes and a payload.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "invariant/check.h"
#include "tests/fuzz/proto_mutator.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/enclave_actors/world.h"

namespace {

// Every payload that is not JSON is one message, for the mutator.
[[maybe_unused]] std::unique_ptr<google::protobuf::Message> FrameOf(std::string_view) {
  return std::make_unique<coffer::boundary::v1::ClientFrame>();
}

}  // namespace

COFFER_FUZZ_SEQUENCE_MUTATOR(0, FrameOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using coffer::test::World;
  coffer::fuzz::QuietLog();
  std::string_view raw(reinterpret_cast<const char*>(data), size);
  World world(1);
  coffer::test::Disk disk;
  coffer::test::Host& storage = world.Load(&disk);
  storage.AskCredit("credit", "a", 1000);
  world.scheduler.RunUntilIdle();
  coffer::test::Host& host = world.Connect();
  while (raw.size() > 2 && !host.closed) {
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(raw[0])) << 8 | static_cast<uint8_t>(raw[1]);
    const std::string_view payload = raw.substr(2, length);
    raw.remove_prefix(2 + payload.size());
    if (payload.empty()) continue;
    host.stream->Send(payload);
    storage.stream->Send(payload);
  }
  world.scheduler.RunUntilIdle();
  COFFER_CHECK(world.Status(world.Connect()).phase() == coffer::boundary::v1::PHASE_READY,
               "the next connection is served");
  const coffer::ledger::Balances& t = world.enclave().state()->ledger().totals();
  COFFER_CHECK(t.credited + t.adjusted_up == t.available + t.reserved + t.paid + t.adjusted_down,
               "I2");
  return 0;
}
