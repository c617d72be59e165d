// The vault and the chain: whatever is altered, missing, reordered, doubled, foreign or cut off is
// refused with a sentence that names the record.
#include "enclave_core/sealing/vault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"

namespace coffer::sealing {
namespace {

using testing::HasSubstr;

Hash Fill(uint8_t byte) {
  Hash hash;
  hash.bytes.fill(byte);
  return hash;
}

ethereum::SecretBytes KeyOf(uint8_t byte = 0x42) {
  return ethereum::SecretBytes::CopyOf(std::string(32, static_cast<char>(byte))).value();
}

// Seals a history as an enclave does.
struct Writer {
  explicit Writer(uint8_t key = 0x42, uint8_t salt = 1, uint32_t epoch = 0)
      : vault(KeyOf(key), epoch, Fill(salt)) {}
  std::string Record(std::string_view text) {
    Header header;
    header.kind = Kind::kRecord;
    header.sequence = ++sequence;
    header.previous = head;
    std::string sealed = vault.Seal(header, text);
    head = RecordHash(sealed);
    return sealed;
  }
  std::vector<std::string> Snapshot(uint32_t count) {
    std::vector<std::string> chunks;
    for (uint32_t i = 0; i < count; ++i) {
      Header header;
      header.kind = Kind::kSnapshotChunk;
      header.sequence = sequence;
      header.previous = head;
      header.chunk_index = i;
      header.chunk_count = count;
      chunks.push_back(vault.Seal(header, absl::StrCat("chunk ", i)));
    }
    return chunks;
  }
  Vault vault;
  uint64_t sequence = 0;
  Hash head;
};

// Reads it all; the error of the first that is refused, or of the end.
absl::Status ReadAll(const std::vector<std::string>& sealed, uint8_t key = 0x42,
                     uint32_t epoch = 0) {
  Vault vault(KeyOf(key), epoch, Fill(0xee));
  ChainReader reader(&vault);
  for (const std::string& record : sealed) {
    if (auto item = reader.Next(record); !item.ok()) return item.status();
  }
  return reader.Finish();
}

TEST(VaultTest, OpensWhatItSealed) {
  Writer writer;
  Vault other(KeyOf(), 0, Fill(9));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, kMaxPlaintextBytes}) {
    const std::string text(size, 'p');
    const std::string sealed = writer.Record(text);
    EXPECT_EQ(sealed.size(), kHeaderBytes + size + kTagBytes);
    EXPECT_LE(sealed.size(), kMaxSealedBytes);
    const auto opened = other.Open(sealed);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->plaintext, text);
    EXPECT_EQ(opened->header.sequence, writer.sequence);
  }
}

TEST(VaultDeathTest, AnOverlongPlaintextIsABug) {
  Writer writer;
  EXPECT_DEATH(writer.Record(std::string(kMaxPlaintextBytes + 1, 'x')), "longer than a frame");
}

TEST(VaultTest, EverySingleBitThatIsFlippedIsRefused) {
  Writer writer;
  const std::string sealed = writer.Record("credit 5 wei");
  Vault vault(KeyOf(), 0, Fill(9));
  ASSERT_TRUE(vault.Open(sealed).ok());
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(vault.Open(changed).ok()) << "bit " << bit;
  }
  EXPECT_TRUE(vault.Open(sealed).ok()) << "and the vault goes on";
}

TEST(VaultTest, EveryTruncationAndExtensionIsRefused) {
  Writer writer;
  const std::string sealed = writer.Record("credit 5 wei");
  Vault vault(KeyOf(), 0, Fill(9));
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(vault.Open(sealed.substr(0, size)).ok()) << size << " bytes";
  }
  EXPECT_FALSE(vault.Open(sealed + '\0').ok());
  EXPECT_THAT(std::string(vault.Open(std::string(kMaxSealedBytes + 1, 'C')).status().message()),
              HasSubstr("longer than any"));
}

