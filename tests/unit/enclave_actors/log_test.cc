// The transparency log as a host sees it: leaves beside records, signed heads, restarts, a storage
// that keeps nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/sealing/vault.h"
#include "proto/sealed.pb.h"
#include "runtime/random.h"
#include "tests/support/leaf_auditor.h"
#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {
namespace {

audit::VerifierKey LogKey() { return audit::LogKeys::Derive(Key())->log_key(); }

// What the disk has of the log.
LeafAuditor Read(const Disk& disk) {
  LeafAuditor auditor;
  for (const auto& [sequence, bundle] : disk.leaves) {
    EXPECT_EQ(auditor.AddBundle(bundle), "") << "record " << sequence;
  }
  return auditor;
}

void ExpectSigned(const v1::AuditCheckpoint& head) {
  const absl::StatusOr<audit::SignedCheckpoint> note = audit::ParseCheckpoint(head.note());
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_TRUE(audit::VerifyLogSignature(*note, LogKey()).ok());
  EXPECT_EQ(note->checkpoint.size, head.size());
  EXPECT_EQ(note->checkpoint.root.view(), head.root());
  EXPECT_EQ(note->checkpoint.origin, absl::StrCat("coffer/", Key().address().ToHex()));
  if (head.signature().empty()) return;  // unasked: no statement for chains
  audit::ChainStatement statement;
  statement.audit_address = *ethereum::Address::FromBytes(head.audit_address());
  statement.size = head.size();
  statement.root = note->checkpoint.root;
  statement.chain_id = head.chain_id();
  statement.registry = *ethereum::Address::FromBytes(head.registry());
  EXPECT_EQ(audit::ChainStatementDigest(statement).view(), head.digest());
  const auto signature = ethereum::Signature::FromBytes65(head.signature());
  ASSERT_TRUE(signature.ok());
  EXPECT_TRUE(audit::VerifyChainStatement(statement, *signature).ok());
}

ClientFrame AskCheckpoint(uint64_t chain_id = 0, std::string registry = "") {
  ClientFrame frame;
  frame.mutable_get_checkpoint()->set_chain_id(chain_id);
  frame.mutable_get_checkpoint()->set_registry(std::move(registry));
  return frame;
}

TEST(LogTest, LeavesComeBesideTheirRecordAndTheHeadAfterIt) {
  World world(1);
  Disk disk;
  Host& host = world.Load(&disk);
  host.AskCredit("e1", "alice", 5);
  world.scheduler.RunUntilIdle();
  world.Wait(absl::Seconds(1));
  const LeafAuditor log = Read(disk);
  EXPECT_EQ(log.tree().size(), 3u) << "genesis, account, credit";
  EXPECT_EQ(log.tree().Root(), world.enclave().state()->log().Root());
  EXPECT_EQ(CompareWithLedger(log, world.enclave().state()->ledger()), "");
  EXPECT_EQ(host.stores.back().tree_size(), 3u);
  ASSERT_FALSE(host.heads.empty());
  EXPECT_EQ(host.heads.back().size(), 3u);
  EXPECT_EQ(host.heads.back().root(), log.tree().Root().view());
  for (const v1::AuditCheckpoint& head : host.heads) ExpectSigned(head);
}

TEST(LogTest, I5NoHeadOverLeavesThatAreNotStored) {
  World world(2);
  Disk disk;
  Host& host = world.Load(&disk);
  world.Wait(absl::Seconds(1));
  host.silent = true;  // writes, and does not say so
  const size_t heads = host.heads.size();
  host.AskCredit("e1", "alice", 5);
  const uint64_t asked = host.Ask(AskCheckpoint());
  world.Wait(absl::Seconds(5));
  EXPECT_EQ(host.heads.size(), heads);
  EXPECT_FALSE(host.Has(asked));
  host.Acknowledge(host.stores.back());
  world.Wait(absl::Seconds(1));
  ASSERT_TRUE(host.Has(asked));
  EXPECT_EQ(host.answers[asked].audit_checkpoint().size(), 3u);
  ASSERT_GT(host.heads.size(), heads);
  EXPECT_EQ(host.heads.back().size(), 3u);
}

TEST(LogTest, HeadsThatBecomeFreeTogetherComeInTheirOrder) {
  World world(2);
  Disk disk;
  Host& host = world.Load(&disk);
  world.Wait(absl::Seconds(1));
  host.silent = true;
  host.AskCredit("e1", "alice", 5);
  const uint64_t asked = host.Ask(AskCheckpoint());
  world.Wait(absl::Seconds(2));
  host.AskCredit("e2", "alice", 5);
  world.Wait(absl::Seconds(2));
  host.Acknowledge(host.stores.back());  // the disk was full and has space again
  world.Wait(absl::Seconds(1));
  ASSERT_TRUE(host.Has(asked));
  EXPECT_LT(host.answers[asked].audit_checkpoint().size(), host.heads.back().size());
  EXPECT_TRUE(std::is_sorted(host.head_sizes.begin(), host.head_sizes.end()))
      << "an older head after a newer one looks like a second history: "
      << ::testing::PrintToString(host.head_sizes);
}

TEST(LogTest, HeadsAreRareUnderLoadAndNoneIsOldForLong) {
  World world(3);
  Disk disk;
  Host& host = world.Load(&disk);
  world.Wait(absl::Seconds(1));
  const size_t before = host.heads.size();
  for (int i = 0; i < 100; ++i) {
    host.AskCredit(absl::StrCat("e", i), "alice", 1);
    world.Wait(absl::Milliseconds(10));
  }
  world.Wait(absl::Seconds(1));
  const size_t heads = host.heads.size() - before;
  EXPECT_GE(heads, 4u);
  EXPECT_LE(heads, 8u) << "one each 200 ms";
  EXPECT_EQ(host.heads.back().size(), Read(disk).tree().size());
  const size_t quiet = host.heads.size();
  world.Wait(absl::Seconds(10));
  EXPECT_EQ(host.heads.size(), quiet) << "nothing new, nothing signed";
}

TEST(LogTest, ACheckpointForAnyChainAndRegistry) {
  World world(4);
  Disk disk;
  Host& host = world.Load(&disk);
  const std::string registry(20, '\x42');
  ServerFrame answer = world.Call(host, AskCheckpoint(42161, registry));
  ASSERT_TRUE(answer.has_audit_checkpoint()) << answer.ShortDebugString();
  EXPECT_EQ(answer.audit_checkpoint().chain_id(), 42161u);
  EXPECT_EQ(answer.audit_checkpoint().registry(), registry);
  EXPECT_FALSE(answer.audit_checkpoint().signature().empty());
  ExpectSigned(answer.audit_checkpoint());
  answer = world.Call(host, AskCheckpoint());
  EXPECT_EQ(answer.audit_checkpoint().chain_id(), WidePolicy().chain_id);
  ExpectSigned(answer.audit_checkpoint());
  EXPECT_EQ(world.Call(host, AskCheckpoint(1, "short")).error().code(), v1::ERROR_MALFORMED);
}

TEST(LogTest, TheStatusSaysWhereTheLogIsAndWhoSignsIt) {
  World world(5);
  Disk disk;
  Host& host = world.Load(&disk);
  host.AskCredit("e1", "alice", 5);
  world.scheduler.RunUntilIdle();
  const v1::AuditState audit = world.Status(host).audit();
  EXPECT_EQ(audit.size(), 3u);
  EXPECT_EQ(audit.log_key(), LogKey().ToString());
  const audit::LogKeys keys = *audit::LogKeys::Derive(Key());
  EXPECT_EQ(audit.audit_address(), keys.audit_address().view());
  EXPECT_NE(keys.audit_address(), Key().address());
  EXPECT_EQ(audit.root(), Read(disk).tree().Root().view());
  World fresh(6);
  EXPECT_FALSE(fresh.Status(fresh.Connect()).has_audit()) << "no state, no log";
}

TEST(LogTest, AnEntryIsSignedWhenAskedFor) {
  World world(7);
  Disk disk;
  Host& host = world.Load(&disk);
  ClientFrame frame;
  *frame.mutable_apply_events()->add_events() = MakeEvent("e1", "alice", 5);
  frame.mutable_apply_events()->set_want_audit_entries(true);
  frame.mutable_apply_events()->set_sign_audit_entries(true);
  const ServerFrame answer = world.Call(host, frame);
  ASSERT_EQ(answer.events_applied().audit_entries_size(), 1);
  const v1::AuditEntry& entry = answer.events_applied().audit_entries(0);
  const audit::LogKeys keys = *audit::LogKeys::Derive(Key());
  const audit::Hash digest =
      audit::EntryDigest(keys.audit_address(), entry.leaf_index(), audit::LeafHash(entry.leaf()));
  const auto signature = ethereum::Signature::FromBytes65(entry.signature());
  ASSERT_TRUE(signature.ok());
  EXPECT_EQ(*ethereum::RecoverAddress(ethereum::Eip191Hash(digest.view()), *signature),
            keys.audit_address());
}

TEST(LogTest, TheSignerProfileWithAStorageLogsEachSignatureBeforeItIsGiven) {
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.policy.allow_raw_messages = true;
  World world(8, options);
  Disk disk;
  Host& host = world.Load(&disk);
  host.silent = true;
  ClientFrame frame;
  frame.mutable_sign_message()->set_message("hello");
  const uint64_t id = host.Ask(frame);
  world.Wait(absl::Seconds(2));
  EXPECT_FALSE(host.Has(id)) << "I5";
  EXPECT_EQ(Read(disk).count(audit::LeafKind::kSignature), 1u);
  host.Acknowledge(host.stores.back());
  world.scheduler.RunUntilIdle();
  EXPECT_TRUE(host.answers[id].has_message_signature());
}

// A version that knows no log would leave its tree out of the records that it writes.
TEST(LogTest, I9ARecordThatChangesBalancesWithoutALeafIsRefused) {
  World world(9);
  Disk disk;
  world.Load(&disk);
  sealed::v1::Batch batch;
  batch.add_events()->mutable_account_opened()->set_id("alice");
  batch.mutable_events(0)->mutable_account_opened()->set_recipient(std::string(20, 'a'));
  sealing::Hash salt;
  salt.bytes.fill(9);
  sealing::Vault vault(*Key().DeriveSecret("state key v1"), 0, salt);
  sealing::Header header;
  header.kind = sealing::Kind::kRecord;
  header.sequence = disk.last() + 1;
  header.previous = sealing::RecordHash(disk.records[disk.last()]);
  disk.records[header.sequence] = vault.Seal(header, batch.SerializeAsString());
  world.Start();
  Host& host = world.Connect(&disk);
  const uint64_t load = host.AskLoad(disk.Everything());
  world.scheduler.RunUntilIdle();
  EXPECT_EQ(host.Code(load), v1::ERROR_NOT_READY) << "the load ended with the record";
  EXPECT_EQ(host.Code(load - 1), v1::ERROR_STATE_REFUSED);
  EXPECT_THAT(host.answers[load - 1].error().message(), testing::HasSubstr("without a leaf"));
}

TEST(LogTest, TheNameOfTheLogIsTheKeysWhateverPolicyComes) {
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.policy = policy::Policy();
  options.policy.unrestricted = true;
  World world(10, options);
  Disk disk;
  const std::string before = world.Status(world.Load(&disk)).audit().log_key();
  world.options.policy = World::Options().policy;
  world.options.accept_policy_change = true;
  world.Start();
  const v1::AuditState after = world.Status(world.Load(&disk)).audit();
  EXPECT_EQ(after.log_key(), before);
  EXPECT_GT(after.size(), 1u) << "the policy's change is in the log";
}

// The records that a signer writes for its signatures count towards the next snapshot, so that a
// restart does not read them all.
TEST(LogTest, RecordsOfNothingButLeavesAreSnapshotToo) {
  enclave::EnclaveOptions options = World::Options();
  options.profile = v1::PROFILE_SIGNER;
  options.policy.allow_raw_messages = true;
  options.min_snapshot_interval_bytes = 2000;
  World world(11, options);
  Disk disk;
  Host& host = world.Load(&disk);
  for (int i = 0; i < 100; ++i) {
    ClientFrame frame;
    frame.mutable_sign_message()->set_message(absl::StrCat("message ", i));
    host.Ask(frame);
    world.scheduler.RunUntilIdle();
  }
  EXPECT_GT(disk.base, 0u);
}

// The enclave dies at a random step, again and again; snapshots are taken and records forgotten on
// the way. What a host stored is one log: no gap, no fork, no leaf twice, and no head was ever
// signed that is not a part of it.
TEST(LogTest, RestartsAtAnyMomentContinueTheSameLog) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 40;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("COFFER_TEST_SEED=", seed));
    enclave::EnclaveOptions options = World::Options();
    options.min_snapshot_interval_bytes = 1500;
    World world(seed, options);
    runtime::SeededRandom random(seed);
    Disk disk;
    std::vector<v1::AuditCheckpoint> heads;
    int sent = 0;
    for (int run = 0; run < 8; ++run) {
      if (run > 0) world.Start();
      Host& host = world.Connect(&disk);
      host.AskLoad(disk.Everything());
      for (int i = 0; i < 15; ++i, ++sent) {
        host.AskCredit(absl::StrCat("e", sent), absl::StrCat("a", sent % 3), 10);
        if (random.Below(4) != 0) continue;
        ClientFrame pay;
        *pay.mutable_prepare_payout() = MakePayout({{absl::StrCat("a", sent % 3), 1}});
        host.Ask(pay);
      }
      const uint64_t steps = random.Below(400);
      for (uint64_t step = 0; step < steps && world.scheduler.Step(); ++step) {
      }
      world.Kill();
      world.scheduler.RunUntilIdle();
      heads.insert(heads.end(), host.heads.begin(), host.heads.end());
    }
    world.Start();
    Host& host = world.Load(&disk);
    world.scheduler.RunUntilIdle();
    const LeafAuditor log = Read(disk);
    EXPECT_EQ(log.count(audit::LeafKind::kGenesis), 1u);
    EXPECT_EQ(log.tree().Root(), world.enclave().state()->log().Root());
    EXPECT_EQ(CompareWithLedger(log, world.enclave().state()->ledger()), "");
    std::map<uint64_t, std::string> roots;
    LeafAuditor again;
    for (const auto& [sequence, bundle] : disk.leaves) {
      ASSERT_EQ(again.AddBundle(bundle), "");
      roots[again.tree().size()] = std::string(again.tree().Root().view());
    }
    for (const v1::AuditCheckpoint& head : heads) {
      EXPECT_EQ(roots[head.size()], head.root()) << "a head of size " << head.size();
    }
    (void)host;
  }
}

}  // namespace
}  // namespace coffer::test
