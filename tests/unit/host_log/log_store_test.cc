// The log's files: the bytes that they must have, what is refused, and what a crash leaves.
#include "actors/host/log/log_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "actors/host/log/log_adoption.h"
#include "tests/support/faulty_log_files.h"
#include "tests/unit/host_log/support.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

std::unique_ptr<LogStore> MustOpen(LogFiles& files) {
  auto store = LogStore::Open(&files);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Cuts and publishes with the right root.
void MustPublish(LogStore& store, uint64_t size) {
  const audit::Hash root = RootOf(size);
  ASSERT_TRUE(store.Cut(size, root).ok()) << size;
  ASSERT_TRUE(store.Publish(size, NoteOf(size, root)).ok()) << size;
}

TEST(DurableMarkTest, OneFormAndNoOther) {
  const DurableMark mark{1234, audit::Sha256("root")};
  const std::string text = FormatDurableMark(mark);
  ASSERT_TRUE(ParseDurableMark(text).ok()) << text;
  EXPECT_EQ(ParseDurableMark(text)->size, 1234u);
  EXPECT_EQ(ParseDurableMark(text)->root, mark.root);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(ParseDurableMark(changed).ok()) << i;
    EXPECT_FALSE(ParseDurableMark(text.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(ParseDurableMark(text + "\n").ok());
}

TEST(LogStoreTest, TheFilesOfEverySizeAreThoseOfAWriterInOneGo) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  uint64_t at = 0;
  for (const uint64_t size : {1u, 2u, 255u, 256u, 257u, 1000u, 65'536u, 65'537u, 66'000u}) {
    ASSERT_TRUE(store->Append(size, Leaves(at, size)).ok());
    at = size;
    MustPublish(*store, size);
    ExpectHolds(files.All(), Reference(size));
    EXPECT_EQ(files.All().at("checkpoint"), NoteOf(size, RootOf(size)));
  }
  EXPECT_EQ(store->Root(), RootOf(66'000));
}

TEST(LogStoreTest, WhatIsThereIsPassedOverAndAGapIsRefused) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  ASSERT_TRUE(store->Append(10, Leaves(0, 10)).ok());
  ASSERT_TRUE(store->Append(10, Leaves(0, 10)).ok());
  ASSERT_TRUE(store->Append(4, Leaves(2, 4)).ok());
  ASSERT_TRUE(store->Append(12, Leaves(8, 12)).ok()) << "the last two are new";
  EXPECT_EQ(store->size(), 12u);
  EXPECT_EQ(store->Root(), RootOf(12));
  const absl::Status gap = store->Append(20, Leaves(13, 20));
  EXPECT_TRUE(absl::IsFailedPrecondition(gap));
  EXPECT_THAT(Message(gap), HasSubstr("ends at leaf 12"));
  EXPECT_THAT(Message(gap), HasSubstr("at leaf 13"));
  for (const std::string& bad : {std::string("\0", 1),
                                 std::string("\0\x05"
                                             "abc",
                                             5),
                                 Leaves(12, 14) + "x"}) {
    EXPECT_TRUE(absl::IsDataLoss(store->Append(14, bad)));
  }
  EXPECT_TRUE(absl::IsDataLoss(store->Append(1, Leaves(0, 2)))) << "more leaves than the size";
  EXPECT_TRUE(absl::IsDataLoss(store->Append(~uint64_t{0}, Leaves(0, 2))));
  EXPECT_EQ(store->size(), 12u);
}

TEST(LogStoreTest, ASmallerSizeIsCutFromOpenAndFullTiles) {
  for (const uint64_t size : {1u, 5u, 255u, 256u, 300u, 511u, 512u, 700u}) {
    FaultyLogFiles files;
    auto store = MustOpen(files);
    ASSERT_TRUE(store->Append(700, Leaves(0, 700)).ok());
    ASSERT_TRUE(store->Cut(size, RootOf(size)).ok()) << size;
    ExpectHolds(files.All(), Reference(size));
  }
}

TEST(LogStoreTest, AnotherRootIsNoticedAndNothingIsPublished) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  ASSERT_TRUE(store->Append(600, Leaves(0, 600)).ok());
  for (const uint64_t size : {600u, 599u, 256u, 1u}) {
    const absl::Status status = store->Cut(size, RootOf(size + 1));
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(Message(status), HasSubstr("not the one that the enclave signed"));
  }
  EXPECT_TRUE(absl::IsUnavailable(store->Cut(601, RootOf(601))));
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Publish(600, "note"))) << "not cut";
  MustPublish(*store, 300);
  ASSERT_TRUE(store->Cut(200, RootOf(200)).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Publish(200, "note"))) << "smaller than before";
}

