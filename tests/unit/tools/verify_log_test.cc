// The verifier against honest logs and against an operator who lies in every way the issue names.
#include "tools/verify_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <random>
#include <sstream>

#include "tests/unit/tools/test_log.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

using ::testing::HasSubstr;

class VerifyLogTest : public ::testing::Test {
 protected:
  LogVerdict Verify() { return VerifyLog(source, options); }
  // Expects that `check` failed with a sentence that has all the parts, and nothing was remembered.
  void ExpectFailed(const std::string& check, const std::vector<std::string>& parts) {
    const LogVerdict verdict = Verify();
    EXPECT_EQ(verdict.report.ExitCode(), kNotVerified) << Show(verdict.report);
    const Check* found = verdict.report.Find(check);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->outcome, Outcome::kFailed) << Show(verdict.report);
    for (const std::string& part : parts) EXPECT_THAT(found->sentence, HasSubstr(part));
    EXPECT_EQ(verdict.report.Find("state")->outcome, Outcome::kSkipped);
  }

  TestFolder folder;
  MemorySource source;
  VerifyLogOptions options = FullOptions(folder);
  audit::NoteSigner signer = LogSigner();
};

TEST_F(VerifyLogTest, AnHonestLogOfEverySizeAroundTheBordersPasses) {
  const std::vector<Leaf> story = HonestLeaves::Story(1200);
  for (const size_t size : {1u, 2u, 3u, 255u, 256u, 257u, 511u, 512u, 513u, 1000u}) {
    const std::vector<Leaf> leaves(story.begin(), story.begin() + static_cast<long>(size));
    source.Publish(Encode(leaves), signer);
    const LogVerdict verdict = Verify();
    EXPECT_EQ(verdict.report.ExitCode(), kVerified) << size << "\n" << Show(verdict.report);
    EXPECT_EQ(verdict.ledger->totals().leaves, size);
    EXPECT_EQ(verdict.head->size, size);
  }
}

TEST_F(VerifyLogTest, EveryCheckIsReportedOnceAndInItsOrder) {
  source.Publish(Encode(HonestLeaves::Story(300)), signer);
  const std::vector<std::string> names = {"checkpoint", "signature",   "address",     "witnesses",
                                          "root",       "consistency", "tiles",       "leaves",
                                          "recipients", "balances",    "payouts",     "events",
                                          "claims",     "registry",    "attestation", "state"};
  for (const bool whole : {true, false}) {
    if (!whole) source.files.erase("checkpoint");
    std::vector<std::string> found;
    for (const Check& check : Verify().report.checks) found.push_back(check.name);
    EXPECT_EQ(found, names);
  }
  EXPECT_EQ(Verify().report.Find("attestation")->outcome, Outcome::kSkipped);
}

