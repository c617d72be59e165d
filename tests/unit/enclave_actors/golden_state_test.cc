// Sealed states of versions before this one are read by this one.
//
// tests/golden/sealed_state_v1.bin: what a host had stored of the last version whose state key was
// always derived from the signing key (epoch 0): each chunk and record behind its length as 4 bytes
// big-endian. A snapshot on record 19, three records after it; 12 credits of alice, who is then
// paid, one of bob, six of carol, 1,000 wei each. state_blob_v1.bin: an export of that version, 700
// wei of alice. Key and policy are those of every test here.
//
// tests/golden/sealed_state_two_keys.bin: of the first version that knows a second signing key, in
// the same form: alice's 100 wei, of which payout 1 holds 60 under the first key, which drains;
// payout 2 holds 30 under the second. A snapshot under the state key of epoch 2, and what came
// after it. The keys are those that the KMS of the tests gives to whoever asks it first.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "tests/unit/enclave_actors/kms_world.h"

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

// The keys of the golden state with two: the KMS of the tests makes the same for the same
// questions.
void GetTheTwoKeys(KmsWorld* world) {
  Disk unused;
  ASSERT_TRUE(world->Provision().has_provisioned());
  Host& host = world->Load(&unused);
  const ServerFrame made = world->Call(host, world->RotateSigningFrame());
  ASSERT_TRUE(made.has_next_signing_key()) << made.ShortDebugString();
  world->Keep(made.next_signing_key());
  world->StartWithoutKey();
  ASSERT_TRUE(world->Provision().has_provisioned());
}

TEST(GoldenStateTest, AStateWithTwoSigningKeysLoadsAndGoesOn) {
  KmsWorld world(3);
  ASSERT_NO_FATAL_FAILURE(GetTheTwoKeys(&world));
  Disk disk;
  Host& host = world.Connect(&disk);
  const uint64_t load = host.AskLoad(Pieces(Golden("sealed_state_two_keys.bin")));
  world.scheduler.RunUntilIdle();
  ASSERT_TRUE(host.answers[load].has_load_done()) << host.answers[load].ShortDebugString();
  const v1::Status status = world.Status(host);
  ASSERT_EQ(status.signing_keys_size(), 2);
  EXPECT_EQ(status.signing_keys(0).use(), v1::SigningKeyState::USE_DRAINING);
  EXPECT_EQ(status.signing_keys(0).outstanding().low(), 60u);
  EXPECT_EQ(status.signing_keys(1).use(), v1::SigningKeyState::USE_CURRENT);
  EXPECT_EQ(status.signing_keys(1).outstanding().low(), 30u);
  EXPECT_EQ(status.totals().available().low(), 10u);
  EXPECT_EQ(status.state_key_epoch(), 2u);
  for (const uint64_t id : {1, 2}) {
    ClientFrame bump;
    bump.mutable_bump_transaction()->set_payout_id(id);
    *bump.mutable_bump_transaction()->mutable_fees() = MakeFees(900);
    EXPECT_EQ(world.Call(host, bump).payout().sender(),
              status.signing_keys(static_cast<int>(id) - 1).address());
  }
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