TEST(LogStoreTest, AnAlteredOrLostFullTileIsNoticedWhenItIsCut) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  ASSERT_TRUE(store->Append(700, Leaves(0, 700)).ok());
  std::string tile = files.All().at("tile/0/000");
  tile[40] ^= 1;
  files.Put("tile/0/000", tile);
  EXPECT_TRUE(absl::IsDataLoss(store->Cut(200, RootOf(200))));
  files.Put("tile/0/000", std::nullopt);
  const absl::Status status = store->Cut(200, RootOf(200));
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(Message(status), HasSubstr("tile/0/000"));
}

TEST(LogStoreTest, PartialTilesGoOnceTheFullOneIsDurableAndALargerSizePublished) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  const auto there = [&](const std::string& path) { return files.All().count(path) == 1; };
  ASSERT_TRUE(store->Append(200, Leaves(0, 200)).ok());
  MustPublish(*store, 200);
  EXPECT_TRUE(there("tile/0/000.p/200"));
  ASSERT_TRUE(store->Append(300, Leaves(200, 300)).ok());
  MustPublish(*store, 255);
  ASSERT_TRUE(store->Sync().ok());
  EXPECT_TRUE(there("tile/0/000.p/255")) << "readers of size 255 may not have it yet";
  EXPECT_TRUE(there("tile/0/000.p/200"));
  MustPublish(*store, 300);
  EXPECT_FALSE(there("tile/0/000.p/200"));
  EXPECT_FALSE(there("tile/entries/000.p/255"));
  EXPECT_TRUE(there("tile/0/001.p/44"));
  ASSERT_TRUE(store->Append(600, Leaves(300, 600)).ok());
  MustPublish(*store, 600);
  EXPECT_TRUE(there("tile/0/001.p/44")) << "tile/0/001 is not durable yet";
  ASSERT_TRUE(store->Sync().ok());
  EXPECT_FALSE(there("tile/0/001.p/44"));
  ExpectHolds(files.All(), Reference(600));
}

TEST(LogStoreTest, AFullDiskThenTheSameCallsAgain) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  files.set_capacity(40'000);
  uint64_t at = 0;
  absl::Status status;
  while ((status = store->Append(at + 100, Leaves(at, at + 100))).ok()) at += 100;
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::IsResourceExhausted(store->Append(at + 100, Leaves(at, at + 100))));
  EXPECT_TRUE(absl::IsResourceExhausted(store->Sync()));
  EXPECT_FALSE(store->broken());
  files.set_capacity(~uint64_t{0});
  ASSERT_TRUE(store->Append(at + 100, Leaves(at, at + 100)).ok());
  ASSERT_TRUE(store->Sync().ok());
  MustPublish(*store, at + 100);
  ExpectHolds(files.All(), Reference(at + 100));
}

TEST(LogStoreTest, AfterAFailedSyncTheFolderIsOpenedAgain) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  ASSERT_TRUE(store->Append(300, Leaves(0, 300)).ok());
  ASSERT_TRUE(store->Sync().ok());
  ASSERT_TRUE(store->Append(900, Leaves(300, 900)).ok());
  files.FailSync(absl::InternalError("EIO"));
  EXPECT_FALSE(store->Sync().ok());
  EXPECT_TRUE(store->broken());
  EXPECT_FALSE(store->Sync().ok()) << "a second one must not claim success";
  EXPECT_EQ(store->durable_size(), 300u);
  store = MustOpen(files);
  EXPECT_EQ(store->size(), 300u);
  ASSERT_TRUE(store->Append(900, Leaves(300, 900)).ok());
  ASSERT_TRUE(store->Sync().ok());
  for (int i = 0; i < 20; ++i) {
    std::mt19937_64 random(static_cast<uint64_t>(i));
    files.Restart(random);
    ExpectHolds(files.All(), Reference(900));
  }
}

