// A log in a folder of its own, as the writer leaves it: real leaves, tiles and a signed
// checkpoint.
#ifndef COFFER_TESTS_UNIT_HOST_LOG_READER_SUPPORT_H_
#define COFFER_TESTS_UNIT_HOST_LOG_READER_SUPPORT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::host {

inline constexpr char kTestOrigin[] = "coffer/0x1111111111111111111111111111111111111111";

inline audit::NoteSigner TestLogKey(char seed = 'k') {
  return audit::NoteSigner::Create(kTestOrigin, audit::KeyType::kEd25519,
                                   ethereum::SecretBytes::CopyOf(std::string(32, seed)).value())
      .value();
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Leaf 0 is the genesis. Of the others every tenth signs payout index / 10, the rest are credits
// "ev-<index>" of account "orch-<index mod 7>".
inline audit::Leaf TestLeaf(uint64_t index) {
  audit::Leaf leaf;
  leaf.sequence = index;
  leaf.claimed_time = 1'700'000'000'000 + index;
  if (index == 0) {
    leaf.kind = audit::LeafKind::kGenesis;
    leaf.recipient = audit::Address();
    leaf.content_hash = audit::Hash();
  } else if (index % 10 == 0) {
    leaf.kind = audit::LeafKind::kPayoutSigned;
    leaf.payout = index / 20;  // two leaves each
    leaf.tx_hash = audit::Sha256(absl::StrCat("tx", index));
  } else {
    leaf.kind = audit::LeafKind::kCredit;
    leaf.event_id = absl::StrCat("ev-", index);
    leaf.account = absl::StrCat("orch-", index % 7);
    leaf.recipient = audit::Address();
    leaf.balances = audit::Balances{5, 10 * index, 2, 3};
  }
  return leaf;
}

class TestLog {
 public:
  TestLog() {
    std::string name = ::testing::TempDir() + "coffer_log_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  TestLog(const TestLog&) = delete;
  TestLog& operator=(const TestLog&) = delete;
  ~TestLog() { std::filesystem::remove_all(root_); }

  std::string folder() const { return root_ + "/log"; }
  std::string index_path() const { return root_ + "/log-index.sqlite"; }

  void Put(const std::string& path, const std::string& content) {
    const std::filesystem::path file = folder() + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    const std::string fresh = file.string() + ".new";
    std::ofstream(fresh, std::ios::binary) << content;
    std::filesystem::rename(fresh, file);
  }
  void Remove(const std::string& path) { std::filesystem::remove(folder() + "/" + path); }
  bool Has(const std::string& path) const { return std::filesystem::exists(folder() + "/" + path); }
  // Turns a bit of a file.
  void Alter(const std::string& path, size_t at) {
    std::string content = ReadFile(folder() + "/" + path);
    ASSERT_LT(at, content.size()) << path;
    content[at] = static_cast<char>(content[at] ^ 1);
    Put(path, content);
  }

  // Grows the log and writes its tiles, the partial ones of `size` included.
  void Grow(uint64_t size) {
    for (uint64_t i = writer_.size(); i < size; ++i) {
      std::string bytes;
      ASSERT_TRUE(audit::AppendLeaf(TestLeaf(i), &bytes).ok()) << i;
      ASSERT_TRUE(writer_.Append(bytes).ok());
      if (i % 65'536 == 65'535) WriteTiles();
    }
    WriteTiles();
  }
  // Grow, and publish the head.
  void Publish(uint64_t size) {
    Grow(size);
    PublishNote(NoteOf({kTestOrigin, size, writer_.Root(), {}}));
  }
  void PublishNote(const std::string& note) { Put("checkpoint", note); }
  static std::string NoteOf(const audit::Checkpoint& head) {
    return audit::SignCheckpoint(head, TestLogKey());
  }
  audit::Hash Root() const { return writer_.Root(); }

 private:
  void WriteTiles() {
    for (const audit::TileFile& file : writer_.Take())
      Put(audit::TilePath(file.tile), file.content);
  }

  std::string root_;
  audit::TileWriter writer_;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_LOG_READER_SUPPORT_H_
