// Sealed states of versions before this one are read by this one.
//
// tests/golden/sealed_state_v1.bin: what a host had stored of the last version whose state key was
// always derived from the signing key (epoch 0): each chunk and record behind its length as 4 bytes
// big-endian. A snapshot on record 19, three records after it; 12 credits of alice, who is then
// paid, one of bob, six of carol, 1,000 wei each. state_blob_v1.bin: an export of that version, 700
// wei of alice. Key and policy are those of every test here.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

std::string Golden(const char* name) {
  std::ifstream file(absl::StrCat(COFFER_SOURCE_DIR "/tests/golden/", name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Pieces(std::string_view bytes) {
  std::vector<std::string> pieces;
  while (bytes.size() > 4) {
    size_t length = 0;
    for (const char c : bytes.substr(0, 4)) length = length << 8 | static_cast<uint8_t>(c);
    pieces.emplace_back(bytes.substr(4, length));
    bytes.remove_prefix(std::min(bytes.size(), 4 + length));
  }
  return pieces;
}

TEST(GoldenStateTest, AStoredStateLoadsAndGoesOn) {
  const std::vector<std::string> stored = Pieces(Golden("sealed_state_v1.bin"));
  ASSERT_EQ(stored.size(), 5u);
  World world(1);
  Disk disk;
  Host& host = world.Connect(&disk);
  const uint64_t load = host.AskLoad(stored);
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(host.answers[load].has_load_done()) << host.answers[load - 1].ShortDebugString();
  const v1::Status status = world.Status(host);
  EXPECT_EQ(status.stored_sequence(), 22u);
  EXPECT_EQ(status.snapshot_sequence(), 19u);
  EXPECT_EQ(status.state_key_epoch(), 0u);
  EXPECT_EQ(status.accounts(), 3u);
  EXPECT_EQ(status.events(), 19u);
  EXPECT_EQ(status.totals().credited().low(), 19'000u);
  EXPECT_EQ(status.totals().reserved().low(), 12'000u);
  EXPECT_EQ(status.audit().size(), 26u);
  ClientFrame get;
  get.mutable_get_payout()->set_id(1);
  const v1::Payout payout = world.Call(host, get).payout();
  EXPECT_EQ(payout.state(), v1::PAYOUT_STATE_SIGNED);
  EXPECT_EQ(absl::BytesToHexString(payout.attempts(0).tx_hash()),
            "037b4c90739efdfd4807452c535f0c70b7ee673ce1023cc7453f41944e2b82f2");
  // What it remembers, it does not take twice; what is new, it seals.
  const uint64_t again = host.AskCredit("event-1", "alice", 1000);
  const uint64_t more = host.AskCredit("event-20", "bob", 1000);
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.answers[again].events_applied().duplicates_size(), 1);
  EXPECT_EQ(host.answers[more].events_applied().applied(), 1u);
  EXPECT_EQ(disk.last(), 23u);
}

TEST(GoldenStateTest, AnExportedStateIsImported) {
  enclave::EnclaveOptions options = World::Options();
  options.without_storage = true;
  World world(2, options);
  Host& host = world.Connect();
  ClientFrame import;
  import.mutable_import_state()->set_blob(Golden("state_blob_v1.bin"));
  const ServerFrame answer = world.Call(host, import);
  ASSERT_TRUE(answer.has_state_imported()) << answer.ShortDebugString();
  EXPECT_EQ(answer.state_imported().totals().available().low(), 700u);
}

}  // namespace
}  // namespace coffer::test