TEST(LogStoreTest, AnOpenTileThatWasAlteredIsNoticedAtRecovery) {
  FaultyLogFiles original;
  auto store = MustOpen(original);
  ASSERT_TRUE(store->Append(70'000, Leaves(0, 70'000)).ok());
  ASSERT_TRUE(store->Sync().ok());
  for (const std::string& path :
       {std::string("tile/0/273.p/112"), std::string("tile/entries/273.p/112"),
        std::string("tile/1/001.p/17"), std::string("tile/2/000.p/1"), std::string("durable")}) {
    for (const bool lost : {false, true}) {
      FaultyLogFiles files = original;
      std::string content = files.All().at(path);
      content[10] = static_cast<char>(content[10] ^ 1);
      if (lost && path == "durable") continue;
      files.Put(path, lost ? std::nullopt : std::optional(content));
      const auto opened = LogStore::Open(&files);
      EXPECT_TRUE(absl::IsDataLoss(opened.status())) << path << ": " << opened.status();
    }
  }
}

TEST(LogStoreTest, MadeAgainFromTheStartItIsTheSame) {
  FaultyLogFiles files;
  auto store = MustOpen(files);
  ASSERT_TRUE(store->Append(3000, Leaves(0, 3000)).ok());
  ASSERT_TRUE(store->Sync().ok());
  MustPublish(*store, 3000);
  auto fresh = LogStore::Fresh(&files);
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ((*fresh)->size(), 0u);
  EXPECT_EQ((*fresh)->published_size(), 3000u);
  ASSERT_TRUE((*fresh)->Append(2000, Leaves(0, 2000)).ok());
  EXPECT_EQ(MustOpen(files)->size(), 0u) << "a crash in between must not find the old mark";
  ASSERT_TRUE((*fresh)->Append(3000, Leaves(2000, 3000)).ok());
  ASSERT_TRUE((*fresh)->RestorePublished().ok());
  ASSERT_TRUE((*fresh)->Sync().ok());
  ExpectHolds(files.All(), Reference(3000));
}

// ---- a copy
// --------------------------------------------------------------------------------------------------------

FaultyLogFiles CopyOf(uint64_t size) {
  FaultyLogFiles files;
  const Reference reference(size);
  for (const auto& [path, content] : reference.files) files.Put(path, content);
  files.Put("checkpoint", NoteOf(size, reference.root));
  return files;
}

absl::Status Adopt(FaultyLogFiles& files, std::unique_ptr<LogStore>* out) {
  auto store = MustOpen(files);
  EXPECT_FALSE(store->marked());
  LogAdoption adoption(&files, store->published());
  while (true) {
    const absl::StatusOr<bool> done = adoption.Step();
    if (!done.ok()) return done.status();
    if (*done) break;
  }
  *out = LogStore::Adopted(&files, adoption.Take());
  return absl::OkStatus();
}