// A nonce is 0 || counter under a key that only this salt gives, so no pair comes twice as long as
// the counter grows and salts are drawn afresh (the contract of Vault's constructor).
TEST(VaultTest, CountersGrowAndSaltsSeparateKeys) {
  Writer one(0x42, 1);
  Writer two(0x42, 2);
  std::set<std::string> bodies;
  uint64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string a = one.vault.Seal(Header(), "same text");
    const std::string b = two.vault.Seal(Header(), "same text");
    const Header header = ParseHeader(a).value();
    EXPECT_GT(header.counter, last);
    last = header.counter;
    EXPECT_EQ(header.salt, Fill(1));
    bodies.insert(a.substr(kHeaderBytes));
    bodies.insert(b.substr(kHeaderBytes));
  }
  EXPECT_EQ(bodies.size(), 100u) << "no keystream comes twice";
}

TEST(ChainTest, TheWholeOfItIsRead) {
  Writer w;
  std::vector<std::string> records = {w.Record("1"), w.Record("2")};
  std::vector<std::string> from_snapshot = w.Snapshot(3);
  const std::string third = w.Record("3");
  records.push_back(third);
  from_snapshot.push_back(third);
  EXPECT_TRUE(ReadAll(records).ok());
  EXPECT_TRUE(ReadAll(from_snapshot).ok()) << ReadAll(from_snapshot);
  EXPECT_TRUE(ReadAll({}).ok());
}