TEST_F(VerifyLogTest, WithoutFullOnlyAFewTilesAreRead) {
  source.Publish(Encode(HonestLeaves::Story(20'000)), signer);
  options.full = false;
  const LogVerdict verdict = Verify();
  EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  EXPECT_EQ(verdict.report.Find("tiles")->outcome, Outcome::kSkipped);
  EXPECT_LT(source.reads, 8);
}

// ---- what can be done to files

struct Lie {
  const char* name;
  std::function<void(MemorySource&)> tell;
  const char* check;
  std::vector<std::string> says;
};

std::string& FileOf(MemorySource& source, const std::string& path) {
  EXPECT_TRUE(source.files.contains(path)) << path;
  return source.files[path];
}

// The leaf at `at` of a bundle of 256, as a view into it.
std::pair<size_t, size_t> EntryAt(const std::string& bundle, size_t at) {
  size_t offset = 0;
  for (;; --at) {
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(bundle[offset])) << 8 |
                          static_cast<uint8_t>(bundle[offset + 1]);
    if (at == 0) return {offset, length + 2};
    offset += length + 2;
  }
}

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Lie> FileLies() {
  return {
      {"an altered leaf",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/003");
         bundle[EntryAt(bundle, 44).first + 2 + 19] ^= 1;  // its claimed time
       },
       "tiles",
       {"leaf 812 was altered"}},
      {"leaves that changed places",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/001");
         const auto [first, first_size] = EntryAt(bundle, 7);
         const auto [second, second_size] = EntryAt(bundle, 8);
         bundle = bundle.substr(0, first) + bundle.substr(second, second_size) +
                  bundle.substr(first, first_size) + bundle.substr(second + second_size);
       },
       "tiles",
       {"leaf 263 is not in its place: what is there is leaf 264", "leaf 264 is not in its place"}},
      {"leaves that changed places, seen by their own numbers",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/001");
         const auto [first, first_size] = EntryAt(bundle, 7);
         const auto [second, second_size] = EntryAt(bundle, 8);
         bundle = bundle.substr(0, first) + bundle.substr(second, second_size) +
                  bundle.substr(first, first_size) + bundle.substr(second + second_size);
       },
       "leaves",
       {"leaf 263 says that it is number 264"}},
      {"a leaf left out of its bundle",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/000");
         const auto [at, size] = EntryAt(bundle, 9);
         bundle.erase(at, size);
       },
       "tiles",
       {"bundle tile/entries/000 was cut off or altered"}},
      {"a leaf put twice",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/000");
         const auto [at, size] = EntryAt(bundle, 9);
         bundle.insert(at, bundle.substr(at, size));
       },
       "tiles",
       {"bundle tile/entries/000 was cut off or altered"}},
      {"a leaf in place of another",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/000");
         const auto [at, size] = EntryAt(bundle, 9);
         const auto [next, next_size] = EntryAt(bundle, 10);
         bundle.replace(next, next_size, bundle.substr(at, size));
       },
       "tiles",
       {"leaf 10 is not in its place: what is there is leaf 9"}},
      {"a missing bundle",
       [](MemorySource& log) { log.files.erase("tile/entries/002"); },
       "tiles",
       {"tile tile/entries/002 is missing"}},
      {"a missing tile",
       [](MemorySource& log) { log.files.erase("tile/0/003"); },
       "tiles",
       {"tile tile/0/003 is missing"}},
      {"a missing last bundle",
       [](MemorySource& log) { log.files.erase("tile/entries/004.p/176"); },
       "tiles",
       {"tile tile/entries/004.p/176 is missing"}},
      {"a missing last tile, which the root needs",
       [](MemorySource& log) { log.files.erase("tile/0/004.p/176"); },
       "root",
       {"tile tile/0/004.p/176 is missing"}},
      {"a truncated tile",
       [](MemorySource& log) { FileOf(log, "tile/0/002").resize(8191); },
       "tiles",
       {"tile/0/002 has 8191 bytes and not 8192"}},
      {"a truncated bundle",
       [](MemorySource& log) { FileOf(log, "tile/entries/002").pop_back(); },
       "tiles",
       {"bundle tile/entries/002 was cut off"}},
      {"an altered tile",
       [](MemorySource& log) { FileOf(log, "tile/0/002")[32 * 5] ^= 1; },
       "tiles",
       {"tile tile/0/002 was altered: its hash number 5 is not that of leaf 517"}},
      {"an altered tile above",
       [](MemorySource& log) { FileOf(log, "tile/1/000.p/4")[32 * 2] ^= 1; },
       "tiles",
       {"tile tile/1/000.p/4 was altered"}},
      {"an altered leaf whose tile agrees with it",
       [](MemorySource& log) {
         std::string& bundle = FileOf(log, "tile/entries/001");
         const auto [at, size] = EntryAt(bundle, 3);
         bundle[at + 2 + 19] ^= 1;
         const audit::Hash hash = audit::LeafHash(bundle.substr(at + 2, size - 2));
         FileOf(log, "tile/0/001").replace(32 * 3, 32, std::string(hash.view()));
       },
       "tiles",
       {"leaves 256 to 511 and tile tile/0/001 were altered"}},
      {"tiles exchanged",
       [](MemorySource& log) {
         std::swap(FileOf(log, "tile/0/001"), FileOf(log, "tile/0/002"));
         std::swap(FileOf(log, "tile/entries/001"), FileOf(log, "tile/entries/002"));
       },
       "tiles",
       {"leaves 256 to 511 and tile tile/0/001 were altered"}},
      {"no checkpoint",
       [](MemorySource& log) { log.files.erase("checkpoint"); },
       "checkpoint",
       {"checkpoint is missing"}},
      {"a checkpoint that is none",
       [](MemorySource& log) { log.files["checkpoint"] = "hello\n"; },
       "checkpoint",
       {"the checkpoint is none"}},
      {"a size that nobody signed",
       [](MemorySource& log) {
         std::string& note = FileOf(log, "checkpoint");
         note.replace(note.find("\n1200\n"), 6, "\n1100\n");
       },
       "signature",
       {"signature"}},
      {"another key",
       [](MemorySource& log) {
         const auto head = audit::ParseCheckpoint(log.files["checkpoint"]).value();
         log.Sign(head.checkpoint, LogSigner('x'));
       },
       "signature",
       {"the head is not signed by coffer/0x1111", "somebody else signed it"}},
      {"a root of another tree",
       [](MemorySource& log) {
         audit::Checkpoint head = audit::ParseCheckpoint(log.files["checkpoint"])->checkpoint;
         head.root.bytes[0] ^= 1;
         log.Sign(head, LogSigner());
       },
       "root",
       {"do not make up the root that was signed for size 1200"}},
      {"a head beyond what is there",
       [](MemorySource& log) {
         audit::Checkpoint head = audit::ParseCheckpoint(log.files["checkpoint"])->checkpoint;
         head.size = 1300;
         log.Sign(head, LogSigner());
       },
       "tiles",
       {"is missing"}},
  };
}

