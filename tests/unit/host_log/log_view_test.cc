// What a reader of the log's folder is told, and what it is told when files are not what was
// signed.
#include "actors/host/log/log_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "actors/host/log/leaf_json.h"
#include "enclave_core/audit/receipt.h"
#include "tests/unit/host_log/reader_support.h"

namespace coffer::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class LogViewTest : public ::testing::Test {
 protected:
  void Publish(uint64_t size) {
    log_.Publish(size);
    Index();
  }
  // Until nothing is left to be indexed.
  void Index() {
    auto head = files_.Published();
    ASSERT_TRUE(head.ok()) << head.status();
    const LogTree tree(&files_, *head);
    while (indexer_.Step(tree, 512, now_ += absl::Seconds(2)) > 0) {
    }
  }
  LogView view() { return LogView(&files_, &indexer_, &failures_); }
  absl::StatusCode CodeOf(const LeafName& name) { return view().Prove(name).status().code(); }

  TestLog log_;
  LogFolder files_{log_.folder()};
  LogIndexer indexer_{{}, log_.index_path()};
  std::atomic<uint64_t> failures_{0};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(LogViewTest, WithoutALogNothingIsPublished) {
  EXPECT_EQ(view().Published().status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CodeOf(LeafIndex{0}), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view().Tile({.index = 0}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view().Page({}).status().code(), absl::StatusCode::kOutOfRange);
  log_.PublishNote(TestLog::NoteOf({kTestOrigin, 0, audit::EmptyRoot(), {}}));
  EXPECT_EQ(view().Page({})->total, 0u);
  EXPECT_TRUE(view().Consistency(0, 0)->empty());
  EXPECT_EQ(CodeOf(LeafIndex{0}), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CodeOf(EventName{"ev-1"}), absl::StatusCode::kNotFound);
  log_.PublishNote("not a note");
  EXPECT_EQ(view().Published().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(failures_, 1u);
}

TEST_F(LogViewTest, EveryProofAndConsistencyAtTheSizesWhereTilesTurnOver) {
  std::map<uint64_t, audit::Hash> roots;
  for (const uint64_t size : {1, 2, 255, 256, 257, 511, 700, 65'535, 65'536, 65'537, 66'000}) {
    Publish(size);
    roots[size] = log_.Root();
    for (const uint64_t index : {uint64_t{0}, size / 2, size - 1}) {
      const auto proven = view().Prove(LeafIndex{index});
      ASSERT_TRUE(proven.ok()) << size << " " << index << " " << proven.status();
      EXPECT_EQ(proven->leaf.leaf, TestLeaf(index));
      EXPECT_TRUE(audit::VerifyInclusion(index, size, audit::LeafHash(proven->leaf.bytes),
                                         proven->proof, roots[size])
                      .ok());
    }
    for (const auto& [first, root] : roots) {
      const auto proof = view().Consistency(first, size);
      ASSERT_TRUE(proof.ok()) << first << " " << size << " " << proof.status();
      EXPECT_TRUE(audit::VerifyConsistency(first, size, root, roots[size], *proof).ok());
    }
    EXPECT_EQ(CodeOf(LeafIndex{size}), absl::StatusCode::kOutOfRange);
  }
  // Between two older sizes.
  const auto proof = view().Consistency(257, 65'535);
  ASSERT_TRUE(proof.ok());
  EXPECT_TRUE(audit::VerifyConsistency(257, 65'535, roots[257], roots[65'535], *proof).ok());
  EXPECT_TRUE(view().Consistency(0, 700)->empty());
  EXPECT_EQ(view().Consistency(700, 257).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(view().Consistency(1, 66'001).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(failures_, 0u);
}

TEST_F(LogViewTest, TilesAreServedForPublishedSizesOnly) {
  log_.Publish(70'000);
  const auto tiles = audit::ChangedTiles(0, 70'000);
  ASSERT_TRUE(tiles.ok());
  for (const audit::TileRef& tile : *tiles) {
    const auto content = view().Tile(tile);
    ASSERT_TRUE(content.ok()) << content.status();
    EXPECT_EQ(*content, ReadFile(log_.folder() + "/" + audit::TilePath(tile)));
  }
  log_.Grow(70'400);  // written, not published
  EXPECT_TRUE(log_.Has("tile/0/273"));
  EXPECT_EQ(view().Tile({.index = 273}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view().Tile({.index = 273, .width = 113}).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(view().Tile({.level = 63, .index = 1}).status().code(), absl::StatusCode::kOutOfRange);
  // The partial ones may be gone once there are wider ones: what they held is still served.
  const std::string partial = *view().Tile({.index = 273, .width = 112});
  const std::string bundle = *view().Tile({.entries = true, .index = 273, .width = 112});
  log_.Remove("tile/0/273.p/112");
  log_.Remove("tile/entries/273.p/112");
  EXPECT_EQ(*view().Tile({.index = 273, .width = 112}), partial);
  EXPECT_EQ(*view().Tile({.entries = true, .index = 273, .width = 112}), bundle);
  EXPECT_EQ(view().Tile({.index = 273, .width = 3})->size(), 96u);
  // A wider partial one will do as well.
  EXPECT_EQ(view().Tile({.level = 1, .index = 1, .width = 16})->size(), 16u * 32);
  EXPECT_EQ(failures_, 0u);
}

TEST_F(LogViewTest, LeavesAreFoundByEventPayoutAndAccount) {
  Publish(1000);
  for (const uint64_t index : {1, 256, 999}) {
    if (index % 10 == 0) continue;
    EXPECT_EQ(view().Leaf(EventName{absl::StrCat("ev-", index)})->index, index);
  }
  const auto payout = view().Prove(PayoutName{7});
  ASSERT_TRUE(payout.ok()) << payout.status();
  EXPECT_EQ(payout->leaf.index, 150u);
  EXPECT_THAT(payout->leaves, ElementsAre(140, 150));
  EXPECT_EQ(CodeOf(EventName{"ev-1000"}), absl::StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(EventName{"EV-1"}), absl::StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(PayoutName{5000}), absl::StatusCode::kNotFound);

  const auto first = view().Page({.offset = 0, .limit = 3, .account = "orch-3"});
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_THAT(first->leaves, SizeIs(3));
  EXPECT_EQ(first->leaves[0].index, 3u);
  EXPECT_EQ(first->leaves[1].index, 17u) << "10 is a payout";
  uint64_t all = 0;
  for (uint64_t i = 1; i < 1000; ++i) all += i % 10 != 0 && i % 7 == 3 ? 1 : 0;
  EXPECT_EQ(first->total, all);
  const auto newest =
      view().Page({.offset = 1, .limit = 2, .newest_first = true, .account = "orch-3"});
  ASSERT_THAT(newest->leaves, SizeIs(2));
  EXPECT_EQ(newest->leaves[0].index, 983u) << "997, then 990 is a payout";
  EXPECT_GT(newest->leaves[0].index, newest->leaves[1].index);
  EXPECT_THAT(view().Page({.offset = all, .account = "orch-3"})->leaves, SizeIs(0));
  EXPECT_EQ(view().Page({.account = "nobody"})->total, 0u);
}

TEST_F(LogViewTest, PagesOfAllLeaves) {
  Publish(600);
  struct Case {
    LeafQuery query;
    std::vector<uint64_t> indexes;
  };
  const Case cases[] = {
      {{.offset = 0, .limit = 2}, {0, 1}},
      {{.offset = 255, .limit = 3}, {255, 256, 257}},
      {{.offset = 598, .limit = 10}, {598, 599}},
      {{.offset = 600, .limit = 10}, {}},
      {{.offset = UINT64_MAX, .limit = 10}, {}},
      {{.offset = 0, .limit = 2, .newest_first = true}, {599, 598}},
      {{.offset = 598, .limit = 9, .newest_first = true}, {1, 0}},
  };
  for (const Case& c : cases) {
    const auto page = view().Page(c.query);
    ASSERT_TRUE(page.ok()) << page.status();
    std::vector<uint64_t> indexes;
    for (const LogLeaf& leaf : page->leaves) indexes.push_back(leaf.index);
    EXPECT_EQ(indexes, c.indexes) << c.query.offset;
    EXPECT_EQ(page->total, 600u);
  }
  EXPECT_THAT(view().Page({.limit = 1000})->leaves, SizeIs(600));
  for (const LeafQuery& bad : {LeafQuery{.limit = 0}, LeafQuery{.limit = 1001},
                               LeafQuery{.limit = 201, .account = "orch-1"}}) {
    EXPECT_EQ(view().Page(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(LogViewTest, AReceiptIsOneThatStandsAlone) {
  Publish(300);
  const auto proven = view().Prove(EventName{"ev-123"});
  ASSERT_TRUE(proven.ok());
  const auto text = FormatLogReceipt(*proven, "sha256:00");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto policy = audit::QuorumPolicy::Parse(
      absl::StrCat("log ", TestLogKey().key().ToString(), "\nquorum none\n"));
  ASSERT_TRUE(policy.ok()) << policy.status();
  const audit::ReceiptReport report =
      audit::VerifyReceipt(audit::ParseReceipt(*text).value(), *policy);
  EXPECT_TRUE(report.valid);
  EXPECT_EQ(report.leaf->event_id, "ev-123");
}

TEST_F(LogViewTest, AlteredOrLostFilesAreNeverAWrongProof) {
  struct Case {
    const char* what;
    std::function<void(TestLog&)> damage;
  };
  const Case cases[] = {
      {"a leaf hash", [](TestLog& log) { log.Alter("tile/0/000", 5 * 32); }},
      {"another leaf's hash", [](TestLog& log) { log.Alter("tile/0/000", 200 * 32); }},
      {"a hash above", [](TestLog& log) { log.Alter("tile/1/000.p/2", 40); }},
      {"the partial tile", [](TestLog& log) { log.Alter("tile/0/002.p/188", 187 * 32 + 31); }},
      {"the leaf", [](TestLog& log) { log.Alter("tile/entries/000", 2 + 4); }},
      {"a length", [](TestLog& log) { log.Alter("tile/entries/000", 1); }},
      {"a tile is lost", [](TestLog& log) { log.Remove("tile/0/000"); }},
      {"a tile above is lost", [](TestLog& log) { log.Remove("tile/1/000.p/2"); }},
      {"the partial tile is lost", [](TestLog& log) { log.Remove("tile/0/002.p/188"); }},
      {"the bundle is lost", [](TestLog& log) { log.Remove("tile/entries/000"); }},
      {"a tile is cut short", [](TestLog& log) { log.Put("tile/0/000", std::string(8191, 'x')); }},
      {"a tile is too long", [](TestLog& log) { log.Put("tile/0/000", std::string(1u << 20, 0)); }},
      {"a tile is empty", [](TestLog& log) { log.Put("tile/0/000", ""); }},
  };
  for (const Case& c : cases) {
    TestLog log;
    log.Publish(700);
    LogFolder files(log.folder());
    LogIndexer indexer({}, log.index_path());
    std::atomic<uint64_t> failures{0};
    LogView damaged(&files, &indexer, &failures);
    ASSERT_TRUE(damaged.Prove(LeafIndex{0}).ok());
    c.damage(log);
    const auto proven = damaged.Prove(LeafIndex{0});
    EXPECT_EQ(proven.status().code(), absl::StatusCode::kDataLoss) << c.what;
    EXPECT_THAT(std::string(proven.status().message()), HasSubstr("altered or lost")) << c.what;
    EXPECT_EQ(failures, 1u) << c.what;
  }
}

TEST_F(LogViewTest, ConsistencyNoticesAlteredTilesToo) {
  log_.Publish(700);
  for (const auto& [first, second] :
       {std::pair<uint64_t, uint64_t>{300, 700}, {100, 300}, {1, 699}, {699, 700}}) {
    ASSERT_TRUE(view().Consistency(first, second).ok());
  }
  log_.Alter("tile/0/001", 3 * 32);
  uint64_t expected = 0;
  for (const auto& [first, second] : {std::pair<uint64_t, uint64_t>{300, 700}, {100, 300}}) {
    EXPECT_EQ(view().Consistency(first, second).status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(failures_, ++expected);
  }
}

TEST_F(LogViewTest, LeafJsonHasTheFieldsThatTheLeafHas) {
  audit::Leaf leaf = TestLeaf(17);
  leaf.balances->delta = -5;
  leaf.kind = audit::LeafKind::kAdjustDown;
  std::string bytes;
  ASSERT_TRUE(audit::AppendLeaf(leaf, &bytes).ok());
  const Json::Value json = LeafJson(leaf, bytes);
  EXPECT_EQ(json["schema"].asString(), "coffer-audit:leaf:v1");
  EXPECT_EQ(json["seq"].asUInt64(), 18u);
  EXPECT_EQ(json["leaf_index"].asUInt64(), 17u);
  EXPECT_EQ(json["timestamp"].asString(), "2023-11-14T22:13:20.017Z");
  EXPECT_EQ(json["kind"].asString(), "adjust_down");
  EXPECT_EQ(json["event_id"].asString(), "ev-17");
  EXPECT_EQ(json["orchestrator_id"].asString(), "orch-3");
  EXPECT_EQ(json["recipient"].asString(), "0x0000000000000000000000000000000000000000");
  EXPECT_EQ(json["delta_wei"].asString(), "-5");
  EXPECT_EQ(json["balance_wei"].asString(), "170");
  EXPECT_EQ(json["reserved_wei"].asString(), "2");
  EXPECT_EQ(json["paid_wei"].asString(), "3");
  EXPECT_EQ(json["leaf"].asString(), ethereum::ToHex(bytes));
  EXPECT_EQ(json["entry_hash"].asString(), audit::LeafHash(bytes).ToHex());
  for (const char* absent :
       {"payout_id", "item", "amount_wei", "tx_hash", "hosts_word", "digest"}) {
    EXPECT_FALSE(json.isMember(absent)) << absent;
  }
  leaf.account = "\xff\x01";
  EXPECT_EQ(LeafJson(leaf, bytes)["orchestrator_id_hex"].asString(), "0xff01");
  EXPECT_EQ(Rfc3339(UINT64_MAX), "");
  EXPECT_EQ(Rfc3339(253'402'300'799'999), "9999-12-31T23:59:59.999Z");
}

// ---- the index

TEST_F(LogViewTest, AnIndexThatIsBehindSaysHowFarItIs) {
  log_.Publish(2000);
  const LogTree tree(&files_, *files_.Published());
  EXPECT_EQ(indexer_.Step(tree, 512, now_), 512u);
  EXPECT_EQ(view().Leaf(EventName{"ev-511"})->index, 511u);
  const auto later = view().Leaf(EventName{"ev-1999"});
  EXPECT_EQ(later.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(later.status().message()), HasSubstr("first 512 leaves"));
  EXPECT_EQ(view().Page({.account = "orch-3"})->indexed, 512u);
  Index();
  EXPECT_EQ(view().Leaf(EventName{"ev-1999"})->index, 1999u);
}

TEST_F(LogViewTest, OnlyOneMayHaveTheIndexOpen) {
  Publish(1000);
  LogIndexer again({}, log_.index_path());
  EXPECT_EQ(again.Step(LogTree(&files_, *files_.Published()), 512, now_), 0u);
  EXPECT_THAT(again.trouble(), HasSubstr("locked"));
}

class LogIndexFileTest : public ::testing::Test {
 protected:
  // Opens the index, lets it catch up, and says how many leaves it had to add.
  uint64_t CatchUp() {
    LogIndexer indexer({}, log_.index_path());
    const LogTree tree(&files_, *files_.Published());
    uint64_t added = 0;
    for (int idle = 0; idle < 2;) {  // a step without work may have begun anew
      const uint64_t step = indexer.Step(tree, 512, now_ += absl::Seconds(20));
      added += step;
      idle = step == 0 ? idle + 1 : 0;
    }
    EXPECT_EQ(indexer.size(), tree.size()) << indexer.trouble();
    rebuilds_ = indexer.rebuilds();
    std::atomic<uint64_t> failures{0};
    LogView view(&files_, &indexer, &failures);
    EXPECT_EQ(view.Leaf(EventName{"ev-1"})->index, 1u);
    EXPECT_EQ(view.Leaf(EventName{"ev-999"})->index, 999u);
    EXPECT_EQ(view.Page({.account = "orch-3"})->total, 128u);
    return added;
  }

  TestLog log_;
  LogFolder files_{log_.folder()};
  absl::Time now_ = absl::UnixEpoch();
  uint64_t rebuilds_ = 0;
};

TEST_F(LogIndexFileTest, IsMarkedWhileItIsInUse) {
  const auto open = [&](const std::string& boot) {
    return LogIndex::Open(log_.index_path(), boot).value();
  };
  const auto add = [](LogIndex& index) {
    EXPECT_TRUE(index.Add(TestLeaf(index.size())).ok());
    EXPECT_TRUE(index.Commit("log+00000000", audit::Hash()).ok());
  };
  std::filesystem::create_directories(log_.folder());
  add(*open("one"));
  EXPECT_EQ(open("two")->committed().size, 1u) << "it was closed";
  // As after a crash: the process is gone, and its files are as they were.
  const auto copy = [&](const std::string& boot) {
    const std::unique_ptr<LogIndex> index = open("two");
    add(*index);
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(log_.index_path() + suffix, log_.folder() + "/copy" + suffix,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    return LogIndex::Open(log_.folder() + "/copy", boot).value()->committed().size;
  };
  EXPECT_EQ(copy("two"), 2u) << "the machine did not stop";
  EXPECT_EQ(copy("three"), 0u) << "it may be torn";
}

TEST_F(LogIndexFileTest, KeepsItsPosition) {
  log_.Publish(1000);
  EXPECT_EQ(CatchUp(), 1000u);
  EXPECT_EQ(CatchUp(), 0u);
  log_.Publish(1003);
  EXPECT_EQ(CatchUp(), 3u);
  EXPECT_EQ(rebuilds_, 0u);
}

TEST_F(LogIndexFileTest, IsMadeAgainWhenItIsDamagedOrNotOfThisLog) {
  log_.Publish(1003);
  CatchUp();
  const std::string whole = ReadFile(log_.index_path());
  ASSERT_GT(whole.size(), 16'384u);
  const auto sql = [&](const std::string& text) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(log_.index_path().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  };
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"noise", [&] { std::ofstream(log_.index_path()) << std::string(20'000, 'x'); }},
      {"cut", [&] { std::filesystem::resize_file(log_.index_path(), 5000); }},
      {"another root", [&] { sql("UPDATE position SET root=zeroblob(32)"); }},
      {"torn", [&] { sql("UPDATE mark SET boot='another boot'"); }},
      {"no root", [&] { sql("UPDATE position SET root=zeroblob(31)"); }},
      {"another log", [&] { sql("UPDATE position SET log='other+00000000'"); }},
      {"a longer log", [&] { sql("UPDATE position SET size=5000"); }},
      {"another version", [&] { sql("PRAGMA user_version=2"); }},
      {"no table", [&] { sql("DROP TABLE list"); }},
      {"another program's", [&] { sql("PRAGMA application_id=7"); }},
  };
  for (const auto& [what, damage] : cases) {
    damage();
    EXPECT_EQ(CatchUp(), 1003u) << what;
    EXPECT_EQ(CatchUp(), 0u) << what;
  }
}

TEST_F(LogIndexFileTest, PagesDamagedUnderneathAreNoticedWhenTheyAreRead) {
  log_.Publish(1003);
  CatchUp();
  std::string content = ReadFile(log_.index_path());
  for (size_t at = 4 * 4096; at < content.size(); ++at) content[at] = '\x7f';
  std::ofstream(log_.index_path(), std::ios::binary) << content;
  LogIndexer indexer({}, log_.index_path());
  std::atomic<uint64_t> failures{0};
  LogView view(&files_, &indexer, &failures);
  const LogTree tree(&files_, *files_.Published());
  for (int i = 0; i < 10; ++i) {
    indexer.Step(tree, 512, now_ += absl::Seconds(20));
    (void)view.Leaf(EventName{"ev-999"});
    (void)view.Page({.account = "orch-3"});
  }
  EXPECT_GE(indexer.rebuilds(), 1u);
  EXPECT_EQ(view.Leaf(EventName{"ev-999"})->index, 999u);
  EXPECT_EQ(view.Page({.account = "orch-3"})->total, 128u);
  EXPECT_EQ(failures, 0u);
}

TEST_F(LogIndexFileTest, DamagedTilesStopItWithoutLosingWhatItHas) {
  log_.Publish(1000);
  EXPECT_EQ(CatchUp(), 1000u);
  log_.Publish(1003);
  const std::string bundle = "tile/entries/003.p/235";
  const size_t last = ReadFile(log_.folder() + "/" + bundle).size() - 1;
  log_.Alter(bundle, last);
  LogIndexer indexer({}, log_.index_path());
  const LogTree tree(&files_, *files_.Published());
  EXPECT_EQ(indexer.Step(tree, 512, now_ += absl::Seconds(20)), 0u);
  EXPECT_THAT(indexer.trouble(), HasSubstr("altered or lost"));
  EXPECT_EQ(indexer.size(), 1000u);
  EXPECT_EQ(indexer.rebuilds(), 0u);
  log_.Alter(bundle, last);
  EXPECT_EQ(indexer.Step(tree, 512, now_ += absl::Seconds(20)), 3u);
  EXPECT_EQ(indexer.trouble(), "");
}

}  // namespace
}  // namespace coffer::host