TEST(LogAdoptionTest, ACopyIsCheckedAndGoesOn) {
  for (const uint64_t size : {1u, 256u, 600u, 66'000u}) {
    FaultyLogFiles files = CopyOf(size);
    std::unique_ptr<LogStore> store;
    ASSERT_TRUE(Adopt(files, &store).ok());
    EXPECT_EQ(store->size(), size);
    ASSERT_TRUE(store->Append(size + 300, Leaves(size, size + 300)).ok());
    ASSERT_TRUE(store->Sync().ok());
    MustPublish(*store, size + 300);
    ExpectHolds(files.All(), Reference(size + 300));
    EXPECT_EQ(MustOpen(files)->size(), size + 300);
  }
}

TEST(LogAdoptionTest, AnyFileThatIsWrongOrMissingIsNamed) {
  const FaultyLogFiles copy = CopyOf(66'000);
  for (const std::string& path :
       {std::string("tile/entries/000"), std::string("tile/entries/100"), std::string("tile/0/000"),
        std::string("tile/0/255"), std::string("tile/1/000"),
        std::string("tile/entries/257.p/208")}) {
    for (const bool lost : {false, true}) {
      FaultyLogFiles files = copy;
      std::string content = files.All().at(path);
      content[content.size() / 2] ^= 1;
      files.Put(path, lost ? std::nullopt : std::optional(content));
      std::unique_ptr<LogStore> store;
      const absl::Status status = Adopt(files, &store);
      EXPECT_TRUE(absl::IsDataLoss(status)) << path;
    }
  }
  FaultyLogFiles files = copy;
  files.Put("checkpoint", NoteOf(66'000, audit::Sha256("another")));
  std::unique_ptr<LogStore> store;
  EXPECT_THAT(Message(Adopt(files, &store)), HasSubstr("do not lead to the root"));
}

// ---- crashes
// -------------------------------------------------------------------------------------------------------

// The records as the store keeps them: all, or those that the log said it needs no more gone.
struct Records {
  std::vector<std::pair<uint64_t, std::string>> stored;  // tree size, leaves
  size_t first = 0;                                      // before it they are removed
  uint64_t size() const { return stored.empty() ? 0 : stored.back().first; }
  void Add(uint64_t leaves) {
    stored.emplace_back(size() + leaves, Leaves(size(), size() + leaves));
  }
};

// One life of a process; ends with the crash, or after some steps.
void Live(FaultyLogFiles& files, Records& records, std::mt19937_64& random, uint64_t* published) {
  auto opened = LogStore::Open(&files);
  if (files.crashed()) return;
  ASSERT_TRUE(opened.ok()) << opened.status();
  LogStore& store = **opened;
  ASSERT_GE(store.published_size(), *published);
  *published = store.published_size();  // the last one may have been cut short by the crash
  for (size_t i = records.first; i < records.stored.size(); ++i) {
    const absl::Status s = store.Append(records.stored[i].first, records.stored[i].second);
    if (files.crashed()) return;
    ASSERT_TRUE(s.ok()) << s;
  }
  absl::Status status = store.RestorePublished();
  if (files.crashed()) return;
  ASSERT_TRUE(status.ok()) << status;
  if (*published > 0 && random() % 8 == 0) ExpectHolds(files.All(), Reference(*published));
  for (int step = 0; step < 15; ++step) {
    const auto choice = random() % 8;
    if (choice < 4) {
      records.Add(1 + random() % (random() % 10 == 0 ? 600 : 40));
      status = store.Append(records.stored.back().first, records.stored.back().second);
    } else if (choice < 7 && store.size() > *published) {
      const uint64_t size = *published + 1 + random() % (store.size() - *published);
      const audit::Hash root = RootOf(size);
      status = store.Cut(size, root);
      if (status.ok()) status = store.Publish(size, NoteOf(size, root));
      if (status.ok()) *published = size;
    } else {
      status = store.Sync();
      if (status.ok()) records.first = records.stored.size();
    }
    if (files.crashed()) return;
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST(LogStoreCrashTest, AThousandRandomLivesMakeTheLogOfOne) {
  const uint64_t seed = Seed();
  for (uint64_t run = 0; run < 1000; ++run) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " run ", run));
    std::mt19937_64 random(seed + run);
    FaultyLogFiles files;
    Records records;
    uint64_t published = 0;
    for (int life = 0; life < 4; ++life) {
      files.CrashAt(1 + random() % 60);
      Live(files, records, random, &published);
      if (::testing::Test::HasFailure()) return;
      files.Restart(random);
    }
    Live(files, records, random, &published);
    auto store = MustOpen(files);
    if (::testing::Test::HasFailure()) return;
    for (size_t i = records.first; i < records.stored.size(); ++i) {
      ASSERT_TRUE(store->Append(records.stored[i].first, records.stored[i].second).ok());
    }
    if (records.size() == 0) continue;
    ASSERT_TRUE(store->Sync().ok());
    MustPublish(*store, records.size());
    ExpectHolds(files.All(), Reference(records.size()));
    EXPECT_EQ(store->Root(), RootOf(records.size()));
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace coffer::host