TEST_F(VerifyLogTest, WhatAnOperatorDoesToFilesIsCaughtAndNamed) {
  std::vector<Leaf> story = HonestLeaves::Story(1200);
  story.resize(1200);
  const std::vector<std::string> entries = Encode(story);
  for (const Lie& lie : FileLies()) {
    SCOPED_TRACE(lie.name);
    source.Publish(entries, signer);
    lie.tell(source);
    ExpectFailed(lie.check, lie.says);
  }
}

TEST_F(VerifyLogTest, AnyByteChangedInAnyFileIsCaught) {
  std::mt19937_64 random(audit::TestSeed());
  std::vector<Leaf> story = HonestLeaves::Story(700);
  const auto witness = audit::SignerOf("w", audit::KeyType::kCosignatureV1, 'w');
  options.trust.policy =
      audit::QuorumPolicy::Parse(absl::StrCat("log ", signer.key().ToString(), "\nwitness w ",
                                              witness.key().ToString(), "\nquorum w\n"))
          .value();
  source.Publish(Encode(story), signer, {&witness});
  const auto honest = source.files;
  ASSERT_EQ(Verify().report.ExitCode(), kVerified) << Show(Verify().report);
  std::vector<std::string> paths;
  for (const auto& [path, content] : honest) paths.push_back(path);
  for (int i = 0; i < 300; ++i) {
    // The checkpoint is small, so it gets its share.
    const std::string path = i % 4 == 0 ? "checkpoint" : paths[random() % paths.size()];
    source.files = honest;
    std::string& content = source.files[path];
    const size_t at = random() % content.size();
    switch (random() % 3) {
      case 0:
        content[at] = static_cast<char>(content[at] ^ (1 + random() % 255));
        break;
      case 1:
        content.erase(at, 1);
        break;
      default:
        content.insert(at, 1, static_cast<char>(random()));
    }
    if (content == honest.at(path)) continue;
    const LogVerdict verdict = Verify();
    EXPECT_EQ(verdict.report.ExitCode(), kNotVerified) << path << " at " << at << "\n"
                                                       << Show(verdict.report);
  }
}

// ---- histories

TEST_F(VerifyLogTest, ALogThatGrowsIsHeldAgainstWhatWasSeen) {
  const std::vector<std::string> entries = Encode(HonestLeaves::Story(3000));
  options.full = false;
  for (const size_t size : {1u, 200u, 256u, 300u, 512u, 700u, 2999u}) {
    source.Publish({entries.begin(), entries.begin() + static_cast<long>(size)}, signer);
    const LogVerdict verdict = Verify();
    EXPECT_EQ(verdict.report.ExitCode(), kVerified) << size << "\n" << Show(verdict.report);
    const Check* check = verdict.report.Find("consistency");
    EXPECT_EQ(check->outcome, size == 1 ? Outcome::kSkipped : Outcome::kPassed);
  }
  EXPECT_THAT(Verify().report.Find("consistency")->sentence, HasSubstr("the one that was seen"));
}