TEST(ChainTest, RefusedWithTheRecordsNumber) {
  Writer w;
  const std::string r1 = w.Record("1"), r2 = w.Record("2");
  const std::vector<std::string> s = w.Snapshot(3);
  const std::string r3 = w.Record("3");
  const std::vector<std::string> later = w.Snapshot(3);
  Writer fork(0x42, 2);  // same key, another history
  const std::string f1 = fork.Record("1"), f2 = fork.Record("2");
  const std::vector<std::string> fs = fork.Snapshot(3);
  const std::string f3 = fork.Record("3");
  std::string altered = r2;
  altered[altered.size() / 2] ^= 1;
  struct Row {
    const char* name;
    std::vector<std::string> stored;
    const char* sentence;
  };
  const Row rows[] = {
      {"first missing", {r2}, "record 1 is missing: record 2 came"},
      {"middle missing", {r1, r3}, "record 2 is missing: record 3 came"},
      {"reordered", {r2, r1}, "record 1 is missing"},
      {"duplicated", {r1, r1}, "record 2 is missing: record 1 came"},
      {"older again", {r1, r2, r1}, "record 3 is missing: record 1 came"},
      {"another history", {r1, f2}, "record 2 does not follow the record 1"},
      {"another history after a snapshot", {s[0], s[1], s[2], f3}, "record 3 does not follow"},
      {"altered", {r1, altered}, "what should be record 2 is refused: it was altered"},
      {"truncated",
       {r1, r2.substr(0, 100)},
       "what should be record 2 is refused: a sealed record of 100"},
      {"not a record",
       {r1, std::string(200, 'x')},
       "what should be record 2 is refused: these bytes"},
      {"snapshot not whole", {s[0], s[1]}, "the snapshot on record 2 is not whole: 2 of 3"},
      {"record inside a snapshot", {s[0], s[1], r3}, "the snapshot on record 2 is not whole"},
      {"first chunk missing", {s[1]}, "chunk 0 of the snapshot on record 2 is missing"},
      {"middle chunk missing", {s[0], s[2]}, "chunk 1 of the snapshot on record 2 is missing"},
      {"chunk twice", {s[0], s[0]}, "chunk 1 of the snapshot on record 2 is missing"},
      {"chunk of a later snapshot", {s[0], later[1]}, "chunk 1 belongs to another snapshot"},
      {"chunk of another history", {s[0], fs[1]}, "chunk 1 belongs to another snapshot"},
      {"two snapshots", {s[0], s[1], s[2], later[0]}, "comes after record 2; snapshots come first"},
      {"snapshot after records", {r1, r2, s[0]}, "comes after record 2; snapshots come first"},
      {"gap after a snapshot", {later[0], later[1], later[2], r3}, "record 4 is missing: record 3"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const absl::Status read = ReadAll(row.stored);
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(std::string(read.message()), HasSubstr(row.sentence));
  }
}

TEST(ChainTest, ChunksWithImpossibleNumbers) {
  Writer w;
  for (const auto& [sequence, index, count] :
       {std::tuple<uint64_t, uint32_t, uint32_t>{1, 0, 0}, {1, 1, 1}, {0, 0, 1}}) {
    Header header;
    header.kind = Kind::kSnapshotChunk;
    header.sequence = sequence;
    header.chunk_index = index;
    header.chunk_count = count;
    EXPECT_THAT(std::string(ReadAll({w.vault.Seal(header, "")}).message()),
                HasSubstr("impossible numbers"));
  }
}

TEST(ChainTest, OtherKeysAndEpochs) {
  Writer w;
  const std::string r1 = w.Record("1");
  EXPECT_THAT(std::string(ReadAll({r1}, 0x43).message()), HasSubstr("another key"));
  EXPECT_THAT(std::string(ReadAll({r1}, 0x42, 7).message()),
              HasSubstr("state key of epoch 0, and this enclave holds epoch 7"));
}

TEST(VaultTest, SealsUnderTheEpochThatWasAdoptedAndOpensAllItHas) {
  Vault vault(KeyOf(1), 1, Fill(1));
  const std::string old = vault.Seal(Header{}, "one");
  vault.AddKey({2, KeyOf(2)});
  EXPECT_EQ(vault.epoch(), 1u);
  EXPECT_EQ(ParseHeader(vault.Seal(Header{}, "still"))->key_epoch, 1u);
  vault.Adopt(2);
  EXPECT_EQ(vault.epoch(), 2u);
  const std::string sealed = vault.Seal(Header{}, "two");
  EXPECT_EQ(ParseHeader(sealed)->key_epoch, 2u);
  // In turn, because the key schedule of the last one is kept.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(vault.Open(old)->plaintext, "one");
    EXPECT_EQ(vault.Open(sealed)->plaintext, "two");
  }
  // The epoch says which key, and the salt is the same: under the other key it does not open.
  std::string lies = sealed;
  lies[8] = 1;
  EXPECT_THAT(std::string(vault.Open(lies).status().message()), HasSubstr("altered"));
  Vault behind(KeyOf(1), 1, Fill(2));
  behind.AddKey({3, KeyOf(3)});
  const absl::Status unknown = behind.Open(sealed).status();
  EXPECT_TRUE(absl::IsDataLoss(unknown));
  EXPECT_THAT(std::string(unknown.message()),
              HasSubstr("state key of epoch 2, and this enclave holds epochs 1, 3"));
}

// tests/golden/sealed_record.bin: key 0x42.., salt 0x01.., epoch 3, the first record of a vault.
TEST(GoldenTest, TheRecordsOfThisFormatStayReadable) {
  Vault vault(KeyOf(), 3, Fill(1));
  Header header;
  header.sequence = 7;
  header.previous = Fill(0xaa);
  header.chunk_index = 0x01020304;
  header.chunk_count = 0x05060708;
  const std::string sealed = vault.Seal(header, "coffer");
  EXPECT_EQ(ethereum::ToHex(sealed.substr(0, kHeaderBytes)),
            absl::StrCat("0x", "43465231", "01", "00000003", "0000000000000007",
                         Fill(0xaa).ToHex().substr(2), "01020304", "05060708",
                         Fill(1).ToHex().substr(2), "0000000000000001"));
  std::ifstream file(COFFER_SOURCE_DIR "/tests/golden/sealed_record.bin", std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(ethereum::ToHex(sealed), ethereum::ToHex(golden));
  const auto opened = vault.Open(golden);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->plaintext, "coffer");
}

}  // namespace
}  // namespace coffer::sealing