struct HistoryTest : VerifyLogTest {
  // Sees the honest log of 900 leaves first.
  void See() {
    leaves = HonestLeaves::Story(2000);
    leaves.resize(2000);
    source.Publish(Encode(First(900)), signer);
    ASSERT_EQ(Verify().report.ExitCode(), kVerified);
    state = ReadWholeFile(folder / "seen", 100'000).value();
  }
  std::vector<Leaf> First(size_t count) const {
    return {leaves.begin(), leaves.begin() + static_cast<long>(count)};
  }
  // The evidence that a sentence names has both heads in it, and the memory is as it was.
  void ExpectEvidence() {
    const std::string sentence = Verify().report.Find("consistency")->sentence;
    const size_t at = sentence.find("both signed heads are in ");
    ASSERT_NE(at, std::string::npos) << sentence;
    const std::string path = sentence.substr(at + 25);
    const std::string evidence = ReadWholeFile(path, 100'000).value();
    EXPECT_THAT(evidence, HasSubstr(source.files["checkpoint"]));
    EXPECT_THAT(evidence, HasSubstr(state.substr(state.find("\n\n") + 2)));
    EXPECT_EQ(ReadWholeFile(folder / "seen", 100'000).value(), state);
  }
  std::vector<Leaf> leaves;
  std::string state;
};

TEST_F(HistoryTest, ALogThatWasCutBack) {
  See();
  source.Publish(Encode(First(700)), signer);
  ExpectFailed("consistency", {"the log was cut back from 900 to 700 leaves"});
  ExpectEvidence();
}

TEST_F(HistoryTest, TwoTreesOfOneSize) {
  See();
  std::vector<Leaf> other = First(900);
  other[500].claimed_time += 1;
  source.Publish(Encode(other), signer);
  ExpectFailed("consistency", {"two histories", "two different trees of size 900"});
  ExpectEvidence();
}

TEST_F(HistoryTest, AnotherPastOfALargerTree) {
  See();
  std::vector<Leaf> other = First(1500);
  other[500].claimed_time += 1;
  source.Publish(Encode(other), signer);
  for (const bool full : {false, true}) {
    options.full = full;
    ExpectFailed("consistency", {"two histories: the first 900 leaves"});
    ExpectEvidence();
  }
}

TEST_F(HistoryTest, AMissingTileIsNoProofOfAnotherHistory) {
  See();
  source.Publish(Encode(First(1500)), signer);
  source.files.erase("tile/0/003");
  options.full = false;
  ExpectFailed("consistency", {"tile tile/0/003 is missing"});
}

TEST_F(HistoryTest, AStateFileOfAnotherLog) {
  See();
  const auto other = audit::SignerOf("coffer/0x2222222222222222222222222222222222222222",
                                     audit::KeyType::kEd25519, 'k');
  options.trust.key = other.key();
  source.Publish(Encode(First(1500)), other);
  ExpectFailed("consistency", {"what was seen before is of the log coffer/0x1111"});
}

TEST_F(HistoryTest, ADamagedStateFileIsNotOverwritten) {
  See();
  std::ofstream(folder / "seen") << "coffer-seen-log v1\nkey what\n";
  const LogVerdict verdict = Verify();
  EXPECT_EQ(verdict.report.ExitCode(), kCouldNotTell);
  EXPECT_THAT(verdict.report.Find("consistency")->sentence, HasSubstr("put the file aside"));
  EXPECT_EQ(ReadWholeFile(folder / "seen", 1000).value(), "coffer-seen-log v1\nkey what\n");
}

// ---- trust

TEST_F(VerifyLogTest, TheFirstKeyIsTrustedOnceAndThenHeld) {
  source.Publish(Encode(HonestLeaves::Story(30)), signer);
  options.trust.key.reset();
  LogVerdict verdict = Verify();
  EXPECT_EQ(verdict.report.ExitCode(), kCouldNotTell);
  EXPECT_THAT(verdict.report.Find("signature")->sentence, HasSubstr("give --key or --policy"));
  options.trust.ask_key = [&] { return signer.key().ToString(); };
  verdict = Verify();
  EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  EXPECT_THAT(verdict.report.Find("signature")->sentence, HasSubstr("TRUSTED ON FIRST USE"));
  // From now on the operator's word changes nothing.
  const auto thief = LogSigner('x');
  options.trust.ask_key = [&] { return thief.key().ToString(); };
  EXPECT_EQ(Verify().report.ExitCode(), kVerified);
  source.Publish(Encode(HonestLeaves::Story(40)), thief);
  ExpectFailed("signature", {});
}

TEST_F(VerifyLogTest, TheNameIsThatOfTheAddress) {
  source.Publish(Encode(HonestLeaves::Story(30)), signer);
  options.address = ethereum::Address::FromHex(kSigner).value();
  EXPECT_EQ(Verify().report.Find("address")->outcome, Outcome::kPassed);
  options.address->bytes[3] ^= 1;
  ExpectFailed("address", {"it is another signer's"});
}

TEST_F(VerifyLogTest, WitnessesMustHaveCosigned) {
  const auto one = audit::SignerOf("w1", audit::KeyType::kCosignatureV1, '1');
  const auto two = audit::SignerOf("w2", audit::KeyType::kCosignatureV1, '2');
  options.trust.key.reset();
  options.trust.policy =
      audit::QuorumPolicy::Parse(absl::StrCat("log ", signer.key().ToString(), "\nwitness a ",
                                              one.key().ToString(), "\nwitness b ",
                                              two.key().ToString(), "\ngroup both all a b\n",
                                              "quorum both\n"))
          .value();
  source.Publish(Encode(HonestLeaves::Story(30)), signer, {&one, &two});
  EXPECT_EQ(Verify().report.ExitCode(), kVerified) << Show(Verify().report);
  source.Publish(Encode(HonestLeaves::Story(30)), signer, {&one});
  ExpectFailed("witnesses", {});
}

// ---- what could not be asked

TEST_F(VerifyLogTest, ASourceOutOfReachIsNoVerdict) {
  source.Publish(Encode(HonestLeaves::Story(1000)), signer);
  for (const char* path : {"checkpoint", "tile/0/001", "tile/entries/002", "tile/1/000.p/3"}) {
    source.broken = {{path, absl::UnavailableError("the cable is cut")}};
    const LogVerdict verdict = Verify();
    EXPECT_EQ(verdict.report.ExitCode(), kCouldNotTell) << path << "\n" << Show(verdict.report);
  }
  source.broken.clear();
  EXPECT_EQ(Verify().report.ExitCode(), kVerified);
}

TEST_F(VerifyLogTest, TheRegistryIsHeldAgainstTheLog) {
  std::vector<Leaf> story = HonestLeaves::Story(1000);
  story.resize(1000);
  const std::vector<std::string> entries = Encode(story);
  source.Publish({entries.begin(), entries.begin() + 600}, signer);
  const audit::Checkpoint early = audit::ParseCheckpoint(source.files["checkpoint"])->checkpoint;
  source.Publish(entries, signer);
  absl::StatusOr<AnchoredHead> head = AnchoredHead{early.size, early.root};
  options.registry = [&] { return head; };
  EXPECT_EQ(Verify().report.Find("registry")->outcome, Outcome::kPassed);
  head->root.bytes[5] ^= 1;
  ExpectFailed("registry", {"two histories", "the first 600 leaves"});
  head->size = 1001;
  EXPECT_THAT(Verify().report.Find("registry")->sentence,
              HasSubstr("the chain has a head of 1001 leaves, but this log shows only 1000"));
  head = AnchoredHead{600, early.root, true};
  ExpectFailed("registry", {"two roots for one size"});
  head = AnchoredHead{};
  EXPECT_EQ(Verify().report.Find("registry")->outcome, Outcome::kUnknown);
  head = absl::UnavailableError("no node");
  EXPECT_EQ(Verify().report.ExitCode(), kCouldNotTell);
}

TEST_F(VerifyLogTest, ClaimedBalancesAreComparedToTheWei) {
  HonestLeaves log;
  log.Open("alice");
  log.Open("bob");
  log.Credit("alice", "e1", 70);
  log.Reserve("alice", 1, 0, 30);
  source.Publish(Encode(log.leaves), signer);
  options.account = Claim{.account = "alice", .owed = 70};
  LogVerdict verdict = Verify();
  EXPECT_EQ(verdict.report.ExitCode(), kVerified) << Show(verdict.report);
  EXPECT_THAT(verdict.report.Find("claims")->sentence,
              HasSubstr("alice is owed 70 wei: 40 available, 30 reserved; 0 paid"));
  options.account->owed = 71;
  ExpectFailed("claims", {"claimed to have 71 wei owed, but the leaves add up to 70"});
  options.account = Claim{.account = "carol"};
  ExpectFailed("claims", {"the account carol is in no leaf"});
  options.account.reset();
  std::vector<Claim> claims = {{.account = "alice", .available = 40, .reserved = 30, .paid = 0},
                               {.account = "bob", .available = 0}};
  options.claims = [&] { return claims; };
  EXPECT_EQ(Verify().report.ExitCode(), kVerified);
  claims[1].available = 1;
  ExpectFailed("claims", {"bob is claimed to have 1 wei available"});
  claims.pop_back();
  ExpectFailed("claims", {"the account bob is in the log with 0 wei owed"});
}

}  // namespace
}  // namespace coffer::tools
